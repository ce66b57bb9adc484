import { LRUCache } from 'lru-cache'
import type { KeyStore } from '../keys/key-store.js'
import type { VerifiedToken } from './verified-token.js'

/** Tokens that were verified recently under the options of one registration. */
export interface TokenCache {
  /**
   * The verified token, if it may be trusted without verifying its signature again: its times allow it, and the key
   * store still trusts the key that verified it, with the same key material.
   */
  get (token: string): VerifiedToken | undefined
  set (verified: VerifiedToken): void
}

/**
 * The cache is keyed by the last 32 characters of the signature: hashing them costs a tenth of hashing the token. A hit
 * also compares the whole token.
 */
const KEY_LENGTH = 32
/** What an entry takes in addition to its token and to the user in it, in bytes. */
const OVERHEAD = 1024

/** The memory of an entry: the token, and its payload again as objects, which take about three times their JSON. */
function estimateBytes ({ token }: VerifiedToken): number {
  return OVERHEAD + 3 * token.length
}

/** The limits drop the least recently used tokens first. */
export function createTokenCache (
  { max, maxBytes }: { readonly max: number, readonly maxBytes: number }, keys: KeyStore, now: () => number
): TokenCache {
  const cache = new LRUCache<string, VerifiedToken>({ max, maxSize: maxBytes, sizeCalculation: estimateBytes })

  /** Looks at the two tokens that were unused for longest. Each new token takes up to two expired ones with it. */
  function dropExpired (time: number): void {
    let left = 2
    for (const key of cache.rkeys()) {
      if (left-- === 0) break
      if (time >= cache.peek(key)!.expiresAt) cache.delete(key)
    }
  }

  return {
    get (token) {
      const verified = cache.get(token.slice(-KEY_LENGTH))
      if (verified === undefined || verified.token !== token) return undefined
      const time = now()
      const isExpired = time >= verified.expiresAt
      if (isExpired) cache.delete(token.slice(-KEY_LENGTH))
      if (isExpired || time < verified.notBefore) return undefined
      // The key store also keeps refreshing its keys. A key that has to be fetched is not trusted yet.
      return verified.key === undefined || keys.isTrusted(verified.key) ? verified : undefined
    },
    set (verified) {
      dropExpired(now())
      cache.set(verified.token.slice(-KEY_LENGTH), verified)
    }
  }
}
