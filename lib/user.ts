import { Type, type Static } from '@sinclair/typebox'
import { TokenInvalidError } from './errors.js'

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

/** The user that a token stands for. */
export type User = Static<typeof UserSchema>

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
 * Makes the user out of verified claims.
 *
 * @throws TokenInvalidError when a claim has the wrong type: no half-filled user ever comes out.
 */
export function toUser (claims: Payload): User {
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
