import { createSecretKey } from 'node:crypto'
import { TokenInvalidError } from '../contract/errors.js'
import type { Algorithm } from '../contract/options.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { VerificationKey } from '../keys/jwk.js'
import type { KeyStore } from '../keys/key-store.js'
import { createAuthorizationSources } from './authorization-sources.js'
import { checkTimes } from './claims.js'
import { isSignedBy, isTooDeep, parseJws, parseObject, type JsonObject, type Jws, type JwsHeader } from './jws.js'
import type { SignatureChecks } from './signature-checks.js'
import { createTokenCache } from './token-cache.js'
import { createVerifiedSignatures } from './verified-signatures.js'
import type { TokenForm, TokenProfile, VerifiedToken } from './verified-token.js'

export interface Trace { cached: boolean }

/** Verifies tokens of one profile under the options of one registration. */
export interface Verifier {
  /**
   * Verifies a token: at once if it is known, or if no other is being verified; else as a promise, which rejects with
   * the same errors.
   *
   * @param trace - its `cached` becomes `true` if the signature was not checked again.
   * @throws TokenInvalidError, TokenExpiredError, JwksUnavailableError
   */
  verify (token: string, trace?: Trace): VerifiedToken | Promise<VerifiedToken>
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
/** A longer token is verified each time, so that no client can fill the memory with a few. */
const MAX_CACHED_LENGTH = 4096
const MAX_SIGNATURES = 16_384
const MAX_HEADERS = 100
/** As if the token were a JWS that the secret signs. */
const SECRET_HEADER: JwsHeader = { alg: 'HS256', curve: undefined, kid: undefined, typ: undefined }

export function createVerifier (
  profile: TokenProfile, options: ResolvedOptions, { keys, checks, now }: VerifierContext
): Verifier {
  const secretKey = profile.secret === undefined ? undefined : createSecretKey(profile.secret, 'utf8')
  // Only headers of tokens with a valid signature, so that no attacker can fill it.
  const headers = new Map<string, JwsHeader>()
  /** The tokens that are being verified. */
  const pending = new Map<string, Promise<VerifiedToken>>()
  const { tokenCache } = options
  const askApplication = createAuthorizationSources(options)
  const cache = tokenCache === false ? undefined : createTokenCache(tokenCache, keys, now)
  /** For tokens that were used once, or have expired. */
  const signatures = tokenCache === false
    ? undefined
    : createVerifiedSignatures(Math.min(tokenCache.max, MAX_SIGNATURES))

  /**
   * Reads a token whose signature is valid.
   *
   * @param isKept - whether the whole token is cached, and not only its digest.
   */
  function read (jws: Jws, key: VerificationKey | undefined, isKept = false): VerifiedToken {
    const isCacheable = jws.token.length <= MAX_CACHED_LENGTH
    // Before the claims are read: a client that keeps sending an expired token costs one check.
    if (isCacheable && !isKept) signatures?.add(jws, key!)
    const verified = accept(jws.token, parseObject(jws.payload), jws, key)
    remember(jws)
    // Most of what the cache costs is the memory of a token that never comes back: so it starts with the second use.
    if (isCacheable && isKept) cache?.set(verified)
    return verified
  }

  function open (token: string, form: TokenForm): VerifiedToken {
    const verified = accept(token, form.open(token), SECRET_HEADER, undefined, form)
    if (token.length <= MAX_CACHED_LENGTH) cache?.set(verified)
    return verified
  }

  function accept (
    token: string, payload: JsonObject, header: JwsHeader, key: VerificationKey | undefined, form?: TokenForm
  ): VerifiedToken {
    if (isTooDeep(payload)) throw new TokenInvalidError('token_malformed')
    const time = now()
    const content = profile.read(payload, header, time)
    const { principal, user, session, endsAt } = content
    const { notBefore, expiresAt } = checkTimes(payload, options.clockTolerance, time)
    return {
      token,
      via: profile.via,
      options,
      principal,
      user,
      session,
      authorization: askApplication?.({ ...content, token, form }) ?? content.authorization,
      hasOnlyPrimitives: hasOnlyPrimitives(user),
      key,
      form,
      notBefore,
      expiresAt: Math.min(expiresAt, endsAt)
    }
  }

  function verifyWith (jws: Jws, key: VerificationKey, trace?: Trace): VerifiedToken | Promise<VerifiedToken> {
    const isOnCurve = jws.curve === undefined || jws.curve === key.publicKey.asymmetricKeyType
    if (!isOnCurve || !(key.algorithms as readonly string[]).includes(jws.alg)) {
      throw new TokenInvalidError('algorithm_mismatch')
    }
    if (signatures?.has(jws, key) === true) {
      if (trace !== undefined) trace.cached = true
      return read(jws, key, true)
    }
    const isSigned = checks.check(jws, key.publicKey)
    if (isSigned instanceof Promise) return verifyLater(jws, key, isSigned)
    if (!isSigned) throw new TokenInvalidError('signature_invalid')
    return read(jws, key)
  }

  async function verifyLater (jws: Jws, key: VerificationKey, isSigned: Promise<boolean>): Promise<VerifiedToken> {
    if (!await isSigned) throw new TokenInvalidError('signature_invalid')
    // The key may have left the JWKS during the check.
    const current = keys.isTrusted(key) ? key : await keys.get(key.kid, jws.alg as Algorithm)
    return current === key ? read(jws, key) : verifyWith(jws, current)
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
      const form = profile.forms?.find(({ matches }) => matches(token))
      if (form !== undefined) return open(token, form)
      const jws = parseJws(token, profile, headers)
      const { kid, alg } = jws
      // It gets this far only with a shared secret.
      if (alg === 'HS256') {
        if (!isSignedBy(jws, secretKey!)) throw new TokenInvalidError('signature_invalid')
        // A digest would cost as much as the signature.
        return read(jws, undefined, true)
      }
      // Every other algorithm has a `kid`.
      const key = keys.get(kid!, alg)
      const verified = key instanceof Promise
        ? key.then(found => verifyWith(jws, found, trace))
        : verifyWith(jws, key, trace)
      return verified instanceof Promise ? share(token, verified) : verified
    },
    assertWellFormed (token) {
      if (token.length > MAX_TOKEN_LENGTH) throw new TokenInvalidError('token_too_long')
      parseObject(parseJws(token, profile).payload)
    }
  }
}

function hasOnlyPrimitives (user: object | null): boolean {
  for (const name in user) {
    const value = user![name as never] as unknown
    if (typeof value === 'object' && value !== null) return false
  }
  return true
}
