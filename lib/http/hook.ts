import type {
  FastifyReply, FastifyRequest, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase,
  RouteGenericInterface
} from 'fastify'
import { isBetterAuthError } from '../contract/errors.js'
import type { Authenticator } from './authenticate.js'
import { refuse } from './error-response.js'
import { isOpenRoute } from './open-route.js'
import { forgetRefusal, type ChallengeSettings, type Refusal } from './refusals.js'

/**
 * A hook that accepts a request or refuses it. Use it in `onRequest`, `preParsing`, `preValidation` or `preHandler`,
 * with `@fastify/auth`, or by hand.
 *
 * @throws TokenMissingError, RequestInvalidError, TokenExpiredError, TokenInvalidError, ForbiddenError,
 * JwksUnavailableError, and with the options that need them CsrfError, TokenRevokedError, RevocationUnavailableError,
 * and from guards CheckUnavailableError; with the option `dpop` DpopProofInvalidError and DpopUnavailableError
 *
 * @example
 * app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
 * // By hand:
 * await app.authenticate(request, reply)
 */
// TypeScript compares methods less strictly: an `authenticate` that an application declared for plain HTTP is accepted.
export type Authenticate = { hook (request: AnyRequest, reply: AnyReply): Promise<void> }['hook']

/** From any kind of server, including HTTP/2. */
type AnyRequest = FastifyRequest<RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>>
type AnyReply = FastifyReply<
  RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>,
  RawReplyDefaultExpression<RawServerBase>
>

type Done = (error?: unknown) => void

/**
 * Wraps an authenticator as a hook. Fastify, or whoever calls the hook by hand, turns its errors into responses;
 * error-response.ts adds headers and the log line.
 *
 * @param settings - for the challenge: those of the registration.
 * @param scopes - for the challenge of a request without a valid token: what OAuth clients need.
 */
export function createHook (
  authenticate: Authenticator, settings: ChallengeSettings, scopes: readonly string[] = []
): Authenticate {
  const refusal = { settings, scopes }

  function hook (
    request: FastifyRequest, reply: FastifyReply, payloadOrDone?: unknown, done?: Done
  ): Promise<void> | void {
    // Hooks and @fastify/auth pass a callback; preParsing passes it after the payload. A call by hand passes none.
    const next = done ?? (typeof payloadOrDone === 'function' ? payloadOrDone as Done : undefined)
    if (next !== undefined) return inHook(request, reply, next)
    const outcome = byHand(request, reply)
    // A call without `await` must not end the process; whoever awaits the promise still gets the error.
    outcome.catch(() => {})
    return outcome
  }

  function inHook (request: FastifyRequest, reply: FastifyReply, next: Done): void {
    let pending
    try {
      pending = authenticate(request)
    } catch (error) {
      next(refused(request, reply, error, refusal))
      return
    }
    if (pending === undefined) {
      accepted(request, next)
      return
    }
    pending.then(
      () => { accepted(request, next) }, (error: unknown) => { next(refused(request, reply, error, refusal)) }
    )
  }

  function accepted (request: FastifyRequest, next: Done): void {
    forgetRefusal(request)
    next()
  }

  async function byHand (request: FastifyRequest, reply: FastifyReply | undefined): Promise<void> {
    try {
      await authenticate(request)
      forgetRefusal(request)
    } catch (error) {
      if (isBetterAuthError(error)) {
        if (isOpen(request)) return
        refuse(request, reply, error, refusal, true)
      }
      throw error
    }
  }

  return hook as Authenticate
}

/** What to pass on instead of an error: nothing, if the route is open. */
function refused (request: FastifyRequest, reply: FastifyReply, error: unknown, refusal: Refusal): unknown {
  if (isBetterAuthError(error)) {
    if (isOpen(request)) return undefined
    refuse(request, reply, error, refusal)
    // For @fastify/auth, which sets 401 if no status is set, and for error handlers that set none.
    reply.code(error.statusCode)
  }
  return error
}

/** Only refusals ask, so accepted requests pay nothing for it. */
function isOpen (request: FastifyRequest): boolean {
  return isOpenRoute(request.routeOptions.config)
}
