import type { FastifyBaseLogger } from 'fastify'
import { createAbsentKeys } from '../auth-server/negative-cache.js'
import { jwksFetchChannel, keyChangeChannel, type JwksFetchMessage, type KeyChangeMessage } from '../contract/channels.js'
import { JwksUnavailableError, TokenInvalidError } from '../contract/errors.js'
import { importJwk, isSameKey, UnusableJwkError, type JwkFault, type VerificationKey } from './jwk.js'
import { JwksFetchError, type Jwk, type JwksSource } from '../auth-server/fetch-jwks.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { createBackoff, createBudget } from '../auth-server/backoff.js'

/** What is handed to a key store: the policy, and all that a test wants to move. */
export interface KeyStoreContext {
  /** Whose keys these are, for who listens to the diagnostics. */
  readonly authUrl: string
  readonly source: JwksSource
  readonly policy: ResolvedOptions['jwks']
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** The state of the keys, as plain data: safe to show in a health route. */
export interface KeyStatus {
  /** The address of the JWKS, or `null` while it has not been found. */
  url: string | null
  /** The keys that are trusted now, or would be in an outage; `alg` is `null` for a JWK that names none. Times are ISO 8601. */
  keys: Array<{ kid: string, alg: string | null, confirmedAt: string }>
  /** Why the JWKS cannot be had, as one stable word (`timeout`, `ECONNREFUSED`, `no_jwks`, …), or `null` if it could last time. */
  lastError: string | null
  /** Until when no fetch is made after a failure, in ISO 8601, or `null`. */
  nextTryAt: string | null
}

/** Decides which keys are trusted now. It knows nothing of HTTP, and has no clock of its own. */
export interface KeyStore {
  /**
   * The key of this name: at once where no fetch is needed, else as a promise. Throws or rejects alike.
   *
   * @throws TokenInvalidError when the JWKS has no such key, or one that is of no use.
   * @throws JwksUnavailableError when that cannot be found out now.
   */
  get (kid: string): VerificationKey | Promise<VerificationKey>
  /** Resolves when the JWKS can be had. @throws JwksUnavailableError when it cannot. */
  ready (): Promise<void>
  status (): KeyStatus
}

interface Trusted { key: VerificationKey, confirmedAt: number, freshFor: number }

/** How much earlier than `maxAge` a key may be refreshed, as a share of it: instances must not march in step. */
const REFRESH_JITTER = 0.1
/** For how long a key that was not in the JWKS is not looked for again: new keys have to be found within 5 seconds. */
const ABSENT_RECHECK = 3000
/** For how long it counts as lately seen to be absent when it cannot be looked for. */
const ABSENT_LATELY = 60_000
/** A name that no key has: what is asked for is the JWKS. */
const ANY = ''

export function createKeyStore ({ authUrl, source, policy, log, now, random }: KeyStoreContext): KeyStore {
  const trusted = new Map<string, Trusted>()
  const absent = createAbsentKeys(now)
  const fetching = new Map<string, Promise<VerificationKey>>()
  let checking: Promise<unknown> | undefined
  const backoff = createBackoff(now, random)
  const budget = createBudget(policy.requestsPerMinute, now)
  const staleAfter = policy.maxAge + policy.staleWhileRevalidate
  let lastError: string | null = null
  let failingSince = 0

  function get (kid: string): VerificationKey | Promise<VerificationKey> {
    const entry = trusted.get(kid)
    return entry === undefined ? lookUp(kid) : serve(entry)
  }

  function serve (entry: Trusted): VerificationKey | Promise<VerificationKey> {
    const { key } = entry
    const age = ageOf(entry)
    if (age < entry.freshFor) return key
    const resting = backoff.remaining() > 0
    if (age < staleAfter) {
      if (!resting) refresh(key.kid).catch(() => {})
      return key
    }
    // During an outage one request at a time finds out whether it is over; all others go on with the key they have.
    if (age < policy.staleIfError && (resting || (backoff.failing && fetching.has(key.kid)))) return key
    if (resting) throw unavailable()
    return refresh(key.kid).catch((error: unknown) => {
      if (error instanceof JwksUnavailableError && ageOf(entry) < policy.staleIfError) return key
      throw error
    })
  }

  function lookUp (kid: string): Promise<VerificationKey> {
    if (!fetching.has(kid)) {
      const absence = absent.get(kid)
      const absentFor = absence === undefined ? Infinity : now() - absence.seenAt
      if (absentFor >= 0 && absentFor < ABSENT_RECHECK) throw refusal(absence!.fault)
      if (backoff.remaining() > 0) throw unavailable()
      if (!budget.take()) {
        throw absentFor < ABSENT_LATELY ? refusal(absence!.fault) : new JwksUnavailableError(budget.remaining())
      }
    }
    return refresh(kid)
  }

  /** Fetches what the JWKS says of a key now. There is one fetch at a time for each. */
  function refresh (kid: string): Promise<VerificationKey> {
    let pending = fetching.get(kid)
    if (pending === undefined) {
      pending = fetchKey(kid).finally(() => { fetching.delete(kid) })
      fetching.set(kid, pending)
    }
    return pending
  }

  async function fetchKey (kid: string): Promise<VerificationKey> {
    const startedAt = now()
    const jwk = await fetchJwk(kid)
    if (jwk === undefined) throw distrust(kid, startedAt)
    try {
      return trust(importJwk(kid, jwk), startedAt)
    } catch (error) {
      throw distrust(kid, startedAt, error as UnusableJwkError)
    }
  }

  async function fetchJwk (kid: string): Promise<Jwk | undefined> {
    const startedAt = now()
    try {
      const jwk = await source.fetchJwk(kid)
      succeeded()
      publishFetch(startedAt, null)
      return jwk
    } catch (error) {
      const code = error instanceof JwksFetchError ? error.code : 'unexpected'
      failed(startedAt, code)
      publishFetch(startedAt, code)
      throw unavailable()
    }
  }

  function publishFetch (startedAt: number, code: string | null): void {
    if (!jwksFetchChannel.hasSubscribers) return
    const outcome = code === null ? 'ok' : 'error'
    jwksFetchChannel.publish({ authUrl, url: source.url, outcome, code, duration: now() - startedAt } satisfies JwksFetchMessage)
  }

  function publishChange (kid: string, change: KeyChangeMessage['change']): void {
    if (keyChangeChannel.hasSubscribers) keyChangeChannel.publish({ authUrl, kid, change } satisfies KeyChangeMessage)
  }

  function failed (startedAt: number, code: string): void {
    lastError = code
    if (!backoff.failing) {
      failingSince = startedAt
      log.warn({ code, keys: trusted.size }, `the JWKS of the auth server is unreachable since ${new Date(startedAt).toISOString()}`)
    }
    backoff.fail(startedAt)
  }

  function succeeded (): void {
    if (!backoff.failing) return
    backoff.succeed()
    lastError = null
    log.info({ downFor: now() - failingSince }, 'the JWKS of the auth server is back')
  }

  /** A key is counted from the start of the fetch that confirmed it: it may have left while the answer was under way. */
  function trust (key: VerificationKey, confirmedAt: number): VerificationKey {
    const known = trusted.get(key.kid)
    const isSame = known !== undefined && isSameKey(known.key, key)
    if (!isSame) {
      if (known !== undefined) log.warn({ kid: key.kid }, 'the auth server replaced a key under the same kid')
      else log.info({ kid: key.kid, algorithms: key.algorithms }, trusted.size === 0 ? 'found a key of the auth server' : 'the auth server rotated its keys: found a new one')
      publishChange(key.kid, known === undefined ? 'found' : 'replaced')
    }
    absent.delete(key.kid)
    dropExpired()
    const kept = isSame ? known.key : key
    trusted.set(key.kid, { key: kept, confirmedAt, freshFor: policy.maxAge * (1 - REFRESH_JITTER * random()) })
    return kept
  }

  function distrust (kid: string, seenAt: number, error?: UnusableJwkError): TokenInvalidError {
    if (trusted.delete(kid)) {
      log.warn({ kid }, error === undefined ? 'a key left the JWKS of the auth server; its tokens are refused' : 'a key of the auth server is no longer usable; its tokens are refused')
      publishChange(kid, error === undefined ? 'removed' : 'unusable')
    }
    const fault = error?.fault
    if (fault !== undefined && absent.get(kid)?.fault !== fault) {
      if (fault === 'private') log.error({ kid }, 'the auth server publishes a private key: whoever read it can sign tokens')
      else log.warn({ kid, fault }, 'a key in the JWKS of the auth server is not usable')
    }
    absent.set(kid, seenAt, fault)
    return refusal(fault)
  }

  /** Keys that can no longer serve under any rule: nobody asks for them any more, or they would have been refreshed. */
  function dropExpired (): void {
    for (const [kid, entry] of trusted) if (!isTrusted(entry)) trusted.delete(kid)
  }

  function isTrusted (entry: Trusted): boolean {
    return ageOf(entry) < Math.max(staleAfter, policy.staleIfError)
  }

  /** A clock that was set back makes a key old rather than young. */
  function ageOf (entry: Trusted): number {
    const age = now() - entry.confirmedAt
    return age < 0 ? Infinity : age
  }

  function unavailable (): JwksUnavailableError {
    return new JwksUnavailableError(backoff.remaining())
  }

  return {
    get,
    async ready () {
      if (backoff.remaining() > 0) throw unavailable()
      checking ??= fetchJwk(ANY).finally(() => { checking = undefined })
      await checking
    },
    status () {
      return {
        url: source.url,
        keys: [...trusted.values()].filter(isTrusted).map(({ key, confirmedAt }) => ({
          kid: key.kid, alg: key.alg, confirmedAt: new Date(confirmedAt).toISOString()
        })),
        lastError,
        nextTryAt: backoff.nextTryAt === null ? null : new Date(backoff.nextTryAt).toISOString()
      }
    }
  }
}

function refusal (fault: JwkFault | undefined): TokenInvalidError {
  return new TokenInvalidError(fault === undefined ? 'unknown_key' : 'unusable_key')
}
