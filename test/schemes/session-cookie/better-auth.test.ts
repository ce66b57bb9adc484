import { randomBytes } from 'node:crypto'
import type { BetterAuthOptions as ServerOptions } from 'better-auth'
import { jwt } from 'better-auth/plugins'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { SessionCookieOptions } from '../../../lib/index.js'
import { bearer, captureLog, TRANSPORTS } from '../../fixtures/api.js'
import { cookieHeader, startCookieServer, type CookieServer, type CookieUser } from '../../fixtures/cookie-server.js'
import { get, getWith, NAME, startCookieApi, type Body } from '../../fixtures/session-cookie.js'

type CookieCache = NonNullable<NonNullable<ServerOptions['session']>['cookieCache']>

const SECRET = randomBytes(32).toString('hex')

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
      const token = decodeURIComponent(
        cookies.get([...cookies.keys()].find(name => name.endsWith('session_token'))!)!
      ).split('.')[0]
      t.match(answer.session, { userId: user.id, token, userAgent: 'node', expiresAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
      t.match(answer.claims, { user: { id: user.id }, session: answer.session, version: '1' })
    }
  }

  await t.test('is known by its cookies, and by its session', async t => {
    const server = await startServer(t)
    const app = await startCookieApi(t, { authUrl: server.origin })
    const signedUp = await server.signUp({ name: 'Grace Hopper' })
    await accepts(t, app, signedUp)
    const { body } = await getWith(app, [...signedUp.cookies])
    t.match(body.claims, {
      iss: server.origin, aud: 'better-auth:session-cache', sub: signedUp.user.id, sid: body.session!.token
    })
    t.equal((await getWith(app, [...signedUp.cookies], '/admin')).status, 403)
  })

  await t.test('is known by a cookie so large that it came in chunks', async t => {
    const server = await startServer(t, { user: { additionalFields: { biography: { type: 'string' } } } })
    const app = await startCookieApi(t, { authUrl: server.origin })
    const signedUp = await server.signUp({ biography: 'programmer '.repeat(800) })
    t.ok(signedUp.cookies.has(`${NAME}.2`))
    t.notOk(signedUp.cookies.has(NAME))
    await accepts(t, app, signedUp)
    t.equal((await getWith(app, [...signedUp.cookies].reverse())).status, 200, 'in the other order')
    t.equal(
      (await getWith(app, [...signedUp.cookies].filter(([name]) => name !== `${NAME}.1`))).status,
      401,
      'not without a chunk'
    )
  })

  await t.test('is known by the names of cookies for https, with a prefix and with a name of its own', async t => {
    for (const { advanced, sessionCookie, name } of [
      { advanced: { useSecureCookies: true }, sessionCookie: true, name: `__Secure-${NAME}` },
      { advanced: { cookiePrefix: 'shop' }, sessionCookie: { prefix: 'shop' }, name: 'shop.session_data' },
      {
        advanced: { cookiePrefix: 'shop', useSecureCookies: true },
        sessionCookie: { prefix: 'shop' },
        name: '__Secure-shop.session_data'
      },
      { advanced: { cookies: { session_data: { name: 'who' } } }, sessionCookie: { name: 'who' }, name: 'who' },
      {
        advanced: { cookies: { session_data: { name: 'who' } }, cookiePrefix: 'shop' },
        sessionCookie: { name: 'who', prefix: 'x' },
        name: 'who'
      }
    ]) {
      const server = await startServer(t, { advanced })
      const signedUp = await server.signUp()
      t.ok(signedUp.cookies.has(name), name)
      await accepts(t, await startCookieApi(t, { authUrl: server.origin, sessionCookie }), signedUp)
      const other = await startCookieApi(t, { authUrl: server.origin, sessionCookie: { name: 'other' } })
      t.match(await getWith(other, [...signedUp.cookies]), {
        status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' }
      })
    }
  })

  await t.test('is known whatever issuer and audience the access tokens of that server have', async t => {
    // The cookie's issuer is the origin of Better Auth's baseURL, never `jwt.issuer`.
    const issuer = 'https://id.example.com'
    const server = await startServer(t, {
      plugins: [jwt({ sessionCookieCache: true, jwt: { issuer, audience: 'https://api.example.com' } })]
    })
    const options = { authUrl: server.origin, issuer, audience: 'https://api.example.com' }
    const signedUp = await server.signUp()
    // Without either of them, an issuer on https means that no name without a prefix is safe.
    for (const more of [{ publicUrl: server.origin }, { sessionCookie: { secure: false } }]) {
      await accepts(t, await startCookieApi(t, { ...options, ...more }), signedUp)
    }
    t.equal((await getWith(await startCookieApi(t, options), [...signedUp.cookies])).status, 401)
  })

  await t.test('is known where the API reaches that server at an inside address', async t => {
    const publicUrl = 'https://id.example.com'
    const inside = { baseURL: publicUrl, trustedOrigins: ['http://localhost:*'] }
    const issuer = 'https://tokens.example.com'
    const plain = await startServer(t, inside)
    const custom = await startServer(t, { ...inside, plugins: [jwt({ sessionCookieCache: true, jwt: { issuer } })] })
    for (const [server, options] of [
      [plain, { publicUrl }], [plain, { publicUrl: `${publicUrl}/api/auth` }],
      [plain, { issuer: publicUrl, audience: publicUrl }], [custom, { publicUrl, issuer }]
    ] as const) {
      const signedUp = await server.signUp()
      t.ok(signedUp.cookies.has(`__Secure-${NAME}`))
      const app = await startCookieApi(t, { authUrl: server.origin, ...options })
      await accepts(t, app, signedUp)
      const response = await fetch(`${server.origin}/api/auth/token`, { headers: cookieHeader(signedUp.cookies) })
      const { token } = await response.json() as { token: string }
      const { status, body } = await get(app, bearer(token))
      t.match({ status, user: body.user }, { status: 200, user: { id: signedUp.user.id } })
      const unsafe = [...signedUp.cookies].map(([name, value]) => [name.replace('__Secure-', ''), value] as const)
      t.equal((await getWith(app, unsafe)).status, 401, 'a name that any page of the domain can set is not read')
    }
  })

  await t.test('is known where baseURL has the base path in it', async t => {
    const path = '/api/auth'
    const server = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })] }, path)
    t.teardown(() => server.close())
    const signedUp = await server.signUp()
    for (const authUrl of [server.origin + path, `${server.origin}${path}/`]) {
      await accepts(t, await startCookieApi(t, { authUrl }), signedUp)
    }
  })

  // The first one is this project's own.
  for (const version of [undefined, '1.6', '1.5'] as const) {
    for (const strategy of ['compact', 'jwe', 'jwt'] as const) {
      await t.test(`is known by what Better Auth ${version ?? 1.7} writes with the strategy ${strategy}`, async t => {
        async function start (cookieCache: CookieCache = {}, options: ServerOptions = {}): Promise<CookieServer> {
          const session = { cookieCache: { enabled: true, strategy, ...cookieCache } }
          const server = await startCookieServer({ session, ...options }, '', version)
          t.teardown(() => server.close())
          return server
        }
        const log = captureLog()
        const api = (server: CookieServer, sessionCookie: SessionCookieOptions = {}) => startCookieApi(t, {
          authUrl: server.origin, sessionCookie: { secret: server.secret, ...sessionCookie }
        }, log)

        const server = await start()
        const app = await api(server)
        const signedUp = await server.signUp({ name: 'Grace "Ада" Hopper' })
        await accepts(t, app, signedUp)
        const other = await server.signUp()
        t.equal((await getWith(app, [...signedUp.cookies, ...other.cookies])).status, 401)
        t.equal((await getWith(await api(server, { secret: undefined }), [...signedUp.cookies])).status, 401)
        t.equal((await getWith(await api(server, { secret: SECRET }), [...signedUp.cookies])).status, 401)
        t.equal((await getWith(await api(server, { version: '2' }), [...signedUp.cookies])).status, 401)
        await accepts(t, await api(server, { version: '1' }), signedUp)
        t.match(log.refusals(), [
          { reason: 'cookie_ambiguous' },
          { reason: strategy === 'jwt' ? 'algorithm_not_allowed' : 'cookie_strategy' },
          { reason: 'signature_invalid' },
          { reason: 'cookie_version', expected: ['2'], received: '1' }
        ])

        const large = await start({}, { user: { additionalFields: { biography: { type: 'string' } } } })
        const chunked = await large.signUp({ biography: 'programmer '.repeat(400) })
        t.ok(chunked.cookies.has(`${NAME}.1`))
        await accepts(t, await api(large), chunked)
        const cut = [...chunked.cookies].filter(([name]) => name !== `${NAME}.1`)
        t.equal((await getWith(await api(large), cut)).status, 401, 'not without a chunk')

        const versionOf = (session: { userId: string }, user: { id: string, email?: unknown }) => {
          return `${session.userId} ${String(user.email)}`
        }
        for (const given of ['2', versionOf, async (...args: Parameters<typeof versionOf>) => versionOf(...args)]) {
          const versioned = await start({ version: given })
          const { cookies, user } = await versioned.signUp()
          const { status, body } = await getWith(await api(versioned, { version: given }), [...cookies])
          t.match({ status, version: body.claims?.version }, {
            status: 200, version: given === '2' ? '2' : `${user.id} ${user.email}`
          })
          t.equal((await getWith(await api(versioned, { version: '1' }), [...cookies])).status, 401)
        }
      })
    }

    await t.test(`is known by what Better Auth ${version ?? 1.7} writes by default`, async t => {
      const server = await startCookieServer({ session: { cookieCache: { enabled: true } } }, '', version)
      t.teardown(() => server.close())
      const signedUp = await server.signUp()
      t.match(signedUp.cookies.get(NAME), /^eyJzZXNzaW9uIjp7[\w-]+$/, 'the strategy compact')
      const app = await startCookieApi(t, { authUrl: server.origin, sessionCookie: { secret: server.secret } })
      await accepts(t, app, signedUp)
    })

    await t.test(`is known by what Better Auth ${version ?? 1.7} writes without a database`, async t => {
      const server = await startCookieServer({ session: {}, database: undefined as never }, '', version)
      t.teardown(() => server.close())
      const { cookies, user } = await server.signUp()
      const cookie = cookies.get(NAME)!
      t.equal(cookie.split('.').length, 5, 'a JWE')
      const app = await startCookieApi(t, { authUrl: server.origin, sessionCookie: { secret: server.secret } })
      const { status, body } = await getWith(app, [...cookies])
      t.match({ status, id: body.user?.id }, { status: 200, id: user.id })
      const days = Math.round((Number(body.claims!.exp) - Date.now() / 1000) / 86_400)
      t.equal(days, version === '1.5' ? 0 : 7, 'for as long as the session, since 1.6')
    })
  }

  await t.test('is nobody where the option is off', async t => {
    const server = await startServer(t)
    const { cookies } = await server.signUp()
    for (const sessionCookie of [false, undefined]) {
      const app = await startCookieApi(t, { authUrl: server.origin, sessionCookie })
      t.match(await getWith(app, [...cookies]), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
      t.match(await getWith(app, [...cookies], '/maybe'), { status: 200, body: { user: null } })
    }
  })
})
