import type { FastifyRequest } from 'fastify'
import { readOptions, type OptionSchema } from '../contract/check-options.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { createAuthenticator, type Authenticator, type AuthenticatorContext } from '../http/authenticate.js'
import { addPassedScopes } from '../http/refusals.js'
import { verifiedToken } from '../http/request-decorators.js'
import type { VerifiedToken } from '../tokens/verified-token.js'
import { checkAdmission, createAdmission, neededScopes } from './admission.js'
import type { Clause } from './clause.js'
import { CLAUSES, givenClauses, type Guard } from './clauses.js'

const SCHEMAS = Object.fromEntries(Object.entries(CLAUSES).map(([name, { schema, expects }]) => {
  return [name, { schema, expects, default: undefined } as OptionSchema]
}))
const EMPTY_GUARD = `authorize() must be given ${Object.keys(CLAUSES).map(name => `"${name}"`).join(', ')}`
  .replace(/, (?=[^,]*$)/, ' or ')

/**
 * Validates a guard and makes a frozen copy, so that nobody can change it later.
 *
 * @throws InvalidOptionError for a guard without conditions, with an unknown or invalid one, or that nobody can pass.
 */
export function snapshotGuard (guard: Guard, options: Pick<ResolvedOptions, 'resource' | 'roles'>): Guard {
  if (typeof guard !== 'object' || guard === null) throw new InvalidOptionError(EMPTY_GUARD)
  const given = Object.entries(readOptions(SCHEMAS, guard, 'authorize.')).filter(([, value]) => value !== undefined)
  if (given.length === 0) throw new InvalidOptionError(EMPTY_GUARD)
  checkAdmission(Object.fromEntries(given), options)
  return Object.fromEntries(given.map(([name, value]) => {
    const { snapshot } = CLAUSES[name as keyof Guard] as Clause<unknown>
    return [name, snapshot?.(value, options) ?? (Array.isArray(value) ? Object.freeze([...value]) : value)]
  }))
}

interface GuardContext extends AuthenticatorContext {
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Creates an authenticator that authenticates a request, unless that has been done, and then judges it by the clauses
 * of a guard.
 *
 * @param guard - from `snapshotGuard()`.
 */
export function createGuard (guard: Guard, context: GuardContext, options: ResolvedOptions): Authenticator {
  const needed = neededScopes(guard)
  const admit = createAdmission(needed)
  const authenticate = createAuthenticator(context, admit)
  const rules = givenClauses(guard).flatMap(({ clause, value }) => clause.judge === undefined
    ? []
    : (verified: VerifiedToken, request: FastifyRequest) => clause.judge!(value, verified, request))

  function judge (request: FastifyRequest, verified: VerifiedToken, first = 0): void | Promise<void> {
    for (let index = first; index < rules.length; index++) {
      const pending = rules[index]!(verified, request)
      if (pending !== undefined) return pending.then(() => judge(request, verified, index + 1))
    }
  }

  function judgeAdmitted (request: FastifyRequest, verified: VerifiedToken): void | Promise<void> {
    const { kind } = verified.principal
    if (kind !== 'user') addPassedScopes(request, needed[kind]!)
    return judge(request, verified)
  }

  return request => {
    const verified = verifiedToken(request, options)
    // A connection calls guards by hand for longer than its token lives.
    if (verified !== null && context.now() < verified.expiresAt) {
      admit(verified)
      return judgeAdmitted(request, verified)
    }
    const pending = authenticate(request)
    return pending === undefined
      ? judgeAdmitted(request, verifiedToken(request, options)!)
      : pending.then(() => judgeAdmitted(request, verifiedToken(request, options)!))
  }
}

/**
 * Refuses `authorize` that a route has as a hook, not called. The client learns nothing of it.
 *
 * @throws Error, a 500.
 */
export function assertIsNoRequest (given: unknown): void {
  if (typeof given !== 'object' || given === null || !('routeOptions' in given)) return
  const { log } = given as FastifyRequest
  log.error("A hook is app.authorize itself. Call it: onRequest: [app.authorize({ roles: ['admin'] })]")
  throw new Error('Internal Server Error')
}
