import type {
  FastifyReply, FastifyRequest, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RouteGenericInterface
} from 'fastify'
import { bearerToken } from './bearer.js'
import { isBetterAuthError } from './errors.js'
import { identify } from './identity.js'
import { logRefusal } from './refusal.js'
import type { Verifier } from './verifier.js'

/**
 * Verifies the bearer token of a request and fills in `request.user` and `request.claims`. Use it as a hook (`onRequest`,
 * `preParsing`, `preValidation`, `preHandler`), with `@fastify/auth`, or by hand: `await fastify.authenticate(request, reply)`.
 *
 * @throws TokenMissingError, RequestInvalidError, TokenExpiredError, TokenInvalidError, JwksUnavailableError
 */
export type Authenticate = (request: AnyRequest, reply: AnyReply) => Promise<void>

/** Of a server of any kind, HTTP/2 included. */
type AnyRequest = FastifyRequest<RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>>
type AnyReply = FastifyReply<RouteGenericInterface, RawServerBase, RawRequestDefaultExpression<RawServerBase>, RawReplyDefaultExpression<RawServerBase>>

type Done = (error?: unknown) => void

/** Makes the hook. What it throws is made an answer by Fastify, and by the hook in refusal.ts. */
export function createAuthenticate (verifier: Verifier): Authenticate {
  function authenticate (request: FastifyRequest, reply: FastifyReply, payloadOrDone?: unknown, done?: Done): Promise<void> | undefined {
    // Hooks and @fastify/auth bring a callback, preParsing after its payload. By hand there is none.
    const next = done ?? (typeof payloadOrDone === 'function' ? payloadOrDone as Done : undefined)
    if (next === undefined) return authenticateByHand(request)
    authenticateInHook(request, reply, next)
  }

  function authenticateInHook (request: FastifyRequest, reply: FastifyReply, next: Done): void {
    const fail = (error: unknown) => {
      if (isBetterAuthError(error)) {
        logRefusal(request, error)
        // For @fastify/auth, which sets 401 where no status is set, and for error handlers that set none.
        reply.code(error.statusCode)
      }
      next(error)
    }
    let verified
    try {
      verified = verifier.verify(bearerToken(request))
    } catch (error) {
      fail(error)
      return
    }
    if (verified instanceof Promise) {
      verified.then(token => { identify(request, token); next() }, fail)
    } else {
      identify(request, verified)
      next()
    }
  }

  async function authenticateByHand (request: FastifyRequest): Promise<void> {
    try {
      identify(request, await verifier.verify(bearerToken(request)))
    } catch (error) {
      if (isBetterAuthError(error)) logRefusal(request, error)
      throw error
    }
  }

  return authenticate as Authenticate
}
