import type { TObject } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { ALGORITHMS, type Algorithm } from './algorithms.js'
import type { AuthInstance, MountOptions } from './auth-options.js'
import type { DpopOptions, DpopReplayStore, DpopReservation } from './dpop-options.js'
import type { Claims } from './identity.js'
import type {
  ExchangedApiKeyOptions, ExchangedCookieOptions, ExchangeOptions, ExchangeStore, SharedExchangeOptions
} from './exchange-options.js'
import type { JwksOptions } from './jwks-options.js'
import type { ResourceOptions } from './resource-options.js'
import type { RoleOptions } from './role-options.js'
import type { SessionCookieOptions, SessionCookieUser } from './session-cookie-options.js'
import type { TokenCacheOptions } from './token-cache-options.js'

export {
  ALGORITHMS, type Algorithm, type AuthInstance, type DpopOptions, type DpopReplayStore, type DpopReservation,
  type ExchangedApiKeyOptions, type ExchangedCookieOptions, type ExchangeOptions, type ExchangeStore,
  type JwksOptions, type MountOptions, type ResourceOptions, type RoleOptions, type SessionCookieOptions,
  type SessionCookieUser, type SharedExchangeOptions, type TokenCacheOptions
}

/**
 * The options of the plugin. All are optional. Durations are milliseconds.
 *
 * @example
 * await app.register(betterAuthPlugin, { authUrl: 'https://id.example.com', sessionCookie: true })
 */
export interface BetterAuthOptions extends RoleOptions {
  /**
   * Where the Better Auth server is: its origin (`https://id.example.com`), or its origin with Better Auth's base path
   * (`https://id.example.com/api/auth`). Trailing slashes are ignored. A URL with credentials, a query or a fragment is
   * refused.
   *
   * Default: `BETTER_AUTH_URL` from the environment, else `http://localhost:3000`; required with `NODE_ENV=production`.
   */
  authUrl?: string | undefined
  /**
   * A Better Auth instance in the same app, in place of `authUrl`: what `betterAuth()` returns. The plugin mounts its
   * routes, and calls it without HTTP. See `docs/guides/same-app.md`.
   *
   * Default: unset; the Better Auth server is at `authUrl`.
   */
  auth?: AuthInstance | undefined
  /**
   * Whether and how the routes of `auth` are mounted: all below its base path. `false` if your app does that itself.
   *
   * Default: `true` with `auth`.
   */
  mount?: boolean | MountOptions | undefined
  /**
   * The URL at which browsers reach the Better Auth server, its `baseURL`, where this API reaches it at another
   * `authUrl`. Only the origin counts. `issuer`, `audience` and the session cookie follow from it.
   *
   * Default: `authUrl`.
   */
  publicUrl?: string | undefined
  /**
   * The path of the JWKS below `authUrl`. Without it, the plugin searches: below an origin `/api/auth/jwks`,
   * `/.well-known/jwks.json`, `/api/auth/.well-known/jwks.json` and `/jwks`; below a base path `/jwks` and
   * `/.well-known/jwks.json`. It keeps the first URL that returns a JWKS.
   *
   * Default: unset; the plugin searches.
   */
  jwksPath?: string | undefined
  /**
   * The `iss` that a token must have (RFC 7519 §4.1.1): a string, an array of accepted values, or `false` to accept
   * any. Patterns are not supported; for many tenants, give a function. Only `true` accepts the issuer. The plugin
   * calls it when it verifies a token, and not for tokens in its cache.
   *
   * Default: the origin of `publicUrl`.
   */
  issuer?: string | readonly string[] | ((iss: string) => boolean) | false | undefined
  /**
   * The `aud` that a token must contain (RFC 7519 §4.1.3): a string, an array of accepted values, or `false` to accept
   * any.
   *
   * Default: the origin of `publicUrl`.
   */
  audience?: string | readonly string[] | false | undefined
  /**
   * The algorithms that keys of the JWKS may be used for (RFC 8725 §3.1). `EdDSA` includes its newer names `Ed25519`
   * and `Ed448` (RFC 9864).
   *
   * Default: all of `EdDSA`, `ES256`, `ES384`, `ES512`, `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`.
   */
  algorithms?: readonly Algorithm[] | undefined
  /**
   * The secret for bearer tokens signed with HS256, 32 bytes or more. The API shares it with the custom signer of the
   * Better Auth server. Such tokens have no `kid`. This secret verifies bearer tokens only; for cookies there is
   * `sessionCookie.secret`.
   *
   * Default: unset; no HMAC token is accepted.
   */
  secret?: string | undefined
  /**
   * How far the clocks of the two servers may differ when `exp`, `nbf` and `iat` are verified.
   *
   * Default: `5000` (5 seconds).
   */
  clockTolerance?: number | undefined
  /** How keys are fetched, and how long they are trusted. */
  jwks?: JwksOptions | undefined
  /**
   * The cache of verified tokens, so that each token is verified once and not on every request; `false` turns it off. A
   * cached token is accepted until its `exp`, and no longer than its key is trusted.
   */
  tokenCache?: TokenCacheOptions | false | undefined
  /**
   * A TypeBox object with all properties of `UserSchema`, and with your own. Claims that it declares are validated, all
   * others are dropped, and a missing claim gets the `default` of its property. See `docs/guides/users.md`.
   *
   * Default: `UserSchema`; with `auth`, also the fields that its options and plugins add to the user.
   */
  userSchema?: TObject | undefined
  /**
   * The claim that is `request.user.id`. Set it to `'id'` if your Better Auth server sets `jwt: { getSubject }`: then
   * `sub` is not the id of the user's row, which is the id in a session cookie. A token without the claim is refused.
   * See `docs/guides/users.md`.
   *
   * Default: unset; `sub`, else `id`. With `sessionCookie`, both must be the same.
   */
  userId?: 'sub' | 'id' | undefined
  /**
   * Accepts Better Auth's signed session cookie from browsers that send no bearer token. See
   * `docs/guides/session-cookies.md`.
   *
   * Default: `false`.
   */
  sessionCookie?: boolean | SessionCookieOptions | undefined
  /**
   * Accepts what only the Better Auth server can read: session tokens, the session cookie `session_token`, and API
   * keys. Each is exchanged for a JWT at `GET <authUrl>/token`, and the result counts for a minute. See
   * `docs/guides/exchange.md`.
   *
   * Default: `false`; `true` with `auth`.
   */
  exchange?: boolean | ExchangeOptions | undefined
  /**
   * Accepts access tokens of OAuth clients for this API: its identifier, an absolute http(s) URL (RFC 8707 §2), or an
   * object. Routes let these clients in one by one: `authorize({ delegated, clients })`. The plugin publishes the
   * metadata of the API at `/.well-known/oauth-protected-resource` (RFC 9728). See `docs/guides/oauth-clients.md`.
   *
   * Default: unset; OAuth access tokens are refused.
   */
  resource?: string | ResourceOptions | undefined
  /**
   * Accepts access tokens of OAuth clients that are bound to a key of the client (DPoP, RFC 9449), in
   * `Authorization: DPoP <token>` with a proof in the header `DPoP`. It needs `resource`. See `docs/guides/dpop.md`.
   *
   * Default: `false`; bound tokens are refused.
   */
  dpop?: boolean | DpopOptions | undefined
  /**
   * Reads the token from another place. The plugin calls it if the `Authorization` header has no token. It returns the
   * token, or `undefined` if there is none. If it throws, the response is 401. See `docs/guides/websockets.md`.
   *
   * Default: unset; only the header is read.
   */
  extractToken?: ((request: FastifyRequest) => string | undefined) | undefined
  /**
   * Tells whether your application has revoked a token whose signature and claims are valid. The plugin calls it on
   * every request, and on every call of `fastify.betterAuth.verify()`, which has no request. `false` accepts the token,
   * and `true` refuses it with 401. If it throws or returns anything else, the response is 503. See
   * `docs/guides/revocation.md`.
   *
   * Default: unset; no token is revoked.
   */
  isRevoked?: ((claims: Claims, request: FastifyRequest | undefined) => boolean | Promise<boolean>) | undefined
  /**
   * How long `isRevoked`, the `check` of a guard, and `dpop.replayStore` may take before the response is 503.
   *
   * Default: `5000` (5 seconds).
   */
  callbackTimeout?: number | undefined
  /**
   * Documents in OpenAPI which routes are protected, and how they refuse a request, if `@fastify/swagger` is
   * registered. See `docs/guides/openapi.md`.
   *
   * Default: `true`.
   */
  openapi?: boolean | undefined
  /**
   * What to do about routes that no hook of this plugin protects, in the scope of the plugin and in its children, those
   * included that were registered before it. `'error'` fails the boot with their list, `'warn'` logs the list once, and
   * `'allow'` says nothing. A route that is open to everyone says so: `config: { public: true }`. See
   * `docs/guides/protecting-routes.md`.
   *
   * Default: unset; the plugin warns of open routes that have a hook which is `undefined`, as far as it can see that.
   */
  unprotected?: 'allow' | 'warn' | 'error' | undefined
}
