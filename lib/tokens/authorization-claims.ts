import { TokenInvalidError } from '../contract/errors.js'
import type { Payload } from './user-reader.js'

/** What a user may do, as the auth server says. */
export interface Grants {
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  /** Until when the user is banned, in milliseconds since the epoch; `undefined` for a user who is not. */
  readonly bannedUntil: number | undefined
}

/**
 * Reads the roles and the ban of Better Auth's admin plugin, and the scopes of an OAuth access token.
 *
 * @param record - the claims of an access token, or the user within a session cookie.
 * @throws TokenInvalidError when `banned` is neither a boolean nor null.
 */
export function readGrants (record: Payload): Grants {
  return { roles: rolesOf(record.role), scopes: scopesOf(record), bannedUntil: bannedUntil(record) }
}

const NONE: readonly string[] = []

/** `role`: several are separated by commas and nothing else, as Better Auth writes and reads them, or in an array. */
function rolesOf (role: unknown): readonly string[] {
  if (typeof role === 'string') return role.split(',')
  return isTexts(role) ? role : NONE
}

/** `scope`, separated by spaces (RFC 8693 §4.2), or else the array `scp`. What is not understood grants nothing. */
function scopesOf ({ scope, scp }: Payload): readonly string[] {
  if (scope === undefined) return isTexts(scp) ? scp : NONE
  return typeof scope === 'string' ? scope.split(' ') : NONE
}

function isTexts (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(one => typeof one === 'string')
}

/** An end of the ban that is not understood is none. */
function bannedUntil ({ banned, banExpires }: Payload): number | undefined {
  if (banned === undefined || banned === null || banned === false) return undefined
  if (banned !== true) throw new TokenInvalidError('claim_invalid', { claim: 'banned' })
  const until = typeof banExpires === 'string' && /^\d{4}-\d\d-\d\dT/.test(banExpires) ? Date.parse(banExpires) : NaN
  return Number.isNaN(until) ? Infinity : until
}
