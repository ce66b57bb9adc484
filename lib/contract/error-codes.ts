/** What clients see of each error: its status, its message, and the error code of its challenge. */
export const ERRORS = {
  FST_BETTER_AUTH_TOKEN_MISSING: { statusCode: 401, message: 'Missing bearer token', challenge: 'none' },
  FST_BETTER_AUTH_REQUEST_INVALID: {
    statusCode: 400, message: 'Malformed Authorization header', challenge: 'invalid_request'
  },
  FST_BETTER_AUTH_TOKEN_EXPIRED: { statusCode: 401, message: 'Token expired', challenge: 'invalid_token' },
  FST_BETTER_AUTH_TOKEN_INVALID: {
    statusCode: 401, message: 'Invalid authentication credentials', challenge: 'invalid_token'
  },
  FST_BETTER_AUTH_TOKEN_REVOKED: { statusCode: 401, message: 'Token revoked', challenge: 'invalid_token' },
  FST_BETTER_AUTH_DPOP_PROOF_INVALID: {
    statusCode: 401, message: 'Invalid DPoP proof', challenge: 'invalid_dpop_proof'
  },
  FST_BETTER_AUTH_FORBIDDEN: { statusCode: 403, message: 'Insufficient permissions', challenge: 'insufficient_scope' },
  FST_BETTER_AUTH_CSRF: { statusCode: 403, message: 'Cross-site request refused', challenge: null },
  FST_BETTER_AUTH_REVOCATION_UNAVAILABLE: {
    statusCode: 503, message: 'Revocation check unavailable', challenge: null
  },
  FST_BETTER_AUTH_CHECK_UNAVAILABLE: {
    statusCode: 503, message: 'Authorization check unavailable', challenge: null
  },
  FST_BETTER_AUTH_JWKS_UNAVAILABLE: { statusCode: 503, message: 'Auth service unreachable', challenge: null },
  FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE: { statusCode: 503, message: 'Auth service unreachable', challenge: null },
  FST_BETTER_AUTH_DPOP_UNAVAILABLE: { statusCode: 503, message: 'DPoP replay check unavailable', challenge: null }
} as const satisfies Record<`FST_BETTER_AUTH_${string}`, ErrorRow>

interface ErrorRow {
  readonly statusCode: 400 | 401 | 403 | 503
  readonly message: string
  /**
   * The error code in `WWW-Authenticate` (RFC 6750 §3.1, RFC 9449 §7.1); `none`: a challenge without one; `null`: no
   * challenge.
   */
  readonly challenge: 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope' | 'invalid_dpop_proof' | null
}

/** The code of an error: `error.code`, and `code` in the response. */
export type ErrorCode = keyof typeof ERRORS

/** One row of the table of reasons. */
export interface ReasonRow {
  /** The error that a request gets for this reason. */
  readonly code: ErrorCode
  /** Why the request was refused. */
  readonly meaning: string
  /** The likely cause. */
  readonly cause: string
  /** What to change. The log line and the doctor also show it. */
  readonly fix: string
}
