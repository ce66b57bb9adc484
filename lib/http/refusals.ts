import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BetterAuthError } from '../contract/errors.js'
import { REASONS } from '../contract/reasons.js'

/** The refusals of a request. */
const kRefusals = Symbol('better-auth-fastify.refusals')
/** The scopes that guards have asked for so far, of an OAuth client that has them. */
const kPassed = Symbol('better-auth-fastify.passed')

/** What the challenges of one registration contain, whatever the error is. */
export interface ChallengeSettings {
  /** The URL of the metadata of this API; `undefined` without the option `resource`. */
  readonly metadata: string | undefined
  readonly withDpop: boolean
}

/** Who refused. An error may belong to many requests and guards, so it cannot carry this. */
export interface Refusal {
  readonly settings: ChallengeSettings
  /** What the guard asks OAuth clients for. */
  readonly scopes: readonly string[]
}

export interface Refusals {
  /** Those that were logged, so that none is logged twice. */
  readonly logged: Map<BetterAuthError, Refusal>
  /** Whether the route is in a scope with the plugin. Outside of one, a hook from a scope may still refuse. */
  readonly isInScope: boolean
  /** The one for which the response gets headers. */
  latest: BetterAuthError | undefined
  /** Whether the response gets them without the onError hook, too. */
  isWatched: boolean
}

type Carrier = FastifyRequest & {
  [kRefusals]?: Refusals | null
  [kPassed]?: readonly string[] | null
}

export function decorateRefusals (fastify: FastifyInstance): void {
  fastify.decorateRequest(kRefusals, null)
  fastify.decorateRequest(kPassed, null)
}

/** Logs why a request is refused, once: the reason word, and what to change. */
export function logRefusal (request: FastifyRequest, error: BetterAuthError, refusal: Refusal): Refusals {
  const carrier = request as Carrier
  const refusals = carrier[kRefusals] ??= {
    logged: new Map(), isInScope: kRefusals in request, latest: undefined, isWatched: false
  }
  if (refusals.logged.has(error)) return refusals
  refusals.logged.set(error, refusal)
  const { reason, details, statusCode, cause } = error
  const line = { reason, ...details, hint: REASONS[reason]?.fix, ...cause !== undefined && { err: cause } }
  request.log[statusCode === 503 ? 'warn' : 'info'](line, 'request refused')
  return refusals
}

/** After a later success, an earlier refusal is no reason for the response. */
export function forgetRefusal (request: FastifyRequest): void {
  const refusals = (request as Carrier)[kRefusals]
  if (refusals != null) refusals.latest = undefined
}

/** Remembers the scopes that a guard has asked for, of an OAuth client that has them. */
export function addPassedScopes (request: FastifyRequest, scopes: readonly string[]): void {
  const carrier = request as Carrier
  carrier[kPassed] = carrier[kPassed]?.concat(scopes) ?? scopes
}

/**
 * The scopes for the challenge: after a 401 those of the guard. After a 403 also those that the token has already
 * shown: a client asks for exactly these scopes, and its new token has to pass the earlier guards again.
 *
 * @param scopes - those of the guard.
 */
export function scopesFor (
  request: FastifyRequest, error: BetterAuthError, scopes: readonly string[]
): readonly string[] {
  if (error.statusCode === 401) return scopes
  const passed = (request as Carrier)[kPassed]
  return error.scopes.length === 0 || passed == null ? error.scopes : [...new Set([...passed, ...error.scopes])]
}
