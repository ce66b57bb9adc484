import type { FastifyBaseLogger } from 'fastify'
import type { JwksSource } from '../auth-server/find-jwks.js'
import { createPacedSource } from '../auth-server/paced-source.js'
import { TokenInvalidError } from '../contract/errors.js'
import type { FetchFailure } from '../contract/fetch-failures.js'
import type { Algorithm } from '../contract/options.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { VerificationKey } from './jwk.js'
import { createKeyEvents } from './key-events.js'
import { createKeySet, findKey, NO_KEYS } from './key-set.js'
import type { WatchedKeys } from './key-watch.js'

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
   * All usable keys of the JWKS while they are trusted, or would be in an outage, whether or not a token has used them.
   * `alg` is `null` for a JWK without one. `confirmedAt` is when the fetch began that found them, in ISO 8601: the same
   * time for all keys.
   */
  keys: Array<{ kid: string, alg: string | null, confirmedAt: string }>
  /**
   * Why the last fetch failed, as a stable word (`timeout`, `connection_refused`, `http_5xx`, …), or `null` if it did
   * not. `docs/reference/keys.md` lists the words.
   */
  lastError: FetchFailure | null
  /** The time before which no fetch is made after a failure, in ISO 8601, or `null`. */
  nextTryAt: string | null
}

/** Decides which keys are trusted now. It knows nothing about HTTP and has no clock of its own. */
export interface KeyStore {
  /**
   * The key for a token: at once if no fetch is needed, else as a promise, which rejects with the same errors. Of keys
   * with the same `kid`, it is the first that is for the algorithm; a key for another algorithm if none is.
   *
   * @throws TokenInvalidError if the JWKS has no such key, or an unusable one.
   * @throws JwksUnavailableError if it cannot be fetched now.
   */
  get (kid: string, alg: Algorithm): VerificationKey | Promise<VerificationKey>
  /** Whether a key that `get` returned before may be used without a wait. */
  isTrusted (key: VerificationKey): boolean
  /**
   * Resolves if the JWKS was fetched within the last 5 seconds, or else can be fetched now.
   *
   * @throws JwksUnavailableError if it cannot.
   */
  ready (): Promise<void>
  status (): KeyStatus
}

/** How much earlier the keys may be refreshed, as a share of `maxAge`, so that instances do not refresh all at once. */
const REFRESH_JITTER = 0.1
/** How many `kid`s a log line about an unknown one lists. */
const MAX_LOGGED_KIDS = 10

export function createKeyStore (
  { authUrl, source: unpaced, policy, log, now, random }: KeyStoreContext
): KeyStore & { readonly watched: WatchedKeys } {
  let set = NO_KEYS
  /** When the fetch of the set began: a key may have left the JWKS before the response arrived. */
  let confirmedAt = -Infinity
  let freshFor = 0
  /** When the last fetch began that did not find the key of a token. */
  let missedAt = -Infinity
  let fetching: Promise<void> | undefined
  const events = createKeyEvents(authUrl, log, () => listKeys().length)
  const source = createPacedSource(unpaced, events, now, random)
  const staleAfter = policy.maxAge + policy.staleWhileRevalidate
  const missedFor = 60_000 / policy.requestsPerMinute
  const replacedListeners: Array<() => void> = []

  function get (kid: string, alg: Algorithm): VerificationKey | Promise<VerificationKey> {
    const key = findKey(set, kid, alg)
    if (key !== undefined && isUsable()) return key
    if (key === undefined && fetching === undefined && elapsedSince(missedAt) < missedFor) throw refusal(kid)
    if (source.isPausing()) throw source.unavailable()
    return fetchKey(kid, alg)
  }

  /** Whether the known keys may be used at once. Starts a refresh in the background if it is time for it. */
  function isUsable (): boolean {
    const age = elapsedSince(confirmedAt)
    if (age < freshFor) return true
    const isPausing = source.isPausing()
    if (age < staleAfter && !isPausing) refresh().catch(() => {})
    // During an outage, one request at a time finds out whether it is over. All others get the known key.
    const isOthersTask = isPausing || (source.failing && fetching !== undefined)
    return age < staleAfter || (age < policy.staleIfError && isOthersTask)
  }

  async function fetchKey (kid: string, alg: Algorithm): Promise<VerificationKey> {
    try {
      await refresh()
    } catch (error) {
      const key = findKey(set, kid, alg)
      if (key === undefined || elapsedSince(confirmedAt) >= policy.staleIfError) throw error
      return key
    }
    const key = findKey(set, kid, alg)
    if (key !== undefined) return key
    missedAt = confirmedAt
    throw refusal(kid)
  }

  /** Fetches the JWKS. There is one fetch at a time, and everybody who waits for it gets its result. */
  function refresh (): Promise<void> {
    fetching ??= replaceSet().finally(() => { fetching = undefined })
    return fetching
  }

  async function replaceSet (): Promise<void> {
    const startedAt = now()
    const mayMove = listKeys().length === 0
    const entries = await source.fetchJwks(mayMove)
    const before = set
    set = createKeySet(entries, before)
    confirmedAt = startedAt
    freshFor = policy.maxAge * (1 - REFRESH_JITTER * random())
    events.replaced(before, set)
    for (const replaced of replacedListeners) replaced()
  }

  function refusal (kid: string): TokenInvalidError {
    const kids = [...set.keys.keys()].slice(0, MAX_LOGGED_KIDS)
    return set.faults.some(entry => entry.kid === kid)
      ? new TokenInvalidError('unusable_key')
      : new TokenInvalidError('unknown_key', { kids, jwksUrl: source.url })
  }

  /** The keys that are trusted now, or would be in an outage. */
  function listKeys (): VerificationKey[] {
    return isConfirmed() ? [...set.keys.values()].flat() : []
  }

  function isConfirmed (): boolean {
    return elapsedSince(confirmedAt) < Math.max(staleAfter, policy.staleIfError)
  }

  function isInSet (key: VerificationKey): boolean {
    return set.keys.get(key.kid)?.includes(key) === true
  }

  /** If the clock was set back, infinitely long: then keys count as old, not as young. */
  function elapsedSince (time: number): number {
    const elapsed = now() - time
    return elapsed < 0 ? Infinity : elapsed
  }

  return {
    get,
    isTrusted: key => isInSet(key) && isUsable(),
    async ready () {
      if (source.isPausing()) throw source.unavailable()
      await refresh()
    },
    status () {
      return {
        url: source.url,
        keys: listKeys().map(({ kid, alg }) => ({ kid, alg, confirmedAt: new Date(confirmedAt).toISOString() })),
        lastError: source.lastError,
        nextTryAt: source.nextTryAt === null ? null : new Date(source.nextTryAt).toISOString()
      }
    },
    watched: {
      lossOf: key => isInSet(key) ? isConfirmed() ? null : 'jwks_unavailable' : 'key_removed',
      refreshIn: () => Math.max(0, freshFor - elapsedSince(confirmedAt), source.pauseLeft()),
      refresh,
      onReplaced (listener) { replacedListeners.push(listener) }
    }
  }
}
