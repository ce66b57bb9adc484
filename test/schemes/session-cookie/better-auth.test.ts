import { randomBytes } from 'node:crypto'
import type { BetterAuthOptions as ServerOptions } from 'better-auth'
import { jwt } from 'better-auth/plugins'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { bearer, captureLog, TRANSPORTS } from '../../fixtures/api.js'
import { cookieHeader, startCookieServer, type CookieServer, type CookieUser } from '../../fixtures/cookie-server.js'
import { get, getWith, NAME, startCookieApi, type Body } from '../../fixtures/session-cookie.js'

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

  await t.test('is known by a cookie that is signed with HS256 and the secret of the server', async t => {
    const server = await startServer(t, { plugins: [] })
    const signedUp = await server.signUp()
    await accepts(t, await startCookieApi(t, {
      authUrl: server.origin, sessionCookie: { secret: server.secret }
    }), signedUp)

    const log = captureLog()
    const without = await startCookieApi(t, { authUrl: server.origin }, log)
    t.match(await getWith(without, [...signedUp.cookies]), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
    })
    const wrong = await startCookieApi(t, {
      authUrl: server.origin, sessionCookie: { secret: SECRET }
    }, log)
    t.match(await getWith(wrong, [...signedUp.cookies]), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
    })
    t.match(log.refusals(), [{ reason: 'algorithm_not_allowed' }, { reason: 'signature_invalid' }])
  })

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
