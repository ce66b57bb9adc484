import * as Type from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import type { SessionFieldsOf, UserFieldsOf } from './auth-types.js'

const Nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])

/**
 * The user as handlers see it, and as a response schema serialises it.
 *
 * @example
 * const schema = { response: { 200: UserSchema } }
 * app.get('/me', { onRequest: [app.authenticate], schema }, async request => request.user)
 */
export const UserSchema = Type.Object({
  /** Better Auth's user id: the claim `sub`, else `id`; the option `userId` chooses one. */
  id: Type.String({ minLength: 1 }),
  email: Nullable(Type.String()),
  name: Nullable(Type.String()),
  /**
   * Whether the auth server has verified `email`: the claim `emailVerified`, else OpenID Connect's `email_verified`.
   */
  emailVerified: Type.Boolean(),
  image: Nullable(Type.String())
}, { additionalProperties: false })

/**
 * For declaration merging, once in a program. Each member is optional:
 * - `auth` is the type of the Better Auth instance in the option `auth`. `request.user`, `Session`, and the roles and
 *   permissions of guards then follow from its `additionalFields` and its plugins. See `docs/guides/same-app.md`.
 * - `user` is the type of `request.user`, for the option `userSchema`; it replaces what follows from `auth`.
 * - `session` adds `request.session` to the types, for the option `sessionCookie`.
 * - `roles` is the type of the option `roles`, so that `authorize({ permissions })` knows their resources and actions;
 *   it replaces what follows from `auth`.
 *
 * @example
 * declare module 'better-auth-fastify' { interface Register { user: Static<typeof MyUser>, session: Session } }
 *
 * @example
 * declare module 'better-auth-fastify' { interface Register { auth: typeof auth } }
 */
export interface Register {}

/** The user of a token. With {@link Register}, it has the fields of the Better Auth instance, or is your own type. */
export type User = Register extends { user: infer T } ? T
  : Register extends { auth: infer Auth } ? UserOf<Auth> : Static<typeof UserSchema>

type UserOf<Auth> = Flat<Static<typeof UserSchema> & UserFieldsOf<Auth>>
type Flat<T> = { [Name in keyof T]: T[Name] } & {}

/**
 * The verified payload of a token: registered claims (RFC 7519 §4.1), and everything else that the auth server signed.
 * Times are seconds since the epoch.
 */
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

type SessionFields = Register extends { auth: infer Auth } ? SessionFieldsOf<Auth> : object

/** Better Auth's session, as its signed cookie contains it. Dates are ISO 8601 strings. */
export interface Session extends SessionFields {
  /** The user's id. */
  userId: string
  /** The session's own token. It is a credential: do not send it to clients. */
  token: string
  /** ISO 8601. */
  expiresAt: string
  [field: string]: unknown
}
