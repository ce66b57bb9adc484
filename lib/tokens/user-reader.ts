import type { Static } from '@sinclair/typebox'
import { TokenInvalidError } from '../contract/errors.js'
import { UserSchema, type User } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { readFields } from './auth-fields.js'
import { readFlag } from './columns.js'
import type { JsonObject } from './jws.js'

/**
 * Reads the user from a record: the claims of an access token, or the user in a session cookie.
 *
 * @throws TokenInvalidError if a claim has the wrong type: it never returns a half-filled user.
 */
export type UserReader = (record: JsonObject) => User

/** @param userId - where the id of the user is. */
export function createUserReader (userId: ResolvedOptions['userId'] = 'either'): UserReader {
  return record => toUser(record, userId) as User
}

/**
 * The reader for these options. What only `userSchema` needs, above all TypeBox, is loaded here, and only if it is set.
 *
 * @throws InvalidOptionError for a `userSchema` with a format that nobody knows.
 */
export async function loadUserReader (
  { userSchema: schema, userId, auth }:
  Pick<ResolvedOptions, 'userSchema' | 'userId'> & Partial<Pick<ResolvedOptions, 'auth'>>
): Promise<UserReader> {
  const fields = auth?.fields.user ?? []
  if (schema === undefined && fields.length > 0) {
    return record => ({ ...toUser(record, userId), ...readFields(record, fields) }) as User
  }
  if (schema === undefined || schema === UserSchema) return createUserReader(userId)
  const { createSchemaReader } = await import('./schema-reader.js')
  const readUser = createSchemaReader(schema)
  const own = Object.keys(schema.properties).filter(name => !Object.hasOwn(UserSchema.properties, name))

  return record => {
    const user: Record<string, unknown> = toUser(record, userId)
    for (const name of own) if (Object.hasOwn(record, name)) user[name] = record[name]
    return readUser(structuredClone(user)) as User
  }
}

function toUser (claims: JsonObject, userId: ResolvedOptions['userId']): Static<typeof UserSchema> {
  // Every claim is read, so that a wrong type is found even in a claim that another one overrides.
  const sub = readId(claims, 'sub')
  const rowId = readId(claims, 'id')
  const differ = sub !== undefined && rowId !== undefined && sub !== rowId
  if (differ && userId === 'equal') throw new TokenInvalidError('subject_ambiguous', { claim: 'sub' })
  const id = { sub, id: rowId, either: sub ?? rowId, equal: sub ?? rowId }[userId]
  if (id === undefined) throw new TokenInvalidError('claim_missing', { claim: userId === 'id' ? 'id' : 'sub' })
  const email = readString(claims, 'email')
  const name = readString(claims, 'name')
  const image = readString(claims, 'image')
  const camelCase = readVerified(claims, 'emailVerified')
  const standard = readVerified(claims, 'email_verified')
  return { id, email, name, emailVerified: camelCase ?? standard ?? false, image }
}

function readId (claims: JsonObject, claim: string): string | undefined {
  const value = claims[claim]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

function readString (claims: JsonObject, claim: string): string | null {
  const value = claims[claim]
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

function readVerified (claims: JsonObject, claim: string): boolean | undefined {
  const value = claims[claim]
  const flag = readFlag(value)
  if (flag !== null) return flag
  // A date, where a schema keeps the time of the verification: nothing that says `true`.
  if (typeof value === 'string' || typeof value === 'number') return false
  throw new TokenInvalidError('claim_invalid', { claim })
}
