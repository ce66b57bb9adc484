import { checkFault, startJwksServer, type Fault } from './jwks-server.js'
import { createKeyRing } from './key-ring.js'
import {
  checkCookieOptions, checkIssuerOptions, checkObjects, checkTokenOptions,
  type TestCookieOptions, type TestIssuerOptions, type TestTokenOptions
} from './options.js'
import { bindCookiePayload, COOKIE_TYPE, createCookiePayload, createTokenPayload, now } from './payloads.js'
import { randomSecret, signJwt } from './signers.js'

const DEFAULT_COOKIE_NAME = 'better-auth.session_data'
const HOUR = 3600
const ANOTHER_AUDIENCE = 'https://another-api.example.com'

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
   * Returns the `Cookie` header of a signed-in browser: the cookie that Better Auth sets with
   * `jwt({ sessionCookieCache: true })` and `session.cookieCache.strategy: 'jwt'`, or for `HS256` with the strategy
   * alone. Every call starts another session. `user` and the option `session` override what the cookie contains.
   *
   * @throws TypeError that names an unknown or invalid option.
   */
  sessionCookie (user?: Claims, options?: TestCookieOptions): string
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

/**
 * Starts an auth server for tests on a free port of 127.0.0.1, and resolves when it listens. Each issuer has its own
 * keys; several issuers share nothing.
 *
 * @throws TypeError that names an unknown or invalid option.
 * @example
 * const issuer = await createTestIssuer()
 * const app = Fastify()
 * await app.register(betterAuthPlugin, { authUrl: issuer.authUrl })
 * app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
 *
 * const authorization = `Bearer ${issuer.token({ name: 'Grace Hopper' })}`
 * const response = await app.inject({ url: '/me', headers: { authorization } })
 * assert.equal(response.json().name, 'Grace Hopper')
 *
 * await app.close()
 * await issuer.close()
 */
export async function createTestIssuer (options: TestIssuerOptions = {}): Promise<TestIssuer> {
  checkIssuerOptions(options)
  const { algorithm = 'EdDSA', secret = randomSecret() } = options
  const keys = await createKeyRing(algorithm, secret)
  const server = await startJwksServer(() => keys.jwks())
  const { origin } = server
  const { issuer = origin, audience = origin } = options

  function sign (claims: Claims, options: TestTokenOptions = {}): string {
    checkTokenOptions(options)
    const { expiresIn, header, kid } = options
    const signer = kid === undefined ? keys.current : keys.find(kid)
    return signJwt(signer, createTokenPayload(issuer, audience, claims, expiresIn), header)
  }

  function claimsOf (claims: Claims = {}): Claims {
    checkObjects({ claims })
    return claims
  }

  const testIssuer: TestIssuer = {
    authUrl: origin,
    secret: algorithm === 'HS256' ? secret : undefined,
    get kid () { return keys.current.kid },
    get requests () { return server.requests },

    token: (claims, options) => sign(claimsOf(claims), options),
    expired: claims => sign({ ...claimsOf(claims), iat: now() - 2 * HOUR, exp: now() - HOUR }),
    notYetValid: claims => sign({ ...claimsOf(claims), nbf: now() + HOUR, exp: now() + 2 * HOUR }),
    wrongAudience: claims => sign({ ...claimsOf(claims), aud: ANOTHER_AUDIENCE }),
    forged (claims) {
      const { kid } = keys.impersonated
      return signJwt(keys.forger, createTokenPayload(issuer, audience, claimsOf(claims)), { kid })
    },

    sessionCookie (user = {}, options = {}) {
      checkObjects({ user })
      checkCookieOptions(options)
      const { expiresIn, name = DEFAULT_COOKIE_NAME, session } = options
      const payload = createCookiePayload(user, session, expiresIn)
      // The issuer of a cookie is the server's origin, even if its tokens have another `issuer`.
      const jwt = algorithm === 'HS256'
        ? signJwt(keys.current, payload)
        : signJwt(keys.current, bindCookiePayload(origin, payload), { typ: COOKIE_TYPE })
      return `${name}=${jwt}`
    },

    rotate: async () => (await keys.rotate()).kid!,
    revoke: kid => { keys.revoke(kid) },

    fail (kind) {
      checkFault(kind)
      server.fault = kind
    },
    recover () { server.fault = undefined },
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close()
  }
  return testIssuer
}
