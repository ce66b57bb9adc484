import type { Fault } from './jwks-server.js'
import type { TestApiKey, TestSession } from './sessions.js'
import type {
  TestAccessTokenOptions, TestClientTokenOptions, TestCookieOptions, TestTokenOptions
} from './options.js'

type Claims = Record<string, unknown>

/**
 * An auth server for tests. It signs tokens as Better Auth does, publishes their keys on 127.0.0.1, and fails on
 * demand. Every method throws a `TypeError` for an unknown or invalid option, and for claims, a user or a session that
 * is not an object. Times come from `Date.now()`, so fake timers move them.
 */
export interface TestIssuer extends AsyncDisposable {
  /**
   * The URL for the plugin's option `authUrl`: `http://127.0.0.1:<port>`, with the JWKS at Better Auth's default path,
   * `/api/auth/jwks`.
   */
  readonly authUrl: string
  /**
   * The secret that signs tokens and cookies with `HS256`; `undefined` for every other algorithm. Pass it to the
   * plugin as `secret` for bearer tokens and as `sessionCookie.secret` for cookies. The options
   * `{ authUrl: issuer.authUrl, secret: issuer.secret }` work for every algorithm.
   */
  readonly secret: string | undefined
  /** The `kid` of the current key, which signs new tokens; `undefined` for `HS256`. */
  readonly kid: string | undefined
  /** The number of requests to the URL of the JWKS so far. */
  readonly requests: number
  /** The number of exchanges at `/api/auth/token` so far, refused ones included. */
  readonly exchanges: number
  /**
   * Returns a token as Better Auth issues it: for the user `user_1`, Ada Lovelace, valid for 15 minutes.
   * `claims` override its claims, and `undefined` removes one; `id` or `sub` alone sets both.
   *
   * @throws TypeError that names an unknown or invalid option, or an unknown `kid`.
   */
  token (claims?: Claims, options?: TestTokenOptions): string
  /** Returns a token that expired an hour ago. The plugin refuses it: 401, `token_expired`. */
  expired (claims?: Claims): string
  /** Returns a token that becomes valid in an hour (`nbf`). The plugin refuses it: 401, `token_not_active`. */
  notYetValid (claims?: Claims): string
  /** Returns a token for another API. The plugin refuses it: 401, `audience_mismatch`. */
  wrongAudience (claims?: Claims): string
  /**
   * Returns a token with the `kid` of a published key (the current key, unless revoked), signed with a different key.
   * The plugin refuses it: 401, `signature_invalid`.
   */
  forged (claims?: Claims): string
  /**
   * Returns an access token for an OAuth client that acts for a user, as Better Auth's OAuth provider issues it since
   * version 1.7: for the user `user_1`, valid for an hour. It says who the user is by the id alone. The plugin accepts
   * it if its option `resource` is the same, on routes with a guard that has `delegated`.
   *
   * @throws TypeError that names a missing, unknown or invalid option, or an unknown `kid`.
   */
  accessToken (options: TestAccessTokenOptions): string
  /**
   * Returns an access token for an OAuth client that acts for itself, a machine: it has no user. The plugin accepts it
   * if its option `resource` is the same, on routes with a guard that has `clients`.
   *
   * @throws TypeError that names a missing, unknown or invalid option, or an unknown `kid`.
   */
  clientToken (options: TestClientTokenOptions): string
  /**
   * Returns the `Cookie` header of a signed-in browser: the cookie that Better Auth sets with
   * `jwt({ sessionCookieCache: true })` and `session.cookieCache.strategy: 'jwt'`, or for `HS256` with the strategy
   * alone. Every call starts another session. `user` and the option `session` override what the cookie contains.
   *
   * @throws TypeError that names an unknown or invalid option.
   */
  sessionCookie (user?: Claims, options?: TestCookieOptions): string
  /**
   * Starts a session, for the plugin's option `exchange`: its token and its cookie are exchanged at the issuer's
   * `/api/auth/token` for what `token(claims)` returns, until `signOut()`.
   *
   * @example
   * const session = issuer.session({ role: 'admin' })
   * await app.inject({ url: '/me', headers: { authorization: `Bearer ${session.token}` } })
   */
  session (claims?: Claims): TestSession
  /** Creates an API key, for the plugin's option `exchange`. `signOut()` deletes it. */
  apiKey (claims?: Claims): TestApiKey
  /**
   * Signs with a new key from now on, and resolves to its `kid`. The old key stays published, as in Better Auth's
   * grace period.
   *
   * @throws TypeError for `HS256`.
   */
  rotate (): Promise<string>
  /**
   * Removes a key, by default the current one, from the JWKS. It still signs, so that a test can see its tokens
   * refused. The plugin refuses them after its next fetch: register it with
   * `jwks: { maxAge: 0, staleWhileRevalidate: 0 }` to see that at once. If the JWKS would be empty, it gets a new key,
   * as Better Auth's does.
   *
   * @throws TypeError for an unknown `kid`, and for `HS256`.
   */
  revoke (kid?: string): void
  /**
   * Makes every response of the server a fault, until `recover()`: `down`, `hang`, `slow` (correct, after a second),
   * `error` (500), `html`, `empty`, `redirect` or `malformed`. A known key keeps working during an outage: register
   * the plugin with `jwks: { maxAge: 0, staleWhileRevalidate: 0, staleIfError: 0 }` to see the 503.
   *
   * @throws TypeError for an unknown fault.
   */
  fail (kind: Fault): void
  /**
   * Ends the fault that `fail()` started; requests that already hang keep hanging. After a failure the plugin waits
   * before its next fetch, half a second at first: `fastify.betterAuth.status().nextTryAt` is the end of that wait.
   */
  recover (): void
  /**
   * Stops the server and ends its connections. Resolves when it has stopped, and may be called again.
   * `await using issuer = await createTestIssuer()` calls it at the end of the block.
   */
  close (): Promise<void>
}
