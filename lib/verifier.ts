import { createSecretKey } from 'node:crypto'
import { checkClaims } from './claims.js'
import { TokenInvalidError } from './errors.js'
import { isSignedBy, parseJws, parseObject, type Jws } from './jws.js'
import type { VerificationKey } from './jwk.js'
import type { KeyStore } from './key-store.js'
import type { ResolvedOptions } from './options.js'
import { toUser, type Claims, type User } from './user.js'

/** A token that is right in every respect. */
export interface VerifiedToken {
  readonly claims: Claims
  readonly user: User
  /** The key that verified it; `undefined` for the shared secret. */
  readonly key: VerificationKey | undefined
}

/** Verifies tokens under the options of one registration. */
export interface Verifier {
  /**
   * Verifies a token: at once if its key is at hand, else as a promise. Throws or rejects alike.
   *
   * @throws TokenInvalidError, TokenExpiredError, JwksUnavailableError
   */
  verify (token: string): VerifiedToken | Promise<VerifiedToken>
  /** Refuses what does not even look like a token that could be verified. @throws TokenInvalidError */
  inspect (token: string): void
}

export function createVerifier (options: ResolvedOptions, keys: KeyStore, now: () => number): Verifier {
  const algorithms: ReadonlySet<string> = new Set(options.secret === undefined ? options.algorithms : [...options.algorithms, 'HS256'])
  const secretKey = options.secret === undefined ? undefined : createSecretKey(options.secret, 'utf8')

  function verifyWith (jws: Jws, key: VerificationKey | undefined): VerifiedToken {
    if (key !== undefined && !(key.algorithms as readonly string[]).includes(jws.alg)) throw new TokenInvalidError('algorithm_mismatch')
    if (!isSignedBy(jws, key === undefined ? secretKey! : key.publicKey)) throw new TokenInvalidError('signature_invalid')
    const claims = parseObject(jws.payload)
    checkClaims(claims, jws.typ, options, now())
    return { claims, user: toUser(claims), key }
  }

  return {
    verify (token) {
      const jws = parseJws(token, algorithms)
      // Only HS256 goes without a `kid`, and only with the option `secret` is HS256 let this far.
      if (jws.kid === undefined) return verifyWith(jws, undefined)
      const key = keys.get(jws.kid)
      return key instanceof Promise ? key.then(found => verifyWith(jws, found)) : verifyWith(jws, key)
    },
    inspect (token) {
      parseObject(parseJws(token, algorithms).payload)
    }
  }
}
