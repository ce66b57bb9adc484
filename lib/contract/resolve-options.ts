import { Type, TypeGuard, type TObject, type TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { checkOptions, invalid, InvalidOptionError } from './check-options.js'
import { UserSchema, type Claims } from '../tokens/user-reader.js'

/** The algorithms that a key of the JWKS may be used for (RFC 7518 §3.1, RFC 8037 §3.1). Never HMAC, never `none`. */
export const ALGORITHMS = [
  'EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'
] as const

/** A JWS algorithm that a key of the JWKS may be used for. */
export type Algorithm = typeof ALGORITHMS[number]

const DEFAULT_AUTH_URL = 'http://localhost:3000'
const MIN_SECRET_BYTES = 32

/** The options of the plugin. All are optional; durations are milliseconds. */
export interface BetterAuthOptions {
  /**
   * Where the Better Auth server is: its origin (`https://id.example.com`), or the origin with Better Auth's base path
   * (`https://id.example.com/api/auth`). Default: the environment variable `BETTER_AUTH_URL`, else `http://localhost:3000`.
   */
  authUrl?: string | undefined
  /**
   * The path of the JWKS below `authUrl`. Default: the plugin finds it: `/.well-known/jwks.json`, then Better Auth's own
   * addresses (`/api/auth/jwks` and `/api/auth/.well-known/jwks.json` below an origin, `/jwks` below a base path).
   */
  jwksPath?: string | undefined
  /** The `iss` that tokens must have, or one of several; `false` accepts any. Default: the origin of `authUrl`. */
  issuer?: string | readonly string[] | false | undefined
  /** The `aud` that tokens must name, or one of several; `false` accepts any. Default: the origin of `authUrl`. */
  audience?: string | readonly string[] | false | undefined
  /** The algorithms that keys of the JWKS may be used for. Default: all of {@link ALGORITHMS}. */
  algorithms?: readonly Algorithm[] | undefined
  /**
   * The secret that this API shares with a Better Auth server that signs with HS256 (a custom signer), 32 bytes or more:
   * accepts HS256 tokens, which have no `kid`. Default: none, and no HMAC token is ever accepted.
   */
  secret?: string | undefined
  /** How far apart the clocks of the two servers may be when `exp`, `nbf` and `iat` are read. Default: 5000. */
  clockTolerance?: number | undefined
  /** How long keys are trusted, and how often the auth server is asked for them. */
  jwks?: JwksOptions | undefined
  /**
   * How many verified tokens are remembered, so that each is verified once and not on every request; `false` verifies every
   * time. It serves until its `exp`, and no longer than its key is trusted. Default: `{ max: 10_000 }`.
   */
  tokenCache?: { max?: number | undefined } | false | undefined
  /**
   * A TypeBox object that has all that `UserSchema` has and more: what it declares is taken from the claims and checked, what
   * it does not is dropped, its defaults are filled in. Default: `UserSchema`.
   */
  userSchema?: TObject | undefined
  /**
   * Accept Better Auth's signed session cookie from browsers that send no bearer token. With it, `secret` is the auth server's
   * own and serves only for that cookie. Default: false.
   */
  sessionCookie?: boolean | SessionCookieOptions | undefined
  /**
   * Where else a token may be, tried after the `Authorization` header: returns it, or `undefined` where there is none. What it
   * throws is a 401. Default: nowhere.
   */
  extractToken?: ((request: FastifyRequest) => string | undefined) | undefined
  /**
   * Whether the application has revoked a token whose signature and claims are right; asked on every request. `false` lets it
   * pass, `true` is a 401, and a throw or anything else a 503. Default: nobody is asked.
   */
  isRevoked?: ((claims: Claims, request: FastifyRequest) => boolean | Promise<boolean>) | undefined
  /**
   * Where @fastify/swagger is registered, protected routes say so in the OpenAPI document, and which refusals to expect.
   * Default: true.
   */
  openapi?: boolean | undefined
}

/** How Better Auth's session cookie is found, and who may send it. */
export interface SessionCookieOptions {
  /** Better Auth's `advanced.cookiePrefix`. Default: `better-auth`, for `better-auth.session_data`. */
  prefix?: string | undefined
  /** The whole name instead, Better Auth's `advanced.cookies.session_data.name`. Default: made of the prefix. */
  name?: string | undefined
  /** Origins of pages that may send unsafe requests with the cookie, beside the API's own. Default: none. */
  trustedOrigins?: readonly string[] | undefined
}

/** How long keys are trusted, and how often the auth server is asked for them. Durations are milliseconds. */
export interface JwksOptions {
  /** A key that was confirmed less than this ago costs no fetch and no wait. Default: 600 000 (10 minutes). */
  maxAge?: number | undefined
  /** For this much longer a key serves at once, while one refresh runs in the background. Default: 60 000 (1 minute). */
  staleWhileRevalidate?: number | undefined
  /** While the JWKS cannot be had, a key serves for this long since it was last confirmed. Default: 3 600 000 (1 hour). */
  staleIfError?: number | undefined
  /** How many fetches a minute keys that are not known may cause; up to 10 at once are let through. Default: 30. */
  requestsPerMinute?: number | undefined
  /** How long one fetch may take, its body and the search for its address included. Default: 5000. */
  timeout?: number | undefined
}

const Text = Type.String({ minLength: 1 })
const TEXTS = { expects: 'a non-empty string, a non-empty array of them, or false' }
const Texts = Type.Union([Text, Type.Array(Text, { minItems: 1 }), Type.Literal(false)], TEXTS)
const Duration = Type.Number({ minimum: 0, expects: 'a number of milliseconds, 0 or more' })

const Callback = Type.Function([], Type.Unknown(), { expects: 'a function' })

/** The options as they are checked, each with what a person is told when a value is of no use. */
const OptionsSchema: Record<keyof BetterAuthOptions, TSchema> = {
  authUrl: Type.String({ expects: 'an absolute http(s) URL without credentials, query or fragment' }),
  jwksPath: Type.String({ expects: 'a path that starts with "/", such as "/api/auth/jwks"' }),
  issuer: Texts,
  audience: Texts,
  algorithms: Type.Array(Type.Union(ALGORITHMS.map(name => Type.Literal(name))), {
    minItems: 1,
    expects: `a non-empty array of ${ALGORITHMS.join(', ')} (HS256 is enabled by the option "secret")`
  }),
  secret: Type.String({ expects: `a shared secret of at least ${MIN_SECRET_BYTES} bytes` }),
  clockTolerance: Duration,
  jwks: Type.Object({}, { expects: 'an object' }),
  tokenCache: Type.Union([Type.Object({}), Type.Literal(false)], { expects: 'an object or false' }),
  userSchema: Type.Object({ type: Type.Literal('object'), properties: Type.Object({}) }, { expects: 'a TypeBox object that has the properties of UserSchema' }),
  sessionCookie: Type.Union([Type.Object({}), Type.Boolean()], { expects: 'an object, true or false' }),
  extractToken: Callback,
  isRevoked: Callback,
  openapi: Type.Boolean({ expects: 'true or false' })
}

const CookieName = Type.String({ pattern: "^[\\w!#$%&'*+.^`|~-]+$", expects: 'the name of a cookie' })
const SessionCookieSchema: Record<keyof SessionCookieOptions, TSchema> = {
  prefix: CookieName,
  name: CookieName,
  trustedOrigins: Type.Array(Text, { expects: 'an array of origins such as "https://app.example.com"' })
}

const TokenCacheSchema = {
  max: Type.Integer({ minimum: 1, maximum: 10_000_000, expects: 'a whole number of tokens, 1 or more' })
}

const JwksOptionsSchema: Record<keyof JwksOptions, TSchema> = {
  maxAge: Duration,
  staleWhileRevalidate: Duration,
  staleIfError: Duration,
  requestsPerMinute: Type.Number({ exclusiveMinimum: 0, expects: 'a number of requests a minute, more than 0' }),
  timeout: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, expects: 'a whole number of milliseconds, 1 or more' })
}

/** The options as every room of this plugin reads them: checked, with the defaults filled in, and never changed again. */
export interface ResolvedOptions {
  /** Origin and base path of the Better Auth server, without a slash at its end. */
  readonly authUrl: string
  /** Where the JWKS may be, in the order in which the addresses are tried. */
  readonly jwksUrls: readonly string[]
  readonly issuer: readonly string[] | false
  readonly audience: readonly string[] | false
  readonly algorithms: readonly Algorithm[]
  readonly secret: string | undefined
  readonly clockTolerance: number
  readonly tokenCache: { readonly max: number } | false
  readonly userSchema: TObject | undefined
  readonly sessionCookie: ResolvedSessionCookie | false
  readonly extractToken: BetterAuthOptions['extractToken']
  readonly isRevoked: BetterAuthOptions['isRevoked']
  readonly openapi: boolean
  readonly jwks: Readonly<Record<keyof JwksOptions, number>>
}

export interface ResolvedSessionCookie {
  /** The names that the cookie may have, the safest first. */
  readonly names: readonly string[]
  readonly trustedOrigins: readonly string[]
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws InvalidOptionError that names the option and what it got, the value of `secret` excepted.
 */
export function resolveOptions (given: BetterAuthOptions, env: NodeJS.ProcessEnv = process.env): ResolvedOptions {
  // Its own properties, as they are now: what it inherits is not checked, so it is not read.
  const options = { ...given }
  checkOptions(options, OptionsSchema)
  checkOptions(options.jwks ?? {}, JwksOptionsSchema, 'jwks.')
  checkOptions(options.tokenCache || {}, TokenCacheSchema, 'tokenCache.')
  checkOptions(typeof options.sessionCookie === 'object' ? options.sessionCookie : {}, SessionCookieSchema, 'sessionCookie.')

  const fromEnv = options.authUrl === undefined && env.BETTER_AUTH_URL !== undefined
  const authUrl = parseAuthUrl(options.authUrl ?? env.BETTER_AUTH_URL ?? DEFAULT_AUTH_URL, fromEnv)
  const base = authUrl.href.replace(/\/+$/, '')

  return {
    authUrl: base,
    jwksUrls: options.jwksPath === undefined ? discoveryUrls(authUrl, base) : [jwksUrl(base, options.jwksPath)],
    issuer: list(options.issuer, authUrl.origin),
    audience: list(options.audience, authUrl.origin),
    algorithms: [...options.algorithms ?? ALGORITHMS],
    secret: parseSecret(options.secret),
    clockTolerance: options.clockTolerance ?? 5000,
    tokenCache: options.tokenCache === false ? false : { max: options.tokenCache?.max ?? 10_000 },
    userSchema: parseUserSchema(options.userSchema),
    sessionCookie: parseSessionCookie(options.sessionCookie, authUrl.protocol === 'https:'),
    extractToken: options.extractToken,
    isRevoked: options.isRevoked,
    openapi: options.openapi ?? true,
    jwks: {
      maxAge: options.jwks?.maxAge ?? 600_000,
      staleWhileRevalidate: options.jwks?.staleWhileRevalidate ?? 60_000,
      staleIfError: options.jwks?.staleIfError ?? 3_600_000,
      requestsPerMinute: options.jwks?.requestsPerMinute ?? 30,
      timeout: options.jwks?.timeout ?? 5000
    }
  }
}

function parseAuthUrl (text: string, fromEnv: boolean): URL {
  // The URL parser forgives what a person should mend: missing slashes, back slashes, spaces around, an empty query.
  const url = /^https?:\/\/[^\s/?#\\][^\s?#\\]*$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.password !== '' || text.split('/', 3)[2]?.includes('@')) {
    throw invalid('authUrl', OptionsSchema.authUrl.expects, text, fromEnv ? ' (from the environment variable BETTER_AUTH_URL)' : '')
  }
  return url
}

function discoveryUrls (authUrl: URL, base: string): string[] {
  const paths = base === authUrl.origin
    ? ['/.well-known/jwks.json', '/api/auth/jwks', '/api/auth/.well-known/jwks.json']
    : ['/.well-known/jwks.json', '/jwks']
  return paths.map(path => base + path)
}

function jwksUrl (base: string, path: string): string {
  const url = base + path
  // Whatever the URL parser would read as something other than a path below `authUrl` is refused.
  if (!/^\/[^\s?#\\]+$/.test(path) || new URL(url).href !== url) {
    throw invalid('jwksPath', OptionsSchema.jwksPath.expects, path)
  }
  return url
}

function list (value: BetterAuthOptions['issuer'], origin: string): readonly string[] | false {
  if (value === false) return false
  return Object.freeze(value === undefined ? [origin] : [value].flat())
}

function parseSecret (secret: string | undefined): string | undefined {
  if (secret === undefined) return undefined
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) throw invalid('secret', OptionsSchema.secret.expects, secret)
  // A public key as HMAC secret would let anyone sign tokens.
  if (/-----BEGIN |"kty"/.test(secret)) {
    throw new InvalidOptionError('Option "secret" must be a shared secret, got a PEM or a JWK')
  }
  return secret
}

function parseUserSchema (schema: TObject | undefined): TObject | undefined {
  if (schema !== undefined && !TypeGuard.IsObject(schema)) throw invalid('userSchema', OptionsSchema.userSchema.expects, schema)
  const missing = schema && Object.keys(UserSchema.properties).find(name => !Object.hasOwn(schema.properties, name))
  if (missing !== undefined) throw new InvalidOptionError(`Option "userSchema" must have all properties of UserSchema, and lacks "${missing}"`)
  return schema
}

function parseSessionCookie (option: BetterAuthOptions['sessionCookie'] = false, isHttps: boolean): ResolvedSessionCookie | false {
  if (option === false) return false
  const { prefix = 'better-auth', name = `${prefix}.session_data`, trustedOrigins = [] } = option === true ? {} : option
  for (const origin of trustedOrigins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || origin.includes('*')) throw invalid('sessionCookie.trustedOrigins', SessionCookieSchema.trustedOrigins.expects, origin)
  }
  const names = [`__Host-${name}`, `__Secure-${name}`]
  // On https Better Auth writes only the names that a sibling host cannot set.
  const isPlainRead = !isHttps || (option !== true && option.name !== undefined)
  return { names: isPlainRead ? [...names, name] : names, trustedOrigins: [...trustedOrigins] }
}
