import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { BetterAuthOptions } from '../../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../../fixtures/api.js'
import { startAuthServer, type AuthServer, type AuthServerOptions, type SignedUp } from '../../fixtures/auth-server.js'
import { signHmac } from '../../fixtures/signing.js'

async function startAuth (t: Test, options?: AuthServerOptions): Promise<AuthServer> {
  const auth = await startAuthServer(options)
  t.teardown(() => auth.close())
  return auth
}

async function createApi (t: Test, options: BetterAuthOptions, log?: LogCapture): Promise<FastifyInstance> {
  const app = await startApi(t, options, log)
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, claims }) => ({ user, claims }))
  return app
}

/** Calls the API in both ways, and returns the claims. */
async function accepts (
  t: Test, app: FastifyInstance, { token, user }: SignedUp, expected = {}
): Promise<Record<string, unknown>> {
  let claims: Record<string, unknown> = {}
  for (const [name, call] of Object.entries(TRANSPORTS)) {
    const { status, body } = await call(app, { url: '/me', headers: bearer(token) })
    t.equal(status, 200, `accepted by ${name}`)
    const answer = JSON.parse(body)
    t.strictSame(answer.user, {
      id: user.id, email: user.email, name: user.name, emailVerified: false, image: null, ...expected
    })
    claims = answer.claims
  }
  return claims
}

async function refuses (t: Test, app: FastifyInstance, token: string): Promise<void> {
  for (const [name, call] of Object.entries(TRANSPORTS)) {
    const { status, headers, body } = await call(app, { url: '/me', headers: bearer(token) })
    t.equal(status, 401, `refused by ${name}`)
    t.equal(headers['www-authenticate'], 'Bearer error="invalid_token"')
    t.equal(JSON.parse(body).code, 'FST_BETTER_AUTH_TOKEN_INVALID')
  }
}

function segment (token: string, index: 0 | 1): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index]!, 'base64url').toString())
}

const KEY_PAIRS = [{ alg: 'EdDSA' }, { alg: 'ES256' }, { alg: 'ES512' }, { alg: 'RS256' }, { alg: 'PS256' }] as const

/** A proxy in front: the keys are at the origin, and Better Auth's own URL for them is closed. */
function rewriteJwks (request: IncomingMessage, response: ServerResponse): boolean {
  if (request.url === '/api/auth/jwks') {
    response.writeHead(404).end()
    return true
  }
  if (request.url === '/.well-known/jwks.json') request.url = '/api/auth/jwks'
  return false
}

const ADDRESSES: Array<{ name: string, path: string, jwksPath?: string, intercept?: typeof rewriteJwks }> = [
  { name: 'the default address', path: '/api/auth/jwks' },
  {
    name: 'jwksPath /.well-known/jwks.json', path: '/api/auth/.well-known/jwks.json', jwksPath: '/.well-known/jwks.json'
  },
  { name: 'a proxy with the keys at the origin', path: '/.well-known/jwks.json', intercept: rewriteJwks }
]

for (const keyPairConfig of KEY_PAIRS) {
  for (const { name, path, jwksPath, intercept } of ADDRESSES) {
    t.test(`accepts ${keyPairConfig.alg} tokens of a Better Auth server with ${name}`, async t => {
      const auth = await startAuth(t, { jwt: { jwks: { keyPairConfig, jwksPath } }, ...intercept && { intercept } })
      const app = await createApi(t, { authUrl: auth.origin })
      const signedUp = await auth.signUp({ name: 'Grace Hopper' })
      t.equal(segment(signedUp.token, 0).alg, keyPairConfig.alg)
      const claims = await accepts(t, app, signedUp)
      t.match(claims, { sub: signedUp.user.id, iss: auth.origin, aud: auth.origin })
      t.strictSame(claims, segment(signedUp.token, 1))
      t.equal(app.betterAuth.jwksUrl, auth.origin + path)
      t.match(app.betterAuth.status().keys, [{ alg: keyPairConfig.alg }])
    })
  }
}

t.test('tells the users of one server apart', async t => {
  const auth = await startAuth(t)
  const app = await createApi(t, { authUrl: auth.origin })
  const [ada, grace] = [await auth.signUp({ name: 'Ada Lovelace' }), await auth.signUp({ name: 'Grace Hopper' })]
  t.not(ada.user.id, grace.user.id)
  for (const signedUp of [ada, grace, ada]) await accepts(t, app, signedUp)
})

t.test('accepts a token of definePayload, whose user id is the sub', async t => {
  const auth = await startAuth(t, {
    jwt: { jwt: { definePayload: ({ user }) => ({ email: user.email, plan: 'pro' }) } }
  })
  const app = await createApi(t, { authUrl: auth.origin })
  const claims = await accepts(t, app, await auth.signUp(), { name: null })
  t.match(claims, { plan: 'pro' })
  t.notOk('id' in claims)
})

t.test('the sub is the user, whatever id a payload of definePayload has', async t => {
  const auth = await startAuth(t, {
    jwt: { jwt: { definePayload: ({ user }) => ({ id: 'tenant-7', email: user.email, name: user.name }) } }
  })
  const app = await createApi(t, { authUrl: auth.origin })
  t.match(await accepts(t, app, await auth.signUp()), { id: 'tenant-7' })
})

t.test('custom issuer and audience', async t => {
  const issuer = 'https://id.example.com'
  const audience = 'https://api.example.com'
  const auth = await startAuth(t, { jwt: { jwt: { issuer, audience } } })
  const both = await startAuth(t, { jwt: { jwt: { issuer, audience: ['https://other.example.com', audience] } } })
  const signedUp = await auth.signUp()

  for (const options of [
    { issuer, audience },
    { issuer: [issuer], audience: [audience] },
    { issuer: ['https://old.example.com', issuer], audience: ['https://old.example.com', audience] },
    { issuer: false, audience: false } as const
  ]) {
    t.test(`accepts what the options name: ${JSON.stringify(options)}`, async t => {
      t.match(await accepts(t, await createApi(t, { authUrl: auth.origin, ...options }), signedUp), {
        iss: issuer, aud: audience
      })
    })
  }

  t.test('accepts a token for several audiences, of which one is ours', async t => {
    await accepts(t, await createApi(t, { authUrl: both.origin, issuer, audience }), await both.signUp())
  })

  for (const [options, reason, expected, received] of [
    [{}, 'issuer_mismatch', [auth.origin], issuer],
    [{ audience }, 'issuer_mismatch', [auth.origin], issuer],
    [{ issuer }, 'audience_mismatch', [auth.origin], audience],
    [{ issuer, audience: 'https://other.example.com' }, 'audience_mismatch', ['https://other.example.com'], audience],
    [{ issuer, audience: `${audience}/` }, 'audience_mismatch', [`${audience}/`], audience]
  ] as const) {
    t.test(`refuses anything else, and logs expected and received: ${JSON.stringify(options)}`, async t => {
      const log = captureLog()
      await refuses(t, await createApi(t, { authUrl: auth.origin, ...options }, log), signedUp.token)
      t.match(log.refusals(), [{ reason, expected, received }, { reason, expected, received }])
      t.equal(log.refusals().length, 2)
    })
  }
})

t.test('authUrl with a base path', async t => {
  for (const { basePath, jwksPath, path } of [
    { basePath: '/api/auth', path: '/jwks' },
    { basePath: '/api/auth', jwksPath: '/.well-known/jwks.json', path: '/.well-known/jwks.json' },
    { basePath: '/id/v1', path: '/jwks' }
  ]) {
    const auth = await startAuth(t, { basePath, jwt: { jwks: { jwksPath } } })
    const signedUp = await auth.signUp()
    for (const slashes of ['', '/', '//']) {
      t.test(`finds the keys below ${basePath}${slashes} at ${path}`, async t => {
        const app = await createApi(t, { authUrl: `${auth.origin}${basePath}${slashes}` })
        await accepts(t, app, signedUp)
        t.equal(app.betterAuth.jwksUrl, auth.origin + basePath + path)
      })
    }
  }
})

t.test('an origin with slashes behind it is the same origin', async t => {
  const auth = await startAuth(t)
  const signedUp = await auth.signUp()
  for (const slashes of ['/', '//']) await accepts(t, await createApi(t, { authUrl: auth.origin + slashes }), signedUp)
})

t.test('HS256 of a custom signer', async t => {
  const secret = randomBytes(32).toString('hex')
  const auth = await startAuth(t, {
    jwt: {
      // Better Auth wants `alg` wherever the keys are said to be elsewhere; its own signer, which would use it, is not
      // asked.
      jwks: { remoteUrl: 'https://keys.example.com/jwks', keyPairConfig: { alg: 'EdDSA' } },
      jwt: { sign: payload => signHmac(secret, payload) }
    }
  })
  const signedUp = await auth.signUp()
  t.strictSame(segment(signedUp.token, 0), { alg: 'HS256' })

  t.test('is accepted with the shared secret, though there is no JWKS', async t => {
    const app = await createApi(t, { authUrl: auth.origin, secret })
    await accepts(t, app, signedUp)
    t.equal(app.betterAuth.jwksUrl, null)
  })

  t.test('is refused without a secret, and with another one', async t => {
    await refuses(t, await createApi(t, { authUrl: auth.origin }), signedUp.token)
    await refuses(
      t, await createApi(t, { authUrl: auth.origin, secret: randomBytes(32).toString('hex') }), signedUp.token
    )
  })
})

t.test('refuses the session cookie of the same server as a bearer token', async t => {
  const auth = await startAuth(t, {
    jwt: { sessionCookieCache: true },
    session: { cookieCache: { enabled: true, strategy: 'jwt' } }
  })
  const signedUp = await auth.signUp()
  const name = 'better-auth.session_data='
  const cookie = signedUp.cookie.split('; ').find(one => one.startsWith(name))!.slice(name.length)
  t.match(segment(cookie, 0), { typ: 'better-auth.session-cache+jwt', kid: segment(signedUp.token, 0).kid })

  const audience = [auth.origin, 'better-auth:session-cache']
  for (const options of [{}, { audience }, { audience: false, issuer: false }] as BetterAuthOptions[]) {
    const log = captureLog()
    const app = await createApi(t, { authUrl: auth.origin, ...options }, log)
    await accepts(t, app, signedUp)
    await refuses(t, app, cookie)
    t.match(log.refusals(), [{ reason: 'typ_not_allowed' }, { reason: 'typ_not_allowed' }])
  }
})

t.test('refuses the token of another server', async t => {
  const auth = await startAuth(t)
  const stranger = await startAuth(t)
  // Better Auth signs any issuer that it is configured with: only the key differs here.
  const impostor = await startAuth(t, { jwt: { jwt: { issuer: auth.origin, audience: auth.origin } } })
  const log = captureLog()
  const app = await createApi(t, { authUrl: auth.origin }, log)
  await accepts(t, app, await auth.signUp())
  for (const server of [stranger, impostor]) {
    const hits = server.hits.get('/api/auth/jwks')
    const { token } = await server.signUp()
    await refuses(t, app, token)
    t.equal(server.hits.get('/api/auth/jwks'), hits, 'the keys of the other server were not asked for')
  }
  t.strictSame(log.refusals().map(({ reason }) => reason), Array(4).fill('unknown_key'))
})

t.test('refuses a token for another audience, and logs expected and received', async t => {
  const auth = await startAuth(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: auth.origin, audience: 'https://api.example.com' }, log)
  await refuses(t, app, (await auth.signUp()).token)
  t.equal(log.refusals().length, 2)
  for (const line of log.refusals()) {
    t.match(line, {
      reason: 'audience_mismatch', claim: 'aud', expected: ['https://api.example.com'], received: auth.origin
    })
  }
})
