import Fastify, { type FastifyRequest } from 'fastify'
import * as Type from '@sinclair/typebox'
import t from 'tap'
import betterAuthPlugin, {
  ForbiddenError, isBetterAuthError, JwksUnavailableError, TokenExpiredError, TokenInvalidError, UserSchema,
  type Session
} from '../../../lib/index.js'
import { createSignedCookie, findEither } from '../../../lib/schemes/session-cookie/scheme.js'
import type { FoundCredential } from '../../../lib/schemes/scheme.js'
import type { VerifiedToken } from '../../../lib/tokens/verified-token.js'
import type { Trace, Verifier } from '../../../lib/tokens/verifier.js'
import { bearer, captureLog } from '../../fixtures/api.js'
import { cookieHeader } from '../../fixtures/cookie-server.js'
import { createClockedVerifier, startSecretApi, STRATEGIES } from '../../fixtures/cookie-strategies.js'
import { USER } from '../../fixtures/expected.js'
import { startJwks, startJwksServer } from '../../fixtures/jwks-server.js'
import { withReason } from '../../fixtures/refusals.js'
import {
  createContent, createCookie, get, getWith, isoIn, KEY, NAME, now, split, startCookieApi, type Cookies, type Fields
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

for (const [strategy, mint] of Object.entries(STRATEGIES)) {
  t.test(`a cookie of the strategy ${strategy}, which the secret proves`, async t => {
    await t.test('is verified once, until it or its session ends', async t => {
      for (const clockTolerance of [0, 5000]) {
        const { verifier, clock, content } = createClockedVerifier({ clockTolerance })
        const cookie = mint(content)
        const first = await verifier.verify(cookie)
        t.equal(verifier.verify(cookie), first, 'the second time')
        clock.advance(300_000 + clockTolerance - 1)
        t.equal(verifier.verify(cookie), first, 'up to the last millisecond')
        clock.advance(1)
        await t.rejects(async () => verifier.verify(cookie), withReason('token_expired'))
        clock.advance(-300_000)
        t.not(await verifier.verify(cookie), first, 'what has ended is forgotten')

        const ending = mint({
          ...content,
          session: { ...content.session as Fields, expiresAt: new Date(clock.now() + 60_000).toISOString() },
          updatedAt: clock.now(),
          iat: clock.now() / 1000
        })
        const other = await verifier.verify(ending)
        clock.advance(59_999)
        t.equal(verifier.verify(ending), other)
        clock.advance(1)
        await t.rejects(async () => verifier.verify(ending), withReason('session_expired'))
      }
    })

    await t.test('ends at a fraction of a second, to the millisecond', async t => {
      const { verifier, clock, content } = createClockedVerifier({ clockTolerance: 0 })
      for (const ms of [1, 123, 467, 999]) {
        const cookie = mint({ ...content, exp: (clock.now() + ms) / 1000 })
        t.equal((await verifier.verify(cookie)).expiresAt, clock.now() + ms)
      }
    })

    await t.test('is verified each time without a cache, or if it is long', async t => {
      const { verifier, content } = createClockedVerifier({ tokenCache: false })
      t.not(await verifier.verify(mint(content)), await verifier.verify(mint(content)))
      const { verifier: caching, content: own } = createClockedVerifier()
      const long = mint({ ...own, user: { ...own.user as Fields, biography: 'x'.repeat(5000) } })
      t.not(await caching.verify(long), await caching.verify(long))
    })

    await t.test('is known by request.claims and request.principal, each of one request', async t => {
      const app = await startSecretApi(t)
      app.get('/all', { onRequest: [app.authenticate] }, async ({ claims, principal, session }) => {
        const seen = structuredClone({ claims, principal, session })
        ;(claims.user as Fields).name = 'Eve'
        return seen
      })
      const content = createContent()
      for (let round = 0; round < 3; round++) {
        const { body } = await getWith(app, [[NAME, mint(content)]], '/all')
        t.match(body, {
          claims: { user: { id: 'u_1', name: 'Ada' }, session: content.session, version: '1', exp: content.exp },
          principal: { kind: 'user', sessionId: 's_1', expiresAt: content.exp as number * 1000, user: { id: 'u_1' } },
          session: content.session
        })
      }
    })

    await t.test('is subject to bans, roles, userSchema, isRevoked and guards', async t => {
      const seen: unknown[] = []
      const app = await startSecretApi(t, {
        userSchema: Type.Object({ ...UserSchema.properties, plan: Type.String() }),
        isRevoked (claims) {
          seen.push((claims.session as Fields).token)
          return (claims.session as Fields).token === 'revoked'
        }
      })
      const onRequest = app.authorize({ check: (_user, claims) => (claims.user as Fields).plan === 'paid' })
      app.get('/paid', { onRequest }, async ({ user }) => user)
      const call = (user: Fields, url?: string, session: Fields = {}) =>
        getWith(app, [[NAME, mint(createContent({ plan: 'free', ...user }, session))]], url)
      t.match(await call({}), { status: 200, body: { user: { plan: 'free' } } })
      t.match(await call({ plan: 1 }), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
      t.match(await call({ banned: true }), { status: 403, body: { code: 'FST_BETTER_AUTH_FORBIDDEN' } })
      t.match(await call({ banned: true, banExpires: isoIn(-1) }), { status: 200 })
      t.match(await call({ role: 'user,admin' }, '/admin'), { status: 200 })
      t.match(await call({ role: 'user' }, '/admin'), { status: 403 })
      t.match(await call({}, '/paid'), { status: 403 })
      t.match(await call({ plan: 'paid' }, '/paid'), { status: 200 })
      t.match(await call({}, '/me', { token: 'revoked' }), {
        status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_REVOKED' }
      })
      t.ok(seen.includes('session-token'))
    })

    await t.test('is subject to the origin check', async t => {
      const app = await startSecretApi(t)
      app.post('/orders', { onRequest: [app.authenticate] }, async ({ user }) => user)
      const { cookie } = cookieHeader([[NAME, mint(createContent())]])
      for (const [origin, status] of [['https://evil.example', 403], ['http://localhost', 200]] as const) {
        const headers = { cookie, origin, host: 'localhost' }
        t.equal((await app.inject({ method: 'POST', url: '/orders', headers })).statusCode, status, origin)
      }
    })

    await t.test('beside others is judged as a JWT is', async t => {
      const log = captureLog()
      const app = await startSecretApi(t, {}, log)
      const of = (id: string, more: Fields = {}) =>
        mint({ ...createContent({ id }, { userId: id, token: id }), ...more })
      const [victim, attacker] = [of('victim'), of('attacker')]
      const fresh = of('victim', { exp: now() + 400 })
      const cases: Array<[name: string, cookies: Cookies, outcome: string]> = [
        ['garbage before it', [[NAME, 'x'], [NAME, victim]], 'victim'],
        ['garbage behind it', [[NAME, victim], [NAME, 'a.b.c.d.e']], 'victim'],
        ['one that was cut', [[NAME, victim], [NAME, victim.slice(0, -4)]], 'victim'],
        ['an expired one', [[NAME, of('attacker', { exp: now() - 60 })], [NAME, victim]], 'victim'],
        ['a newer one of the session', [[NAME, victim], [NAME, fresh]], 'victim'],
        ['another session', [[NAME, attacker], [NAME, victim]], 'cookie_ambiguous'],
        ['another session in chunks', [...split(attacker, 3), [NAME, victim]], 'cookie_ambiguous'],
        ['chunks', split(victim, 3), 'victim'],
        ['chunks and garbage', [...split(victim, 3), [NAME, 'x']], 'victim'],
        ['chunks and another first chunk', [[`${NAME}.0`, 'A'.repeat(200)], ...split(victim, 3)], 'victim'],
        ['chunks of one length, and a tossed next one', [
          ...evenly(victim), [`${NAME}.${evenly(victim).length}`, 'x'], [NAME, 'x']
        ], 'victim'],
        ['missing chunks', split(victim, 3).slice(1), 'cookie_malformed'],
        ['more than four', [...Array.from({ length: 4 }, (_, i) => [NAME, `x${i}`] as const), [NAME, victim]],
          'cookie_ambiguous']
      ]
      for (const other of Object.values(STRATEGIES).filter(other => other !== mint)) {
        const foreign = other(createContent({ id: 'attacker' }, { userId: 'attacker', token: 'attacker' }))
        cases.push(['another session of another strategy', [[NAME, foreign], [NAME, victim]], 'cookie_ambiguous'])
      }
      for (const [name, cookies, outcome] of cases) {
        const { status, body } = await getWith(app, cookies)
        if (outcome === 'victim') t.match({ status, id: body.user?.id }, { status: 200, id: 'victim' }, name)
        else t.match({ status, reason: log.refusals().at(-1)!.reason }, { status: 401, reason: outcome }, name)
      }
    })

    t.test('survives garbage of all kinds', async t => {
      const app = await startSecretApi(t)
      const good = mint(createContent())
      for (let i = 0; i < 400; i++) {
        const bytes = Buffer.from(good)
        const index = (i * 7919) % bytes.length
        bytes[index] = i % 2 === 0 ? 33 + (i * 31) % 90 : bytes[index]! ^ 1
        const text = bytes.toString('latin1').replace(/[;,"\\]/g, '~')
        if (text !== good) t.equal((await getWith(app, [[NAME, text]])).status, 401, text)
      }
    })
  })
}

/** In chunks of one length, so that no length tells which is the last. */
function evenly (cookie: string): Array<[name: string, value: string]> {
  const size = cookie.length % 3 === 0 ? cookie.length / 3 : cookie.length % 2 === 0 ? cookie.length / 2 : cookie.length
  return split(cookie, cookie.length / size)
}

/** Both cookies, with a verifier that accepts `good`, and an exchange that accepts everything. */
function createEither (plain: 'good' | 'refused' | 'none' = 'good') {
  const judged: string[] = []
  const accepted = (name: string) => ({ token: name }) as VerifiedToken
  const verifier = {
    verify (token: string, trace?: Trace): VerifiedToken | Promise<VerifiedToken> {
      judged.push(token)
      if (token.startsWith('later-')) return Promise.resolve().then(() => verifier.verify(token.slice(6), trace))
      if (token === 'down') throw new JwksUnavailableError(1000)
      if (token === 'bug') throw new Error('a bug')
      if (token === 'banned') throw new ForbiddenError('banned')
      if (token === 'expired') throw new TokenExpiredError()
      if (token === 'ambiguous') throw new TokenInvalidError('cookie_ambiguous')
      if (token !== 'good') throw new TokenInvalidError('signature_invalid')
      if (trace !== undefined) trace.cached = true
      return accepted('session_data')
    }
  }
  const exchanged = {
    verify () {
      judged.push('session_token')
      if (plain === 'refused') throw new TokenInvalidError('credential_refused')
      return accepted('session_token')
    }
  }
  const find = (asObject: boolean) => findEither(
    verifier as unknown as Verifier,
    ({ headers: { cookie } }) => {
      if (cookie === undefined) return undefined
      return asObject ? { verify: trace => verifier.verify(cookie, trace) } : cookie
    },
    () => plain === 'none' ? undefined : exchanged
  )
  return { judged, exchanged, find }
}

const withCookie = (cookie: string | undefined) => ({ headers: { cookie } }) as unknown as FastifyRequest

t.test('session_data that is refused leaves it to session_token; else it decides', async t => {
  const outcomes: Array<[cookie: string, outcome: string, isPlainJudged: boolean]> = [
    ['good', 'session_data', false],
    ['expired', 'session_token', true],
    ['invalid', 'session_token', true],
    ['ambiguous', 'cookie_ambiguous', false],
    ['down', 'jwks_unavailable', false],
    ['banned', 'banned', false],
    ['bug', 'a bug', false]
  ]
  for (const asObject of [false, true]) {
    for (const prefix of ['', 'later-']) {
      for (const [cookie, outcome, isPlainJudged] of outcomes) {
        const { judged, find } = createEither()
        const found = find(asObject)(withCookie(prefix + cookie)) as FoundCredential
        t.strictSame(judged, [], 'finding judges nothing')
        const got = await (async () => (await found.verify({ cached: false })).token)()
          .catch((error: unknown) => isBetterAuthError(error) ? error.reason : (error as Error).message)
        t.equal(got, outcome, prefix + cookie)
        t.equal(judged.includes('session_token'), isPlainJudged)
      }
    }
  }
})

t.test('without session_data, session_token alone is found; without both, nothing', async t => {
  const { find, exchanged } = createEither()
  t.equal(find(false)(withCookie(undefined)), exchanged)
  t.equal(createEither('none').find(false)(withCookie(undefined)), undefined)
})

t.test('without session_token, session_data tells why', async t => {
  for (const [plain, reason] of [['none', 'token_expired'], ['refused', 'credential_refused']] as const) {
    for (const cookie of ['expired', 'later-expired']) {
      const { find } = createEither(plain)
      await t.rejects(async () => (find(true)(withCookie(cookie)) as FoundCredential).verify(), withReason(reason))
    }
  }
})

t.test('it says whether session_data was cached', async t => {
  const trace = { cached: false }
  await (createEither().find(false)(withCookie('good')) as FoundCredential).verify(trace)
  t.equal(trace.cached, true)
})

t.test('an error that is no refusal is not a reason to ask for the plain cookie, whatever status it has', t => {
  const broken = Object.assign(new Error('of a callback'), { statusCode: 401 })
  const signed = { verify () { throw broken } }
  const find = findEither({} as Verifier, () => signed, () => { throw new Error('asked') })
  t.throws(() => (find({} as FastifyRequest) as FoundCredential).verify(), broken)
  t.end()
})

t.test('one signed cookie is found as a token, several as what decides between them', async t => {
  const find = createSignedCookie({} as Verifier, [`__Secure-${NAME}`, NAME])
  const found = (cookie: string) => find(withCookie(cookie))
  t.equal(found('theme=dark'), undefined)
  t.equal(found(`${NAME}=a.b.c`), 'a.b.c')
  for (const cookie of [`${NAME}=a; ${NAME}=b`, `${NAME}=a; __Secure-${NAME}=a`, `${NAME}.1=a`]) {
    t.type((found(cookie) as FoundCredential).verify, 'function', cookie)
  }
})
