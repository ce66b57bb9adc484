import { createSecretKey } from 'node:crypto'
import { TokenInvalidError } from '../contract/errors.js'
import type { Algorithm } from '../contract/options.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { VerificationKey } from '../keys/jwk.js'
import type { KeyStore } from '../keys/key-store.js'
import { checkTimes } from './claims.js'
import { isSignedBy, parseJws, parseObject, type Jws, type JwsHeader } from './jws.js'
import type { SignatureChecks } from './signature-checks.js'
import { createTokenCache } from './token-cache.js'
import type { TokenProfile, VerifiedToken } from './verified-token.js'

/** Verifies tokens of one profile under the options of one registration. */
export interface Verifier {
  /**
   * Verifies a token: at once if it is known, or if no other is being verified; else as a promise, which rejects with
   * the same errors.
   *
   * @param trace - its `cached` becomes `true` if the token was in the cache.
   * @throws TokenInvalidError, TokenExpiredError, JwksUnavailableError
   */
  verify (token: string, trace?: { cached: boolean }): VerifiedToken | Promise<VerifiedToken>
  /** Refuses a token that no key could make valid. @throws TokenInvalidError */
  assertWellFormed (token: string): void
}

/** What the verifiers of one registration share. */
export interface VerifierContext {
  readonly keys: KeyStore
  readonly checks: SignatureChecks
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The default limit of Node.js for all headers of a request: no legitimate token is longer. */
const MAX_TOKEN_LENGTH = 16_384
const MAX_HEADERS = 100
/** How deeply a payload may be nested: code that walks through thousands of levels overflows the stack. */
const MAX_DEPTH = 100

export function createVerifier (
  profile: TokenProfile, options: ResolvedOptions, { keys, checks, now }: VerifierContext
): Verifier {
  const secretKey = profile.secret === undefined ? undefined : createSecretKey(profile.secret, 'utf8')
  // Only headers of tokens with a valid signature, so that no attacker can fill it.
  const headers = new Map<string, JwsHeader>()
  /** The tokens that are being verified. */
  const pending = new Map<string, Promise<VerifiedToken>>()
  const cache = options.tokenCache === false ? undefined : createTokenCache(options.tokenCache, keys, now)

  /** Reads a token whose signature is valid. */
  function read (token: string, jws: Jws, key: VerificationKey | undefined): VerifiedToken {
    const payload = parseObject(jws.payload)
    if (isTooDeep(payload, MAX_DEPTH)) throw new TokenInvalidError('token_malformed')
    const time = now()
    const { principal, user, session, authorization, endsAt } = profile.read(payload, jws, time)
    const { notBefore, expiresAt } = checkTimes(payload, options.clockTolerance, time)
    remember(jws)
    const verified = {
      token,
      options,
      principal,
      user,
      session,
      authorization,
      hasOnlyPrimitives: hasOnlyPrimitives(user),
      key,
      notBefore,
      expiresAt: Math.min(expiresAt, endsAt)
    }
    cache?.set(verified)
    return verified
  }

  function verifyWith (token: string, jws: Jws, key: VerificationKey): VerifiedToken | Promise<VerifiedToken> {
    const isOnCurve = jws.curve === undefined || jws.curve === key.publicKey.asymmetricKeyType
    if (!isOnCurve || !(key.algorithms as readonly string[]).includes(jws.alg)) {
      throw new TokenInvalidError('algorithm_mismatch')
    }
    const isSigned = checks.check(jws, key.publicKey)
    if (isSigned instanceof Promise) return verifyLater(token, jws, key, isSigned)
    if (!isSigned) throw new TokenInvalidError('signature_invalid')
    return read(token, jws, key)
  }

  async function verifyLater (
    token: string, jws: Jws, key: VerificationKey, isSigned: Promise<boolean>
  ): Promise<VerifiedToken> {
    if (!await isSigned) throw new TokenInvalidError('signature_invalid')
    // The key may have left the JWKS during the check.
    const current = keys.isTrusted(key) ? key : await keys.get(key.kid, jws.alg as Algorithm)
    return current === key ? read(token, jws, key) : verifyWith(token, jws, current)
  }

  /** Until it is verified, other requests with the same token wait for the same promise. */
  function share (token: string, verified: Promise<VerifiedToken>): Promise<VerifiedToken> {
    function forget (): void { pending.delete(token) }
    pending.set(token, verified)
    verified.then(forget, forget)
    return verified
  }

  function remember ({ headerSegment, alg, curve, kid, typ }: Jws): void {
    if (headers.has(headerSegment)) return
    if (headers.size === MAX_HEADERS) headers.clear()
    headers.set(headerSegment, { alg, curve, kid, typ })
  }

  return {
    verify (token, trace) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      const cached = cache?.get(token)
      if (cached !== undefined) {
        if (trace !== undefined) trace.cached = true
        return cached
      }
      const shared = pending.get(token)
      if (shared !== undefined) return shared
      const jws = parseJws(token, profile, headers)
      const { kid, alg } = jws
      // HS256 gets this far only with a shared secret, and only HS256 comes without a `kid`.
      if (kid === undefined || alg === 'HS256') {
        if (!isSignedBy(jws, secretKey!)) throw new TokenInvalidError('signature_invalid')
        return read(token, jws, undefined)
      }
      const key = keys.get(kid, alg)
      const verified = key instanceof Promise
        ? key.then(found => verifyWith(token, jws, found))
        : verifyWith(token, jws, key)
      return verified instanceof Promise ? share(token, verified) : verified
    },
    assertWellFormed (token) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      parseObject(parseJws(token, profile).payload)
    }
  }
}

function isTooDeep (value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const name in value) if (isTooDeep(value[name as keyof typeof value], levels - 1)) return true
  return false
}

function hasOnlyPrimitives (user: object | null): boolean {
  for (const name in user) {
    const value = user![name as never] as unknown
    if (typeof value === 'object' && value !== null) return false
  }
  return true
}
