import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isBetterAuthError, type BetterAuthError } from '../contract/errors.js'

/** The refusal that was logged last for a request: none is logged twice, wherever it passes. */
const kLogged = Symbol('better-auth-fastify.logged')

/**
 * Sees to the headers and the log line of each refusal that becomes the answer, whether `authenticate`, `request.jwtVerify()` or
 * a handler threw it. The hook runs before an error handler of the application, and never for a request that succeeds.
 */
export function decorateRefusals (fastify: FastifyInstance): void {
  fastify.decorateRequest(kLogged, null)
  fastify.addHook('onError', (request, reply, error, done) => {
    if (isBetterAuthError(error)) {
      logRefusal(request, error)
      reply.headers(error.headers)
    }
    done()
  })
}

/** Says why a request is refused, once. */
export function logRefusal (request: FastifyRequest, error: BetterAuthError): void {
  const carrier = request as FastifyRequest & { [kLogged]: BetterAuthError | null }
  if (carrier[kLogged] === error) return
  carrier[kLogged] = error
  const { reason, details, statusCode, cause } = error
  request.log[statusCode === 503 ? 'warn' : 'info']({ reason, ...details, ...cause !== undefined && { err: cause } }, 'authentication refused')
}
