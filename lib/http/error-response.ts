import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isBetterAuthError, type BetterAuthError } from '../contract/errors.js'
import { REASONS } from '../contract/reasons.js'

/** The last refusal that was logged for a request, so that no refusal is logged twice. */
const kLogged = Symbol('better-auth-fastify.logged')

/**
 * Adds the headers and the log line to each refusal that becomes the response, whether `authenticate`,
 * `request.jwtVerify()` or a handler threw it. The hook runs before an error handler of the application, and never for
 * a request that succeeds.
 */
export function decorateErrorResponses (fastify: FastifyInstance): void {
  fastify.decorateRequest(kLogged, null)
  fastify.addHook('onError', (request, reply, error, done) => {
    if (isBetterAuthError(error)) {
      logRefusal(request, error)
      reply.headers(responseHeaders(error))
    }
    done()
  })
}

/** `WWW-Authenticate` (RFC 6750 §3) and `Retry-After` (RFC 9110 §10.2.3, in seconds) for an error. */
export function responseHeaders (error: BetterAuthError): Record<string, string> {
  const { challenge, scopes, retryAfter } = error
  return {
    ...challenge !== null && { 'WWW-Authenticate': renderChallenge(challenge, scopes) },
    ...retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter / 1000))) }
  }
}

function renderChallenge (errorCode: string, scopes: readonly string[]): string {
  if (errorCode === 'none') return 'Bearer'
  // A handler may take the scopes from anywhere: whatever is no scope (RFC 6749 §3.3) could end the quoted string.
  const valid = scopes.filter(scope => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope))
  const scope = valid.length === 0 ? '' : `, scope="${valid.join(' ')}"`
  return `Bearer error="${errorCode}"${scope}`
}

/** Logs why a request is refused, once: the reason word, and what to change. */
export function logRefusal (request: FastifyRequest, error: BetterAuthError): void {
  const carrier = request as FastifyRequest & { [kLogged]: BetterAuthError | null }
  if (carrier[kLogged] === error) return
  carrier[kLogged] = error
  const { reason, details, statusCode, cause } = error
  const line = { reason, ...details, hint: REASONS[reason]?.fix, ...cause !== undefined && { err: cause } }
  request.log[statusCode === 503 ? 'warn' : 'info'](line, 'request refused')
}
