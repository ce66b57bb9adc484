import { hash, randomBytes } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { FetchFailure } from '../contract/fetch-failures.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import { createBackoff } from './backoff.js'
import { clientOf } from './client-budget.js'
import { describeFailure } from './failure.js'
import { createSuspects } from './suspects.js'
import type { CredentialHeader, ExchangeResponse, FailedExchange } from './token-exchange.js'

/** Who asks the auth server. */
interface Asking {
  readonly header: CredentialHeader
  readonly address: string | undefined
  /** Whether the auth server has accepted the credential before. */
  readonly isKnown: boolean
}

/** Whether the auth server exchanges credentials, and for which of them it fails. */
export interface ExchangeHealth {
  /** Whether the last exchange failed, and not because of its own credential. */
  readonly failing: boolean
  /** For how many milliseconds nothing should be exchanged. */
  remaining (): number
  /** The same for one credential. */
  remainingFor (asking: Asking): number
  /** Whether an exchange failed recently: then a refusal may be a failure too. */
  isDoubtful (): boolean
  /** How many exchanges have succeeded. */
  readonly successes: number
  /** @param successesBefore - how many had succeeded when this one began. */
  report (response: ExchangeResponse, asking: Asking, url: string, successesBefore: number): void
  status (): HealthStatus
}

/** Times are milliseconds since the epoch, or `null`. */
export interface HealthStatus {
  readonly nextTryAt: number | null
  readonly lastError: FetchFailure | null
  readonly lastSuccessAt: number | null
  readonly lastFailureAt: number | null
}

export interface ExchangeHealthContext {
  readonly exchange: Pick<ResolvedExchange, 'forwardedFor'>
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** For how long a suspect is not tried again, in milliseconds, unless the auth server asks for more. */
const SUSPECT_FOR = 5000
const MAX_SUSPECT_FOR = 60_000
/** How long a failure casts doubt on refusals, in milliseconds. */
const DOUBTFUL_FOR = 60_000
/** The shortest time between two log lines about suspects, in milliseconds. */
const WARN_EVERY = 60_000

export function createExchangeHealth (
  { exchange: { forwardedFor }, log, now, random }: ExchangeHealthContext
): ExchangeHealth {
  const backoff = createBackoff(now, random)
  const suspects = createSuspects(now)
  const salt = randomBytes(32).toString('base64')
  let failingSince = 0
  /** Never. */
  let warnedAt = Infinity
  let lastError: FetchFailure | null = null
  let lastSuccessAt: number | null = null
  let lastFailureAt: number | null = null
  let successes = 0

  function credentialOf ({ header: { name, value } }: Asking): string {
    return hash('sha256', `${salt}${name} ${value}`, 'base64')
  }

  /** The credential or the client that may be the only one affected by a failure. */
  function suspectOf ({ code, detail }: FailedExchange, asking: Asking): string | undefined {
    // The auth server fails to read a session, or to make a JWT of one user.
    if (code === 'http_5xx') return credentialOf(asking)
    // A firewall takes a credential for an attack.
    const isBlocked = code === 'no_token' || (code === 'http_4xx' && detail !== 404)
    if (isBlocked && lastSuccessAt !== null) return credentialOf(asking)
    // With the address of the client, Better Auth's rate limiter counts each client.
    return code === 'rate_limited' && forwardedFor ? clientOf(asking.address) : undefined
  }

  /** @param isCurrent - whether none has succeeded since it began: else it may have met the end of an outage. */
  function failed (failure: FailedExchange, asking: Asking, url: string, isCurrent: boolean): void {
    const { code, detail, retryAfter } = failure
    lastError = code
    lastFailureAt = now()
    const suspect = suspectOf(failure, asking)
    if (suspect !== undefined) {
      const duration = Math.min(MAX_SUSPECT_FOR, Math.max(SUSPECT_FOR, retryAfter))
      // Anybody can invent credentials that fail: where others have worked, they say nothing about others.
      const isWitness = isCurrent && (asking.isKnown || lastSuccessAt === null)
      const isOutage = suspects.add(suspect, duration, isWitness) || (isWitness && backoff.failing)
      if (!isOutage) return warn(failure, url)
    }
    if (!isCurrent) return
    if (!backoff.failing) {
      failingSince = now()
      log.error({ url, code, detail }, `the auth server does not exchange tokens: ${explain(failure, forwardedFor)}`)
    }
    backoff.fail(retryAfter)
  }

  function warn ({ code, detail }: FailedExchange, url: string): void {
    if (backoff.failing || Math.abs(now() - warnedAt) < WARN_EVERY) return
    warnedAt = now()
    log.warn({ url, code, detail }, `the auth server fails for one credential or client, and not for all: ${code}`)
  }

  return {
    get failing () { return backoff.failing },
    remaining: backoff.remaining,
    remainingFor (asking) {
      return Math.max(
        backoff.remaining(),
        suspects.remaining(credentialOf(asking)),
        forwardedFor ? suspects.remaining(clientOf(asking.address)) : 0
      )
    },
    isDoubtful: () => Math.abs(now() - (lastFailureAt ?? Infinity)) < DOUBTFUL_FOR,
    get successes () { return successes },
    report (response, asking, url, successesBefore) {
      if (response.kind === 'failed') return failed(response, asking, url, successes === successesBefore)
      if (backoff.failing) log.info({ url, downFor: now() - failingSince }, 'the auth server exchanges tokens again')
      backoff.succeed()
      suspects.acquit()
      lastError = null
      lastSuccessAt = now()
      successes++
    },
    status: () => ({ nextTryAt: backoff.nextTryAt, lastError, lastSuccessAt, lastFailureAt })
  }
}

function explain ({ code, detail }: FailedExchange, forwardedFor: boolean): string {
  if (detail === 404) {
    return '`GET /token` returns 404. Add the plugin jwt() to the Better Auth server, and do not disable its ' +
      'path `/token`; if the server has a base path other than /api/auth, add that to "authUrl"'
  }
  if (code === 'rate_limited' && forwardedFor) {
    return 'its rate limiter returns 429 to clients at several addresses. If it counts them as one, a proxy before ' +
      'it drops `X-Forwarded-For`, or its `advanced.ipAddress` names another header'
  }
  if (code === 'rate_limited') {
    return 'its rate limiter returns 429. It counts all clients of this API as one: set "exchange.forwardedFor", ' +
      'or at the Better Auth server `rateLimit: { customRules: { \'/token\': false } }`'
  }
  return describeFailure(code, detail)
}
