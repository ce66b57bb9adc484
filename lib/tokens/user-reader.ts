import type { Static, TObject, TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { TokenInvalidError } from '../contract/errors.js'
import { UserSchema, type User } from '../contract/identity.js'
import type { JsonObject } from './jws.js'

/**
 * Reads the user from a record: the claims of an access token, or the user in a session cookie.
 *
 * @throws TokenInvalidError if a claim has the wrong type: it never returns a half-filled user.
 */
export type UserReader = (record: JsonObject) => User

/** @param schema - the application's own user: all properties of {@link UserSchema}, and more. */
export function createUserReader (schema: TObject = UserSchema): UserReader {
  if (schema === UserSchema) return toUser as UserReader
  const own = Object.keys(schema.properties).filter(name => !Object.hasOwn(UserSchema.properties, name))
  const compiled = TypeCompiler.Compile(schema)

  return record => {
    const user: Record<string, unknown> = toUser(record)
    for (const name of own) if (Object.hasOwn(record, name)) user[name] = record[name]
    const clean = Value.Clean(schema, withDefaults(schema, structuredClone(user)))
    if (!compiled.Check(clean)) {
      throw new TokenInvalidError('claim_invalid', { claim: compiled.Errors(clean).First()!.path })
    }
    return clean as User
  }
}

function toUser (claims: JsonObject): Static<typeof UserSchema> {
  // Every claim is read, so that a wrong type is found even in a claim that another one overrides.
  const sub = readId(claims, 'sub')
  const rowId = readId(claims, 'id')
  const id = sub ?? rowId
  if (id === undefined) throw new TokenInvalidError('claim_missing', { claim: 'sub' })
  const email = readString(claims, 'email')
  const name = readString(claims, 'name')
  const image = readString(claims, 'image')
  const camelCase = readBoolean(claims, 'emailVerified')
  const standard = readBoolean(claims, 'email_verified')
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

function readBoolean (claims: JsonObject, claim: string): boolean | undefined {
  const value = claims[claim]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

/**
 * Not `Value.Default()`: it would merge a default into the value of a claim, and `[]` would become the default array.
 */
function withDefaults (schema: TSchema, value: unknown): unknown {
  if (value === undefined) {
    if (schema.default === undefined) return undefined
    value = structuredClone(schema.default)
  }
  // The `items` of a tuple are a list of schemas, or absent: its values stay as they are.
  if (schema.type === 'array' && Array.isArray(value) && schema.items?.type !== undefined) {
    return value.map(item => withDefaults(schema.items, item))
  }
  // A record, for example, has no properties to fill in.
  if (schema.properties === undefined || !isRecord(value)) return value
  const filled: Record<string, unknown> = {}
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const own = Object.hasOwn(value, name) ? value[name] : undefined
    const result = withDefaults(property, own)
    if (result !== undefined) filled[name] = result
  }
  return filled
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
