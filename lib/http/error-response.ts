import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isBetterAuthError, type BetterAuthError } from '../contract/errors.js'
import { ALGORITHMS } from '../contract/options.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { usesDpop } from '../schemes/dpop/scheme.js'
import { addBeforeHead } from './before-head.js'
import {
  decorateRefusals, logRefusal, scopesFor, type ChallengeSettings, type Refusal, type Refusals
} from './refusals.js'
import { metadataUrl } from './resource-metadata.js'

/** The schemes of HTTP that a challenge can name. */
type AuthScheme = 'Bearer' | 'DPoP'

const SCHEMES: readonly AuthScheme[] = ['Bearer', 'DPoP']

export function challengeSettings ({ resource, dpop }: Pick<ResolvedOptions, 'resource' | 'dpop'>): ChallengeSettings {
  return { metadata: resource && metadataUrl(resource), withDpop: dpop !== undefined }
}

/**
 * Adds the headers and the log line to each refusal that becomes the response, whether `authenticate`,
 * `request.jwtVerify()` or a handler threw it. The hook runs before an error handler of the application, and never for
 * a request that succeeds.
 */
export function decorateErrorResponses (fastify: FastifyInstance, settings: ChallengeSettings): void {
  decorateRefusals(fastify)
  fastify.addHook('onError', (request, reply, error, done) => {
    if (isBetterAuthError(error)) {
      const refusals = logRefusal(request, error, { settings, scopes: [] })
      refusals.latest = error
      reply.headers(headersFor(request, refusals, error))
    }
    done()
  })
}

/**
 * Logs a refusal of a hook that Fastify runs, or that code calls by hand. That code may catch the error, and something
 * else may write the response: if the response has the status of the latest refusal, it gets the headers nevertheless.
 *
 * @param reply - a caller by hand may have passed none, or something else.
 */
export function refuse (
  request: FastifyRequest, reply: FastifyReply | undefined, error: BetterAuthError, refusal: Refusal, isByHand = false
): void {
  const refusals = logRefusal(request, error, refusal)
  if ((!isByHand && refusals.isInScope) || reply?.raw === undefined) return
  refusals.latest = error
  if (refusals.isWatched) return
  refusals.isWatched = true
  addBeforeHead(reply, () => {
    const { latest } = refusals
    return latest && { statusCode: latest.statusCode, headers: headersFor(request, refusals, latest) }
  })
}

function headersFor (
  request: FastifyRequest, { logged }: Refusals, error: BetterAuthError
): Record<string, string | string[]> {
  const { settings: { metadata, withDpop }, scopes } = logged.get(error)!
  const used = withDpop ? usesDpop(request) ? 'DPoP' : 'Bearer' : undefined
  return responseHeaders(error, scopesFor(request, error, scopes), metadata, used)
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
