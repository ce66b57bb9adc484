import { Type, type TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Check } from '../http/authenticate.js'
import { ForbiddenError } from '../contract/errors.js'
import { userOf, verifiedToken } from '../http/request-decorators.js'
import { checkOptions, InvalidOptionError } from '../contract/check-options.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Claims, User } from '../tokens/user-reader.js'
import { claimsOf, type VerifiedToken } from '../tokens/verifier.js'

/** What a route asks of its user; all that is given must hold. */
export interface Guard {
  /** One of these roles, in the claim `role` as Better Auth's admin plugin writes it (comma-separated), or in an array. */
  roles?: readonly string[] | undefined
  /** All of these scopes, in the claim `scope` (space-separated, RFC 8693 §4.2) or `scp` (an array). */
  scopes?: readonly string[] | undefined
  /** Anything else; only `true` lets the request pass. */
  check?: ((user: User, claims: Claims, request: FastifyRequest) => boolean | Promise<boolean>) | undefined
}

const EMPTY_GUARD = 'authorize() must be given "roles", "scopes" or "check"'

const GuardSchema: Record<keyof Guard, TSchema> = {
  // A comma separates roles in the claim, so that none can hold one.
  roles: Type.Array(Type.String({ pattern: '^(?!\\s)[^,]+(?<!\\s)$' }), { minItems: 1, expects: 'a non-empty array of roles' }),
  scopes: Type.Array(Type.String({ pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$' }), { minItems: 1, expects: 'a non-empty array of scopes (RFC 6749 §3.3)' }),
  check: Type.Function([], Type.Unknown(), { expects: 'a function' })
}

/**
 * Makes a check that authenticates, if nothing has, and then asks for what the guard says.
 *
 * @throws InvalidOptionError, at once, for a guard that asks for nothing or is misspelt.
 */
export function createGuard (guard: Guard, authenticate: Check, options: ResolvedOptions): Check {
  if (typeof guard !== 'object' || guard === null) throw new InvalidOptionError(EMPTY_GUARD)
  checkOptions(guard, GuardSchema, 'authorize.')
  const { roles, scopes, check } = ownOptions(guard)
  if (roles === undefined && scopes === undefined && check === undefined) {
    throw new InvalidOptionError(EMPTY_GUARD)
  }

  function judge (request: FastifyRequest): void | Promise<void> {
    const verified = verifiedToken(request, options)!
    const { grants } = verified
    if (roles !== undefined && !roles.some(role => grants.roles.includes(role))) throw new ForbiddenError('role_missing')
    if (scopes !== undefined && !scopes.every(scope => grants.scopes.includes(scope))) throw new ForbiddenError('scope_missing', scopes)
    if (check !== undefined) return judgeByCheck(request, verified, check)
  }

  return request => {
    if (verifiedToken(request, options) !== null) return judge(request)
    const pending = authenticate(request)
    return pending === undefined ? judge(request) : pending.then(() => judge(request))
  }
}

/** Its own properties, as they are now: what it inherits was not checked. */
export function ownOptions (guard: Guard): Guard {
  const { roles, scopes, check }: Guard = { __proto__: null, ...guard } as Guard
  return { roles: roles && [...roles], scopes: scopes && [...scopes], check }
}

async function judgeByCheck (request: FastifyRequest, verified: VerifiedToken, check: NonNullable<Guard['check']>): Promise<void> {
  let answer: unknown
  try {
    answer = await check(userOf(verified), claimsOf(verified.token), request)
  } catch (error) {
    throw new ForbiddenError('check_failed', [], error)
  }
  if (answer !== true) throw new ForbiddenError('check_failed')
}
