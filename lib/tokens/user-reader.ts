import { Type, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { TokenInvalidError } from '../contract/errors.js'

const Nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])

/** The user as handlers see it, and as a response schema serialises it: `response: { 200: UserSchema }`. */
export const UserSchema = Type.Object({
  /** Better Auth's user id: the claim `sub`, else `id`. */
  id: Type.String({ minLength: 1 }),
  email: Nullable(Type.String()),
  name: Nullable(Type.String()),
  /** Whether the auth server vouches for `email`: the claim `emailVerified`, else OpenID Connect's `email_verified`. */
  emailVerified: Type.Boolean(),
  image: Nullable(Type.String())
}, { additionalProperties: false })

/** For declaration merging: `declare module 'better-auth-fastify' { interface Register { user: Static<typeof MyUser> } }`. */
export interface Register {}

/** The user that a token stands for. With the option `userSchema`, and {@link Register}, the application's own. */
export type User = Register extends { user: infer T } ? T : Static<typeof UserSchema>

/** What a token says, verified or not: anything. */
export type Payload = Readonly<Record<string, unknown>>

/** The verified payload of a token: registered claims (RFC 7519 §4.1) and whatever else the auth server signed. */
export interface Claims {
  iss?: string
  sub?: string
  aud?: string | string[]
  exp: number
  nbf?: number
  iat?: number
  jti?: string
  [claim: string]: unknown
}

/**
 * Makes the user out of a record: the claims of an access token, or the user within a session cookie.
 *
 * @throws TokenInvalidError when something has the wrong type: no half-filled user ever comes out.
 */
export type UserReader = (record: Payload) => User

/** @param schema - the application's own user, which has all that {@link UserSchema} has. */
export function createUserReader (schema: TObject = UserSchema): UserReader {
  if (schema === UserSchema) return toUser as UserReader
  const own = Object.keys(schema.properties).filter(name => !Object.hasOwn(UserSchema.properties, name))
  const check = TypeCompiler.Compile(schema)

  return record => {
    const user: Record<string, unknown> = toUser(record)
    for (const name of own) if (Object.hasOwn(record, name)) user[name] = record[name]
    const clean = Value.Clean(schema, withDefaults(schema, structuredClone(user)))
    if (!check.Check(clean)) throw new TokenInvalidError('claim_invalid', { claim: check.Errors(clean).First()!.path })
    return clean as User
  }
}

function toUser (claims: Payload): Static<typeof UserSchema> {
  // Every claim is looked at, so that one of the wrong type is found even where another stands in for it.
  const sub = subject(claims, 'sub')
  const rowId = subject(claims, 'id')
  const id = sub ?? rowId
  if (id === undefined) throw new TokenInvalidError('claim_missing', { claim: 'sub' })
  const email = text(claims, 'email')
  const name = text(claims, 'name')
  const image = text(claims, 'image')
  const camelCase = flag(claims, 'emailVerified')
  const standard = flag(claims, 'email_verified')
  return { id, email, name, emailVerified: camelCase ?? standard ?? false, image }
}

function subject (claims: Payload, claim: string): string | undefined {
  const value = claims[claim]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

function text (claims: Payload, claim: string): string | null {
  const value = claims[claim]
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

function flag (claims: Payload, claim: string): boolean | undefined {
  const value = claims[claim]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

/** `Value.Default()` would mix a default into what a claim says: `[]` would become the default array. */
function withDefaults (schema: TSchema, value: unknown): unknown {
  if (value === undefined) {
    if (schema.default === undefined) return undefined
    value = structuredClone(schema.default)
  }
  // The items of a tuple are a list of schemas, or none: they are taken as they are.
  if (schema.type === 'array' && Array.isArray(value) && schema.items?.type !== undefined) return value.map(one => withDefaults(schema.items, one))
  // A record, say, has no properties that could be filled in.
  if (schema.properties === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const filled: Record<string, unknown> = {}
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const one = withDefaults(property, Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined)
    if (one !== undefined) filled[name] = one
  }
  return filled
}
