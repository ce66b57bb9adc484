import type { FastifyBaseLogger } from 'fastify'
import { ExchangeUnavailableError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import { createBackoff } from './backoff.js'
import { createBudget } from './budget.js'
import { describeFailure } from './failure.js'
import { exchangeToken, type CredentialHeader, type ExchangeResponse, type FailedExchange } from './token-exchange.js'

/** A credential that is to be exchanged. */
export interface Exchanging {
  readonly header: CredentialHeader
  /** The IP address of the client, for the option `forwardedFor`; `undefined` if nobody knows it. */
  readonly address: string | undefined
  /** Whether this instance knows the session already; if not, the exchange counts for the budget. */
  readonly isKnown: boolean
  /** The session token without a signature, or the API key. */
  readonly token: string
  /** For how long a result of another instance counts, in milliseconds. */
  readonly maxAge: number
  /** Only a result of an exchange that began after this counts, in milliseconds since the epoch. */
  readonly after: number
}

/** The verdict of the auth server on a credential. */
export type ExchangeResult = Exclude<ExchangeResponse, { readonly kind: 'failed' }> & {
  /** When the exchange began, in milliseconds since the epoch. */
  readonly exchangedAt: number
  /** Whether another instance has made the exchange. */
  readonly isShared?: boolean
}

/** Exchanges credentials at one auth server, and pauses after a failure. */
export interface ExchangeClient {
  /** Whether the last exchange failed. */
  readonly failing: boolean
  /** Whether no exchange should be made now: after a failure, one exchange at a time finds out whether it is over. */
  isPausing (): boolean
  /** @throws ExchangeUnavailableError if the auth server gives no verdict, or may not be asked now. */
  exchange (exchanging: Exchanging): Promise<ExchangeResult>
}

export interface ExchangeClientContext {
  readonly exchange: ResolvedExchange
  /** The option `jwks.headers`: whatever stands in front of the JWKS also stands in front of the exchange. */
  readonly headers: ResolvedOptions['jwks']['headers']
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** The shortest time after which another attempt makes sense, in milliseconds. */
const MIN_RETRY_AFTER = 1000

export function createExchangeClient (
  { exchange, headers, log, now, random }: ExchangeClientContext
): ExchangeClient {
  const { url, timeout, requestsPerMinute } = exchange
  const backoff = createBackoff(now, random)
  const budget = createBudget(requestsPerMinute, now)
  let running = 0
  let failingSince = 0

  function report (response: ExchangeResponse): void {
    if (response.kind !== 'failed') {
      if (backoff.failing) log.info({ url, downFor: now() - failingSince }, 'the auth server exchanges tokens again')
      backoff.succeed()
      return
    }
    const { code, detail, retryAfter } = response
    if (!backoff.failing) {
      failingSince = now()
      log.error({ url, code, detail }, `the auth server does not exchange tokens: ${explain(response)}`)
    }
    backoff.fail(retryAfter)
  }

  function isPausing (): boolean {
    return backoff.remaining() > 0 || (backoff.failing && running > 0)
  }

  function unavailable (): ExchangeUnavailableError {
    return new ExchangeUnavailableError(Math.max(MIN_RETRY_AFTER, backoff.remaining()))
  }

  return {
    get failing () { return backoff.failing },
    isPausing,
    async exchange ({ header, address, isKnown }) {
      if (isPausing()) throw unavailable()
      const wait = isKnown ? 0 : budget.take()
      if (wait > 0) throw new ExchangeUnavailableError(wait, 'exchange_budget')
      const exchangedAt = now()
      const isProbe = backoff.failing
      const forwardedFor = exchange.forwardedFor ? address : undefined
      running++
      const response = await exchangeToken({ url, credential: header, headers, forwardedFor, timeout })
        .finally(() => { running-- })
      // Many that fail together are one failure, with one pause.
      if (response.kind !== 'failed' || isProbe || !backoff.failing) report(response)
      if (response.kind === 'failed') throw unavailable()
      return { ...response, exchangedAt }
    }
  }
}

function explain ({ code, detail }: FailedExchange): string {
  if (detail === 404) {
    return '`GET /token` returns 404. Add the plugin jwt() to the Better Auth server, and do not disable its ' +
      'path `/token`; if the server has a base path other than /api/auth, add that to "authUrl"'
  }
  if (code === 'rate_limited') {
    return 'its rate limiter returns 429. It counts all clients of this API as one: set "exchange.forwardedFor", ' +
      'or at the Better Auth server `rateLimit: { customRules: { \'/token\': false } }`'
  }
  return describeFailure(code, detail)
}
