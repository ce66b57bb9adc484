import { TokenInvalidError } from '../contract/errors.js'
import { readFlag, readTime } from './columns.js'
import type { JsonObject } from './jws.js'

/** What a user may do, according to the auth server (RFC 9068 §2.2.3). */
export interface AuthorizationClaims {
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  /** Until when the user is banned, in milliseconds since the epoch; `undefined` for a user who is not banned. */
  readonly bannedUntil: number | undefined
}

/**
 * Reads the roles and the ban of Better Auth's admin plugin, and the scopes of an OAuth access token.
 *
 * @param record - the claims of an access token, or the user in a session cookie.
 * @throws TokenInvalidError if `banned` is neither a flag nor null.
 */
export function readAuthorizationClaims (record: JsonObject): AuthorizationClaims {
  return { roles: readRoles(record.role), scopes: readScopes(record), bannedUntil: readBan(record) }
}

const NONE: readonly string[] = []

/**
 * `role`: a string with roles separated by commas and nothing else, as Better Auth writes and reads it; or an array.
 */
function readRoles (role: unknown): readonly string[] {
  if (typeof role === 'string') return role.split(',')
  return isStrings(role) ? role : NONE
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
