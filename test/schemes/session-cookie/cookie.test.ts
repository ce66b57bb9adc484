import { randomBytes } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, { type RefusalReason } from '../../../lib/index.js'
import { captureLog, TRANSPORTS } from '../../fixtures/api.js'
import { cookieHeader } from '../../fixtures/cookie-server.js'
import { USER } from '../../fixtures/expected.js'
import { startJwks } from '../../fixtures/jwks-server.js'
import {
  addRoutes, createCookie, get, getWith, KEY, NAME, split, startCookieApi, type Cookies
} from '../../fixtures/session-cookie.js'

const SECRET = randomBytes(32).toString('hex')

t.test('chunks', async t => {
  const jwks = await startJwks(t, KEY)
  const cookie = createCookie(jwks.origin)
  const [zero, one, two] = split(cookie, 3) as [[string, string], [string, string], [string, string]]
  const garbage = [
    `${NAME}.x`, `${NAME}.01`, `${NAME}.1e1`, `${NAME}.-1`, `${NAME}.+1`, `${NAME}.0x1`, `${NAME}.1.0`, `${NAME}.`,
    `${NAME}. 1`, `${NAME}.١`
  ]
    .map(name => [name, 'garbage'] as const)
  const tooMany = Array.from({ length: 101 }, (_, index) => [`${NAME}.${index}`, 'eyJ'] as const)
  const rename = ([, value]: readonly [string, string], suffix: string) => [`${NAME}.${suffix}`, value] as const

  const cases: Array<[name: string, cookies: Cookies, outcome: 'accepted' | 'missing' | RefusalReason]> = [
    ['in order', [zero, one, two], 'accepted'],
    ['in another order', [two, zero, one], 'accepted'],
    ['in the opposite order', [two, one, zero], 'accepted'],
    [
      'between other cookies',
      [['theme', 'dark'], two, ['better-auth.session_token', 'x'], zero, [`x${NAME}.1`, 'y'], one, [`${NAME}x.0`, 'z']],
      'accepted'
    ],
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
    ['a hundred and one', tooMany, 'cookie_malformed'],
    ['a hundred and one, the last first', [...tooMany].reverse(), 'cookie_malformed'],
    ['swapped', [rename(one, '0'), rename(zero, '1'), two], 'token_malformed'],
    ['a whole cookie as well', [...split(cookie, 3), [NAME, cookie]], 'accepted'],
    ['no chunk 0, beside the whole cookie', [one, two, [NAME, cookie]], 'accepted'],
    ['nothing but names that are no numbers', garbage, 'missing'],
    ['empty', [[`${NAME}.0`, ''], [`${NAME}.1`, '']], 'missing'],
    ['one of which is empty', [zero, [one[0], ''], two], 'cookie_malformed']
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
      t.equal(
        body.code, outcome === 'missing' ? 'FST_BETTER_AUTH_TOKEN_MISSING' : 'FST_BETTER_AUTH_TOKEN_INVALID', what
      )
      const reason = log.refusals()[before]?.reason
      t.equal(reason === 'token_missing' ? 'missing' : reason, outcome, what)
    }
  }
})

t.test('a cookie longer than a token may be is refused', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startCookieApi(t, { authUrl: jwks.origin }, log)
  const long = createCookie(jwks.origin, {}, { biography: 'x'.repeat(16_384) })
  for (const call of Object.values(TRANSPORTS)) {
    t.equal((await call(app, { url: '/me', headers: cookieHeader(split(long, 8)) })).status, 401)
  }
  t.strictSame(log.refusals().map(({ reason }) => reason), ['token_too_long', 'token_too_long'])
})

t.test('of several names the safest wins', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
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
  for (const bad of ['a.b.c', createCookie('https://evil.example.com')]) {
    t.equal((await getWith(app, [[`__Host-${NAME}`, bad], secure, plain])).body.user?.id, 'secure', 'of the valid ones')
  }
  t.equal((await getWith(app, [secureChunks[1]!, plain])).body.user?.id, 'plain', 'beside chunks that are not whole')
  for (const name of [
    `__secure-${NAME}`, `__Secure${NAME}`, `__Host-__Secure-${NAME}`, NAME.toUpperCase(), `${NAME}x`, `x${NAME}`
  ]) {
    t.match(await getWith(app, [[name, of('near')]]), {
      status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' }
    }, name)
  }
})

t.test('@fastify/cookie is not required, and may be registered before or after', async t => {
  const jwks = await startJwks(t, KEY)
  const cookie = createCookie(jwks.origin)
  const strangers: Array<[string, string]> = [[
    '__proto__', 'x'
  ], ['toString', 'x'], ['=', '='], ['a', '%E0%A4%A'], ['quoted', '"x; y"']]
  for (const order of ['without', 'before', 'after'] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    if (order === 'before') await app.register(fastifyCookie, { secret: SECRET })
    await app.register(betterAuthPlugin, { authUrl: jwks.origin, sessionCookie: true })
    if (order === 'after') await app.register(fastifyCookie, { secret: SECRET })
    addRoutes(app)
    for (const cookies of [
      [[NAME, cookie]], split(cookie, 3), [...strangers, [NAME, cookie]], [[NAME, cookie], [NAME, 'x']]
    ] as Cookies[]) {
      const { status, body } = await getWith(app, cookies)
      t.equal(status, 200, order)
      t.strictSame(body.user, USER)
    }
    t.equal((await getWith(app, [[NAME, 'x'], [NAME, cookie]])).status, 200, 'whatever @fastify/cookie keeps of it')
    t.match(await get(app, { cookie: '' }), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    for (const space of [' ', '\t', ' \t ', ' '.repeat(200)]) {
      const padded = `;; a ;=b;${space}${NAME}${space}=${space}${cookie}${space};`
      t.equal((await get(app, { cookie: padded })).status, 200, `${JSON.stringify(space)} is no part of it`)
    }
    // A browser lets a page of any host set such a name: it does not start with the prefix.
    for (const space of ['\u00a0', '\u000b', '\u000c', '\u0085', '\ufeff']) {
      const header = Buffer.from(`${space}__Secure-${NAME}=${cookie}`).toString('latin1')
      t.match(await get(app, { cookie: header }), {
        status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' }
      }, `${JSON.stringify(space)} is part of it`)
    }
  }
})
