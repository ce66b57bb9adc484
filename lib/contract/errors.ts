import { createError } from '@fastify/error'

/**
 * Why a request was refused: one stable word, for logs, metrics and alerts. It is written as `reason` to `request.log` and is
 * on every error as `error.reason`; it is never part of an answer, so that a client learns nothing from it.
 */
export type RefusalReason =
  // the request
  | 'token_missing'
  | 'authorization_malformed'
  // the token's form and header
  | 'token_too_long'
  | 'token_malformed'
  | 'token_encrypted'
  | 'typ_not_allowed'
  | 'algorithm_not_allowed'
  | 'critical_header'
  | 'kid_invalid'
  // its key and signature
  | 'unknown_key'
  | 'unusable_key'
  | 'algorithm_mismatch'
  | 'signature_invalid'
  // its claims
  | 'claim_missing'
  | 'claim_invalid'
  | 'token_expired'
  | 'token_not_active'
  | 'issuer_mismatch'
  | 'audience_mismatch'
  | 'token_kind'
  // the user, and what a guard asked for
  | 'forbidden'
  | 'banned'
  | 'role_missing'
  | 'scope_missing'
  | 'check_failed'
  // the session cookie
  | 'cookie_malformed'
  | 'session_invalid'
  | 'session_expired'
  | 'origin_not_trusted'
  // what the application said
  | 'extract_token_failed'
  | 'token_revoked'
  | 'revocation_unavailable'
  // the keys
  | 'jwks_unavailable'

/** What a log line may say beside the reason: claim names and configured values, never a token or a signature. */
export interface RefusalDetails {
  /** The claim or header parameter that was not accepted. */
  claim?: string
  /** What this API accepts. */
  expected?: readonly string[]
  /** What the token says instead; only ever set for a token whose signature is right. */
  received?: unknown
}

const TokenMissing = createError<'FST_BETTER_AUTH_TOKEN_MISSING', 401, []>('FST_BETTER_AUTH_TOKEN_MISSING', 'Missing bearer token', 401)
const RequestInvalid = createError<'FST_BETTER_AUTH_REQUEST_INVALID', 400, []>('FST_BETTER_AUTH_REQUEST_INVALID', 'Malformed Authorization header', 400)
const TokenExpired = createError<'FST_BETTER_AUTH_TOKEN_EXPIRED', 401, []>('FST_BETTER_AUTH_TOKEN_EXPIRED', 'Token expired', 401)
const TokenInvalid = createError<'FST_BETTER_AUTH_TOKEN_INVALID', 401, []>('FST_BETTER_AUTH_TOKEN_INVALID', 'Invalid authentication credentials', 401)
const Forbidden = createError<'FST_BETTER_AUTH_FORBIDDEN', 403, []>('FST_BETTER_AUTH_FORBIDDEN', 'Insufficient permissions', 403)
const Csrf = createError<'FST_BETTER_AUTH_CSRF', 403, []>('FST_BETTER_AUTH_CSRF', 'Cross-site request refused', 403)
const TokenRevoked = createError<'FST_BETTER_AUTH_TOKEN_REVOKED', 401, []>('FST_BETTER_AUTH_TOKEN_REVOKED', 'Token revoked', 401)
const RevocationUnavailable = createError<'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', 503, []>('FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', 'Revocation check unavailable', 503)
const JwksUnavailable = createError<'FST_BETTER_AUTH_JWKS_UNAVAILABLE', 503, []>('FST_BETTER_AUTH_JWKS_UNAVAILABLE', 'Auth service unreachable', 503)

// `reason`, `details` and `headers` are getters, not properties: Fastify's own log line about an error prints every enumerable
// property of it, and the reason belongs into our line, once.

/** 401, no bearer token came. `WWW-Authenticate: Bearer` without an error code (RFC 6750 §3.1). */
export class TokenMissingError extends TokenMissing {
  get reason (): RefusalReason { return 'token_missing' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'WWW-Authenticate': 'Bearer' } }
}

/** 400, the `Authorization` header is not `Bearer <token>` (RFC 6750 §3.1, `invalid_request`). */
export class RequestInvalidError extends RequestInvalid {
  get reason (): RefusalReason { return 'authorization_malformed' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'WWW-Authenticate': 'Bearer error="invalid_request"' } }
}

/** 401, a token that would be accepted had it not expired (RFC 6750 §3.1, `invalid_token`). */
export class TokenExpiredError extends TokenExpired {
  get reason (): RefusalReason { return 'token_expired' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'WWW-Authenticate': 'Bearer error="invalid_token"' } }
}

/** 401, a token that is refused for any other reason (RFC 6750 §3.1, `invalid_token`). */
export class TokenInvalidError extends TokenInvalid {
  readonly #reason: RefusalReason
  readonly #details: RefusalDetails

  constructor (reason: RefusalReason, details: RefusalDetails = {}) {
    super()
    this.#reason = reason
    this.#details = details
  }

  get reason (): RefusalReason { return this.#reason }
  get details (): RefusalDetails { return this.#details }
  get headers (): Record<string, string> { return { 'WWW-Authenticate': 'Bearer error="invalid_token"' } }
}

/**
 * 403, the token is valid but does not allow this (RFC 6750 §3.1, `insufficient_scope`). Guards throw it, and handlers may.
 */
export class ForbiddenError extends Forbidden {
  readonly #reason: RefusalReason
  readonly #scopes: readonly string[]
  readonly #cause: unknown

  /**
   * @param scopes - the scopes that are needed, for the header (RFC 6750 §3).
   * @param cause - what a guard's `check` threw.
   */
  constructor (reason: RefusalReason = 'forbidden', scopes: readonly string[] = [], cause?: unknown) {
    super()
    this.#reason = reason
    this.#scopes = scopes
    this.#cause = cause
  }

  override get cause (): unknown { return this.#cause }

  get reason (): RefusalReason { return this.#reason }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> {
    const scope = this.#scopes.length === 0 ? '' : `, scope="${this.#scopes.join(' ')}"`
    return { 'WWW-Authenticate': `Bearer error="insufficient_scope"${scope}` }
  }
}

/** 403, a request that a browser authenticated with its cookie comes from a site that is not trusted. */
export class CsrfError extends Csrf {
  get reason (): RefusalReason { return 'origin_not_trusted' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return {} }
}

/** 401, the application's `isRevoked` says that the token is revoked (RFC 6750 §3.1, `invalid_token`). */
export class TokenRevokedError extends TokenRevoked {
  get reason (): RefusalReason { return 'token_revoked' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'WWW-Authenticate': 'Bearer error="invalid_token"' } }
}

/** 503, the application's `isRevoked` could not tell. What it threw is the `cause`. */
export class RevocationUnavailableError extends RevocationUnavailable {
  readonly #cause: unknown

  constructor (cause: unknown) {
    super()
    this.#cause = cause
  }

  override get cause (): unknown { return this.#cause }
  get reason (): RefusalReason { return 'revocation_unavailable' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'Retry-After': '5' } }
}

/** 503, the key that the token names cannot be had now. `Retry-After` in seconds (RFC 9110 §10.2.3). */
export class JwksUnavailableError extends JwksUnavailable {
  readonly #retryAfter: number

  /** @param retryAfter - milliseconds until the next try makes sense. */
  constructor (retryAfter: number) {
    super()
    this.#retryAfter = retryAfter
  }

  get reason (): RefusalReason { return 'jwks_unavailable' }
  get details (): RefusalDetails { return {} }
  get headers (): Record<string, string> { return { 'Retry-After': String(Math.max(1, Math.ceil(this.#retryAfter / 1000))) } }
}

/** Every error with which a request can be refused. */
export type BetterAuthError =
  | TokenMissingError
  | RequestInvalidError
  | TokenExpiredError
  | TokenInvalidError
  | ForbiddenError
  | CsrfError
  | TokenRevokedError
  | RevocationUnavailableError
  | JwksUnavailableError

/** Whether an error is one of this plugin's refusals. */
export function isBetterAuthError (error: unknown): error is BetterAuthError {
  return error instanceof TokenInvalidError ||
    error instanceof TokenExpiredError ||
    error instanceof TokenMissingError ||
    error instanceof RequestInvalidError ||
    error instanceof ForbiddenError ||
    error instanceof CsrfError ||
    error instanceof TokenRevokedError ||
    error instanceof RevocationUnavailableError ||
    error instanceof JwksUnavailableError
}
