import { randomBytes } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import type { BetterAuthOptions as ServerOptions } from 'better-auth'
import { jwt } from 'better-auth/plugins'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { getUser, type BetterAuthOptions, type RefusalReason, type Session } from '../../../lib/index.js'
import { resolveOptions } from '../../../lib/options.js'
import { sessionCookies } from '../../../lib/session-cookie.js'
import { createUserReader } from '../../../lib/user.js'
import { createVerifier, type Verifier } from '../../../lib/verifier.js'
import { bearer, captureLog, TRANSPORTS, type LogCapture } from '../../fixtures/api.js'
import { createTestStore } from '../../fixtures/key-store.js'
import { type Clock } from '../../fixtures/clock.js'
import { cookieHeader, startCookieServer, type CookieServer, type CookieUser } from '../../fixtures/cookie-server.js'
import { createClaims, createSigningKey, signHmac, signJws } from '../../fixtures/signing.js'
import { startJwksServer, type JwksServer } from '../../fixtures/jwks-server.js'
import { withReason } from '../../fixtures/refusals.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey('EdDSA', KEY.kid)
const SECRET = randomBytes(32).toString('hex')
const NAME = 'better-auth.session_data'
const TYP = 'better-auth.session-cache+jwt'
const USER = { id: 'u_1', name: 'Ada', email: 'ada@example.com', emailVerified: true, image: null }

type Fields = Record<string, unknown>
type Cookies = ReadonlyArray<readonly [name: string, value: string]>

interface Body { user: Fields | null, session: Fields | null, claims: Fields | null, code?: string }

async function createApi (t: Test, options: BetterAuthOptions, log: LogCapture = captureLog()): Promise<FastifyInstance> {
  const app = Fastify({ logger: log.logger, http: { maxHeaderSize: 65_536 } })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { sessionCookie: true, ...options })
  addRoutes(app)
  return app
}

function addRoutes (app: FastifyInstance): void {
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, session, claims }) => ({ user, session, claims }))
  app.get('/maybe', { onRequest: [app.authenticateOptional] }, async request => ({ user: getUser(request), session: request.session }))
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ user }))
}

async function get (app: FastifyInstance, headers: Record<string, string>, url = '/me'): Promise<{ status: number, body: Body }> {
  const response = await app.inject({ url, headers })
  return { status: response.statusCode, body: response.json() }
}

async function getWith (app: FastifyInstance, cookies: Cookies, url = '/me'): Promise<{ status: number, body: Body }> {
  return get(app, cookieHeader(cookies), url)
}

/** A hand-held issuer of cookies. */
async function startJwks (t: Test): Promise<JwksServer> {
  const jwks = await startJwksServer([KEY.jwk])
  t.teardown(() => jwks.stop())
  return jwks
}

const now = () => Math.floor(Date.now() / 1000)
const isoIn = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()

/** What Better Auth signs with HS256, the session good for a week; overrides within `user` and `session` are laid over. */
function createContent (user: Fields = {}, session: Fields = {}): { user: Fields, session: Fields } & Fields {
  return {
    session: { id: 's_1', userId: 'u_1', token: 'session-token', expiresAt: isoIn(604_800), ipAddress: '', userAgent: 'node', ...session },
    user: { ...USER, createdAt: isoIn(-60), updatedAt: isoIn(-60), ...user },
    updatedAt: Date.now(),
    version: '1',
    iat: now(),
    exp: now() + 300
  }
}

/** The claims of a session cookie that is right in every respect, with what a test lays over them. */
function createCookieClaims (issuer: string, overrides: Fields = {}, user: Fields = {}, session: Fields = {}): Fields {
  return { ...createContent(user, session), iss: issuer, aud: 'better-auth:session-cache', sub: 'u_1', sid: 'session-token', ...overrides }
}

const createCookie = (issuer: string, ...overrides: Fields[]) => signJws(KEY, createCookieClaims(issuer, ...overrides), { typ: TYP })

function split (value: string, count: number): Array<[name: string, value: string]> {
  const size = Math.ceil(value.length / count)
  return Array.from({ length: count }, (_, index) => [`${NAME}.${index}`, value.slice(index * size, (index + 1) * size)])
}

t.test('a browser that signed up at a real Better Auth server', async t => {
  async function startServer (t: Test, options: ServerOptions = {}): Promise<CookieServer> {
    const server = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })], ...options })
    t.teardown(() => server.close())
    return server
  }

  async function accepts (t: Test, app: FastifyInstance, { user, cookies }: CookieUser): Promise<void> {
    for (const [name, call] of Object.entries(TRANSPORTS)) {
      const { status, body } = await call(app, { url: '/me', headers: cookieHeader(cookies) })
      t.equal(status, 200, `accepted by ${name}`)
      const answer = JSON.parse(body) as Body
      t.strictSame(answer.user, { id: user.id, email: user.email, name: user.name, emailVerified: false, image: null })
      const token = decodeURIComponent(cookies.get([...cookies.keys()].find(name => name.endsWith('session_token'))!)!).split('.')[0]
      t.match(answer.session, { userId: user.id, token, userAgent: 'node', expiresAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
      t.match(answer.claims, { user: { id: user.id }, session: answer.session, version: '1' })
    }
  }

  await t.test('is known by its cookies, and by its session', async t => {
    const server = await startServer(t)
    const app = await createApi(t, { authUrl: server.origin })
    const signedUp = await server.signUp({ name: 'Grace Hopper' })
    await accepts(t, app, signedUp)
    const { body } = await getWith(app, [...signedUp.cookies])
    t.match(body.claims, { iss: server.origin, aud: 'better-auth:session-cache', sub: signedUp.user.id, sid: body.session!.token })
    t.equal((await getWith(app, [...signedUp.cookies], '/admin')).status, 403)
  })

  await t.test('is known by a cookie so large that it came in chunks', async t => {
    const server = await startServer(t, { user: { additionalFields: { biography: { type: 'string' } } } })
    const app = await createApi(t, { authUrl: server.origin })
    const signedUp = await server.signUp({ biography: 'programmer '.repeat(800) })
    t.ok(signedUp.cookies.has(`${NAME}.2`))
    t.notOk(signedUp.cookies.has(NAME))
    await accepts(t, app, signedUp)
    t.equal((await getWith(app, [...signedUp.cookies].reverse())).status, 200, 'in the other order')
    t.equal((await getWith(app, [...signedUp.cookies].filter(([name]) => name !== `${NAME}.1`))).status, 401, 'not without a chunk')
  })

  await t.test('is known by the names of cookies for https, with a prefix and with a name of its own', async t => {
    for (const { advanced, sessionCookie, name } of [
      { advanced: { useSecureCookies: true }, sessionCookie: true, name: `__Secure-${NAME}` },
      { advanced: { cookiePrefix: 'shop' }, sessionCookie: { prefix: 'shop' }, name: 'shop.session_data' },
      { advanced: { cookiePrefix: 'shop', useSecureCookies: true }, sessionCookie: { prefix: 'shop' }, name: '__Secure-shop.session_data' },
      { advanced: { cookies: { session_data: { name: 'who' } } }, sessionCookie: { name: 'who' }, name: 'who' },
      { advanced: { cookies: { session_data: { name: 'who' } }, cookiePrefix: 'shop' }, sessionCookie: { name: 'who', prefix: 'x' }, name: 'who' }
    ]) {
      const server = await startServer(t, { advanced })
      const signedUp = await server.signUp()
      t.ok(signedUp.cookies.has(name), name)
      await accepts(t, await createApi(t, { authUrl: server.origin, sessionCookie }), signedUp)
      const other = await createApi(t, { authUrl: server.origin, sessionCookie: { name: 'other' } })
      t.match(await getWith(other, [...signedUp.cookies]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    }
  })

  await t.test('is known whatever issuer and audience the access tokens of that server have', async t => {
    // The cookie's issuer is the origin of Better Auth's baseURL, never `jwt.issuer`.
    const issuer = 'https://id.example.com'
    const server = await startServer(t, { plugins: [jwt({ sessionCookieCache: true, jwt: { issuer, audience: 'https://api.example.com' } })] })
    const app = await createApi(t, { authUrl: server.origin, issuer, audience: 'https://api.example.com' })
    await accepts(t, app, await server.signUp())
  })

  await t.test('is known where baseURL has the base path in it', async t => {
    const path = '/api/auth'
    const server = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })] }, path)
    t.teardown(() => server.close())
    const signedUp = await server.signUp()
    for (const authUrl of [server.origin + path, `${server.origin}${path}/`]) await accepts(t, await createApi(t, { authUrl }), signedUp)
  })

  await t.test('is known by a cookie that is signed with HS256 and the secret of the server', async t => {
    const server = await startServer(t, { plugins: [] })
    const signedUp = await server.signUp()
    await accepts(t, await createApi(t, { authUrl: server.origin, secret: server.secret }), signedUp)

    const log = captureLog()
    const without = await createApi(t, { authUrl: server.origin }, log)
    t.match(await getWith(without, [...signedUp.cookies]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
    const wrong = await createApi(t, { authUrl: server.origin, secret: SECRET }, log)
    t.match(await getWith(wrong, [...signedUp.cookies]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
    t.match(log.refusals(), [{ reason: 'algorithm_not_allowed' }, { reason: 'signature_invalid' }])
  })

  await t.test('is nobody where the option is off', async t => {
    const server = await startServer(t)
    const { cookies } = await server.signUp()
    for (const sessionCookie of [false, undefined]) {
      const app = await createApi(t, { authUrl: server.origin, sessionCookie })
      t.match(await getWith(app, [...cookies]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
      t.match(await getWith(app, [...cookies], '/maybe'), { status: 200, body: { user: null } })
    }
  })
})

t.test('request.session has a type, and is null for bearer tokens', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/session', { onRequest: [app.authenticate] }, async request => {
    const session: Session | null = request.session
    return { token: session === null ? null : session.token, isNull: session === null }
  })
  const token = signJws(KEY, createClaims(jwks.origin))
  t.strictSame((await get(app, bearer(token), '/session')).body, { token: null, isNull: true })
  t.strictSame((await getWith(app, [[NAME, createCookie(jwks.origin)]], '/session')).body, { token: 'session-token', isNull: false })
  t.strictSame((await get(app, {}, '/maybe')).body, { user: null, session: null })
})

t.test('the user of a cookie is the one it is bound to', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  const { status, body } = await getWith(app, [[NAME, createCookie(jwks.origin, {}, { sub: 'u_2' })]])
  t.equal(status, 200)
  t.equal(body.user!.id, 'u_1', 'a column called "sub" is nobody')
})

t.test('chunks', async t => {
  const jwks = await startJwks(t)
  const cookie = createCookie(jwks.origin)
  const [zero, one, two] = split(cookie, 3) as [[string, string], [string, string], [string, string]]
  const garbage = [`${NAME}.x`, `${NAME}.01`, `${NAME}.1e1`, `${NAME}.-1`, `${NAME}.+1`, `${NAME}.0x1`, `${NAME}.1.0`, `${NAME}.`, `${NAME}. 1`, `${NAME}.١`]
    .map(name => [name, 'garbage'] as const)
  const rename = ([, value]: readonly [string, string], suffix: string) => [`${NAME}.${suffix}`, value] as const

  const cases: Array<[name: string, cookies: Cookies, outcome: 'accepted' | 'missing' | RefusalReason]> = [
    ['in order', [zero, one, two], 'accepted'],
    ['in another order', [two, zero, one], 'accepted'],
    ['in the opposite order', [two, one, zero], 'accepted'],
    ['between other cookies', [['theme', 'dark'], two, ['better-auth.session_token', 'x'], zero, [`x${NAME}.1`, 'y'], one, [`${NAME}x.0`, 'z']], 'accepted'],
    ['a single one', [[`${NAME}.0`, cookie]], 'accepted'],
    ['a hundred', split(cookie, 100), 'accepted'],
    ['eleven, of which the order is not that of the alphabet', split(cookie, 11).sort(), 'accepted'],
    ['beside names that are no numbers', [...garbage, zero, one, two], 'accepted'],
    ['the first missing', [one, two], 'cookie_malformed'],
    ['one in the middle missing', [zero, two], 'cookie_malformed'],
    ['the last missing', [zero, one], 'token_malformed'],
    ['a gap: .0, .1, .3', [zero, one, rename(two, '3')], 'cookie_malformed'],
    ['from 1 on', [rename(zero, '1'), rename(one, '2'), rename(two, '3')], 'cookie_malformed'],
    ['one that is 01', [zero, rename(one, '01'), two], 'cookie_malformed'],
    ['one that is 1e0', [zero, rename(one, '1e0'), two], 'cookie_malformed'],
    ['one that is -1', [rename(zero, '-1'), one, two], 'cookie_malformed'],
    ['a hundred and one', split(cookie, 101), 'cookie_malformed'],
    ['a hundred and one, the last first', split(cookie, 101).reverse(), 'cookie_malformed'],
    ['a number that is too high', [zero, one, two, [`${NAME}.9999`, 'x']], 'cookie_malformed'],
    ['swapped', [rename(one, '0'), rename(zero, '1'), two], 'token_malformed'],
    ['a foreign one behind', [zero, one, two, [`${NAME}.3`, 'AAAA']], 'signature_invalid'],
    ['two of a name, the right one first', [zero, one, [one[0], 'garbage'], two], 'accepted'],
    ['two of a name, the right one last', [zero, [one[0], 'A'.repeat(one[1].length)], one, two], 'signature_invalid'],
    ['the whole cookie beside chunks', [[`${NAME}.0`, 'garbage'], [NAME, cookie]], 'accepted'],
    ['a bad whole cookie beside good chunks', [zero, one, two, [NAME, 'a.b']], 'token_malformed'],
    ['nothing but names that are no numbers', garbage, 'missing'],
    ['empty', [[`${NAME}.0`, '']], 'missing']
  ]
  for (const withPlugin of [false, true]) {
    const log = captureLog()
    const app = Fastify({ logger: log.logger })
    t.teardown(() => app.close())
    if (withPlugin) await app.register(fastifyCookie)
    await app.register(betterAuthPlugin, { authUrl: jwks.origin, sessionCookie: true })
    addRoutes(app)
    for (const [name, cookies, outcome] of cases) {
      const before = log.refusals().length
      const { status, body } = await getWith(app, cookies)
      const what = `${name}${withPlugin ? ', with @fastify/cookie' : ''}`
      if (outcome === 'accepted') {
        t.equal(status, 200, what)
        t.equal(body.user?.id, 'u_1', what)
        continue
      }
      t.equal(status, 401, what)
      t.equal(body.code, outcome === 'missing' ? 'FST_BETTER_AUTH_TOKEN_MISSING' : 'FST_BETTER_AUTH_TOKEN_INVALID', what)
      const reason = log.refusals()[before]?.reason
      t.equal(reason === 'token_missing' ? 'missing' : reason, outcome, what)
    }
  }
})

t.test('a cookie longer than a token may be is refused', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  const long = createCookie(jwks.origin, {}, { biography: 'x'.repeat(16_384) })
  for (const call of Object.values(TRANSPORTS)) {
    t.equal((await call(app, { url: '/me', headers: cookieHeader(split(long, 8)) })).status, 401)
  }
  t.strictSame(log.refusals().map(({ reason }) => reason), ['token_too_long', 'token_too_long'])
})

t.test('of several names the safest wins', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  const of = (id: string) => createCookie(jwks.origin, { sub: id }, { id }, { userId: id })
  const host: [string, string] = [`__Host-${NAME}`, of('host')]
  const secure: [string, string] = [`__Secure-${NAME}`, of('secure')]
  const plain: [string, string] = [NAME, of('plain')]
  const secureChunks = split(of('secure'), 2).map(([name, value]): [string, string] => [`__Secure-${name}`, value])
  for (const [cookies, id] of [
    [[plain], 'plain'],
    [[secure], 'secure'],
    [[host], 'host'],
    [[plain, secure], 'secure'],
    [[secure, plain], 'secure'],
    [[plain, secure, host], 'host'],
    [[host, secure, plain], 'host'],
    [[secureChunks[1]!, plain, secureChunks[0]!], 'secure'],
    [[[`__Secure-${NAME}`, ''], plain], 'plain']
  ] as Array<[Cookies, string]>) {
    t.equal((await getWith(app, cookies)).body.user?.id, id, cookies.map(([name]) => name).join(', '))
  }
  t.equal((await getWith(app, [[`__Host-${NAME}`, 'a.b.c'], secure, plain])).status, 401, 'a bad one is not passed over')
  t.equal((await getWith(app, [secureChunks[1]!, plain])).status, 401, 'nor are chunks that are not whole')
  for (const name of [`__secure-${NAME}`, `__Secure${NAME}`, `__Host-__Secure-${NAME}`, NAME.toUpperCase(), `${NAME}x`, `x${NAME}`]) {
    t.match(await getWith(app, [[name, of('near')]]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } }, name)
  }
})

t.test('@fastify/cookie is not required, and may be registered before or after', async t => {
  const jwks = await startJwks(t)
  const cookie = createCookie(jwks.origin)
  const strangers: Array<[string, string]> = [['__proto__', 'x'], ['toString', 'x'], ['=', '='], ['a', '%E0%A4%A'], ['quoted', '"x; y"']]
  for (const order of ['without', 'before', 'after'] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    if (order === 'before') await app.register(fastifyCookie, { secret: SECRET })
    await app.register(betterAuthPlugin, { authUrl: jwks.origin, sessionCookie: true })
    if (order === 'after') await app.register(fastifyCookie, { secret: SECRET })
    addRoutes(app)
    for (const cookies of [[[NAME, cookie]], split(cookie, 3), [...strangers, [NAME, cookie]], [[NAME, cookie], [NAME, 'x']]] as Cookies[]) {
      const { status, body } = await getWith(app, cookies)
      t.equal(status, 200, order)
      t.strictSame(body.user, USER)
    }
    t.equal((await getWith(app, [[NAME, 'x'], [NAME, cookie]])).status, 401, 'the first of a name counts')
    t.match(await get(app, { cookie: '' }), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    t.equal((await get(app, { cookie: `;; a ;=b; ${NAME} = ${cookie} ;` })).status, 200, 'spaces are no part of it')
  }
})

t.test('refuses a cookie of which one thing is wrong', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin, secret: SECRET }, log)
  const { origin } = jwks
  t.equal((await getWith(app, [[NAME, createCookie(origin)]])).status, 200, 'with nothing wrong it is accepted')

  const claims = (overrides: Fields, user: Fields = {}, session: Fields = {}) => createCookie(origin, overrides, user, session)
  const typ = (typ: unknown) => signJws(KEY, createCookieClaims(origin), { typ })
  const pem = KEY.publicKey.export({ format: 'pem', type: 'spki' })
  const { session, user } = createContent()

  const cases: Array<[name: string, cookie: string, reason: RefusalReason | 'expired', claim?: string]> = [
    ['no token at all', 'x', 'token_malformed'],
    ['typ JWT', typ('JWT'), 'typ_not_allowed'],
    ['typ at+jwt', typ('at+jwt'), 'typ_not_allowed'],
    ['typ logout+jwt', typ('logout+jwt'), 'typ_not_allowed'],
    ['no typ', typ(undefined), 'typ_not_allowed'],
    ['an empty typ', typ(''), 'typ_not_allowed'],
    ['typ null', typ(null), 'typ_not_allowed'],
    ['an array as typ', typ([TYP]), 'typ_not_allowed'],
    ['a near miss as typ', typ(`${TYP}x`), 'typ_not_allowed'],
    ['aud of access tokens', claims({ aud: origin }), 'audience_mismatch', 'aud'],
    ['no aud', claims({ aud: undefined }), 'audience_mismatch', 'aud'],
    ['aud null', claims({ aud: null }), 'audience_mismatch', 'aud'],
    ['aud with a slash', claims({ aud: 'better-auth:session-cache/' }), 'audience_mismatch', 'aud'],
    ['iss of another server', claims({ iss: 'https://evil.example.com' }), 'issuer_mismatch', 'iss'],
    ['iss with a slash', claims({ iss: `${origin}/` }), 'issuer_mismatch', 'iss'],
    ['no iss', claims({ iss: undefined }), 'issuer_mismatch', 'iss'],
    ['an array as iss', claims({ iss: [origin] }), 'claim_invalid', 'iss'],
    ['sub of another user', claims({ sub: 'u_2' }), 'session_invalid', 'sub'],
    ['no sub', claims({ sub: undefined }), 'session_invalid', 'sub'],
    ['an array as sub', claims({ sub: ['u_1'] }), 'session_invalid', 'sub'],
    ['sid of another session', claims({ sid: 'other' }), 'session_invalid', 'sid'],
    ['no sid', claims({ sid: undefined }), 'session_invalid', 'sid'],
    ['the id of the session as sid', claims({ sid: 's_1' }), 'session_invalid', 'sid'],
    ['the session of another user', claims({}, {}, { userId: 'u_2' }), 'session_invalid', 'session'],
    ['a session of nobody', claims({}, {}, { userId: undefined }), 'session_invalid', 'session'],
    ['a user who is not the session\'s', claims({}, { id: 'u_2' }), 'session_invalid', 'session'],
    ['a user and a sub who are not the session\'s', claims({ sub: 'u_2' }, { id: 'u_2' }), 'session_invalid', 'session'],
    ['a number as user id, everywhere', claims({ sub: 1 }, { id: 1 }, { userId: 1 }), 'session_invalid', 'session'],
    ['an array as user id', claims({}, { id: ['u_1'] }), 'session_invalid', 'session'],
    ['no user id anywhere', claims({ sub: undefined }, { id: undefined }, { userId: undefined }), 'session_invalid', 'session'],
    ['an empty user id everywhere', claims({ sub: '' }, { id: '' }, { userId: '' }), 'claim_invalid'],
    ['no session token', claims({}, {}, { token: undefined }), 'session_invalid', 'session'],
    ['no session token and no sid', claims({ sid: undefined }, {}, { token: undefined }), 'session_invalid', 'session'],
    ['an empty session token and sid', claims({ sid: '' }, {}, { token: '' }), 'session_invalid', 'session'],
    ['a number as session token and sid', claims({ sid: 1 }, {}, { token: 1 }), 'session_invalid', 'session'],
    ['a session that is over', claims({}, {}, { expiresAt: isoIn(-1) }), 'session_expired', 'session'],
    ['a session that ends at garbage', claims({}, {}, { expiresAt: 'tomorrow' }), 'session_expired', 'session'],
    ['a session that ends at nothing', claims({}, {}, { expiresAt: '' }), 'session_expired', 'session'],
    ['a session that ends never', claims({}, {}, { expiresAt: undefined }), 'session_invalid', 'session'],
    ['a session that ends at null', claims({}, {}, { expiresAt: null }), 'session_invalid', 'session'],
    ['a session that ends at a number', claims({}, {}, { expiresAt: Date.now() + 60_000 }), 'session_invalid', 'session'],
    ['exp over', claims({ exp: now() - 60 }), 'expired'],
    ['no exp', claims({ exp: undefined }), 'claim_missing', 'exp'],
    ['a text as exp', claims({ exp: '9999999999' }), 'claim_invalid', 'exp'],
    ['nbf ahead', claims({ nbf: now() + 60 }), 'token_not_active'],
    ['iat ahead', claims({ iat: now() + 60 }), 'token_not_active'],
    ['no user', claims({ user: undefined }), 'session_invalid', 'user'],
    ['user null', claims({ user: null }), 'session_invalid', 'user'],
    ['an array as user', claims({ user: [user] }), 'session_invalid', 'user'],
    ['a text as user', claims({ user: JSON.stringify(user) }), 'session_invalid', 'user'],
    ['no session', claims({ session: undefined }), 'session_invalid', 'session'],
    ['session null', claims({ session: null }), 'session_invalid', 'session'],
    ['an array as session', claims({ session: [session] }), 'session_invalid', 'session'],
    ['a text as session', claims({ session: JSON.stringify(session) }), 'session_invalid', 'session'],
    ['session and user one level deeper', claims({ session: { session, user }, user: undefined }), 'session_invalid', 'user'],
    ['a number as the user\'s name', claims({}, { name: 1 }), 'claim_invalid', 'name'],
    ['a text as emailVerified', claims({}, { emailVerified: 'true' }), 'claim_invalid', 'emailVerified'],
    ['a text as banned', claims({}, { banned: 'true' }), 'claim_invalid', 'banned'],
    ['bound to a key of the client', claims({ cnf: { jkt: 'x' } }), 'token_kind', 'cnf'],
    ['a foreign key under the right name', signJws(FOREIGN_KEY, createCookieClaims(origin), { typ: TYP }), 'signature_invalid'],
    ['a key that is not published', signJws(createSigningKey(), createCookieClaims(origin), { typ: TYP }), 'unknown_key'],
    ['HS256 with the public key', signHmac(pem, createContent()), 'signature_invalid'],
    ['HS256 with the public key, typ and kid', signHmac(pem, createCookieClaims(origin), { typ: TYP, kid: KEY.kid }), 'kid_invalid'],
    ['HS256 with the secret and the typ of signed ones', signHmac(SECRET, createCookieClaims(origin), { typ: TYP }), 'typ_not_allowed'],
    ['HS256 with the secret and typ JWT', signHmac(SECRET, createContent(), { typ: 'JWT' }), 'typ_not_allowed'],
    ['HS256 of something else that the server signs', signHmac(SECRET, { email: 'ada@example.com', exp: now() + 60 }), 'session_invalid', 'user'],
    ['HS256 with the session of another user', signHmac(SECRET, createContent({}, { userId: 'u_2' })), 'session_invalid', 'session'],
    ['HS256 with a session that is over', signHmac(SECRET, createContent({}, { expiresAt: isoIn(-1) })), 'session_expired', 'session'],
    ['HS256 without an end', signHmac(SECRET, { ...createContent(), exp: undefined }), 'claim_missing', 'exp'],
    ['HS512 with the secret', signHmac(SECRET, createContent(), { alg: 'HS512' }, 'sha512'), 'algorithm_not_allowed'],
    ['alg none', `${signJws(KEY, createCookieClaims(origin), { typ: TYP, alg: 'none' }).replace(/[^.]*$/, '')}`, 'algorithm_not_allowed'],
    ['an access token', signJws(KEY, createClaims(origin)), 'typ_not_allowed'],
    ['an access token that says its type', signJws(KEY, createClaims(origin), { typ: 'at+jwt' }), 'typ_not_allowed'],
    ['an access token under the typ of cookies', signJws(KEY, createClaims(origin), { typ: TYP }), 'session_invalid', 'user']
  ]
  for (const [name, cookie, reason, claim] of cases) {
    const before = log.refusals().length
    const { status, body } = await getWith(app, [[NAME, cookie]])
    t.equal(status, 401, name)
    t.equal(body.code, reason === 'expired' ? 'FST_BETTER_AUTH_TOKEN_EXPIRED' : 'FST_BETTER_AUTH_TOKEN_INVALID', name)
    const [line] = log.refusals().slice(before)
    t.equal(line?.reason, reason === 'expired' ? 'token_expired' : reason, name)
    if (claim !== undefined) t.equal(line?.claim, claim, name)
    t.equal((await getWith(app, [[NAME, cookie]], '/maybe')).status, 401, `${name}: nobody is a visitor with a bad cookie`)
  }
  const text = JSON.stringify(log.lines)
  for (const [, cookie] of cases) if (cookie !== 'x') t.notOk(text.includes(cookie.split('.')[2] || cookie), 'no log line holds a cookie')
  t.notOk(text.includes('session-token'), 'nor a session\'s token')
})

t.test('accepts what is spelt another way and means the same', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin, secret: SECRET })
  for (const typ of [TYP.toUpperCase(), `application/${TYP}`]) {
    t.equal((await getWith(app, [[NAME, signJws(KEY, createCookieClaims(jwks.origin), { typ })]])).status, 200, typ)
  }
  t.equal((await getWith(app, [[NAME, signHmac(SECRET, createContent())]])).status, 200, 'HS256')
})

t.test('the two kinds of token never stand in for each other', async t => {
  const jwks = await startJwks(t)
  const { origin } = jwks
  const access = signJws(KEY, createClaims(origin))
  const cookie = createCookie(origin)
  const hmacCookie = signHmac(SECRET, createContent())
  const hmacAccess = signHmac(SECRET, createClaims(origin))

  for (const tokenCache of [undefined, false] as const) {
    const app = await createApi(t, { authUrl: origin, secret: SECRET, tokenCache, extractToken: ({ query }) => (query as { token?: string }).token })
    app.get('/jwt', async request => request.jwtVerify())
    for (const round of [1, 2]) {
      const what = `round ${round}, tokenCache ${tokenCache}`
      t.equal((await get(app, bearer(access))).status, 200, `${what}: an access token in the header`)
      t.equal((await getWith(app, [[NAME, cookie]])).status, 200, `${what}: a cookie in the cookie`)
      t.equal((await getWith(app, [[NAME, hmacCookie]])).status, 200, `${what}: a cookie of HS256 in the cookie`)
      for (const [name, token] of Object.entries({ cookie, hmacCookie, hmacAccess })) {
        t.equal((await get(app, bearer(token))).status, 401, `${what}: ${name} in the header`)
        t.equal((await get(app, bearer(token), '/jwt')).status, 401, `${what}: ${name} for jwtVerify()`)
        t.equal((await get(app, {}, `/me?token=${token}`)).status, 401, `${what}: ${name} by extractToken`)
      }
      for (const [name, token] of Object.entries({ access, hmacAccess })) {
        t.equal((await getWith(app, [[NAME, token]])).status, 401, `${what}: ${name} in the cookie`)
      }
    }
  }

  t.test('and without the cookie the secret serves for bearer tokens again', async t => {
    const app = await createApi(t, { authUrl: origin, secret: SECRET, sessionCookie: false })
    t.equal((await get(app, bearer(hmacAccess))).status, 200)
    t.equal((await get(app, bearer(hmacCookie))).status, 401)
  })
})

t.test('a bearer token, if there is one, alone decides', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin, extractToken: ({ query }) => (query as { token?: string }).token })
  const good = cookieHeader([[NAME, createCookie(jwks.origin)]])
  const bad = cookieHeader([[NAME, 'a.b.c']])
  const broken = cookieHeader([[`${NAME}.1`, 'x']])
  const access = signJws(KEY, createClaims(jwks.origin, { sub: 'u_9', id: 'u_9' }))
  const expired = signJws(KEY, createClaims(jwks.origin, { exp: now() - 60, iat: now() - 120 }))

  for (const url of ['/me', '/maybe']) {
    t.match(await get(app, { ...bearer('a.b.c'), ...good }, url), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
    t.match(await get(app, { ...bearer(expired), ...good }, url), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' } })
    t.match(await get(app, { authorization: 'Bearer', ...good }, url), { status: 400, body: { code: 'FST_BETTER_AUTH_REQUEST_INVALID' } })
    t.match(await get(app, good, `${url}?token=a.b.c`), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } }, 'extractToken')
    for (const cookie of [good, bad, broken]) {
      const { status, body } = await get(app, { ...bearer(access), ...cookie }, url)
      t.equal(status, 200)
      t.equal(body.user?.id, 'u_9')
      t.equal(body.session, null)
    }
  }
  t.match(await get(app, { authorization: 'Basic dTpw', ...good }), { status: 200, body: { user: { id: 'u_1' } } }, 'another scheme is none')
  t.equal((await get(app, { authorization: 'Basic dTpw', ...bad }, '/maybe')).status, 401)
})

t.test('authenticateOptional: a visitor has no cookie, not a bad one', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  t.strictSame(await getWith(app, [['theme', 'dark'], ['better-auth.session_token', 'x.y']], '/maybe'), { status: 200, body: { user: null, session: null } })
  t.match(await getWith(app, [[NAME, createCookie(jwks.origin)]], '/maybe'), { status: 200, body: { user: USER } })
  for (const cookie of ['x', 'a.b.c', createCookie(jwks.origin, { aud: jwks.origin }), createCookie(jwks.origin, { exp: now() - 60 })]) {
    t.equal((await getWith(app, [[NAME, cookie]], '/maybe')).status, 401)
  }
  t.equal((await getWith(app, [[`${NAME}.1`, 'x']], '/maybe')).status, 401)
})

t.test('503 where the keys for a cookie cannot be had, and no visitor either', async t => {
  const jwks = await startJwksServer()
  await jwks.stop()
  const app = await createApi(t, { authUrl: jwks.origin })
  for (const url of ['/me', '/maybe', '/admin']) {
    t.match(await getWith(app, [[NAME, createCookie(jwks.origin)]], url), { status: 503, body: { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' } })
  }
})

t.test('roles and bans are those of the cookie\'s user', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  const statusOf = async (url: string, user: Fields, claims: Fields = {}, session: Fields = {}) =>
    (await getWith(app, [[NAME, createCookie(jwks.origin, claims, user, session)]], url)).status

  t.equal(await statusOf('/admin', { role: 'admin' }), 200)
  t.equal(await statusOf('/admin', { role: 'user,admin' }), 200)
  for (const [user, claims, session] of [
    [{}, {}, {}], [{ role: 'user' }, {}, {}], [{ role: 'administrator' }, {}, {}], [{ role: null }, {}, {}],
    [{}, { role: 'admin' }, {}], [{}, {}, { role: 'admin' }]
  ] as Array<[Fields, Fields, Fields]>) {
    t.equal(await statusOf('/admin', user, claims, session), 403, JSON.stringify([user, claims, session]))
    t.equal(log.refusals().at(-1)!.reason, 'role_missing')
  }

  for (const user of [{ banned: true }, { banned: true, banExpires: isoIn(60) }, { banned: true, banExpires: null }, { banned: true, role: 'admin' }]) {
    for (const url of ['/me', '/maybe', '/admin']) {
      const { status, body } = await getWith(app, [[NAME, createCookie(jwks.origin, {}, user)]], url)
      t.match({ status, code: body.code }, { status: 403, code: 'FST_BETTER_AUTH_FORBIDDEN' }, `${url} ${JSON.stringify(user)}`)
      t.equal(log.refusals().at(-1)!.reason, 'banned')
    }
  }
  for (const user of [{ banned: false }, { banned: null }, { banned: true, banExpires: isoIn(-60) }]) t.equal(await statusOf('/me', user), 200, JSON.stringify(user))
  t.equal(await statusOf('/me', {}, { banned: true }), 200, 'only the user within can be banned')
})

t.test('what is written into a session, a user or claims is seen by no other request', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/write', { onRequest: [app.authenticate] }, async request => {
    Object.assign(request.user, { id: 'mallory', extra: true })
    Object.assign(request.session!, { userId: 'mallory', extra: true })
    Object.assign(request.session!.flags as object, { isAdmin: true })
    Object.assign(request.claims, { sub: 'mallory' })
    return { user: request.user, session: request.session }
  })
  const cookies: Cookies = [[NAME, createCookie(jwks.origin, {}, {}, { flags: { isAdmin: false } })]]
  for (const round of ['first', 'again']) {
    t.match((await getWith(app, cookies, '/write')).body, { user: { id: 'mallory' }, session: { userId: 'mallory', flags: { isAdmin: true } } }, round)
    const { body } = await getWith(app, cookies)
    t.strictSame(body.user, USER)
    t.strictSame(body.session!.flags, { isAdmin: false })
    t.equal(body.session!.userId, 'u_1')
    t.notOk('extra' in body.session!)
    t.equal(body.claims!.sub, 'u_1')
  }
})

t.test('a session that ends while its cookie is remembered', async t => {
  const ISSUER = 'https://id.example.com'

  async function setUp (options: BetterAuthOptions = {}): Promise<{ verifier: Verifier, clock: Clock }> {
    const { store, clock } = createTestStore([KEY.jwk as Fields & { kid: string }])
    const resolved = resolveOptions({ authUrl: ISSUER, sessionCookie: true, secret: SECRET, ...options }, {})
    return { verifier: createVerifier(sessionCookies(resolved, createUserReader()), resolved, store, clock.now), clock }
  }
  const at = (time: number) => new Date(time).toISOString()
  const content = (clock: Clock, sessionMs: number, tokenMs = 300_000) => ({
    ...createCookieClaims(ISSUER, {}, {}, { expiresAt: at(clock.now() + sessionMs) }),
    iat: clock.now() / 1000,
    exp: (clock.now() + tokenMs) / 1000
  })
  const refused = async (verifier: Verifier, cookie: string) => verifier.verify(cookie)

  for (const clockTolerance of [0, 5000]) {
    t.test(`ends to the millisecond, with a clock tolerance of ${clockTolerance}`, async t => {
      const { verifier, clock } = await setUp({ clockTolerance })
      const cookie = signJws(KEY, content(clock, 60_000), { typ: TYP })
      const first = await verifier.verify(cookie)
      clock.advance(59_999)
      t.equal(verifier.verify(cookie), first, 'remembered until then')
      clock.advance(1)
      await t.rejects(refused(verifier, cookie), withReason('session_expired'))
      clock.advance(1)
      await t.rejects(refused(verifier, cookie), withReason('session_expired'))
    })
  }

  t.test('ends with HS256 as well', async t => {
    const { verifier, clock } = await setUp()
    const { iss, aud, sub, sid, ...unbound } = content(clock, 60_000) as Fields
    t.match({ iss, aud, sub, sid }, { iss: ISSUER, sub: 'u_1' })
    const cookie = signHmac(SECRET, unbound)
    t.equal(await verifier.verify(cookie), await verifier.verify(cookie))
    clock.advance(60_000)
    await t.rejects(refused(verifier, cookie), withReason('session_expired'))
  })

  t.test('does not outlive the token, whatever the session says', async t => {
    const { verifier, clock } = await setUp({ clockTolerance: 0 })
    const cookie = signJws(KEY, content(clock, 604_800_000, 60_000), { typ: TYP })
    const first = await verifier.verify(cookie)
    clock.advance(59_999)
    t.equal(verifier.verify(cookie), first)
    clock.advance(1)
    await t.rejects(refused(verifier, cookie), withReason('token_expired'))
  })
})

t.test('request.session that something else has taken is said at boot, and only matters with the option', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateRequest('session', null)
  await t.rejects(
    async () => { await app.register(betterAuthPlugin, { sessionCookie: true }) },
    { code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: /request\.session is taken/ }
  )
  const other = Fastify()
  t.teardown(() => other.close())
  other.decorateRequest('session', null)
  await other.register(betterAuthPlugin)
  t.ok(other.hasDecorator('authenticate'))
})
