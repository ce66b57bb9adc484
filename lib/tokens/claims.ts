import { TokenExpiredError, TokenInvalidError, type RefusalDetails } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { ignoreRejection } from '../contract/settle.js'
import { findDifference } from './difference.js'
import type { JsonObject } from './jws.js'

/** The audience of Better Auth's session cookie, where a key of the JWKS signs it. */
export const SESSION_COOKIE_AUDIENCE = 'better-auth:session-cache'

/** The issuers whose tokens are accepted; `false` for any. */
type AcceptedIssuers = ResolvedOptions['issuer']

/** When a token may be used, in milliseconds since the epoch, including the clock tolerance. */
export interface Lifetime { readonly notBefore: number, readonly expiresAt: number }

/**
 * Checks `exp`, `nbf` and `iat`. This comes last: a token counts as expired only if nothing else is wrong with it.
 *
 * @param now - milliseconds since the epoch.
 * @throws TokenInvalidError, TokenExpiredError
 */
export function checkTimes (payload: JsonObject, clockTolerance: number, now: number): Lifetime {
  const exp = numericDate(payload, 'exp')
  const nbf = numericDate(payload, 'nbf') ?? -Infinity
  // If a token was issued in the future, it is forged or a clock is wrong. PyJWT refuses it as well.
  const iat = numericDate(payload, 'iat') ?? -Infinity
  if (exp === undefined) throw new TokenInvalidError('claim_missing', { claim: 'exp' })
  const notBefore = Math.max(nbf, iat) - clockTolerance
  const expiresAt = exp + clockTolerance
  if (now < notBefore) {
    const claim = nbf >= iat ? 'nbf' : 'iat'
    throw new TokenInvalidError('token_not_active', { claim, seconds: toSeconds(Math.max(nbf, iat) - now) })
  }
  if (now >= expiresAt) throw new TokenExpiredError({ seconds: toSeconds(now - exp) })
  return { notBefore, expiresAt }
}

/** @throws TokenInvalidError */
export function checkIssuer (iss: unknown, expected: AcceptedIssuers): void {
  if (iss !== undefined && typeof iss !== 'string') throw new TokenInvalidError('claim_invalid', { claim: 'iss' })
  if (expected === false) return
  const isList = typeof expected !== 'function'
  const isAccepted = iss !== undefined && (isList ? expected.includes(iss) : accepts(expected, iss))
  if (!isAccepted) {
    throw new TokenInvalidError('issuer_mismatch', { claim: 'iss', ...compare(isList ? expected : undefined, iss) })
  }
}

/** Only `true` accepts an issuer: not a promise, and not a function that throws. */
function accepts (isIssuer: (iss: string) => unknown, iss: string): boolean {
  let verdict: unknown
  try {
    verdict = isIssuer(iss)
  } catch {
    // Refused below.
  }
  ignoreRejection(verdict)
  return verdict === true
}

/** The same issuers, and one more. */
export function alsoIssuer (accepted: AcceptedIssuers, issuer: string): AcceptedIssuers {
  if (accepted === false) return false
  if (typeof accepted === 'function') return iss => iss === issuer || accepted(iss)
  return Object.freeze([...accepted, issuer])
}

/** @throws TokenInvalidError */
export function checkAudience (aud: unknown, expected: readonly string[] | false): void {
  const isAudience = aud === undefined || typeof aud === 'string' ||
    (Array.isArray(aud) && aud.every(item => typeof item === 'string'))
  if (!isAudience) throw new TokenInvalidError('claim_invalid', { claim: 'aud' })
  if (expected === false) return
  if (!expected.some(audience => namesAudience(aud, audience))) {
    throw new TokenInvalidError('audience_mismatch', { claim: 'aud', ...compare(expected, aud) })
  }
}

/** @param expected - `undefined` if a function decides. */
function compare (expected: readonly string[] | undefined, received: unknown): RefusalDetails {
  const difference = expected && findDifference(expected, received)
  return {
    ...expected !== undefined && { expected },
    received: received ?? null,
    ...difference !== undefined && { difference }
  }
}

function toSeconds (milliseconds: number): number {
  return Math.round(milliseconds / 1000)
}

/** One audience is a string, several are an array of strings (RFC 7519 §4.1.3). */
export function namesAudience (aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.includes(audience))
}

/** Seconds since the epoch, whole or not (RFC 7519 §2), as milliseconds. */
function numericDate (payload: JsonObject, claim: string): number | undefined {
  const value = payload[claim]
  if (value === undefined) return undefined
  if (!Number.isFinite(value)) throw new TokenInvalidError('claim_invalid', { claim })
  return value as number * 1000
}
