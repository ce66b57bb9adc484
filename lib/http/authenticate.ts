import type {
  FastifyReply, FastifyRequest, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RouteGenericInterface
} from 'fastify'
import { findCredential } from '../schemes/credential.js'
import { checkOrigin } from '../schemes/session-cookie/origin-check.js'
import { publishVerification, verificationChannel, type Trace } from '../contract/channels.js'
import { ForbiddenError, isBetterAuthError, RevocationUnavailableError, TokenMissingError, TokenRevokedError } from '../contract/errors.js'
import { identify } from './request-decorators.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { logRefusal } from './error-response.js'
import { claimsOf, type VerifiedToken, type Verifier } from '../tokens/verifier.js'

/**
 * A hook that lets a request pass or refuses it. Use it as `onRequest`, `preParsing`, `preValidation` or `preHandler`, with
 * `@fastify/auth`, or by hand: `await fastify.authenticate(request, reply)`.
 *
 * @throws TokenMissingError, RequestInvalidError, TokenExpiredError, TokenInvalidError, ForbiddenError, JwksUnavailableError,
 * and with the options that ask for them CsrfError, TokenRevokedError, RevocationUnavailableError
 */
export type Authenticate = (request: AnyRequest, reply: AnyReply) => Promise<void>

/** Of a server of any kind, HTTP/2 included. */
type AnyRequest = FastifyRequest<RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>>
type AnyReply = FastifyReply<RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>, RawReplyDefaultExpression<RawServerBase>>

/** Finds out who is asking: at once where it can, else as a promise. Throws or rejects alike. */
export type Check = (request: FastifyRequest) => void | Promise<void>

type Done = (error?: unknown) => void

/** The verifiers of a registration; `cookie` where the session cookie is accepted. */
export interface Verifiers {
  readonly bearer: Verifier
  readonly cookie: Verifier | undefined
}

/** Whether a user whose token is right is let in: not banned, and the token not revoked by the application. */
export type Admit = (request: FastifyRequest, verified: VerifiedToken) => void | Promise<void>

/** @throws ForbiddenError, TokenRevokedError, RevocationUnavailableError, at once or as a rejection. */
export function createAdmission ({ isRevoked }: ResolvedOptions, now: () => number): Admit {
  async function askRevoked (request: FastifyRequest, verified: VerifiedToken): Promise<void> {
    let answer: unknown
    try {
      answer = await isRevoked!(claimsOf(verified.token), request)
    } catch (error) {
      throw new RevocationUnavailableError(error)
    }
    if (answer === true) throw new TokenRevokedError()
    if (answer !== false) throw new RevocationUnavailableError(new TypeError('isRevoked must answer true or false'))
  }

  return (request, verified) => {
    const { bannedUntil } = verified.grants
    if (bannedUntil !== undefined && now() < bannedUntil) throw new ForbiddenError('banned')
    if (isRevoked !== undefined) return askRevoked(request, verified)
  }
}

/**
 * Makes the check behind `authenticate`.
 *
 * @param isOptional - lets a request without any credentials pass; one with wrong credentials never.
 */
export function createCheck (verifiers: Verifiers, admit: Admit, options: ResolvedOptions, isOptional = false): Check {
  function enter (request: FastifyRequest, verified: VerifiedToken, isCookie: boolean): void | Promise<void> {
    if (isCookie && options.sessionCookie !== false) checkOrigin(request, options.sessionCookie.trustedOrigins)
    const pending = admit(request, verified)
    if (pending !== undefined) return pending.then(() => { identify(request, verified) })
    identify(request, verified)
  }

  function check (request: FastifyRequest, trace?: Trace): void | Promise<void> {
    const credential = findCredential(request, options)
    if (credential === undefined) {
      // Another scheme in the header is not the absence of credentials.
      if (isOptional && request.headers.authorization === undefined) return
      throw new TokenMissingError()
    }
    const { token, isCookie } = credential
    const verifier = isCookie ? verifiers.cookie! : verifiers.bearer
    if (trace !== undefined) trace.credential = isCookie ? 'cookie' : 'bearer'
    const verified = verifier.verify(token, trace)
    return verified instanceof Promise
      ? verified.then(found => enter(request, found, isCookie))
      : enter(request, verified, isCookie)
  }

  return request => verificationChannel.hasSubscribers ? publishVerification(options.authUrl, request, check) : check(request)
}

/** Makes a hook out of a check. What it throws is made an answer by Fastify, and by the hook in refusal.ts. */
export function createHook (check: Check): Authenticate {
  function hook (request: FastifyRequest, reply: FastifyReply, payloadOrDone?: unknown, done?: Done): Promise<void> | undefined {
    // Hooks and @fastify/auth bring a callback, preParsing after its payload. By hand there is none.
    const next = done ?? (typeof payloadOrDone === 'function' ? payloadOrDone as Done : undefined)
    if (next === undefined) return byHand(request)
    inHook(request, reply, next)
  }

  function inHook (request: FastifyRequest, reply: FastifyReply, next: Done): void {
    let pending
    try {
      pending = check(request)
    } catch (error) {
      next(refused(request, reply, error))
      return
    }
    if (pending === undefined) next()
    else pending.then(() => { next() }, (error: unknown) => { next(refused(request, reply, error)) })
  }

  async function byHand (request: FastifyRequest): Promise<void> {
    try {
      await check(request)
    } catch (error) {
      if (isBetterAuthError(error)) logRefusal(request, error)
      throw error
    }
  }

  return hook as Authenticate
}

function refused (request: FastifyRequest, reply: FastifyReply, error: unknown): unknown {
  if (isBetterAuthError(error)) {
    logRefusal(request, error)
    // For @fastify/auth, which sets 401 where no status is set, and for error handlers that set none.
    reply.code(error.statusCode)
  }
  return error
}
