import type { FastifyReply, FastifyRequest } from 'fastify'
import { bearerToken } from './bearer.js'
import { isBetterAuthError } from './errors.js'
import { identify } from './identity.js'
import type { Verifier } from './verifier.js'

/**
 * Verifies the bearer token of a request and fills in `request.user` and `request.claims`. Use it as a hook (`onRequest`,
 * `preParsing`, `preValidation`, `preHandler`), with `@fastify/auth`, or by hand: `await fastify.authenticate(request, reply)`.
 *
 * @throws TokenMissingError, RequestInvalidError, TokenExpiredError, TokenInvalidError, JwksUnavailableError
 */
export type Authenticate = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

type Done = (error?: unknown) => void

/** Makes the hook: the one place that turns a failure into an answer. */
export function createAuthenticate (verifier: Verifier): Authenticate {
  function authenticate (request: FastifyRequest, reply: FastifyReply, payloadOrDone?: unknown, done?: Done): Promise<void> | undefined {
    // Hooks and @fastify/auth bring a callback, preParsing after its payload. By hand there is none.
    const next = done ?? (typeof payloadOrDone === 'function' ? payloadOrDone as Done : undefined)
    if (next === undefined) return authenticateByHand(request, reply)
    authenticateInHook(request, reply, next)
  }

  function authenticateInHook (request: FastifyRequest, reply: FastifyReply, next: Done): void {
    const fail = (error: unknown) => {
      // @fastify/auth answers 401 unless a status was set; the error handler takes it from here.
      if (isBetterAuthError(error)) reply.code(error.statusCode)
      next(refuse(request, reply, error))
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

  async function authenticateByHand (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      identify(request, await verifier.verify(bearerToken(request)))
    } catch (error) {
      throw refuse(request, reply, error)
    }
  }

  return authenticate as Authenticate
}

/** Says why, once, in the log, and sets the headers, which an error handler of the application would not. */
function refuse (request: FastifyRequest, reply: FastifyReply, error: unknown): unknown {
  if (!isBetterAuthError(error)) return error
  const { reason, details, statusCode } = error
  request.log[statusCode === 503 ? 'warn' : 'info']({ reason, ...details }, 'authentication refused')
  reply.headers(error.headers)
  return error
}
