import { createSecretKey } from 'node:crypto'
import { checkTimes, type Lifetime } from './claims.js'
import { TokenInvalidError } from '../contract/errors.js'
import type { Grants } from './authorization-claims.js'
import { isSignedBy, parseJws, parseObject, type Accepts, type Jws, type JwsHeader } from './jws.js'
import type { VerificationKey } from '../keys/jwk.js'
import type { KeyStore } from '../keys/key-store.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Session } from '../schemes/session-cookie/jwt.js'
import { createTokenCache } from './token-cache.js'
import type { Claims, Payload, User } from './user-reader.js'

/** One kind of token: what its header may say, and how its payload is read. The kinds never stand in for each other. */
export interface TokenKind extends Accepts {
  /**
   * Judges a payload whose signature is right, its times excepted.
   *
   * @throws TokenInvalidError
   */
  read (payload: Payload, header: JwsHeader, now: number): Subject
}

/** Whom a token stands for. */
export interface Subject {
  readonly user: Readonly<User>
  readonly session: Session | null
  readonly grants: Grants
  /** When the session ends, in milliseconds since the epoch; infinity where there is none. */
  readonly endsAt: number
}

/** A token that is right in every respect, and when it is. Shared between requests: nobody may write to it. */
export interface VerifiedToken extends Omit<Subject, 'endsAt'>, Lifetime {
  readonly token: string
  /** Of the registration that verified it. */
  readonly options: ResolvedOptions
  /** Whether `user` holds nothing but plain values. */
  readonly isFlat: boolean
  /** The key that verified it; `undefined` for the shared secret. */
  readonly key: VerificationKey | undefined
}

/** Verifies tokens of one kind under the options of one registration. */
export interface Verifier {
  /**
   * Verifies a token: at once if its key is at hand, else as a promise. Throws or rejects alike.
   *
   * @param trace - is told whether the token cache had it.
   * @throws TokenInvalidError, TokenExpiredError, JwksUnavailableError
   */
  verify (token: string, trace?: { cached: boolean }): VerifiedToken | Promise<VerifiedToken>
  /** Refuses what does not even look like a token that could be verified. @throws TokenInvalidError */
  inspect (token: string): void
}

/** What Node.js accepts as all headers of a request by default: no honest token is longer. */
const MAX_TOKEN_LENGTH = 16_384
const MAX_HEADERS = 100
/** How deep a payload may be nested: what walks through thousands of levels runs out of stack. */
const MAX_DEPTH = 100

export function createVerifier (kind: TokenKind, options: ResolvedOptions, keys: KeyStore, now: () => number): Verifier {
  const secretKey = options.secret === undefined ? undefined : createSecretKey(options.secret, 'utf8')
  // Only headers of tokens whose signature was right: nobody else can fill it.
  const headers = new Map<string, JwsHeader>()
  const cache = options.tokenCache === false ? undefined : createTokenCache(options.tokenCache.max, keys, now)

  function verifyWith (token: string, jws: Jws, key: VerificationKey | undefined): VerifiedToken {
    if (key !== undefined && !(key.algorithms as readonly string[]).includes(jws.alg)) throw new TokenInvalidError('algorithm_mismatch')
    if (!isSignedBy(jws, key === undefined ? secretKey! : key.publicKey)) throw new TokenInvalidError('signature_invalid')
    const payload = parseObject(jws.payload)
    if (isTooDeep(payload, MAX_DEPTH)) throw new TokenInvalidError('token_malformed')
    const time = now()
    const { user, session, grants, endsAt } = kind.read(payload, jws, time)
    const { notBefore, expiresAt } = checkTimes(payload, options.clockTolerance, time)
    if (!headers.has(jws.headerSegment)) {
      if (headers.size === MAX_HEADERS) headers.clear()
      headers.set(jws.headerSegment, { alg: jws.alg, kid: jws.kid, typ: jws.typ })
    }
    const verified = { token, options, user, session, grants, isFlat: isFlat(user), key, notBefore, expiresAt: Math.min(expiresAt, endsAt) }
    cache?.set(verified)
    return verified
  }

  return {
    verify (token, trace) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      const cached = cache?.get(token)
      if (cached !== undefined) {
        if (trace !== undefined) trace.cached = true
        return cached
      }
      const jws = parseJws(token, kind, headers)
      // Only HS256 goes without a `kid`, and only with the option `secret` is HS256 let this far.
      if (jws.kid === undefined) return verifyWith(token, jws, undefined)
      const key = keys.get(jws.kid)
      return key instanceof Promise ? key.then(found => verifyWith(token, jws, found)) : verifyWith(token, jws, key)
    },
    inspect (token) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      parseObject(parseJws(token, kind).payload)
    }
  }
}

function isTooDeep (value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const name in value) if (isTooDeep(value[name as keyof typeof value], levels - 1)) return true
  return false
}

function isFlat (user: object): boolean {
  for (const name in user) {
    const value = user[name as keyof typeof user] as unknown
    if (typeof value === 'object' && value !== null) return false
  }
  return true
}

/** The payload of a token that was verified. */
export function claimsOf (token: string): Claims {
  const segment = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'))
  return JSON.parse(Buffer.from(segment, 'base64url').toString()) as Claims
}
