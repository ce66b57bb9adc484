import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, { type Session } from '../../../lib/index.js'
import { bearer, captureLog } from '../../fixtures/api.js'
import { cookieHeader } from '../../fixtures/cookie-server.js'
import { USER } from '../../fixtures/expected.js'
import { startJwks, startJwksServer } from '../../fixtures/jwks-server.js'
import {
  createCookie, get, getWith, isoIn, KEY, NAME, now, startCookieApi, type Cookies, type Fields
} from '../../fixtures/session-cookie.js'
import { createClaims, signJws } from '../../fixtures/signing.js'

t.test('request.session has a type, and is null for bearer tokens', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  app.get('/session', { onRequest: [app.authenticate] }, async request => {
    const session: Session | null = request.session
    return { token: session === null ? null : session.token, isNull: session === null }
  })
  const token = signJws(KEY, createClaims(jwks.origin))
  t.strictSame((await get(app, bearer(token), '/session')).body, { token: null, isNull: true })
  t.strictSame((await getWith(app, [[NAME, createCookie(jwks.origin)]], '/session')).body, {
    token: 'session-token', isNull: false
  })
  t.strictSame((await get(app, {}, '/maybe')).body, { user: null, session: null })
})

t.test('a bearer token, if there is one, alone decides', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, {
    authUrl: jwks.origin, extractToken: ({ query }) => (query as { token?: string }).token
  })
  const good = cookieHeader([[NAME, createCookie(jwks.origin)]])
  const bad = cookieHeader([[NAME, 'a.b.c']])
  const broken = cookieHeader([[`${NAME}.1`, 'x']])
  const access = signJws(KEY, createClaims(jwks.origin, { sub: 'u_9', id: 'u_9' }))
  const expired = signJws(KEY, createClaims(jwks.origin, { exp: now() - 60, iat: now() - 120 }))

  for (const url of ['/me', '/maybe']) {
    t.match(await get(app, { ...bearer('a.b.c'), ...good }, url), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
    })
    t.match(await get(app, { ...bearer(expired), ...good }, url), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' }
    })
    t.match(await get(app, { authorization: 'Bearer', ...good }, url), {
      status: 400, body: { code: 'FST_BETTER_AUTH_REQUEST_INVALID' }
    })
    t.match(await get(app, good, `${url}?token=a.b.c`), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
    }, 'extractToken')
    for (const cookie of [good, bad, broken]) {
      const { status, body } = await get(app, { ...bearer(access), ...cookie }, url)
      t.equal(status, 200)
      t.equal(body.user?.id, 'u_9')
      t.equal(body.session, null)
    }
  }
  t.match(await get(app, { authorization: 'Basic dTpw', ...good }), {
    status: 200, body: { user: { id: 'u_1' } }
  }, 'another scheme is none')
  t.equal((await get(app, { authorization: 'Basic dTpw', ...bad }, '/maybe')).status, 401)
})

t.test('authenticateOptional: an anonymous request has no cookie, not a bad one', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  t.strictSame(await getWith(app, [['theme', 'dark'], ['better-auth.session_token', 'x.y']], '/maybe'), {
    status: 200, body: { user: null, session: null }
  })
  t.match(await getWith(app, [[NAME, createCookie(jwks.origin)]], '/maybe'), { status: 200, body: { user: USER } })
  for (const cookie of [
    'x', 'a.b.c', createCookie(jwks.origin, { aud: jwks.origin }), createCookie(jwks.origin, { exp: now() - 60 })
  ]) {
    t.equal((await getWith(app, [[NAME, cookie]], '/maybe')).status, 401)
  }
  t.equal((await getWith(app, [[`${NAME}.1`, 'x']], '/maybe')).status, 401)
})

t.test('503 where the keys for a cookie cannot be fetched, also when optional', async t => {
  const jwks = await startJwksServer()
  await jwks.stop()
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  for (const url of ['/me', '/maybe', '/admin']) {
    t.match(await getWith(app, [[NAME, createCookie(jwks.origin)]], url), {
      status: 503, body: { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' }
    })
  }
})

t.test('roles and bans are those of the cookie\'s user', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startCookieApi(t, { authUrl: jwks.origin }, log)
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

  for (const user of [
    { banned: true },
    { banned: true, banExpires: isoIn(60) },
    { banned: true, banExpires: null },
    { banned: true, role: 'admin' }
  ]) {
    for (const url of ['/me', '/maybe', '/admin']) {
      const { status, body } = await getWith(app, [[NAME, createCookie(jwks.origin, {}, user)]], url)
      t.match(
        { status, code: body.code },
        { status: 403, code: 'FST_BETTER_AUTH_FORBIDDEN' },
        `${url} ${JSON.stringify(user)}`
      )
      t.equal(log.refusals().at(-1)!.reason, 'banned')
    }
  }
  for (const user of [{ banned: false }, { banned: null }, { banned: true, banExpires: isoIn(-60) }]) {
    t.equal(await statusOf('/me', user), 200, JSON.stringify(user))
  }
  t.equal(await statusOf('/me', {}, { banned: true }), 200, 'only the user within can be banned')
})

t.test('what is written into a session, a user or claims is seen by no other request', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  app.get('/write', { onRequest: [app.authenticate] }, async request => {
    Object.assign(request.user, { id: 'mallory', extra: true })
    Object.assign(request.session!, { userId: 'mallory', extra: true })
    Object.assign(request.session!.flags as object, { isAdmin: true })
    Object.assign(request.claims, { sub: 'mallory' })
    return { user: request.user, session: request.session }
  })
  const cookies: Cookies = [[NAME, createCookie(jwks.origin, {}, {}, { flags: { isAdmin: false } })]]
  for (const round of ['first', 'again']) {
    t.match((await getWith(app, cookies, '/write')).body, {
      user: { id: 'mallory' }, session: { userId: 'mallory', flags: { isAdmin: true } }
    }, round)
    const { body } = await getWith(app, cookies)
    t.strictSame(body.user, USER)
    t.strictSame(body.session!.flags, { isAdmin: false })
    t.equal(body.session!.userId, 'u_1')
    t.notOk('extra' in body.session!)
    t.equal(body.claims!.sub, 'u_1')
  }
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
