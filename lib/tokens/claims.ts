import { TokenExpiredError, TokenInvalidError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Payload } from './user-reader.js'

type Rules = Pick<ResolvedOptions, 'issuer' | 'audience'>

export const SESSION_COOKIE_AUDIENCE = 'better-auth:session-cache'

/**
 * Judges what an access token says of itself, its times excepted (RFC 7519 §4.1).
 *
 * @param typ - the header's `typ`, in lower case and without `application/`.
 * @throws TokenInvalidError
 */
export function checkAccessClaims (payload: Payload, typ: string | undefined, rules: Rules): void {
  checkKind(payload, typ)
  checkIssuer(payload.iss, rules.issuer)
  checkAudience(payload.aud, rules.audience)
  if (payload.jti !== undefined && typeof payload.jti !== 'string') throw new TokenInvalidError('claim_invalid', { claim: 'jti' })
}

/** When a token may be used, in milliseconds since the epoch, the clock tolerance included. */
export interface Lifetime { readonly notBefore: number, readonly expiresAt: number }

/**
 * Judges `exp`, `nbf` and `iat`. It comes last: a token is only called expired if nothing else is wrong with it.
 *
 * @param now - milliseconds since the epoch.
 * @throws TokenInvalidError, TokenExpiredError
 */
export function checkTimes (payload: Payload, clockTolerance: number, now: number): Lifetime {
  const exp = numericDate(payload, 'exp')
  const nbf = numericDate(payload, 'nbf') ?? -Infinity
  // A token from the future is a forgery, or a clock is wrong. PyJWT refuses it as well.
  const iat = numericDate(payload, 'iat') ?? -Infinity
  if (exp === undefined) throw new TokenInvalidError('claim_missing', { claim: 'exp' })
  const notBefore = Math.max(nbf, iat) - clockTolerance
  const expiresAt = exp + clockTolerance
  if (now < notBefore) throw new TokenInvalidError('token_not_active', { claim: nbf >= iat ? 'nbf' : 'iat' })
  if (now >= expiresAt) throw new TokenExpiredError()
  return { notBefore, expiresAt }
}

/** The same keys sign tokens that are not meant for an API: each is told by what it cannot hide, whatever `audience` is. */
function checkKind (payload: Payload, typ: string | undefined): void {
  // Bound to the client's own key (RFC 7800, RFC 9449): as a bearer token it would be worth more than it was issued for.
  if (payload.cnf !== undefined) throw new TokenInvalidError('token_kind', { claim: 'cnf' })
  // A logout token (OpenID Connect Back-Channel Logout §2.4).
  if (isLogout(payload.events)) throw new TokenInvalidError('token_kind', { claim: 'events' })
  if (names(payload.aud, SESSION_COOKIE_AUDIENCE)) throw new TokenInvalidError('token_kind', { claim: 'aud' })
  if (typ === 'at+jwt') return
  const claim = idTokenClaim(payload)
  if (claim !== undefined) throw new TokenInvalidError('token_kind', { claim })
}

/**
 * What only an ID token has, where the header does not say `at+jwt` (OpenID Connect Core §2, §3.1.3.6 and §3.3.2.11). One by
 * one: a loop over the names cost more than the parsing of a payload.
 */
function idTokenClaim (payload: Payload): string | undefined {
  if (payload.nonce !== undefined) return 'nonce'
  if (payload.at_hash !== undefined) return 'at_hash'
  if (payload.c_hash !== undefined) return 'c_hash'
  if (payload.s_hash !== undefined) return 's_hash'
  if (payload.auth_time !== undefined) return 'auth_time'
  if (payload.acr !== undefined) return 'acr'
}

function isLogout (events: unknown): boolean {
  return typeof events === 'object' && events !== null && Object.hasOwn(events, 'http://schemas.openid.net/event/backchannel-logout')
}

export function checkIssuer (iss: unknown, expected: readonly string[] | false): void {
  if (iss !== undefined && typeof iss !== 'string') throw new TokenInvalidError('claim_invalid', { claim: 'iss' })
  if (expected === false) return
  if (iss === undefined || !expected.includes(iss)) {
    throw new TokenInvalidError('issuer_mismatch', { claim: 'iss', expected, received: iss ?? null })
  }
}

function checkAudience (aud: unknown, expected: readonly string[] | false): void {
  const isText = aud === undefined || typeof aud === 'string' || (Array.isArray(aud) && aud.every(one => typeof one === 'string'))
  if (!isText) throw new TokenInvalidError('claim_invalid', { claim: 'aud' })
  if (expected === false) return
  if (!expected.some(one => names(aud, one))) {
    throw new TokenInvalidError('audience_mismatch', { claim: 'aud', expected, received: aud ?? null })
  }
}

/** One audience is text, several are an array of it (RFC 7519 §4.1.3). */
function names (aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.includes(audience))
}

/** Seconds since the epoch, whole or not (RFC 7519 §2), as milliseconds. */
function numericDate (payload: Payload, claim: string): number | undefined {
  const value = payload[claim]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TokenInvalidError('claim_invalid', { claim })
  return value * 1000
}
