import type { RolesOf } from './auth-types.js'
import type { Register } from './identity.js'

/**
 * A role as Better Auth's `createAccessControl().newRole()` makes it
 * (https://better-auth.com/docs/plugins/admin#access-control). Any object with such an `authorize` works. Without
 * `statements`, the boot does not find misspelt resources and actions.
 *
 * @example
 * const ac = createAccessControl({ project: ['create', 'delete'] })
 * const editor: AccessRole = ac.newRole({ project: ['create'] })
 */
export interface AccessRole {
  readonly authorize: (request: never, connector?: never) => { readonly success: boolean }
  /** The actions that the role has, by resource. */
  readonly statements?: Readonly<Record<string, readonly string[]>>
}

/** Actions of one resource: all of them, or with the connector `OR` one of them. */
export type Actions<Action extends string = string> = readonly Action[] | {
  readonly actions: readonly Action[]
  /** Default: `AND`. */
  readonly connector?: 'AND' | 'OR' | undefined
}

type AuthRoles = Register extends { auth: infer Auth } ? RolesOf<Auth> : object
type DeclaredRole = Register extends { roles: infer Roles } ? Roles[keyof Roles]
  : keyof AuthRoles extends never ? AccessRole : AuthRoles[keyof AuthRoles]
type StatementsOf<Role> = Role extends { readonly statements: infer Statements }
  ? Statements
  : Readonly<Record<string, readonly string[]>>
type Declared = StatementsOf<DeclaredRole>
type ResourceOf<Statements> = Statements extends unknown ? keyof Statements & string : never
type ActionOf<Statements, Resource> = Statements extends unknown
  ? Resource extends keyof Statements
    ? Statements[Resource] extends ReadonlyArray<infer Action extends string> ? Action : string
    : never
  : never

/**
 * The name of a role. With {@link Register}'s `auth`, it is one of `admin({ roles })`, unless its `roles` are set.
 */
export type RoleName = Register extends { roles: unknown } ? string
  : keyof AuthRoles extends never ? string : keyof AuthRoles & string

/**
 * What a guard requires, as Better Auth's `hasPermission` takes it: actions by resource. One role must have all of it.
 * If {@link Register} declares the roles of the application, only their resources and actions are accepted.
 *
 * @example
 * app.authorize({ permissions: { project: ['create'], member: { actions: ['create', 'update'], connector: 'OR' } } })
 */
export type Permissions = {
  readonly [Resource in ResourceOf<Declared>]?: Actions<ActionOf<Declared, Resource>>
}
