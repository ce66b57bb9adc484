import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions, type Claims } from '../../lib/index.js'
import { createStatusCheck } from '../../lib/http/account-status.js'
import type { TestIssuer } from '../../lib/testing/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../fixtures/api.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { segment, startIssuer, USER } from '../fixtures/test-issuer.js'

type IsRevoked = NonNullable<BetterAuthOptions['isRevoked']>

const NOBODY = { roles: [], scopes: [], bannedUntil: undefined }
const ROUTES = ['/authenticate', '/optional', '/authorize']

async function createApi (t: Test, options: BetterAuthOptions, log?: LogCapture): Promise<FastifyInstance> {
  const app = await startApi(t, options, log)
  app.get('/authenticate', { onRequest: app.authenticate }, async ({ user, claims }) => ({ user, claims }))
  app.get('/optional', {
    preParsing: app.authenticateOptional
  }, async ({ user, claims }) => ({ user, claims: claims ?? null }))
  app.get('/authorize', {
    preHandler: app.authorize({ roles: ['admin'] })
  }, async ({ user, claims }) => ({ user, claims }))
  app.get('/by-hand', async (request, reply) => {
    const code: unknown = await app.authenticate(request, reply).then(() => null, error => error.code)
    return { code, user: request.user, claims: request.claims ?? null }
  })
  app.get('/jwt-verify', async request => {
    await request.jwtVerify()
    return { user: request.user }
  })
  return app
}

const tokenOf = (issuer: TestIssuer, claims = {}) => issuer.token({ role: 'admin', jti: 't_1', ...claims })
const untyped = (answer: unknown): IsRevoked => () => answer as boolean

t.test('a token that is not revoked', async t => {
  const issuer = await startIssuer(t)
  const answers: Record<string, IsRevoked> = {
    false: () => false,
    'a promise of false': async () => false,
    'something to wait for that becomes false': untyped({ then (resolve: (value: boolean) => void) { resolve(false) } })
  }
  for (const [name, isRevoked] of Object.entries(answers)) {
    const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked })
    const token = tokenOf(issuer)
    const claims = segment(token, 1)
    for (const [transport, call] of Object.entries(TRANSPORTS)) {
      for (const url of ROUTES) {
        const { status, body } = await call(app, { url, headers: bearer(token) })
        t.strictSame(
          [status, JSON.parse(body)], [200, { user: USER, claims }], `passes: ${name}, ${url} by ${transport}`
        )
      }
    }
  }
})

t.test('a token that is revoked', async t => {
  const issuer = await startIssuer(t)
  for (const [name, isRevoked] of Object.entries<IsRevoked>({
    true: () => true, 'a promise of true': async () => true
  })) {
    const log = captureLog()
    const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked }, log)
    const headers = bearer(tokenOf(issuer))
    for (const [transport, call] of Object.entries(TRANSPORTS)) {
      for (const url of ROUTES) {
        log.lines.length = 0
        const {
          status, headers: { 'www-authenticate': challenge, 'retry-after': retryAfter }, body
        } = await call(app, { url, headers })
        t.strictSame({ status, challenge, retryAfter, body: JSON.parse(body) }, {
          status: 401,
          challenge: 'Bearer error="invalid_token"',
          retryAfter: undefined,
          body: {
            statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_REVOKED', error: 'Unauthorized', message: 'Token revoked'
          }
        }, `is a 401: ${name}, ${url} by ${transport}`)
        t.match(log.refusals(), [{ reason: 'token_revoked', level: 30 }])
        t.equal(log.refusals().length, 1)
      }
    }
    t.strictSame((await app.inject({ url: '/by-hand', headers })).json(), {
      code: 'FST_BETTER_AUTH_TOKEN_REVOKED', user: null, claims: null
    }, 'by hand, leaves no user behind')
  }
})

t.test('an application that cannot tell', async t => {
  const issuer = await startIssuer(t)
  const raise = (what: unknown): never => { throw what }
  for (const [name, isRevoked] of Object.entries<IsRevoked>({
    'a throw': () => { throw new Error('redis://user:hunter2@deny-list is down') },
    'a rejection': async () => { throw new Error('redis://user:hunter2@deny-list is down') },
    'a throw of nothing': () => raise(undefined),
    'a throw of false': () => raise(false),
    'a rejection with false': async () => raise(false),
    undefined: untyped(undefined),
    null: untyped(null),
    'the text yes': untyped('yes'),
    'an empty text': untyped(''),
    'the number 0': untyped(0),
    'the number 1': untyped(1),
    NaN: untyped(NaN),
    'an object': untyped({}),
    'a Boolean object': untyped(Object(false)),
    'a function': untyped(() => false),
    'a promise of nothing': untyped(Promise.resolve()),
    'a promise of null, as Redis says of a key it does not have': untyped(Promise.resolve(null)),
    'a promise of 0': untyped(Promise.resolve(0))
  })) {
    t.test(name, async t => {
      const log = captureLog()
      const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked }, log)
      const headers = bearer(tokenOf(issuer))
      for (const [transport, call] of Object.entries(TRANSPORTS)) {
        for (const url of ROUTES) {
          log.lines.length = 0
          const {
            status, headers: { 'www-authenticate': challenge, 'retry-after': retryAfter }, body
          } = await call(app, { url, headers })
          t.strictSame({ status, challenge, retryAfter, body: JSON.parse(body) }, {
            status: 503,
            challenge: undefined,
            retryAfter: '5',
            body: {
              statusCode: 503,
              code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE',
              error: 'Service Unavailable',
              message: 'Revocation check unavailable'
            }
          }, `${url} by ${transport}`)
          t.strictSame(
            log.refusals().map(({ reason, level }) => ({ reason, level })),
            [{ reason: 'revocation_unavailable', level: 40 }]
          )
        }
      }
      t.strictSame((await app.inject({ url: '/by-hand', headers })).json(), {
        code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', user: null, claims: null
      }, 'by hand, leaves no user behind')
    })
  }

  t.test('the log says what it did not do in time, and later it may do what it likes', async t => {
    const log = captureLog()
    const late: Array<(error: Error) => void> = []
    const app = await createApi(t, {
      authUrl: issuer.authUrl,
      callbackTimeout: 20,
      isRevoked: () => new Promise((_resolve, reject) => { late.push(reject) })
    }, log)
    const headers = bearer(tokenOf(issuer))
    for (const url of [...ROUTES, '/jwt-verify']) {
      log.lines.length = 0
      const { status, headers: { 'retry-after': retryAfter }, body } = await TRANSPORTS.inject(app, { url, headers })
      t.strictSame(
        [status, JSON.parse(body).code, retryAfter], [503, 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', '5'], url
      )
      t.match(log.refusals(), [{
        reason: 'revocation_unavailable', err: { message: 'isRevoked did not settle within 20 ms' }
      }])
    }
    for (const reject of late) reject(new Error('too late'))
    t.strictSame((await app.inject({ url: '/by-hand', headers })).json(), {
      code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', user: null, claims: null
    }, 'and leaves no user behind')
  })

  t.test('the log says what it threw', async t => {
    const log = captureLog()
    const app = await createApi(t, {
      authUrl: issuer.authUrl, isRevoked () { throw new Error('deny list is down') }
    }, log)
    await app.inject({ url: '/authenticate', headers: bearer(tokenOf(issuer)) })
    t.match(log.refusals(), [{ reason: 'revocation_unavailable', err: { message: 'deny list is down' } }])
  })
})

t.test('what it can tell at once costs no timer and no promise', async t => {
  const verdicts = { passes: () => false, refuses: () => true, fails: untyped('yes') }
  const status = (isRevoked: IsRevoked) => createStatusCheck({ isRevoked, callbackTimeout: 5000 }, Date.now)
  const verified = { token: tokenOf(await startIssuer(t)), authorization: NOBODY }
  t.equal(status(verdicts.passes)({} as FastifyRequest, verified), undefined)
  t.throws(() => status(verdicts.refuses)({} as FastifyRequest, verified), { message: 'Token revoked' })
  t.throws(() => status(verdicts.fails)({} as FastifyRequest, verified), { message: 'Revocation check unavailable' })
})

t.test('it is asked on every request, cached tokens included', async t => {
  const issuer = await startIssuer(t)
  for (const tokenCache of [undefined, false] as const) {
    const denied = new Set<unknown>()
    const asked: unknown[] = []
    const app = await createApi(t, {
      authUrl: issuer.authUrl,
      tokenCache,
      isRevoked ({ jti }, request) {
        asked.push(`${jti} ${request!.url}`)
        return denied.has(jti)
      }
    })
    const first = bearer(tokenOf(issuer))
    const second = bearer(tokenOf(issuer, { jti: 't_2' }))
    const status = async (url: string, headers: object) =>
      (await app.inject({ url, headers: { ...headers } })).statusCode
    for (const url of ROUTES) {
      t.strictSame([await status(url, first), await status(url, first), await status(url, second)], [200, 200, 200])
    }
    denied.add('t_1')
    for (const url of ROUTES) {
      t.strictSame(
        [await status(url, first), await status(url, second)], [401, 200], 'revoked from one request to the next'
      )
    }
    denied.clear()
    for (const url of ROUTES) t.equal(await status(url, first), 200, 'the other way round as well')
    t.strictSame(asked, [
      ...ROUTES.flatMap(url => [`t_1 ${url}`, `t_1 ${url}`, `t_2 ${url}`]),
      ...ROUTES.flatMap(url => [`t_1 ${url}`, `t_2 ${url}`]),
      ...ROUTES.map(url => `t_1 ${url}`)
    ], 'once for each')
  }
})

t.test('it is only asked about tokens that would pass', async t => {
  const issuer = await startIssuer(t)
  let asked = 0
  const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked () { asked++; return false } })
  const foreign = await startIssuer(t, { issuer: issuer.authUrl, audience: issuer.authUrl })
  for (const [name, headers, status] of [
    ['no token', {}, 401],
    ['a malformed header', { authorization: 'Bearer' }, 400],
    ['a malformed token', bearer('abc'), 401],
    ['a foreign key', bearer(foreign.token()), 401],
    ['an expired token', bearer(tokenOf(issuer, { iat: 1e9, exp: 1e9 })), 401],
    ['a foreign issuer', bearer(tokenOf(issuer, { iss: 'https://evil.example.com' })), 401],
    ['a claim of the wrong type', bearer(tokenOf(issuer, { email: 7 })), 401],
    ['a banned user', bearer(tokenOf(issuer, { banned: true })), 403]
  ] as const) {
    t.equal((await app.inject({ url: '/authenticate', headers })).statusCode, status, name)
    if (name !== 'no token') t.equal((await app.inject({ url: '/optional', headers })).statusCode, status, name)
  }
  t.equal((await app.inject('/optional')).statusCode, 200, 'an anonymous request')
  t.equal(asked, 0)
  const dead = await startIssuer(t)
  dead.fail('down')
  const down = await createApi(t, { authUrl: dead.authUrl, isRevoked () { asked++; return false } })
  t.equal((await down.inject({ url: '/authenticate', headers: bearer(tokenOf(dead)) })).statusCode, 503)
  t.equal(asked, 0)
  await app.inject({ url: '/authenticate', headers: bearer(tokenOf(issuer)) })
  t.equal(asked, 1, 'and about those it is')
})

t.test('a guard after authenticate does not ask again', async t => {
  const issuer = await startIssuer(t)
  let asked = 0
  const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked () { asked++; return false } })
  app.get('/both', { onRequest: app.authenticate, preHandler: app.authorize({ roles: ['admin'] }) }, async () => 'in')
  t.equal((await app.inject({ url: '/both', headers: bearer(tokenOf(issuer)) })).statusCode, 200)
  t.equal(asked, 1)
})

t.test('the claims that it gets are its own', async t => {
  const issuer = await startIssuer(t)
  const seen: Claims[] = []
  const app = await createApi(t, {
    authUrl: issuer.authUrl,
    isRevoked (claims, request) {
      seen.push(structuredClone(claims))
      t.equal(request!.user, null, 'nobody is signed in yet')
      claims.role = 'admin'
      claims.exp = 1
      delete claims.jti
      ;(claims.org as { plan: string }).plan = 'spoilt'
      return false
    }
  })
  const token = tokenOf(issuer, { role: 'user', org: { plan: 'pro' } })
  const claims = segment(token, 1)
  const headers = bearer(token)
  for (const memory of ['cold', 'warm', 'warm again']) {
    t.strictSame((await app.inject({ url: '/authenticate', headers })).json(), {
      user: USER, claims
    }, `what it writes is not seen by the request, ${memory}`)
  }
  t.equal((await app.inject({ url: '/authorize', headers })).statusCode, 403, 'nor by a guard')
  t.equal(seen.length, 4)
  for (const one of seen) t.strictSame(one, claims, 'nor by itself, the next time')
})

t.test('request.jwtVerify() asks it too', async t => {
  const issuer = await startIssuer(t)
  const headers = bearer(tokenOf(issuer))
  for (const [isRevoked, status] of [[() => false, 200], [() => true, 401], [untyped('yes'), 503]] as const) {
    const app = await createApi(t, { authUrl: issuer.authUrl, isRevoked })
    t.equal((await app.inject({ url: '/jwt-verify', headers })).statusCode, status)
  }
})

t.test('it may be a method of a class', async t => {
  const issuer = await startIssuer(t)
  class Revocation {
    readonly #revoked = new Set<unknown>(['t_1'])
    get authUrl () { return issuer.authUrl }
    isRevoked ({ jti }: Claims) { return this.#revoked.has(jti) }
  }
  const app = await createApi(t, new Revocation())
  const status = async (jti: string) =>
    (await app.inject({ url: '/authenticate', headers: bearer(tokenOf(issuer, { jti })) })).statusCode
  t.strictSame([await status('t_1'), await status('t_2')], [401, 200])
})

t.test('one that is no function fails the boot', async t => {
  for (const isRevoked of [null, true, 'redis', {}, new Set(['t_1'])]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => {
      await app.register(betterAuthPlugin, { isRevoked: isRevoked as unknown as IsRevoked })
    }, {
      code: 'FST_BETTER_AUTH_INVALID_OPTION',
      message: /Option "isRevoked" must be a function, got/
    } as unknown as Error)
  }
})

t.test('with a real Better Auth server: a token is revoked by the id of its session', async t => {
  const auth = await startAuthServer({
    jwt: { jwt: { definePayload: ({ user, session }) => ({ ...user, sid: session.id }) } }
  })
  t.teardown(() => auth.close())
  const denied = new Set<unknown>()
  const app = await createApi(t, { authUrl: auth.origin, isRevoked: async ({ sid }) => denied.has(sid) })
  const [ada, bob] = [await auth.signUp(), await auth.signUp()]
  const status = async (token: string) =>
    (await app.inject({ url: '/authenticate', headers: bearer(token) })).statusCode
  t.strictSame([await status(ada.token), await status(bob.token)], [200, 200])
  denied.add(auth.db.session!.find(({ userId }) => userId === ada.user.id)!.id)
  t.strictSame([await status(ada.token), await status(bob.token)], [401, 200])
})
