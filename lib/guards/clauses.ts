import * as Type from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { CheckUnavailableError, ForbiddenError } from '../contract/errors.js'
import type { Claims, User } from '../contract/identity.js'
import type { Permissions, RoleName } from '../contract/permissions.js'
import { Scope } from '../contract/schema-parts.js'
import type { Principal } from '../contract/principal.js'
import { CallbackTimeoutError, isPending, settle } from '../contract/settle.js'
import { createPrincipal } from '../http/principal.js'
import { copyUser } from '../http/request-decorators.js'
import { claimsOf } from '../tokens/verified-token.js'
import type { Clause } from './clause.js'
import { organizationClause, type OrganizationRule } from './organization.js'
import { grantedRoles, permissionsClause } from './permissions.js'

/**
 * What a route requires. Every given condition must hold. `delegated`, `clients` and `users` say who may come at all;
 * without them users may, and OAuth clients may not.
 *
 * @example
 * app.delete('/users/:id', { onRequest: [app.authorize({ roles: ['admin', 'support'] })] }, handler)
 */
export interface Guard {
  /**
   * One of these roles, in the claim `role` as Better Auth's admin plugin writes it (separated by commas), or in an
   * array. The option `rolesFrom` replaces the claim.
   */
  roles?: readonly RoleName[] | undefined
  /**
   * Actions by resource, as Better Auth's `hasPermission` takes them: one role of the user must have them all. It needs
   * the option `roles`, or `auth` with `admin({ roles })`.
   */
  permissions?: Permissions | undefined
  /**
   * `true` requires an active organization. A function requires the organization whose id it returns, such as
   * `request => request.params.orgId`; if it throws or returns anything else, the request is refused.
   */
  organization?: OrganizationRule | undefined
  /** All of these scopes, in the claim `scope` (separated by spaces, RFC 8693 §4.2) or `scp` (an array). */
  scopes?: readonly string[] | undefined
  /**
   * Your own rule. Only `true`, or a promise of it, accepts the request. A promise that is still pending after
   * `callbackTimeout` ends in 503. With `clients`, the user is `null` for a client: look at the principal.
   */
  check?: ((
    user: User, claims: Claims, request: FastifyRequest, principal: Principal
  ) => boolean | Promise<boolean>) | undefined
  /**
   * Also lets in OAuth clients that act for a user, if their token has all of these scopes. It needs the option
   * `resource`.
   */
  delegated?: readonly string[] | undefined
  /**
   * Also lets in OAuth clients that act for themselves, if their token has all of these scopes. They have no user:
   * `request.user` is `null`. It needs the option `resource`.
   */
  clients?: readonly string[] | undefined
  /**
   * `false` keeps out users with a token of their own or with the session cookie, so that only OAuth clients come in.
   *
   * Default: `true`.
   */
  users?: boolean | undefined
}

const Scopes = Type.Array(Scope, { minItems: 1 })
const SCOPES_EXPECTS = 'a non-empty array of scopes (RFC 6749 §3.3)'

function listScopes (scopes: readonly string[]): string {
  return `${scopes.length > 1 ? 'the scopes' : 'the scope'} ${scopes.join(', ')}`
}

/** The clauses, in the order in which they are judged. */
export const CLAUSES: { readonly [Name in keyof Guard]-?: Clause<NonNullable<Guard[Name]>> } = {
  roles: {
    // A comma separates roles in the claim, so no role can contain one.
    schema: Type.Array(Type.String({ pattern: '^(?!\\s)[^,]+(?<!\\s)$' }), { minItems: 1 }),
    expects: 'a non-empty array of roles',
    judge (roles, { authorization }) {
      const granted = grantedRoles(authorization)
      if (!roles.some(role => granted.includes(role))) throw new ForbiddenError('role_missing')
    },
    describe: roles => `Needs ${roles.length > 1 ? 'one of the roles' : 'the role'} ${roles.join(', ')}`
  },
  permissions: permissionsClause,
  organization: organizationClause,
  scopes: {
    schema: Scopes,
    expects: SCOPES_EXPECTS,
    judge (scopes, { authorization }) {
      const hasAll = scopes.every(scope => authorization.scopes.includes(scope))
      if (!hasAll) throw new ForbiddenError('scope_missing', scopes)
    },
    describe: scopes => `Needs ${listScopes(scopes)}`
  },
  check: {
    schema: Type.Function([], Type.Unknown()),
    expects: 'a function',
    judge (check, verified, request) {
      let returned: unknown
      try {
        const [user, claims] = [copyUser(verified) as User, claimsOf(verified)]
        const principal = createPrincipal(verified, user, claims)
        returned = check(user, claims, request, principal)
      } catch (error) {
        checkFailed(error)
      }
      if (!isPending(returned)) return judgeVerdict(returned)
      return settle('check', returned, verified.options.callbackTimeout).then(judgeVerdict, checkFailed)
    },
    describe: () => 'Needs to pass a check of the application'
  },
  delegated: {
    schema: Scopes,
    expects: SCOPES_EXPECTS,
    describe: scopes => `OAuth clients that act for a user need ${listScopes(scopes)}`
  },
  clients: {
    schema: Scopes,
    expects: SCOPES_EXPECTS,
    describe: scopes => `OAuth clients that act for themselves need ${listScopes(scopes)}`
  },
  users: {
    schema: Type.Boolean(),
    expects: 'true or false',
    describe: users => users ? 'For users' : 'For OAuth clients only'
  }
}

function judgeVerdict (verdict: unknown): void {
  if (verdict !== true) throw new ForbiddenError('check_failed')
}

function checkFailed (cause: unknown): never {
  throw cause instanceof CallbackTimeoutError
    ? new CheckUnavailableError(cause)
    : new ForbiddenError('check_failed', [], cause)
}

/** One clause of a given guard, and the value it was given. */
export interface GivenClause { readonly name: keyof Guard, readonly value: unknown, readonly clause: Clause<unknown> }

/** The clauses that a guard uses, in the order in which they are judged. */
export function givenClauses (guard: Guard): GivenClause[] {
  return Object.entries(CLAUSES).flatMap(([name, clause]) => {
    const value = Object.hasOwn(guard, name) ? guard[name as keyof Guard] : undefined
    return value === undefined ? [] : [{ name: name as keyof Guard, value, clause: clause as Clause<unknown> }]
  })
}
