import * as Type from '@sinclair/typebox'
import type { TObject } from '@sinclair/typebox'
import { option, type OptionSchema } from './check-options.js'
import {
  ALGORITHMS, type Algorithm, type AuthInstance, type BetterAuthOptions, type DpopOptions, type ExchangeOptions,
  type JwksOptions, type MountOptions, type ResourceOptions, type SessionCookieOptions, type TokenCacheOptions
} from './options.js'
import {
  AnyFunction, callback, CookieName, milliseconds, Nested, NonEmpty, OneOrMore, requestsPerMinute, Scope, sharedSecret,
  timeout, typed
} from './schema-parts.js'

/** Every option of {@link BetterAuthOptions}: what it may be, and its default. */
export const OPTIONS = {
  authUrl: option(Type.String(), 'an absolute http(s) URL without credentials, query or fragment'),
  auth: option(
    typed<AuthInstance>(Type.Object({ handler: AnyFunction, options: Nested })),
    'what betterAuth() returns'
  ),
  mount: option(typed<MountOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false'),
  publicUrl: option(Type.String(), 'an absolute http(s) URL without credentials, query or fragment'),
  jwksPath: option(Type.String(), 'a path that starts with "/", such as "/api/auth/jwks"'),
  issuer: option(
    typed<NonNullable<BetterAuthOptions['issuer']>>(Type.Union([...OneOrMore, AnyFunction])),
    'a non-empty string, a non-empty array of them, a function, or false'
  ),
  audience: option(
    typed<string | readonly string[] | false>(Type.Union(OneOrMore)),
    'a non-empty string, a non-empty array of them, or false'
  ),
  algorithms: option(
    typed<readonly Algorithm[]>(Type.Array(Type.Union(ALGORITHMS.map(name => Type.Literal(name))), { minItems: 1 })),
    `a non-empty array of ${ALGORITHMS.join(', ')} (HS256 is enabled by the option "secret")`,
    ALGORITHMS
  ),
  secret: sharedSecret,
  clockTolerance: milliseconds(5000),
  jwks: option(typed<JwksOptions>(Nested), 'an object', {}),
  tokenCache: option(
    typed<TokenCacheOptions | false>(Type.Union([Nested, Type.Literal(false)])), 'an object or false', {}
  ),
  userSchema: option(
    typed<TObject>(Type.Object({ type: Type.Literal('object'), properties: Nested })),
    'a TypeBox object that has the properties of UserSchema'
  ),
  userId: option(Type.Union([Type.Literal('sub'), Type.Literal('id')]), '"sub" or "id"'),
  sessionCookie: option(
    typed<SessionCookieOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false', false
  ),
  exchange: option(
    typed<ExchangeOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false'
  ),
  resource: option(
    typed<string | ResourceOptions>(Type.Union([Type.String(), Nested])),
    'an absolute http(s) URL without credentials, a query or a fragment, or an object with such a "url"'
  ),
  dpop: option(typed<DpopOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false', false),
  roles: option(
    typed<NonNullable<BetterAuthOptions['roles']>>(Nested), 'an object with the role objects of Better Auth, by name'
  ),
  rolesFrom: callback<NonNullable<BetterAuthOptions['rolesFrom']>>(),
  organizationFrom: callback<NonNullable<BetterAuthOptions['organizationFrom']>>(),
  extractToken: callback<NonNullable<BetterAuthOptions['extractToken']>>(),
  isRevoked: callback<NonNullable<BetterAuthOptions['isRevoked']>>(),
  callbackTimeout: timeout(5000),
  openapi: option(Type.Boolean(), 'true or false', true),
  unprotected: option(
    Type.Union([Type.Literal('allow'), Type.Literal('warn'), Type.Literal('error')]), "'allow', 'warn' or 'error'"
  )
} satisfies Record<keyof BetterAuthOptions, OptionSchema>

/** The same for {@link SessionCookieOptions}. */
export const SESSION_COOKIE_OPTIONS = {
  prefix: option(CookieName, 'the name of a cookie', 'better-auth'),
  name: option(CookieName, 'the name of a cookie'),
  secure: option(Type.Boolean(), 'true or false'),
  secret: sharedSecret,
  version: option(
    typed<NonNullable<SessionCookieOptions['version']>>(Type.Union([NonEmpty, AnyFunction])),
    'a non-empty string, or a function'
  ),
  trustedOrigins: option(
    typed<NonNullable<SessionCookieOptions['trustedOrigins']>>(
      Type.Union([Type.Array(Type.String()), AnyFunction])
    ),
    'an array of origins such as "https://app.example.com", or a function',
    []
  )
} satisfies Record<keyof SessionCookieOptions, OptionSchema>

/** The same for {@link ResourceOptions}. */
export const RESOURCE_OPTIONS = {
  url: option(Type.String(), 'an absolute http(s) URL without credentials, a query or a fragment'),
  issuer: option(NonEmpty, 'a non-empty string'),
  scopes: option(typed<readonly string[]>(Type.Array(Scope)), 'an array of scopes (RFC 6749 §3.3)', []),
  scopeIncludes: option(
    typed<Readonly<Record<string, readonly string[]>>>(
      Type.Record(Scope, Type.Array(Scope, { minItems: 1 }), { additionalProperties: false })
    ),
    "an object with non-empty arrays of scopes, such as { 'orders:write': ['orders:read'] }",
    {}
  ),
  name: option(NonEmpty, 'a non-empty string'),
  documentation: option(Type.String({ pattern: '^https?://\\S+$' }), 'an http(s) URL'),
  authorizationServers: option(
    typed<readonly string[]>(Type.Array(NonEmpty, { minItems: 1 })), 'a non-empty array of issuer identifiers'
  )
} satisfies Record<keyof ResourceOptions, OptionSchema>

/** The same for {@link TokenCacheOptions}. */
export const TOKEN_CACHE_OPTIONS = {
  max: option(Type.Integer({ minimum: 1, maximum: 10_000_000 }), 'a whole number of tokens, 1 or more', 10_000),
  maxBytes: option(Type.Integer({ minimum: 1, maximum: 2 ** 40 }), 'a whole number of bytes, 1 or more', 2 ** 25)
} satisfies Record<keyof TokenCacheOptions, OptionSchema>

/** The same for {@link JwksOptions}. */
export const JWKS_OPTIONS = {
  maxAge: milliseconds(600_000),
  staleWhileRevalidate: milliseconds(60_000),
  staleIfError: milliseconds(3_600_000),
  requestsPerMinute: requestsPerMinute(20),
  timeout: timeout(5000),
  headers: option(
    typed<Readonly<Record<string, string>>>(Nested), 'a plain object with the names and values of headers', {}
  )
} satisfies Record<keyof JwksOptions, OptionSchema>
