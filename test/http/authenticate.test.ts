import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { publishVerification } from '../../lib/http/authenticate.js'
import { CHANNELS, getUser, type BetterAuthOptions } from '../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../fixtures/api.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { segment, startIssuer, USER } from '../fixtures/test-issuer.js'

const POSITIONS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

async function createApi (t: Test, options: BetterAuthOptions, log?: LogCapture): Promise<FastifyInstance> {
  const app = await startApi(t, options, log)
  for (const position of POSITIONS) {
    app.get(`/${position}`, { [position]: app.authenticateOptional }, async request => {
      return { user: request.user, same: getUser(request) === request.user, claims: request.claims ?? null }
    })
  }
  return app
}

t.test('an anonymous request, without any credentials', async t => {
  const issuer = await startIssuer(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: issuer.authUrl }, log)
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const position of POSITIONS) {
      const { status, headers, body } = await call(app, { url: `/${position}` })
      t.strictSame({ status, challenge: headers['www-authenticate'], body: JSON.parse(body) }, {
        status: 200, challenge: undefined, body: { user: null, same: true, claims: null }
      }, `continues, in ${position} by ${transport}`)
    }
  }
  t.strictSame(log.refusals(), [], 'is no refusal in the log')
  t.equal(
    (await app.inject({ url: '/onRequest', headers: { cookie: 'better-auth.session_data=abc' } })).statusCode,
    200,
    'a cookie is nothing without the option'
  )
})

t.test('a user, with a token that is right', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  const token = issuer.token()
  const claims = segment(token, 1)
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const position of POSITIONS) {
      const { status, body } = await call(app, { url: `/${position}`, headers: bearer(token) })
      t.strictSame(
        { status, body: JSON.parse(body) },
        { status: 200, body: { user: USER, same: true, claims } },
        `${position} by ${transport}`
      )
    }
  }
})

t.test('credentials that are wrong are never taken for none', async t => {
  const issuer = await startIssuer(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: issuer.authUrl }, log)
  const expired = { iat: 1_700_000_000, exp: 1_700_000_900 }
  const foreign = await startIssuer(t, { issuer: issuer.authUrl, audience: issuer.authUrl })
  const token = (claims = {}, { token } = issuer) => `Bearer ${token(claims)}`
  const missing = { status: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', challenge: 'Bearer' }
  const malformed = {
    status: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID', challenge: 'Bearer error="invalid_request"'
  }
  const invalid = { status: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID', challenge: 'Bearer error="invalid_token"' }
  for (const { name, authorization, refusal, reason } of [
    {
      name: 'an expired token',
      authorization: token(expired),
      refusal: { ...invalid, code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' },
      reason: 'token_expired'
    },
    { name: 'a foreign key', authorization: token({}, foreign), refusal: invalid, reason: 'unknown_key' },
    {
      name: 'a foreign issuer',
      authorization: token({ iss: 'https://evil.example.com' }),
      refusal: invalid,
      reason: 'issuer_mismatch'
    },
    {
      name: 'no user',
      authorization: token({ sub: undefined, id: undefined }),
      refusal: invalid,
      reason: 'claim_missing'
    },
    { name: 'a malformed token', authorization: 'Bearer abc', refusal: invalid, reason: 'token_malformed' },
    { name: 'the word null', authorization: 'Bearer null', refusal: invalid, reason: 'token_malformed' },
    { name: 'the word undefined', authorization: 'Bearer undefined', refusal: invalid, reason: 'token_malformed' },
    { name: 'Bearer with nothing', authorization: 'Bearer', refusal: malformed, reason: 'authorization_malformed' },
    {
      name: 'Bearer with two words', authorization: 'Bearer a b', refusal: malformed, reason: 'authorization_malformed'
    },
    { name: 'another scheme', authorization: 'Digest username="ada"', refusal: missing, reason: 'token_missing' },
    { name: 'a scheme that begins alike', authorization: 'Bearerabc', refusal: missing, reason: 'token_missing' },
    { name: 'an empty header', authorization: '', refusal: missing, reason: 'token_missing' }
  ]) {
    for (const [transport, call] of Object.entries(TRANSPORTS)) {
      for (const position of POSITIONS) {
        log.lines.length = 0
        const { status, headers, body } = await call(app, { url: `/${position}`, headers: { authorization } })
        t.strictSame({
          status, code: JSON.parse(body).code, challenge: headers['www-authenticate']
        }, refusal, `${name}, in ${position} by ${transport}`)
        t.strictSame(log.refusals().map(line => line.reason), [reason])
      }
    }
  }
})

t.test('a password for a proxy in front of the API is not a credential for the API', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  app.get('/required', { onRequest: [app.authenticate] }, async () => 'served')
  const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
  const token = issuer.token()
  for (const authorization of [
    'Basic YWRhOmxvdmVsYWNl', 'basic YWRhOmxvdmVsYWNl', 'BASIC   YWRhOmxvdmVsYWNl', 'Basic YWRhOmxvdmVsYWNl ',
    `Basic ${base64('ada:')}`, `Basic ${base64(':')}`, `Basic ${base64('ada:a:b')}`, `Basic ${base64('adä:ключ')}`
  ]) {
    for (const position of POSITIONS) {
      const { statusCode, body } = await app.inject({ url: `/${position}`, headers: { authorization } })
      t.equal(statusCode, 200, `${authorization}, in ${position}`)
      t.match(JSON.parse(body), { user: null })
    }
    t.equal((await app.inject({ url: '/required', headers: { authorization } })).statusCode, 401)
  }
  for (const credentials of [
    `Basic ${token}`, `Basic ${token.split('.')[0]}`, `Basic ${base64('{"session":{}}')}`, `Basic ${base64('ada')}`,
    `Basic ${base64(Buffer.from([0xff, 0x3a]))}`, `Basic ${base64('ada:\n')}`, `Basic ${base64('ad\u0000a:x')}`,
    'Basic', 'Basic ', 'Basic ada:lovelace', 'Basic YWRhOmxvdmVsYWNl, Bearer x', 'Basic YWRhOmxvdmVsYWNl x',
    'Basic YWRhOmxvdmVsYWNl===', `Token ${token}`, `DPoP ${token}`, 'Negotiate YWRhOmxvdmVsYWNl',
    'XBasic YWRhOmxvdmVsYWNl', 'Basic\tYWRhOmxvdmVsYWNl', 'YWRhOmxvdmVsYWNl', token
  ]) {
    const { statusCode, body } = await app.inject({ url: '/onRequest', headers: { authorization: credentials } })
    t.match([statusCode, JSON.parse(body).code], [401, 'FST_BETTER_AUTH_TOKEN_MISSING'], credentials.slice(0, 40))
  }
})

t.test('keys that cannot be fetched are a 503, not an anonymous request', async t => {
  const issuer = await startIssuer(t)
  issuer.fail('down')
  const app = await createApi(t, { authUrl: issuer.authUrl })
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const position of POSITIONS) {
      const { status, headers, body } = await call(app, { url: `/${position}`, headers: bearer(issuer.token()) })
      t.strictSame(
        [status, JSON.parse(body).code], [503, 'FST_BETTER_AUTH_JWKS_UNAVAILABLE'], `${position} by ${transport}`
      )
      t.match(headers['retry-after'], /^[1-9]\d*$/)
    }
    t.equal((await call(app, { url: '/onRequest' })).status, 200, 'an anonymous request needs no keys')
  }
})

t.test('an anonymous request is anonymous, whatever other hooks wrote into it', async t => {
  const issuer = await startIssuer(t)
  for (const sessionCookie of [false, true]) {
    const app = await createApi(t, { authUrl: issuer.authUrl, sessionCookie })
    if (!sessionCookie) app.decorateRequest('session', null)
    const forge = async (request: FastifyRequest) => {
      request.user = { ...USER, id: 'forged' }
      request.claims = { exp: 1e12, sub: 'forged' }
      request.session = { userId: 'forged', token: 'x', expiresAt: '' }
    }
    app.get('/forged', { onRequest: [forge, app.authenticateOptional] }, async request => {
      return { user: request.user, got: getUser(request), claims: request.claims, session: request.session }
    })
    app.get('/guarded', {
      onRequest: [forge, app.authenticateOptional, app.authorize({ check: () => true })]
    }, async () => 'in')
    const session = sessionCookie ? null : { userId: 'forged', token: 'x', expiresAt: '' }
    for (const [transport, call] of Object.entries(TRANSPORTS)) {
      const { body } = await call(app, { url: '/forged' })
      t.strictSame(
        JSON.parse(body), { user: null, got: null, claims: null, session },
        `${transport}: the session is left alone where it is not the plugin's`
      )
    }
    t.equal((await app.inject('/guarded')).statusCode, 401)
    const { user, claims, session: own } = (await app.inject({
      url: '/forged', headers: bearer(issuer.token())
    })).json()
    t.strictSame([user, claims.sub, own], [USER, USER.id, session], 'a bearer token has no session either')
  }
})

t.test('who was authenticated before is not, where the second hook finds no credentials', async t => {
  const issuer = await startIssuer(t)
  let token: string | undefined
  const app = await startApi(t, { authUrl: issuer.authUrl, extractToken: () => token })
  app.get('/', {
    onRequest: [app.authenticate, async () => { token = undefined }],
    preHandler: [app.authenticateOptional]
  }, async request => ({ user: getUser(request) }))
  app.get('/guarded', {
    onRequest: [app.authenticate, async () => { token = undefined }],
    preHandler: [app.authenticateOptional, app.authorize({ check: () => true })]
  }, async () => 'in')
  token = issuer.token()
  t.strictSame((await app.inject('/')).json(), { user: null })
  token = issuer.token()
  t.equal((await app.inject('/guarded')).statusCode, 401)
})

t.test('by hand: what was refused and caught leaves no user behind', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  app.get('/by-hand', async (request, reply) => {
    const code: unknown = await app.authenticateOptional(request, reply).then(() => null, error => error.code)
    return { code, user: getUser(request), raw: request.user, claims: request.claims ?? null }
  })
  const answer = async (headers = {}) => (await app.inject({ url: '/by-hand', headers })).json()
  const token = issuer.token()
  const claims = segment(token, 1)
  t.strictSame(await answer(), { code: null, user: null, raw: null, claims: null })
  t.strictSame(await answer(bearer(token)), { code: null, user: USER, raw: USER, claims })
  for (const [authorization, code] of [
    ['Bearer abc', 'FST_BETTER_AUTH_TOKEN_INVALID'],
    ['Bearer', 'FST_BETTER_AUTH_REQUEST_INVALID'],
    ['Basic abc', 'FST_BETTER_AUTH_TOKEN_MISSING'],
    [`Bearer ${issuer.token({ banned: true })}`, 'FST_BETTER_AUTH_FORBIDDEN']
  ]) t.strictSame(await answer({ authorization }), { code, user: null, raw: null, claims: null })
})

t.test('getUser() knows no user where nothing authenticates', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  app.get('/open', async request => ({ user: getUser(request) }))
  t.strictSame((await app.inject({ url: '/open', headers: bearer(issuer.token()) })).json(), { user: null })
})

t.test('serves anonymous requests and users of a real Better Auth server on one route', async t => {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  const app = await createApi(t, { authUrl: auth.origin })
  const { token, user } = await auth.signUp()
  const get = async (headers = {}) => {
    const response = await app.inject({ url: '/onRequest', headers })
    return [response.statusCode, response.json().user?.id ?? null]
  }
  t.strictSame(await get(), [200, null])
  t.strictSame(await get(bearer(token)), [200, user.id])
  t.strictSame(await get(bearer(`${token.slice(0, -8)}AAAAAAAA`)), [401, null])
})

t.test('an error that is no refusal is published without a reason', async t => {
  const published: unknown[] = []
  const onMessage = (message: unknown) => { published.push(message) }
  subscribe(CHANNELS.verification, onMessage)
  t.teardown(() => unsubscribe(CHANNELS.verification, onMessage))
  const broken = Object.assign(new Error('of a callback'), { reason: 'ours?' })
  t.throws(() => publishVerification('http://localhost:3000', () => { throw broken }), broken)
  t.match(published, [{ outcome: 'refused', reason: null }])
})

t.test('each outcome is published, whether it is known at once or later', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  const published: unknown[] = []
  const onMessage = (message: unknown) => { published.push(message) }
  subscribe(CHANNELS.verification, onMessage)
  t.teardown(() => unsubscribe(CHANNELS.verification, onMessage))
  const token = bearer(issuer.token())
  for (const headers of [{}, token, token, bearer('abc')]) await app.inject({ url: '/onRequest', headers })
  const authUrl = issuer.authUrl
  t.strictSame(published, [
    { authUrl, credential: null, cached: false, outcome: 'anonymous', reason: null },
    { authUrl, credential: 'bearer', cached: false, outcome: 'accepted', reason: null },
    { authUrl, credential: 'bearer', cached: true, outcome: 'accepted', reason: null },
    { authUrl, credential: 'bearer', cached: false, outcome: 'refused', reason: 'token_malformed' }
  ])
})
