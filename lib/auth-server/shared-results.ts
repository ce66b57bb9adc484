import type { FastifyBaseLogger } from 'fastify'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import type { BoundedStore } from './bounded-store.js'
import type { ExchangeResult } from './exchange-client.js'
import type { ExchangeVault, Revoked, SealedPlace } from './exchange-vault.js'

/** What the auth server said to an instance, as another one reads it. */
export type SharedResult =
  | { readonly kind: 'token', readonly token: string, readonly exchangedAt: number, readonly isShared: true }
  | { readonly kind: 'refused', readonly exchangedAt: number }

/** The results in the store, and the markers of revocations. All throw StoreFailedError. */
export interface SharedResults {
  /**
   * The result for a credential, unless it is too old for any use or was revoked.
   *
   * @param token - the session token, or the API key.
   */
  find (place: SealedPlace, token: string): Promise<SharedResult | undefined>
  keep (place: SealedPlace, result: ExchangeResult): Promise<void>
  revoke (revoked: readonly Revoked[]): Promise<void>
}

export interface SharedResultsContext {
  readonly exchange: ResolvedExchange
  readonly store: BoundedStore
  readonly vault: ExchangeVault
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** For how long a refusal counts, in milliseconds: the auth server may change its mind. */
const REFUSED_FOR = 60_000
/** How far the clocks of two instances may be apart, in milliseconds, before a revocation misses a result. */
const MAX_SKEW = 5000

export function createSharedResults ({ exchange, store, vault, log, now }: SharedResultsContext): SharedResults {
  const { apiKey, maxAge, staleIfError, timeout } = exchange
  const lifetime = Math.ceil(Math.max(maxAge, staleIfError, apiKey === false ? 0 : apiKey.maxAge, 1))
  // An exchange may begin before the revocation, and be stored after it.
  const markerLifetime = lifetime + timeout + 2 * MAX_SKEW
  let hasWarned = false

  function read (place: SealedPlace, sealed: string): SharedResult | undefined {
    const text = place.open(sealed)
    if (text === undefined) {
      if (!hasWarned) {
        log.warn('the shared store of exchanges has a value that this plugin did not write: it is ignored')
      }
      hasWarned = true
      return undefined
    }
    const result = JSON.parse(text) as SharedResult
    const age = now() - result.exchangedAt
    // A clock that is ahead must not make a result count for longer.
    return age >= 0 && age < (result.kind === 'refused' ? REFUSED_FOR : lifetime) ? result : undefined
  }

  /** Also if a marker is unreadable. */
  async function isRevoked (jwt: string, token: string, exchangedAt: number): Promise<boolean> {
    const times = await Promise.all(namesOf(jwt, token).map(name => store.get(vault.markerOf(name))))
    return times.some(time => time !== undefined && !(exchangedAt > Number(time) + MAX_SKEW))
  }

  return {
    async find (place, token) {
      const sealed = await store.get(place.key)
      const result = sealed === undefined ? undefined : read(place, sealed)
      if (result?.kind !== 'token') return result
      return await isRevoked(result.token, token, result.exchangedAt) ? undefined : result
    },
    async keep (place, result) {
      // That one API key has reached its limit is for each instance to find out: it depends on the time of the call.
      if (result.kind === 'limited') return
      if (result.kind === 'token' && readPayload(result.token) === undefined) return
      const ttl = result.kind === 'refused' ? REFUSED_FOR : lifetime
      await store.set(place.key, place.seal(JSON.stringify({ ...result, isShared: true })), ttl)
    },
    async revoke (revoked) {
      const time = String(now())
      await Promise.all(revoked.map(name => store.set(vault.markerOf(name), time, markerLifetime, true)))
    }
  }
}

/** All that a revocation can name the session of a JWT by. */
function namesOf (jwt: string, token: string): Revoked[] {
  const { sub, id, sid = null, sessionId = sid } = readPayload(jwt)!
  const users = [...new Set([sub, id])].filter(value => typeof value === 'string')
  return [
    ...users.map((user): Revoked => ['user', user]),
    ['session', typeof sessionId === 'string' ? sessionId : ''],
    ['token', token]
  ]
}

/** @returns `undefined` for what is not a JWT. */
function readPayload (jwt: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString())
    return Object(payload) as Record<string, unknown>
  } catch {
    return undefined
  }
}
