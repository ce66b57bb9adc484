import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isBetterAuthError, type BetterAuthError } from '../contract/errors.js'
import { ALGORITHMS } from '../contract/options.js'
import { REASONS } from '../contract/reasons.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { usesDpop } from '../schemes/dpop/scheme.js'
import { metadataUrl } from './resource-metadata.js'

/**
 * The refusals that were logged for a request, so that none is logged twice, each with the scopes that its guard asks
 * OAuth clients for. An error may belong to many requests, so it cannot carry them.
 */
const kRefusals = Symbol('better-auth-fastify.refusals')
/** The scopes that guards have asked for so far, of an OAuth client that has them. */
const kPassed = Symbol('better-auth-fastify.passed')

/** The schemes of HTTP that a challenge can name. */
type AuthScheme = 'Bearer' | 'DPoP'

const SCHEMES: readonly AuthScheme[] = ['Bearer', 'DPoP']

type Carrier = FastifyRequest & {
  [kRefusals]?: Map<BetterAuthError, readonly string[]> | null
  [kPassed]?: readonly string[] | null
}

/**
 * Adds the headers and the log line to each refusal that becomes the response, whether `authenticate`,
 * `request.jwtVerify()` or a handler threw it. The hook runs before an error handler of the application, and never for
 * a request that succeeds.
 */
export function decorateErrorResponses (
  fastify: FastifyInstance, { resource, dpop }: Pick<ResolvedOptions, 'resource' | 'dpop'>
): void {
  const metadata = resource && metadataUrl(resource)
  fastify.decorateRequest(kRefusals, null)
  fastify.decorateRequest(kPassed, null)
  fastify.addHook('onError', (request, reply, error, done) => {
    if (isBetterAuthError(error)) {
      logRefusal(request, error)
      const used = dpop && (usesDpop(request) ? 'DPoP' : 'Bearer')
      reply.headers(responseHeaders(error, scopesFor(request, error), metadata, used))
    }
    done()
  })
}

/**
 * `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1) and `Retry-After` (RFC 9110 §10.2.3, in seconds) for
 * an error.
 *
 * @param scopes - the scopes that are needed. Default: those of the error.
 * @param metadata - the URL of the metadata of this API; `undefined` without the option `resource`.
 * @param used - the scheme of the request; `undefined` without the option `dpop`.
 */
export function responseHeaders (
  error: BetterAuthError, scopes: readonly string[] = error.scopes, metadata?: string, used?: AuthScheme
): Record<string, string | string[]> {
  const { challenge, retryAfter } = error
  return {
    ...challenge !== null && { 'WWW-Authenticate': renderChallenges(challenge, scopes, metadata, used) },
    ...retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter / 1000))) }
  }
}

/**
 * One challenge, or one for each scheme that the client may use; the error is in that of the scheme that it used
 * (RFC 9449 §7.2). If a valid token lacks a scope, another scheme would not help.
 */
function renderChallenges (
  errorCode: string, scopes: readonly string[], metadata: string | undefined, used: AuthScheme | undefined
): string | string[] {
  if (used === undefined) return renderChallenge('Bearer', errorCode, scopes, metadata)
  const schemes = errorCode === 'insufficient_scope' ? [used] : SCHEMES
  return schemes.map(scheme => renderChallenge(scheme, scheme === used ? errorCode : 'none', scopes, metadata))
}

function renderChallenge (
  scheme: AuthScheme, errorCode: string, scopes: readonly string[], metadata: string | undefined
): string {
  // A handler may take the scopes from anywhere: whatever is no scope (RFC 6749 §3.3) could end the quoted string.
  const scope = scopes.filter(scope => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope)).join(' ')
  // The URL parser has encoded what could end a quoted string.
  const parameters = {
    error: errorCode === 'none' ? '' : errorCode,
    ...scheme === 'DPoP' && { algs: ALGORITHMS.join(' ') },
    scope,
    resource_metadata: metadata ?? ''
  }
  const given = Object.entries(parameters).filter(([, value]) => value !== '')
  return [scheme, given.map(([name, value]) => `${name}="${value}"`).join(', ')].join(' ').trimEnd()
}

/**
 * The scopes for the challenge: after a 401 those of the guard. After a 403 also those that the token has already
 * shown: a client asks for exactly these scopes, and its new token has to pass the earlier guards again.
 */
function scopesFor (request: FastifyRequest, error: BetterAuthError): readonly string[] {
  const { [kRefusals]: refusals, [kPassed]: passed } = request as Carrier
  if (error.statusCode === 401) return refusals!.get(error)!
  return error.scopes.length === 0 || passed == null ? error.scopes : [...new Set([...passed, ...error.scopes])]
}

/** Remembers the scopes that a guard has asked for, of an OAuth client that has them. */
export function addPassedScopes (request: FastifyRequest, scopes: readonly string[]): void {
  const carrier = request as Carrier
  carrier[kPassed] = [...carrier[kPassed] ?? [], ...scopes]
}

/**
 * Logs why a request is refused, once: the reason word, and what to change.
 *
 * @param scopes - what the guard asks OAuth clients for.
 */
export function logRefusal (request: FastifyRequest, error: BetterAuthError, scopes: readonly string[] = []): void {
  const carrier = request as Carrier
  const refusals = carrier[kRefusals] ??= new Map()
  if (refusals.has(error)) return
  refusals.set(error, scopes)
  const { reason, details, statusCode, cause } = error
  const line = { reason, ...details, hint: REASONS[reason]?.fix, ...cause !== undefined && { err: cause } }
  request.log[statusCode === 503 ? 'warn' : 'info'](line, 'request refused')
}
