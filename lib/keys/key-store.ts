import type { FastifyBaseLogger } from 'fastify'
import type { JwksSource } from '../auth-server/find-jwks.js'
import { createNegativeCache } from '../auth-server/negative-cache.js'
import { createPacedSource } from '../auth-server/paced-source.js'
import { createRateLimiter } from '../auth-server/rate-limiter.js'
import { JwksUnavailableError, TokenInvalidError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { importJwk, isSameKey, UnusableJwkError, type JwkFault, type VerificationKey } from './jwk.js'
import { createKeyEvents } from './key-events.js'

/** What a key store needs: the policy, and everything that tests control. */
export interface KeyStoreContext {
  /** The auth server that the keys belong to, for subscribers of the diagnostics channels. */
  readonly authUrl: string
  readonly source: JwksSource
  readonly policy: ResolvedOptions['jwks']
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** The state of the keys as plain data. It holds nothing secret, but the URL of the JWKS may be internal. */
export interface KeyStatus {
  /** The URL of the JWKS, or `null` until it has been found. */
  url: string | null
  /**
   * The keys that are trusted now, or would be in an outage. `alg` is `null` for a JWK without one. Times are ISO 8601.
   */
  keys: Array<{ kid: string, alg: string | null, confirmedAt: string }>
  /** Why the last fetch failed, as a stable word (`timeout`, `ECONNREFUSED`, `no_jwks`, …), or `null` if it did not. */
  lastError: string | null
  /** The time before which no fetch is made after a failure, in ISO 8601, or `null`. */
  nextTryAt: string | null
}

/** Decides which keys are trusted now. It knows nothing about HTTP and has no clock of its own. */
export interface KeyStore {
  /**
   * The key with this `kid`: at once if no fetch is needed, else as a promise, which rejects with the same errors.
   *
   * @throws TokenInvalidError if the JWKS has no such key, or an unusable one.
   * @throws JwksUnavailableError if it cannot be fetched now.
   */
  get (kid: string): VerificationKey | Promise<VerificationKey>
  /** Resolves if the JWKS can be fetched. @throws JwksUnavailableError if it cannot. */
  ready (): Promise<void>
  status (): KeyStatus
}

interface Trusted { readonly key: VerificationKey, readonly confirmedAt: number, readonly freshFor: number }

/** How much earlier a key may be refreshed, as a share of `maxAge`, so that instances do not refresh all at once. */
const REFRESH_JITTER = 0.1
/** How long a missing key is not looked up again. A new key must be found within 5 seconds. */
const MISSING_RECHECK = 3000
/** How long a missing key still gets 401 rather than 503 when the rate limit prevents another look. */
const MISSING_GRACE = 60_000
/** A `kid` that no key has, for fetching the JWKS without a key. */
const NO_KEY = ''

export function createKeyStore ({ authUrl, source: unpaced, policy, log, now, random }: KeyStoreContext): KeyStore {
  const trusted = new Map<string, Trusted>()
  const missing = createNegativeCache<JwkFault | undefined>(now)
  const fetching = new Map<string, Promise<VerificationKey>>()
  let checking: Promise<unknown> | undefined
  const events = createKeyEvents(authUrl, log, () => trusted.size)
  const source = createPacedSource(unpaced, events, now, random)
  const limiter = createRateLimiter(policy.requestsPerMinute, now)
  const staleAfter = policy.maxAge + policy.staleWhileRevalidate

  function get (kid: string): VerificationKey | Promise<VerificationKey> {
    const entry = trusted.get(kid)
    return entry === undefined ? lookUp(kid) : serve(entry)
  }

  function serve (entry: Trusted): VerificationKey | Promise<VerificationKey> {
    const { key } = entry
    const age = ageOf(entry)
    if (age < entry.freshFor) return key
    const isPausing = source.isPausing()
    if (age < staleAfter) {
      if (!isPausing) refresh(key.kid).catch(() => {})
      return key
    }
    // During an outage, one request at a time finds out whether it is over. All others get the known key.
    const isOthersTask = isPausing || (source.failing && fetching.has(key.kid))
    if (age < policy.staleIfError && isOthersTask) return key
    if (isPausing) throw source.unavailable()
    return refresh(key.kid).catch((error: unknown) => {
      if (error instanceof JwksUnavailableError && ageOf(entry) < policy.staleIfError) return key
      throw error
    })
  }

  function lookUp (kid: string): Promise<VerificationKey> {
    if (!fetching.has(kid)) {
      const entry = missing.get(kid)
      const missingFor = entry === undefined ? Infinity : now() - entry.seenAt
      if (missingFor >= 0 && missingFor < MISSING_RECHECK) throw keyError(entry!.reason)
      if (source.isPausing()) throw source.unavailable()
      if (!limiter.tryAcquire()) {
        throw missingFor < MISSING_GRACE ? keyError(entry!.reason) : new JwksUnavailableError(limiter.remaining())
      }
    }
    return refresh(kid)
  }

  /** Fetches the current entry of a key. There is one fetch at a time for each key. */
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
    const jwk = await source.fetchJwk(kid)
    if (jwk === undefined) throw distrust(kid, startedAt)
    try {
      return trust(importJwk(kid, jwk), startedAt)
    } catch (error) {
      throw distrust(kid, startedAt, (error as UnusableJwkError).fault)
    }
  }

  /**
   * The age of a key counts from the start of the fetch: the key may have left the JWKS before the response arrived.
   */
  function trust (key: VerificationKey, confirmedAt: number): VerificationKey {
    const known = trusted.get(key.kid)
    const isSame = known !== undefined && isSameKey(known.key, key)
    if (known === undefined) events.found(key, trusted.size === 0)
    else if (!isSame) events.replaced(key.kid)
    missing.delete(key.kid)
    dropExpired()
    const kept = isSame ? known.key : key
    trusted.set(key.kid, { key: kept, confirmedAt, freshFor: policy.maxAge * (1 - REFRESH_JITTER * random()) })
    return kept
  }

  function distrust (kid: string, seenAt: number, fault?: JwkFault): TokenInvalidError {
    if (trusted.delete(kid)) {
      if (fault === undefined) events.removed(kid)
      else events.becameUnusable(kid)
    }
    if (fault !== undefined && missing.get(kid)?.reason !== fault) events.unusable(kid, fault)
    missing.set(kid, seenAt, fault)
    return keyError(fault)
  }

  /** Drops keys that can no longer be used under any rule. No request uses them, or they would have been refreshed. */
  function dropExpired (): void {
    for (const [kid, entry] of trusted) if (!isTrusted(entry)) trusted.delete(kid)
  }

  function isTrusted (entry: Trusted): boolean {
    return ageOf(entry) < Math.max(staleAfter, policy.staleIfError)
  }

  /** If the clock was set back, a key counts as old, not as young. */
  function ageOf (entry: Trusted): number {
    const age = now() - entry.confirmedAt
    return age < 0 ? Infinity : age
  }

  return {
    get,
    async ready () {
      if (source.isPausing()) throw source.unavailable()
      checking ??= source.fetchJwk(NO_KEY).finally(() => { checking = undefined })
      await checking
    },
    status () {
      return {
        url: source.url,
        keys: [...trusted.values()].filter(isTrusted).map(({ key, confirmedAt }) => ({
          kid: key.kid, alg: key.alg, confirmedAt: new Date(confirmedAt).toISOString()
        })),
        lastError: source.lastError,
        nextTryAt: source.nextTryAt === null ? null : new Date(source.nextTryAt).toISOString()
      }
    }
  }
}

function keyError (fault: JwkFault | undefined): TokenInvalidError {
  return new TokenInvalidError(fault === undefined ? 'unknown_key' : 'unusable_key')
}
