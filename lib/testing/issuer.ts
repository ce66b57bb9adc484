import { checkFault, startJwksServer } from './jwks-server.js'
import { createKeyRing } from './key-ring.js'
import {
  checkAccessTokenOptions, checkClientTokenOptions, checkCookieOptions, checkIssuerOptions, checkObjects,
  checkTokenOptions, type TestClientTokenOptions, type TestIssuerOptions, type TestTokenOptions
} from './options.js'
import {
  ACCESS_TOKEN_TYPE, bindCookiePayload, COOKIE_TYPE, createClientPayload, createCookiePayload, createDelegatedPayload,
  createTokenPayload, now
} from './payloads.js'
import { randomSecret, signJwt } from './signers.js'
import { createSessions } from './sessions.js'
import type { TestIssuer } from './test-issuer.js'

const BASE_PATH = '/api/auth'
const DEFAULT_COOKIE_NAME = 'better-auth.session_data'
const HOUR = 3600
const ANOTHER_AUDIENCE = 'https://another-api.example.com'

type Claims = Record<string, unknown>

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
  const sessions = createSessions(secret)
  const server = await startJwksServer(() => keys.jwks(), headers => {
    const claims = sessions.find(headers)
    return claims && sign(claims)
  })
  const { origin } = server
  const { issuer = origin, audience = origin } = options

  // `jwt.issuer` is the issuer of every kind of token.
  const oauthIssuer = options.issuer ?? origin + BASE_PATH
  const userinfo = `${origin}${BASE_PATH}/oauth2/userinfo`

  function sign (claims: Claims, options: TestTokenOptions = {}): string {
    checkTokenOptions(options)
    return signWith(options, createTokenPayload(issuer, audience, claims, options.expiresIn))
  }

  function signWith ({ header, kid }: Pick<TestTokenOptions, 'header' | 'kid'>, payload: Claims): string {
    return signJwt(kid === undefined ? keys.current : keys.find(kid), payload, header)
  }

  function signAccess (options: TestClientTokenOptions, payload: Claims): string {
    return signWith({ ...options, header: { typ: ACCESS_TOKEN_TYPE, ...options.header } }, payload)
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
    get exchanges () { return server.exchanges },

    token: (claims, options) => sign(claimsOf(claims), options),
    expired: claims => sign({ ...claimsOf(claims), iat: now() - 2 * HOUR, exp: now() - HOUR }),
    notYetValid: claims => sign({ ...claimsOf(claims), nbf: now() + HOUR, exp: now() + 2 * HOUR }),
    wrongAudience: claims => sign({ ...claimsOf(claims), aud: ANOTHER_AUDIENCE }),
    forged (claims) {
      const { kid } = keys.impersonated
      return signJwt(keys.forger, createTokenPayload(issuer, audience, claimsOf(claims)), { kid })
    },

    accessToken (options) {
      checkAccessTokenOptions(options)
      return signAccess(options, createDelegatedPayload(oauthIssuer, userinfo, options))
    },
    clientToken (options) {
      checkClientTokenOptions(options)
      return signAccess(options, createClientPayload(oauthIssuer, userinfo, options))
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

    session: claims => sessions.create(claimsOf(claims)),
    apiKey: claims => sessions.createKey(claimsOf(claims)),

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
