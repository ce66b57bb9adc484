import { LRUCache } from 'lru-cache'
import type { KeyStore } from '../keys/key-store.js'
import type { VerifiedToken } from './verifier.js'

/** Tokens that were verified lately under the options of one registration. */
export interface TokenCache {
  /**
   * The verified token, if it may still be trusted without another look at its signature: it is within its times, and the key
   * that verified it is trusted by the key store now, with the same material.
   */
  get (token: string): VerifiedToken | undefined
  set (verified: VerifiedToken): void
}

/**
 * A cache key is the end of the signature: its hash costs a tenth of a whole token's, and it differs for each valid token.
 * Only a token that is equal in full is ever answered for.
 */
const KEY_LENGTH = 32

/** @param max - how many tokens are kept; the least recently used go first. */
export function createTokenCache (max: number, keys: KeyStore, now: () => number): TokenCache {
  const cache = new LRUCache<string, VerifiedToken>({ max })

  return {
    get (token) {
      const verified = cache.get(token.slice(-KEY_LENGTH))
      if (verified === undefined || verified.token !== token) return undefined
      const time = now()
      if (time >= verified.expiresAt) cache.delete(token.slice(-KEY_LENGTH))
      if (time >= verified.expiresAt || time < verified.notBefore || !isKeyTrusted(verified, keys)) return undefined
      return verified
    },
    set (verified) {
      cache.set(verified.token.slice(-KEY_LENGTH), verified)
    }
  }
}

/** Asking the key store for the key also keeps its refresh going. A key that has to be waited for is not trusted yet. */
function isKeyTrusted ({ key }: VerifiedToken, keys: KeyStore): boolean {
  if (key === undefined) return true
  try {
    const current = keys.get(key.kid)
    if (current instanceof Promise) {
      current.catch(() => {})
      return false
    }
    return current === key
  } catch {
    return false
  }
}
