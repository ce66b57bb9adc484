import type { Claims, Session } from './identity.js'
import type { AccessRole } from './permissions.js'
import type { Organization } from './principal.js'

/** The options about roles, permissions and organizations. They are options of the plugin. */
export interface RoleOptions {
  /**
   * The roles of your Better Auth server, by name, for `authorize({ permissions })`: the objects that
   * `createAccessControl().newRole()` made. The plugin reads the object once, at registration. See
   * `docs/guides/permissions.md`.
   *
   * Default: with `auth`, those of `admin({ roles })`, unless `rolesFrom` is set; else unset, and no guard can ask for
   * permissions.
   */
  roles?: Readonly<Record<string, AccessRole>> | undefined
  /**
   * Returns the roles of a user, for `roles` and `permissions` of guards: a string with roles separated by commas, an
   * array, or nothing. It replaces the claim `role`. The plugin calls it when it verifies a token or a session cookie,
   * and caches the result with the token: it must depend on the two arguments only. The session is `null` for
   * tokens. It is not called for OAuth clients, which have no roles then. If it throws or returns anything else, guards
   * that ask for roles or permissions refuse the request with 403. See `docs/guides/permissions.md`.
   *
   * Default: unset; the claim `role`, or the user's `role` in a session cookie.
   */
  rolesFrom?: ((claims: Claims, session: Session | null) => string | readonly string[] | null | undefined) | undefined
  /**
   * Returns the active organization of a user, for `authorize({ organization })` and `principal.organization`. The
   * plugin calls it as it calls `rolesFrom`. If it throws or returns anything else, there is no organization. See
   * `docs/guides/permissions.md`.
   *
   * Default: unset; `activeOrganizationId` in the session of a cookie, or the claim `o`, an object with an `id`.
   */
  organizationFrom?: ((claims: Claims, session: Session | null) => Organization | null | undefined) | undefined
}
