import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import type { TestIssuer } from '../../lib/testing/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../fixtures/api.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { rawRequest } from '../fixtures/raw-request.js'
import { recordUnhandled } from '../fixtures/rejections.js'
import { startIssuer, USER } from '../fixtures/test-issuer.js'

type ExtractToken = NonNullable<BetterAuthOptions['extractToken']>

const MISSING = { status: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', challenge: 'Bearer' }
const INVALID = { status: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID', challenge: 'Bearer error="invalid_token"' }
const EXPIRED = { ...INVALID, code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' }
const MALFORMED = { status: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID', challenge: 'Bearer error="invalid_request"' }

const fromQuery: ExtractToken = request => (request.query as { token?: string }).token
const fromProtocol: ExtractToken = request => request.headers['sec-websocket-protocol']?.split(', ')[1]

async function createApi (t: Test, options: BetterAuthOptions, log?: LogCapture): Promise<FastifyInstance> {
  const app = await startApi(t, options, log)
  const handler = async ({ user }: FastifyRequest) => ({ id: user?.id ?? null })
  app.get('/me', { onRequest: app.authenticate }, handler)
  app.get('/optional', { onRequest: app.authenticateOptional }, handler)
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, handler)
  app.get('/by-hand', async (request, reply) => {
    const code: unknown = await app.authenticate(request, reply).then(() => null, error => error.code)
    return { code, user: request.user, claims: request.claims ?? null }
  })
  return app
}

const tokenFor = (issuer: TestIssuer, claims = {}) => issuer.token({ role: 'admin', ...claims })

/** Signs as that issuer, with a key of its own. */
const startForeign = (t: Test, { authUrl }: TestIssuer) => startIssuer(t, { issuer: authUrl, audience: authUrl })

async function refuses (
  t: Test, app: FastifyInstance, url: string, headers: Record<string, string>, expected: typeof MISSING, name: string
): Promise<void> {
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    const { status, headers: got, body } = await call(app, { url, headers })
    t.strictSame({
      status, code: JSON.parse(body).code, challenge: got['www-authenticate']
    }, expected, `${name}, by ${transport}`)
  }
}

async function accepts (
  t: Test, app: FastifyInstance, url: string, headers: Record<string, string>, id: string | null, name: string
): Promise<void> {
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    const { status, body } = await call(app, { url, headers })
    t.strictSame([status, JSON.parse(body)], [200, { id }], `${name}, by ${transport}`)
  }
}

t.test('a token in another place', async t => {
  const issuer = await startIssuer(t)
  const foreign = await startForeign(t, issuer)
  const app = await createApi(t, { authUrl: issuer.authUrl, extractToken: fromProtocol })
  const protocol = (token: string) => ({ 'sec-websocket-protocol': `bearer, ${token}` })
  const token = tokenFor(issuer)
  for (const url of ['/me', '/optional', '/admin']) {
    await accepts(t, app, url, protocol(token), USER.id, `is accepted at ${url}`)
    await accepts(t, app, url, protocol(token), USER.id, `is accepted again at ${url}`)
    for (const [name, wrong, refusal] of [
      ['malformed', 'abc', INVALID],
      ['expired', tokenFor(issuer, { iat: 1e9, exp: 1e9 }), EXPIRED],
      ['of a foreign key', tokenFor(foreign), INVALID],
      ['of a foreign issuer', tokenFor(issuer, { iss: 'https://evil.example.com' }), INVALID],
      ['for another audience', tokenFor(issuer, { aud: 'https://evil.example.com' }), INVALID],
      ['of another kind', issuer.token({}, { header: { typ: 'logout+jwt' } }), INVALID],
      ['with its scheme before it', `Bearer ${token}`, INVALID],
      ['with a space after it', `${token} x`, INVALID],
      ['too long', `${token}${'A'.repeat(16_384)}`, INVALID]
    ] as const) {
      // Node.js itself refuses headers that are longer than what the plugin reads.
      if (name === 'too long') t.equal((await app.inject({ url, headers: protocol(wrong) })).statusCode, 401)
      else await refuses(t, app, url, protocol(wrong), refusal, `is verified like any other at ${url}: ${name}`)
    }
  }
  t.equal(
    (await app.inject({ url: '/admin', headers: protocol(tokenFor(issuer, { role: 'user' })) })).statusCode,
    403,
    'is judged by guards'
  )
  t.equal(
    (await app.inject({ url: '/me', headers: protocol(tokenFor(issuer, { banned: true })) })).statusCode,
    403,
    'is no way round a ban'
  )
  const revoking = await createApi(t, { authUrl: issuer.authUrl, extractToken: fromProtocol, isRevoked: () => true })
  t.equal(
    (await revoking.inject({ url: '/me', headers: protocol(token) })).json().code,
    'FST_BETTER_AUTH_TOKEN_REVOKED',
    'is no way round a revocation'
  )
  await refuses(t, app, '/me', {}, MISSING, 'without it there is no token')
})

t.test('without the option it is nowhere but in the header', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl })
  const token = tokenFor(issuer)
  await refuses(t, app, `/me?token=${token}&access_token=${token}`, {
    cookie: `token=${token}; better-auth.session_data=${token}`,
    'sec-websocket-protocol': `bearer, ${token}`,
    'x-access-token': token
  }, MISSING, 'refused')
})

t.test('the header comes first, and alone decides', async t => {
  const issuer = await startIssuer(t)
  const foreign = await startForeign(t, issuer)
  let asked = 0
  const app = await createApi(t, {
    authUrl: issuer.authUrl,
    extractToken (request) {
      asked++
      return fromQuery(request)
    }
  })
  const good = tokenFor(issuer, { sub: 'u_query', id: 'u_query' })
  const url = `/me?token=${good}`
  await accepts(
    t, app, url, bearer(tokenFor(issuer, { sub: 'u_header', id: 'u_header' })), 'u_header', 'both are right'
  )
  await accepts(t, app, '/me?token=abc', bearer(tokenFor(issuer)), USER.id, 'the other is wrong')
  await refuses(t, app, url, bearer('abc'), INVALID, 'a malformed token in the header')
  await refuses(
    t, app, url, bearer(tokenFor(issuer, { iat: 1e9, exp: 1e9 })), EXPIRED, 'an expired token in the header'
  )
  await refuses(t, app, url, bearer(tokenFor(foreign)), INVALID, 'a foreign key in the header')
  await refuses(t, app, url, { authorization: 'Bearer' }, MALFORMED, 'Bearer with nothing')
  await refuses(t, app, url, { authorization: 'Bearer a b' }, MALFORMED, 'Bearer with two words')
  await refuses(t, app, `/optional?token=${good}`, bearer('abc'), INVALID, 'on an optional route as well')

  const { port } = app.server.address() as { port: number }
  const twice = await rawRequest(port, url, ['Authorization: Basic abc', 'Authorization: Basic abc'])
  t.equal(twice.status, 400, 'two headers')
  t.equal(asked, 0, 'extractToken is not asked')

  await accepts(t, app, url, {}, 'u_query', 'no header')
  t.equal(asked, 2)
  for (const authorization of ['Basic YWRhOmxvdmVsYWNl', 'DPoP abc']) {
    await accepts(t, app, url, { authorization }, 'u_query', `a header that is no bearer header: ${authorization}`)
  }
})

t.test('where there is none', async t => {
  const issuer = await startIssuer(t)
  for (const [name, extractToken] of Object.entries<ExtractToken>({
    undefined: () => undefined, 'an empty text': () => ''
  })) {
    const app = await createApi(t, { authUrl: issuer.authUrl, extractToken })
    await refuses(t, app, '/me', {}, MISSING, name)
    await refuses(t, app, '/admin', {}, MISSING, name)
    await accepts(t, app, '/optional', {}, null, `${name}, an anonymous request`)
    await refuses(t, app, '/optional', { authorization: 'Basic abc' }, MISSING, `${name}, with another scheme`)
    await accepts(t, app, '/me', bearer(tokenFor(issuer)), USER.id, `${name}, with a header`)
  }
})

t.test('one that fails, or finds something else than text, is a 401', async t => {
  const issuer = await startIssuer(t)
  const unhandled = recordUnhandled(t)
  const raise = (what: unknown): never => { throw what }
  const untyped = (found: (token: string) => unknown): ExtractToken => () => found(tokenFor(issuer)) as string
  for (const [name, extractToken] of Object.entries<ExtractToken>({
    'a throw': () => { throw new Error('queue:hunter2') },
    'a throw of nothing': () => raise(undefined),
    'a property of undefined': request => (request.body as { token: string }).token,
    null: untyped(() => null),
    false: untyped(() => false),
    'a number': untyped(() => 7),
    0: untyped(() => 0),
    'an object': untyped(token => ({ token })),
    'an array': untyped(token => [token]),
    'a String object': untyped(token => Object(token)),
    bytes: untyped(token => Buffer.from(token)),
    'a promise of a token': untyped(token => Promise.resolve(token)),
    'a promise of nothing': untyped(() => Promise.resolve()),
    // Nobody waits for it: its rejection must not end the process.
    'a promise that is rejected': untyped(async () => { throw new Error('queue:hunter2') })
  })) {
    t.test(name, async t => {
      const log = captureLog()
      const app = await createApi(t, { authUrl: issuer.authUrl, extractToken }, log)
      for (const url of ['/me', '/optional', '/admin']) {
        log.lines.length = 0
        await refuses(t, app, url, {}, INVALID, url)
        t.strictSame(log.refusals().map(line => line.reason), ['extract_token_failed', 'extract_token_failed'])
      }
      t.strictSame((await app.inject('/by-hand')).json(), {
        code: INVALID.code, user: null, claims: null
      }, 'by hand, leaves no user behind')
      await accepts(t, app, '/me', bearer(tokenFor(issuer)), USER.id, 'a header needs it not')
      t.strictSame(unhandled, [])
    })
  }
})

t.test('keys that cannot be fetched are a 503', async t => {
  const issuer = await startIssuer(t)
  issuer.fail('down')
  const app = await createApi(t, { authUrl: issuer.authUrl, extractToken: fromQuery })
  for (const url of ['/me', '/optional', '/admin']) {
    t.equal((await app.inject(`${url}?token=${tokenFor(issuer)}`)).statusCode, 503, url)
  }
})

t.test('it comes before the session cookie', async t => {
  const issuer = await startIssuer(t)
  const app = await createApi(t, { authUrl: issuer.authUrl, sessionCookie: true, extractToken: fromQuery })
  const cookie = { cookie: 'better-auth.session_data=abc' }
  await accepts(t, app, `/me?token=${tokenFor(issuer)}`, cookie, USER.id, 'a token beside a cookie')
  await refuses(t, app, '/me?token=abc', {}, INVALID, 'a bad token')
  await refuses(t, app, '/me', cookie, INVALID, 'no token, and a bad cookie')
})

t.test('one that is no function fails the boot', async t => {
  for (const extractToken of [null, true, 'query.token', {}, ['token']]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => {
      await app.register(betterAuthPlugin, { extractToken: extractToken as unknown as ExtractToken })
    }, {
      code: 'FST_BETTER_AUTH_INVALID_OPTION',
      message: /Option "extractToken" must be a function, got/
    } as unknown as Error)
  }
})

t.test('with a token of a real Better Auth server', async t => {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  const app = await createApi(t, { authUrl: auth.origin, extractToken: fromQuery })
  const { token, user } = await auth.signUp()
  await accepts(t, app, `/me?token=${token}`, {}, user.id, 'accepted')
  await refuses(t, app, `/me?token=${token.slice(0, -8)}AAAAAAAA`, {}, INVALID, 'refused with another signature')
})
