import { TokenInvalidError } from '../contract/errors.js'
import type { Organization } from '../contract/principal.js'
import { readFlag, readTime } from './columns.js'
import type { JsonObject } from './jws.js'

/** What a user may do, according to the auth server (RFC 9068 §2.2.3). */
export interface AuthorizationClaims {
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  /** Until when the user is banned, in milliseconds since the epoch; `undefined` for a user who is not banned. */
  readonly bannedUntil: number | undefined
  /** The active organization of a user. */
  readonly organization?: Organization | undefined
  /** Why the roles are unknown: what `rolesFrom` threw. */
  readonly rolesFailure?: Error
  /** Why the organization is unknown: what `organizationFrom` threw. */
  readonly organizationFailure?: Error
}

/**
 * Reads the roles and the ban of Better Auth's admin plugin, and the scopes of an OAuth access token.
 *
 * @param record - the claims of an access token, or the user in a session cookie.
 * @param organization - the active organization of a user.
 * @throws TokenInvalidError if `banned` is neither a flag nor null.
 */
export function readAuthorizationClaims (record: JsonObject, organization?: Organization): AuthorizationClaims {
  const roles = splitRoles(record.role) ?? NONE
  return { roles, scopes: readScopes(record), bannedUntil: readBan(record), organization }
}

const NONE: readonly string[] = []

/**
 * `role`: a string with roles separated by commas and nothing else, as Better Auth writes and reads it; or an array.
 *
 * @returns `undefined` for anything else.
 */
export function splitRoles (role: unknown): readonly string[] | undefined {
  if (typeof role === 'string') return role.split(',')
  return isStrings(role) ? role : undefined
}

/** An organization, frozen: requests share it. @returns `undefined` for anything else, or if a part is not a string. */
export function readOrganization (value: unknown): Organization | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, slug, role } = value as JsonObject
  if (typeof id !== 'string' || id === '' || !isOptionalString(slug) || !isOptionalString(role)) return undefined
  return Object.freeze({ id, ...typeof slug === 'string' && { slug }, ...typeof role === 'string' && { role } })
}

function isOptionalString (value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string'
}

/** `scope`, separated by spaces (RFC 8693 §4.2), or else the array `scp`. An unreadable value counts as no scopes. */
export function readScopes ({ scope, scp }: JsonObject): readonly string[] {
  if (scope === undefined) return isStrings(scp) ? scp : NONE
  return typeof scope === 'string' ? scope.split(' ').filter(name => name !== '') : NONE
}

function isStrings (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

/** An unreadable `banExpires` means a permanent ban. */
function readBan ({ banned, banExpires }: JsonObject): number | undefined {
  const isBanned = readFlag(banned)
  if (isBanned === null) throw new TokenInvalidError('claim_invalid', { claim: 'banned' })
  if (isBanned !== true) return undefined
  const until = readTime(banExpires)
  return Number.isNaN(until) ? Infinity : until
}
