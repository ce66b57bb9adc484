import { invalid } from './check-options.js'
import type { AccessRole, Permissions } from './permissions.js'

/** The roles of the application, by name. A map: `__proto__` and `constructor` are names like others. */
export type ResolvedRoles = ReadonlyMap<string, ResolvedRole>

export interface ResolvedRole {
  /** What the role object returns, which may be anything. */
  readonly authorize: (request: Permissions) => unknown
  /** The actions that the role has, by resource; `undefined` if the role object does not say. */
  readonly actions: ReadonlyMap<string, readonly string[]> | undefined
}

const EXPECTS = 'a non-empty object with role objects of Better Auth by name, such as { editor: ac.newRole({ … }) }'

/** Copies the roles once: later changes to the object have no effect. @throws InvalidOptionError */
export function resolveRoles (
  given: Readonly<Record<string, AccessRole>> | undefined, option = 'roles'
): ResolvedRoles | undefined {
  if (given === undefined) return undefined
  const roles = new Map(Object.entries(given).map(([name, role]) => [name, resolveRole(name, role, option)]))
  if (roles.size === 0) throw invalid(option, EXPECTS, given)
  return roles
}

function resolveRole (name: string, role: unknown, option: string): ResolvedRole {
  // The name of a role in a token ends at a comma.
  if (!/^(?!\s)[^,]+(?<!\s)$/.test(name)) {
    throw invalid(option, 'an object with names of roles, without commas or surrounding spaces', name)
  }
  const { authorize, statements } = Object(role) as Record<'authorize' | 'statements', unknown>
  if (typeof authorize !== 'function') {
    throw invalid(`${option}.${name}`, 'a role object of Better Auth, made with newRole()', role)
  }
  return { authorize: request => authorize.call(role, request) as unknown, actions: readActions(statements) }
}

function readActions (statements: unknown): ResolvedRole['actions'] {
  if (typeof statements !== 'object' || statements === null) return undefined
  const entries = Object.entries(statements)
  const isReadable = entries.every(([, actions]) => Array.isArray(actions))
  return isReadable ? new Map(entries.map(([resource, actions]) => [resource, [...actions as string[]]])) : undefined
}
