import { ERRORS, type ErrorCode } from './error-codes.js'
import type { ReasonOf, RefusalReason } from './reasons.js'
import type { RefusalDetails } from './refusal-details.js'

export type { RefusalDetails }

interface Details {
  readonly details?: RefusalDetails
  /** The scopes that a route needs. */
  readonly scopes?: readonly string[]
  /** Milliseconds. */
  readonly retryAfter?: number
  readonly cause?: unknown
}

interface Parts<Code extends ErrorCode> extends Details {
  readonly reason: RefusalReason
  readonly challenge: typeof ERRORS[Code]['challenge']
}

/** Identifies errors across installed copies of this package, which `instanceof` cannot. */
const kBrand = Symbol.for('better-auth-fastify.error')

/**
 * The base class of every error that refuses a request. Fastify turns it into the response `{ statusCode, code, error,
 * message }`; the headers are set on the reply.
 *
 * @example
 * app.setErrorHandler((error, request, reply) => {
 *   if (!isBetterAuthError(error)) throw error
 *   return reply.code(error.statusCode).send({ problem: error.code })
 * })
 */
export abstract class BetterAuthError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly code: Code
  readonly statusCode: typeof ERRORS[Code]['statusCode']
  readonly #parts: Parts<Code>

  constructor (code: Code, reason: RefusalReason, { cause, scopes = [], ...rest }: Details = {}) {
    const { message, statusCode, challenge } = ERRORS[code]
    super(message, cause === undefined ? {} : { cause })
    this.code = code
    this.statusCode = statusCode
    // A copy: an error handler that changes the scopes must not change what a guard asks for.
    this.#parts = { ...rest, scopes: Object.freeze([...scopes]), reason, challenge }
  }

  // The name of Fastify's own errors.
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'FastifyError', writable: true })
  }

  /**
   * Fastify serialises an object that inherits from the error. That object has none of the parts: no response schema
   * can make them part of a response.
   */
  static #partsOf<Code extends ErrorCode> (error: BetterAuthError<Code>): Partial<Parts<Code>> {
    return #parts in error ? error.#parts : {}
  }

  // Getters: Fastify's own log line prints every enumerable property of an error, and the reason is in ours.

  /** Why the request was refused: for logs, never for a response. */
  get reason (): RefusalReason { return BetterAuthError.#partsOf(this).reason! }
  /** What the log line contains in addition to the reason. */
  get details (): RefusalDetails { return BetterAuthError.#partsOf(this).details ?? {} }
  /** The error code in `WWW-Authenticate` (RFC 6750 §3.1); `none`: a challenge without one; `null`: no challenge. */
  get challenge (): typeof ERRORS[Code]['challenge'] {
    return BetterAuthError.#partsOf(this).challenge ?? null as never
  }

  /** The scopes that the request needs, for the challenge; empty unless a guard asked for some. */
  get scopes (): readonly string[] { return BetterAuthError.#partsOf(this).scopes ?? [] }
  /** Milliseconds until another attempt makes sense; `undefined` unless the status is 503. */
  get retryAfter (): number | undefined { return BetterAuthError.#partsOf(this).retryAfter }
  get [kBrand] (): true { return true }
}

/** 401: the request has no credential (RFC 6750 §3.1, a challenge without an error code). */
export class TokenMissingError extends BetterAuthError<'FST_BETTER_AUTH_TOKEN_MISSING'> {
  constructor () { super('FST_BETTER_AUTH_TOKEN_MISSING', 'token_missing') }
}

/** 400: the `Authorization` header is not `Bearer <token>` (RFC 6750 §3.1, `invalid_request`). */
export class RequestInvalidError extends BetterAuthError<'FST_BETTER_AUTH_REQUEST_INVALID'> {
  constructor () { super('FST_BETTER_AUTH_REQUEST_INVALID', 'authorization_malformed') }
}

/** 401: the token has expired, and nothing else is wrong with it (RFC 6750 §3.1, `invalid_token`). */
export class TokenExpiredError extends BetterAuthError<'FST_BETTER_AUTH_TOKEN_EXPIRED'> {
  constructor (details: RefusalDetails = {}) { super('FST_BETTER_AUTH_TOKEN_EXPIRED', 'token_expired', { details }) }
}

/** 401: the token is refused for any other reason (RFC 6750 §3.1, `invalid_token`). */
export class TokenInvalidError extends BetterAuthError<'FST_BETTER_AUTH_TOKEN_INVALID'> {
  constructor (reason: ReasonOf<'FST_BETTER_AUTH_TOKEN_INVALID'>, details: RefusalDetails = {}) {
    super('FST_BETTER_AUTH_TOKEN_INVALID', reason, { details })
  }
}

/** 401: the application's `isRevoked` reports that the token is revoked (RFC 6750 §3.1, `invalid_token`). */
export class TokenRevokedError extends BetterAuthError<'FST_BETTER_AUTH_TOKEN_REVOKED'> {
  constructor () { super('FST_BETTER_AUTH_TOKEN_REVOKED', 'token_revoked') }
}

/**
 * 403: the token is valid, but does not allow this (RFC 6750 §3.1, `insufficient_scope`). Guards throw it, and handlers
 * may throw it too.
 *
 * @example
 * if (order.owner !== request.user.id) throw new ForbiddenError()
 */
export class ForbiddenError extends BetterAuthError<'FST_BETTER_AUTH_FORBIDDEN'> {
  /**
   * @param reason - for the log. Default: `forbidden`.
   * @param scopes - the scopes that are needed, for the challenge (RFC 6750 §3). Default: none.
   * @param cause - what a guard's `check` threw. Default: none.
   */
  constructor (
    reason: ReasonOf<'FST_BETTER_AUTH_FORBIDDEN'> = 'forbidden', scopes: readonly string[] = [], cause?: unknown
  ) {
    super('FST_BETTER_AUTH_FORBIDDEN', reason, { scopes, cause })
  }
}

/**
 * 403: an untrusted page made a browser send an unsafe request with the session cookie. `cause` is what a function as
 * `trustedOrigins` threw.
 */
export class CsrfError extends BetterAuthError<'FST_BETTER_AUTH_CSRF'> {
  constructor (details: RefusalDetails = {}, cause?: unknown) {
    super('FST_BETTER_AUTH_CSRF', 'origin_not_trusted', { details, cause })
  }
}

/** 503: the application's `isRevoked`, or `revoke()` of a shared session, failed. `cause` is what was thrown. */
export class RevocationUnavailableError extends BetterAuthError<'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE'> {
  constructor (cause: unknown) {
    super('FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', 'revocation_unavailable', { cause, retryAfter: 5000 })
  }
}

/** 503: a guard's `check` did not settle in time. `cause` says so. */
export class CheckUnavailableError extends BetterAuthError<'FST_BETTER_AUTH_CHECK_UNAVAILABLE'> {
  constructor (cause: unknown) {
    super('FST_BETTER_AUTH_CHECK_UNAVAILABLE', 'check_unavailable', { cause, retryAfter: 5000 })
  }
}

/** 503: a key of the auth server is needed, and the JWKS cannot be fetched now. */
export class JwksUnavailableError extends BetterAuthError<'FST_BETTER_AUTH_JWKS_UNAVAILABLE'> {
  /** @param retryAfter - milliseconds until another attempt makes sense. */
  constructor (retryAfter: number) {
    super('FST_BETTER_AUTH_JWKS_UNAVAILABLE', 'jwks_unavailable', { retryAfter })
  }
}

/** 503: a credential has to be exchanged at the auth server, and cannot be now. */
export class ExchangeUnavailableError extends BetterAuthError<'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE'> {
  /** @param retryAfter - milliseconds until another attempt makes sense. */
  constructor (retryAfter: number, reason: ReasonOf<'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE'> = 'exchange_unavailable') {
    super('FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE', reason, { retryAfter })
  }
}

/**
 * Whether an error is a refusal of this plugin, thrown by any installed copy of it.
 *
 * @example
 * if (isBetterAuthError(error)) request.log.info(error.reason)
 */
export function isBetterAuthError (error: unknown): error is BetterAuthError {
  return typeof error === 'object' && error !== null && kBrand in error
}
