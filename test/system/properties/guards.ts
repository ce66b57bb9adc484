import { createAccessControl } from 'better-auth/plugins/access'
import fc from 'fast-check'
import type { Guard } from '../../../lib/index.js'

const ac = createAccessControl({ project: ['create', 'delete'], invoice: ['read', 'pay'] } as const)
const STATEMENTS: Record<string, Record<string, readonly string[]>> = {
  admin: { project: ['create', 'delete'], invoice: ['read', 'pay'] },
  editor: { project: ['create'] },
  clerk: { invoice: ['read'] },
  constructor: { project: ['delete'] }
}

/** The role objects of Better Auth, for the option `roles`. */
export const ROLES = Object.fromEntries(Object.entries(STATEMENTS).map(([name, has]) => [name, ac.newRole(has)]))

const ROLE_NAMES = ['admin', 'editor', 'clerk', 'constructor', '__proto__', 'toString']
const SCOPE_NAMES = ['read', 'write', 'constructor', 'read:all']
export const ORGANIZATIONS = ['o1', 'o', 'o2', '__proto__', 'toString']

const anyRoleName = fc.constantFrom(...ROLE_NAMES, 'ADMIN', ' admin', 'admin ', 'admi', '')
const anyScopeName = fc.constantFrom(...SCOPE_NAMES, 'READ', 'rea', '')

/** The claims that guards look at, as Better Auth writes them, or not. */
export const anyGranted: fc.Arbitrary<Record<string, unknown>> = fc.record({
  role: fc.oneof(
    { weight: 3, arbitrary: fc.array(anyRoleName, { maxLength: 3 }).map(names => names.join(',')) },
    fc.array(fc.oneof({ weight: 4, arbitrary: anyRoleName }, fc.constantFrom<unknown>(null, 1, ['admin'])), {
      maxLength: 3
    }),
    fc.constantFrom<unknown>(null, true, { admin: true }, { 0: 'admin', length: 1 })
  ),
  scope: fc.oneof(
    { weight: 3, arbitrary: fc.array(anyScopeName, { maxLength: 3 }).map(names => names.join(' ')) },
    fc.constantFrom<unknown>(['read'], 'read,write', 'read\twrite', { read: true }, null)
  ),
  o: fc.oneof(
    { weight: 3, arbitrary: fc.record({ id: fc.constantFrom<unknown>(...ORGANIZATIONS, '', 1, ['o1']) }) },
    fc.constantFrom<unknown>('o1', ['o1'], null)
  )
})

const anyActions = fc.record({
  resource: fc.constantFrom('project', 'invoice'), count: fc.integer({ min: 1, max: 2 }), isEither: fc.boolean()
}).map(({ resource, count, isEither }) => {
  const actions = { project: ['create', 'delete'], invoice: ['read', 'pay'] }[resource]!.slice(0, count)
  return [resource, isEither ? { actions, connector: 'OR' } : actions] as const
})

const anyCondition = fc.record({
  roles: fc.subarray(ROLE_NAMES, { minLength: 1 }),
  scopes: fc.subarray(SCOPE_NAMES, { minLength: 1 }),
  permissions: fc.array(anyActions, { minLength: 1, maxLength: 2 }).map(entries => Object.fromEntries(entries)),
  organization: fc.constantFrom(true, (request: { params: { org?: string } }) => request.params.org),
  check: fc.boolean().map(verdict => () => verdict),
  users: fc.constant(true)
})
const CONDITIONS = ['roles', 'scopes', 'permissions', 'organization', 'check', 'users'] as const

/** A guard with one or two conditions: hardly anybody meets more. */
export const anyGuard = fc.tuple(anyCondition, fc.subarray([...CONDITIONS], { minLength: 1, maxLength: 2 }))
  .map(([all, names]) => Object.fromEntries(names.map(name => [name, all[name]])) as Guard)

/** Whether a user with these claims may pass, by the pages of the guides. */
export function isAdmitted (guard: Guard, { role, scope, o }: Record<string, unknown>, org: string): boolean {
  const isNames = Array.isArray(role) && role.every(name => typeof name === 'string')
  const roles: unknown[] = typeof role === 'string' ? role.split(',') : isNames ? role : []
  const scopes = typeof scope === 'string' ? scope.split(' ') : []
  const { id } = Object(o) as { id?: unknown }
  return (guard.roles === undefined || guard.roles.some(name => roles.includes(name))) &&
    (guard.scopes ?? []).every(name => scopes.includes(name)) &&
    (guard.permissions === undefined || roles.some(name => has(name, guard.permissions as never))) &&
    (guard.organization === undefined || (typeof id === 'string' && id !== '')) &&
    (typeof guard.organization !== 'function' || id === org) &&
    (guard.check === undefined || (guard.check as () => boolean)())
}

type Wanted = readonly string[] | { readonly actions: readonly string[] }

function has (name: unknown, permissions: Readonly<Record<string, Wanted>>): boolean {
  const own = Object.entries(STATEMENTS).find(([role]) => role === name)?.[1]
  return own !== undefined && Object.entries(permissions).every(([resource, wanted]) => {
    const isIn = (action: string) => own[resource]?.includes(action) === true
    return 'actions' in wanted ? wanted.actions.some(isIn) : wanted.every(isIn)
  })
}
