import { invalid } from '../contract/check-options.js'
import { ForbiddenError } from '../contract/errors.js'
import type { Actions, Permissions } from '../contract/permissions.js'
import type { ResolvedRole, ResolvedRoles } from '../contract/resolve-roles.js'
import { Nested } from '../contract/schema-parts.js'
import { ignoreRejection } from '../contract/settle.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import { suggestName } from '../contract/suggest-option.js'
import type { AuthorizationClaims } from '../tokens/authorization-claims.js'
import type { Clause } from './clause.js'

const NAME = 'authorize.permissions'
const EXPECTS = "a non-empty object with actions by resource, such as { project: ['create'] }"
const ACTIONS_EXPECTS = "a non-empty array of actions, or { actions: […], connector: 'AND' | 'OR' }"

/** What the roles of the user must allow, by Better Auth's rules: a single role must have all of it. */
export const permissionsClause: Clause<Permissions> = {
  schema: Nested,
  expects: EXPECTS,
  snapshot (given, { roles }) {
    if (roles === undefined) {
      throw new InvalidOptionError(`Option "${NAME}" needs the option "roles": the role objects of your Better Auth ` +
        'server, by name')
    }
    const entries = Object.entries(given)
    if (entries.length === 0) throw invalid(NAME, EXPECTS, given)
    const request = Object.fromEntries(entries.map(([resource, actions]) => [resource, copyActions(resource, actions)]))
    assertKnown(request, roles)
    return Object.freeze(request)
  },
  judge (request, { authorization, options }) {
    const isGranted = grantedRoles(authorization).some(name => {
      const role = options.roles!.get(name)
      return role !== undefined && hasPermissions(role, request)
    })
    if (!isGranted) throw new ForbiddenError('permission_missing')
  },
  describe (request) {
    const parts = Object.entries(request as Readonly<Record<string, Actions>>).map(([resource, actions]) => {
      return `${resource}: ${listActions(actions).join(isEither(actions) ? ' or ' : ' and ')}`
    })
    return `Needs a role with the permissions ${parts.join('; ')}`
  }
}

/** The roles of a user. @throws ForbiddenError if `rolesFrom` did not tell them. */
export function grantedRoles ({ roles, rolesFailure }: AuthorizationClaims): readonly string[] {
  if (rolesFailure !== undefined) throw new ForbiddenError('roles_from_failed', [], rolesFailure)
  return roles
}

function hasPermissions (role: ResolvedRole, request: Permissions): boolean {
  let success: unknown
  try {
    const verdict = role.authorize(request)
    ignoreRejection(verdict)
    success = (verdict as { success: unknown }).success
  } catch (error) {
    throw new ForbiddenError('role_failed', [], error)
  }
  if (typeof success === 'boolean') return success
  const cause = new TypeError('The authorize() of a role must return { success: true } or { success: false }')
  throw new ForbiddenError('role_failed', [], cause)
}

function copyActions (resource: string, given: unknown): Actions {
  const name = `${NAME}.${resource}`
  if (Array.isArray(given)) return copyList(name, given, given)
  if (typeof given !== 'object' || given === null) throw invalid(name, ACTIONS_EXPECTS, given)
  const { actions, connector = 'AND', ...others } = given as Record<string, unknown>
  const isConnector = connector === 'AND' || connector === 'OR'
  if (!isConnector || Object.keys(others).length > 0) throw invalid(name, ACTIONS_EXPECTS, given)
  return Object.freeze({ actions: copyList(name, actions, given), connector })
}

function copyList (name: string, given: unknown, whole: unknown): readonly string[] {
  const actions: unknown[] = Array.isArray(given) ? [...given] : []
  const isList = actions.length > 0 && actions.every(action => typeof action === 'string' && action !== '')
  if (!isList) throw invalid(name, ACTIONS_EXPECTS, whole)
  return Object.freeze(actions as string[])
}

/** Nobody could pass a guard with a misspelt resource or action. */
function assertKnown (request: Readonly<Record<string, Actions>>, roles: ResolvedRoles): void {
  const all = [...roles.values()].map(({ actions }) => actions)
  // A role that does not say what it has may have anything.
  const declared = all.filter(actions => actions !== undefined)
  if (declared.length < all.length) return
  for (const [resource, wanted] of Object.entries(request)) {
    const known = new Set(declared.flatMap(actions => actions.get(resource) ?? []))
    if (known.size === 0) throw unknown(NAME, 'resource', resource, declared.flatMap(actions => [...actions.keys()]))
    const action = listActions(wanted).find(action => !known.has(action))
    if (action !== undefined) throw unknown(`${NAME}.${resource}`, 'action', action, [...known])
  }
}

function unknown (name: string, kind: string, given: string, known: readonly string[]): Error {
  const names = [...new Set(known)]
  return new InvalidOptionError(`Option "${name}" asks for the ${kind} "${given}", which none of the "roles" has. ` +
    `Known ${kind}s: ${names.join(', ')}${suggestName(given, names)}`)
}

function isList (actions: Actions): actions is readonly string[] {
  return Array.isArray(actions)
}

function listActions (actions: Actions): readonly string[] {
  return isList(actions) ? actions : actions.actions
}

function isEither (actions: Actions): boolean {
  return !isList(actions) && actions.connector === 'OR'
}
