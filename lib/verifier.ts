import { createSecretKey } from 'node:crypto'
import { checkAccessClaims, checkTimes, type Lifetime } from './claims.js'
import { TokenInvalidError } from './errors.js'
import { isSignedBy, parseJws, parseObject, type Jws, type JwsHeader } from './jws.js'
import type { VerificationKey } from './jwk.js'
import type { KeyStore } from './key-store.js'
import type { ResolvedOptions } from './options.js'
import { createTokenCache } from './token-cache.js'
import { toUser, type Claims, type User } from './user.js'

/** A token that is right in every respect, and until when it is. Shared between requests: nobody may write to it. */
export interface VerifiedToken extends Lifetime {
  readonly token: string
  readonly user: Readonly<User>
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

/** What Node.js accepts as all headers of a request by default: no honest token is longer. */
const MAX_TOKEN_LENGTH = 16_384
const MAX_HEADERS = 100

export function createVerifier (options: ResolvedOptions, keys: KeyStore, now: () => number): Verifier {
  const algorithms: ReadonlySet<string> = new Set(options.secret === undefined ? options.algorithms : [...options.algorithms, 'HS256'])
  const secretKey = options.secret === undefined ? undefined : createSecretKey(options.secret, 'utf8')
  // Only headers of tokens whose signature was right: nobody else can fill it.
  const headers = new Map<string, JwsHeader>()
  const cache = options.tokenCache === false ? undefined : createTokenCache(options.tokenCache.max, keys, now)

  function verifyWith (token: string, jws: Jws, key: VerificationKey | undefined): VerifiedToken {
    if (key !== undefined && !(key.algorithms as readonly string[]).includes(jws.alg)) throw new TokenInvalidError('algorithm_mismatch')
    if (!isSignedBy(jws, key === undefined ? secretKey! : key.publicKey)) throw new TokenInvalidError('signature_invalid')
    const claims = parseObject(jws.payload)
    checkAccessClaims(claims, jws.typ, options)
    const user = toUser(claims)
    const { notBefore, expiresAt } = checkTimes(claims, options.clockTolerance, now())
    if (headers.size === MAX_HEADERS) headers.clear()
    headers.set(jws.headerSegment, { alg: jws.alg, kid: jws.kid, typ: jws.typ })
    const verified = { token, user, key, notBefore, expiresAt }
    cache?.set(verified)
    return verified
  }

  return {
    verify (token) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      const cached = cache?.get(token)
      if (cached !== undefined) return cached
      const jws = parseJws(token, algorithms, headers)
      // Only HS256 goes without a `kid`, and only with the option `secret` is HS256 let this far.
      if (jws.kid === undefined) return verifyWith(token, jws, undefined)
      const key = keys.get(jws.kid)
      return key instanceof Promise ? key.then(found => verifyWith(token, jws, found)) : verifyWith(token, jws, key)
    },
    inspect (token) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      parseObject(parseJws(token, algorithms).payload)
    }
  }
}

/** The payload of a token that was verified. */
export function claimsOf (token: string): Claims {
  const segment = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'))
  return JSON.parse(Buffer.from(segment, 'base64url').toString()) as Claims
}
