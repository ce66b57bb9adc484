import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import { verificationChannel, type VerificationMessage } from '../contract/channels.js'
import { ForbiddenError, isBetterAuthError, TokenMissingError } from '../contract/errors.js'
import type { RefusalReason } from '../contract/reasons.js'
import type { Scheme } from '../schemes/scheme.js'
import type { VerifiedToken } from '../tokens/verified-token.js'
import type { StatusCheck } from './account-status.js'
import { clearIdentity, setIdentity } from './request-decorators.js'

/**
 * Authenticates a request. It is synchronous where possible, else it returns a promise, which rejects with the same
 * errors.
 */
export type Authenticator = (request: FastifyRequest) => void | Promise<void>

/** What is recorded for subscribers of the diagnostics channel. */
export interface VerificationTrace { credential: VerificationMessage['credential'], cached: boolean }

/** What the authenticators of one registration share. */
export interface AuthenticatorContext {
  readonly schemes: readonly Scheme[]
  readonly checkStatus: StatusCheck
  /** The auth server of the registration, for subscribers of the diagnostics channel. */
  readonly authUrl: string
  /** Whether `request.session` is this plugin's. */
  readonly withSession: boolean
}

/** Whether a route is for whom a token stands for. @throws ForbiddenError if it is not. */
export type Admission = (verified: Pick<VerifiedToken, 'principal' | 'authorization'>) => void

/** Users, and no OAuth clients. @throws ForbiddenError */
export const admitUsers: Admission = ({ principal }) => {
  if (principal.kind !== 'user') throw new ForbiddenError('principal_not_allowed')
}

/**
 * Creates the authenticator behind `authenticate`. The first scheme that finds a token decides, and no other is tried.
 *
 * @param isOptional - accepts a request without any credential, but never one with an invalid credential.
 */
export function createAuthenticator (
  { schemes, checkStatus, authUrl, withSession }: AuthenticatorContext, admit: Admission, isOptional = false
): Authenticator {
  function authenticate (request: FastifyRequest, trace?: VerificationTrace): void | Promise<void> {
    for (const scheme of schemes) {
      const found = scheme.find(request)
      if (found === undefined) continue
      if (trace !== undefined) trace.credential = scheme.name
      const verified = typeof found === 'string' ? scheme.verifier.verify(found, trace) : found.verify(trace)
      return verified instanceof Promise
        ? verified.then(token => accept(scheme, request, token))
        : accept(scheme, request, verified)
    }
    const { authorization } = request.headers
    // A header with another scheme is a credential, too.
    if (isOptional && (authorization === undefined || isPassword(authorization))) {
      clearIdentity(request, withSession)
      return
    }
    throw new TokenMissingError()
  }

  function accept (scheme: Scheme, request: FastifyRequest, verified: VerifiedToken): void | Promise<void> {
    scheme.checkUse?.(request, verified)
    admit(verified)
    const pending = checkStatus(request, verified)
    if (pending !== undefined) return pending.then(() => { setIdentity(request, verified) })
    setIdentity(request, verified)
  }

  return request => verificationChannel.hasSubscribers
    ? publishVerification(authUrl, trace => authenticate(request, trace))
    : authenticate(request)
}

/** Calls `verify` and publishes the outcome. The result, or the error, is passed on unchanged. */
export function publishVerification<Result> (
  authUrl: string, verify: (trace: VerificationTrace) => Result | Promise<Result>
): Result | Promise<Result> {
  const trace: VerificationTrace = { credential: null, cached: false }

  function publish (outcome: VerificationMessage['outcome'], reason: RefusalReason | null): void {
    verificationChannel.publish({ authUrl, ...trace, outcome, reason } satisfies VerificationMessage)
  }
  function accepted (result: Result): Result {
    publish(trace.credential === null ? 'anonymous' : 'accepted', null)
    return result
  }
  function refused (error: unknown): never {
    publish('refused', isBetterAuthError(error) ? error.reason : null)
    throw error
  }

  let pending
  try {
    pending = verify(trace)
  } catch (error) {
    return refused(error)
  }
  return pending instanceof Promise ? pending.then(accepted, refused) : accepted(pending)
}

/**
 * A name and a password (RFC 7617 §2) are for a proxy in front of the API: no token looks like them, and without the
 * header the request would be anonymous as well. JSON is a credential of another kind.
 */
function isPassword (authorization: string): boolean {
  const text = /^basic +([a-z0-9+/]+={0,2})[ \t]*$/i.exec(authorization)?.[1]
  const bytes = Buffer.from(text ?? '', 'base64')
  return isUtf8(bytes) && /^(?!\{)[^\p{Cc}:]*:\P{Cc}*$/u.test(bytes.toString())
}
