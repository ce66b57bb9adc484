import { generateKeyPairSync, randomBytes, randomUUID, sign, type KeyObject } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ALGORITHMS, type BetterAuthOptions } from '../../lib/index.js'
import { bearer, headersFor, startApi, TRANSPORTS } from '../fixtures/api.js'
import { EXPIRED, INVALID, isRefusal, isSuccess, UNAVAILABLE, USER } from '../fixtures/expected.js'
import { deadOrigin, startJwks } from '../fixtures/jwks-server.js'
import { refusedRequests } from '../fixtures/refused-requests.js'
import {
  createClaims, createSigningKey, encode, signBytes, signHmac, signJws, type SigningKey
} from '../fixtures/signing.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey()

t.test('request.jwtVerify()', async t => {
  const SECRET = randomBytes(32).toString('hex')
  const edwards448 = generateKeyPairSync('ed448')
  const kid = randomUUID()
  const ed448: SigningKey = {
    ...edwards448, kid, alg: 'EdDSA', jwk: { ...edwards448.publicKey.export({ format: 'jwk' }), alg: 'EdDSA', kid }
  }
  const keys = [...ALGORITHMS.map(alg => createSigningKey(alg)), ed448]
  const jwks = await startJwks(t, KEY, ...keys)

  async function createBoth (t: Test, options: BetterAuthOptions): Promise<FastifyInstance> {
    const app = await startApi(t, options)
    app.get('/authenticate', { onRequest: [app.authenticate] }, async ({ user, claims }) => ({ user, claims }))
    app.get('/jwtVerify', async request => {
      const verified = await request.jwtVerify()
      t.equal(verified, request.user)
      return { user: request.user, claims: request.claims }
    })
    app.get('/callback', (request, reply) => {
      request.jwtVerify(error => { reply.send(error ?? { user: request.user, claims: request.claims }) })
    })
    return app
  }
  const URLS = ['/authenticate', '/jwtVerify', '/callback']

  t.test('accepts what authenticate accepts, and sets user and claims', async t => {
    const app = await createBoth(t, {
      authUrl: jwks.origin,
      secret: SECRET,
      issuer: ['https://old.example.com', jwks.origin],
      // Each of the many keys is looked up once, all within a second.
      jwks: { requestsPerMinute: 60_000 }
    })
    const now = Math.floor(Date.now() / 1000)
    const claims = createClaims(jwks.origin)
    for (const [name, token] of [
      ...keys.map(key => [`${key.alg} ${String(key.jwk.crv ?? '')}`, signJws(key, claims)] as const),
      ['HS256', signHmac(SECRET, claims)],
      ['typ JWT', signJws(KEY, claims, { typ: 'JWT' })],
      ['typ application/JWT', signJws(KEY, claims, { typ: 'application/JWT' })],
      ['several audiences', signJws(KEY, { ...claims, aud: ['https://other.example.com', jwks.origin] })],
      ['expired within the tolerance', signJws(KEY, { ...claims, exp: now - 1 })],
      ['not yet active within the tolerance', signJws(KEY, { ...claims, nbf: now + 3, iat: now + 3 })],
      ['fractions of seconds', signJws(KEY, { ...claims, exp: now + 60.5, iat: now - 0.5 })],
      ['no iat', signJws(KEY, { ...claims, iat: undefined })],
      ['a foreign jku', signJws(KEY, claims, { jku: 'https://evil.example.com/jwks' })]
    ] as const) {
      const expected = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
      for (const call of Object.values(TRANSPORTS)) {
        for (const url of URLS) {
          t.test(
            `${name} at ${url}`,
            async t => isSuccess(t, await call(app, { url, headers: bearer(token) }), { user: USER, claims: expected })
          )
        }
      }
    }
  })

  t.test('accepts any issuer and audience where they are not checked', async t => {
    const app = await createBoth(t, { authUrl: jwks.origin, issuer: false, audience: false })
    const claims = createClaims('https://any.example.com', { aud: undefined, iss: undefined })
    const { iss, aud, ...received } = claims
    for (const url of URLS) {
      isSuccess(t, await TRANSPORTS.inject(app, { url, headers: bearer(signJws(KEY, claims)) }), {
        user: USER, claims: received
      })
    }
  })

  t.test('refuses what authenticate refuses, with the same response', async t => {
    const app = await createBoth(t, { authUrl: jwks.origin })
    const token = (payload: unknown, header = {}) => `Bearer ${signJws(KEY, payload, header)}`
    const claims = createClaims(jwks.origin)
    const pem = KEY.publicKey.export({ type: 'spki', format: 'pem' })
    const rs256 = keys.find(({ alg }) => alg === 'RS256')!
    for (const row of [
      ...refusedRequests(jwks.origin, KEY, FOREIGN_KEY),
      { name: 'a payload that is an array', authorization: token([]), refusal: INVALID },
      { name: 'a payload that is null', authorization: token('null'), refusal: INVALID },
      { name: 'a payload that is no JSON', authorization: token('{'), refusal: INVALID },
      { name: 'of an OAuth client', authorization: token(claims, { typ: 'at+jwt' }), refusal: INVALID },
      {
        name: 'a session cookie',
        authorization: token(claims, { typ: 'better-auth.session-cache+jwt' }),
        refusal: INVALID
      },
      { name: 'a DPoP-bound token', authorization: token({ ...claims, cnf: { jkt: 'x' } }), refusal: INVALID },
      { name: 'a critical extension', authorization: token(claims, { crit: ['exp'] }), refusal: INVALID },
      {
        name: 'HMAC with the public key',
        authorization: `Bearer ${signHmac(pem, claims, { kid: KEY.kid })}`,
        refusal: INVALID
      },
      {
        name: 'another algorithm of the same key', authorization: `Bearer ${pss(rs256, jwks.origin)}`, refusal: INVALID
      }
    ]) {
      for (const [transport, call] of Object.entries(TRANSPORTS)) {
        for (const url of URLS) {
          t.test(`${row.name} at ${url}, by ${transport}`, async t => {
            isRefusal(t, await call(app, { url, headers: headersFor(row.authorization) }), row.refusal)
          })
        }
      }
    }
  })

  t.test('503 while the keys cannot be fetched', async t => {
    for (const [transport, call] of Object.entries(TRANSPORTS)) {
      for (const url of URLS) {
        t.test(`${url}, by ${transport}`, async t => {
          const authUrl = await deadOrigin()
          const app = await createBoth(t, { authUrl })
          for (const time of ['cold', 'during the pause']) {
            isRefusal(
              t, await call(app, { url, headers: bearer(signJws(KEY, createClaims(authUrl))) }), UNAVAILABLE, time
            )
          }
        })
      }
    }
  })

  t.test('leaves user and claims alone when it refuses', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    app.get('/', async request => {
      await t.rejects(request.jwtVerify(), { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
      return { user: request.user, claims: request.claims ?? null }
    })
    for (const token of [
      'abc',
      signJws(KEY, createClaims('https://evil.example.com')),
      signJws(KEY, createClaims(jwks.origin, { email: 7 }))
    ]) {
      isSuccess(t, await TRANSPORTS.inject(app, { url: '/', headers: bearer(token) }), { user: null, claims: null })
    }
  })

  t.test('options of a call open no way around the rules', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    app.get('/', async request => {
      const query = request.query as { token: string }
      const loose = {
        extractToken: () => query.token, ignoreExpiration: true, allowedIss: [jwks.origin, 'https://evil.example.com']
      }
      await request.jwtVerify(loose)
      return request.user
    })
    const ask = async (token: string) => TRANSPORTS.inject(app, { url: `/?token=${token}` })
    isSuccess(t, await ask(signJws(KEY, createClaims(jwks.origin))), USER)
    isRefusal(t, await ask(signJws(KEY, createClaims(jwks.origin, { exp: 1 }))), EXPIRED)
    isRefusal(t, await ask(signJws(KEY, createClaims('https://evil.example.com'))), INVALID)
    isRefusal(t, await ask(signJws(FOREIGN_KEY, createClaims(jwks.origin), { kid: KEY.kid })), INVALID)
  })

  t.test('fastify.jwt signs nothing, and verifies nothing without a request', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    const claims = createClaims(jwks.origin)
    t.throws(() => app.jwt.sign(USER), /unable to sign/)
    await t.rejects(async () => app.jwt.verify(signJws(KEY, claims)))
    await t.rejects(async () => app.jwt.verify(signJws(FOREIGN_KEY, claims)))
  })
})

/** A token whose header says PS256 where the JWK says RS256, with a signature that fits the header. */
function pss (key: SigningKey, origin: string): string {
  const input = `${encode({ alg: 'PS256', kid: key.kid })}.${encode(createClaims(origin))}`
  return `${input}.${encode(signBytes({ ...key, alg: 'PS256' }, Buffer.from(input)))}`
}

t.test('Ed25519 and Ed448, the new names of EdDSA', async t => {
  const ed25519 = generateKeyPairSync('ed25519')
  const ed448 = generateKeyPairSync('ed448')
  const publish = ({ publicKey }: { publicKey: KeyObject }, alg: string | undefined, kid: string) => {
    return { ...publicKey.export({ format: 'jwk' }), ...alg !== undefined && { alg }, kid }
  }
  const jwks = await startJwks(t)
  jwks.keys = [
    publish(ed25519, 'EdDSA', 'old-25519'), publish(ed25519, 'Ed25519', 'new-25519'),
    publish(ed25519, undefined, '25519'), publish(ed25519, 'Ed448', 'wrong'),
    publish(ed448, 'EdDSA', 'old-448'), publish(ed448, 'Ed448', 'new-448')
  ]
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/authenticate', { onRequest: [app.authenticate] }, async () => 'in')
  app.get('/jwtVerify', async request => { await request.jwtVerify(); return 'in' })
  const statusOf = async (
    alg: string, kid: string, { privateKey }: { privateKey: KeyObject }, url = '/authenticate'
  ) => {
    const input = `${encode({ alg, kid })}.${encode(createClaims(jwks.origin))}`
    const token = `${input}.${encode(sign(null, Buffer.from(input), privateKey))}`
    return (await app.inject({ url, headers: bearer(token) })).statusCode
  }
  for (const kid of ['old-25519', 'new-25519', '25519']) {
    for (const alg of ['EdDSA', 'Ed25519']) t.equal(await statusOf(alg, kid, ed25519), 200, `${alg} with ${kid}`)
    t.equal(await statusOf('Ed448', kid, ed25519), 401, `Ed448 with ${kid}`)
    t.equal(await statusOf('EdDSA', kid, ed25519, '/jwtVerify'), 200)
    t.equal(await statusOf('Ed25519', kid, ed25519, '/jwtVerify'), 401, 'a name that fast-jwt does not know')
  }
  for (const kid of ['old-448', 'new-448']) {
    for (const alg of ['EdDSA', 'Ed448']) t.equal(await statusOf(alg, kid, ed448), 200, `${alg} with ${kid}`)
    t.equal(await statusOf('Ed25519', kid, ed448), 401, `Ed25519 with ${kid}`)
  }
  t.equal(await statusOf('EdDSA', 'wrong', ed25519), 401, 'a JWK with the name of the other curve')
})

t.test('a function as issuer decides for authenticate, jwtVerify() and the session cookie alike', async t => {
  const cookieServer = await startIssuer(t)
  const jwks = await startJwks(t, KEY)
  const isTenant = (iss: string) => iss.endsWith('.tenant.example')
  const app = await startApi(t, { authUrl: jwks.origin, issuer: isTenant })
  app.get('/authenticate', { onRequest: [app.authenticate] }, async ({ user }) => user)
  app.get('/jwtVerify', async request => request.jwtVerify())
  for (const [iss, status] of [
    ['https://a.tenant.example', 200], ['https://b.tenant.example', 200], ['https://tenant.example.evil', 401],
    [jwks.origin, 401], [undefined, 401]
  ] as const) {
    const headers = bearer(signJws(KEY, createClaims(jwks.origin, { iss })))
    for (const url of ['/authenticate', '/jwtVerify']) {
      t.equal((await app.inject({ url, headers })).statusCode, status, `${iss} ${url}`)
    }
  }

  const { authUrl } = cookieServer
  const withCookie = await startApi(t, { authUrl, issuer: isTenant, sessionCookie: true })
  withCookie.get('/', { onRequest: [withCookie.authenticate] }, async ({ user }) => user)
  const { statusCode } = await withCookie.inject({ url: '/', headers: { cookie: cookieServer.sessionCookie() } })
  t.equal(statusCode, 200, 'the origin of authUrl, which signs cookies, is accepted too')
})
