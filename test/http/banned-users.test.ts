import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { bearer, captureLog, startApi, TRANSPORTS } from '../fixtures/api.js'
import { createClock, useClock, type Clock } from '../fixtures/clock.js'
import { isForbidden } from '../fixtures/expected.js'
import { startJwks } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

t.test('banned users', async t => {
  const jwks = await startJwks(t, KEY)
  const start = Date.now()
  const DAY = 86_400_000
  const iso = (ms: number) => new Date(ms).toISOString()

  async function createGuarded (
    t: Test, log = captureLog(), clock?: Pick<Clock, 'now'>
  ): Promise<FastifyInstance> {
    if (clock !== undefined) useClock(t, clock)
    const app = await startApi(t, { authUrl: jwks.origin }, log)
    app.get('/authenticate', { onRequest: app.authenticate }, async ({ user }) => ({ id: user.id }))
    app.get('/optional', { onRequest: app.authenticateOptional }, async ({ user }) => ({ id: user.id }))
    app.get('/authorize', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ id: user.id }))
    app.get('/jwt-verify', async request => {
      await request.jwtVerify()
      return { id: request.user.id }
    })
    app.get('/by-hand', async (request, reply) => {
      const code: unknown = await app.authenticate(request, reply).then(() => null, error => error.code)
      return { code, user: request.user, claims: request.claims ?? null }
    })
    return app
  }
  const URLS = ['/authenticate', '/optional', '/authorize']
  const token = (claims: Record<string, unknown>) =>
    bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin', ...claims })))

  t.test('are refused, cached tokens included', async t => {
    const log = captureLog()
    const app = await createGuarded(t, log)
    for (const [name, claims] of Object.entries<Record<string, unknown>>({
      'for ever': {},
      'banExpires is null': { banExpires: null },
      'until tomorrow': { banExpires: iso(start + DAY) },
      'until the end of times': { banExpires: iso(8.64e15) },
      'banExpires is empty': { banExpires: '' },
      'banExpires is garbage': { banExpires: 'soon' },
      'banExpires is a word': { banExpires: 'never' },
      // Date.parse() finds a year in each of these.
      'banExpires is garbage with a number': { banExpires: 'permanent-1' },
      'banExpires is a number as text': { banExpires: '1' },
      'banExpires is zero as text': { banExpires: '0' },
      'banExpires is a sentence': { banExpires: 'since 2020' },
      'banExpires is a number of milliseconds to come': { banExpires: start + DAY },
      'banExpires is a number of seconds to come': { banExpires: Math.ceil(start / 1000) + 60 },
      'banExpires is a number that is no time of an account': { banExpires: 5e11 },
      'banExpires is 0': { banExpires: 0 },
      'banExpires is true': { banExpires: true },
      'banExpires is an object': { banExpires: {} },
      'banExpires is an array': { banExpires: [iso(start - DAY)] },
      'banExpires is no date of the calendar': { banExpires: '2020-13-45T00:00:00.000Z' }
    })) {
      const headers = token({ banned: true, ...claims })
      for (const url of URLS) {
        for (const memory of ['cold', 'warm']) {
          log.lines.length = 0
          isForbidden(t, await TRANSPORTS.inject(app, { url, headers }), `${name}, ${url}, ${memory}`)
          t.strictSame(log.refusals().map(line => line.reason), ['banned'])
        }
      }
      t.strictSame((await app.inject({ url: '/by-hand', headers })).json(), {
        code: 'FST_BETTER_AUTH_FORBIDDEN', user: null, claims: null
      }, `${name}, by hand, leaves no user behind`)
    }
  })

  t.test('are refused by request.jwtVerify() too', async t => {
    const app = await createGuarded(t)
    t.equal((await app.inject({ url: '/jwt-verify', headers: token({}) })).statusCode, 200)
    t.equal((await app.inject({ url: '/jwt-verify', headers: token({ banned: true }) })).statusCode, 403)
  })

  t.test('are users like others when they are not, or not any longer', async t => {
    const app = await createGuarded(t)
    for (const [name, claims] of Object.entries<Record<string, unknown>>({
      'no claim': {},
      false: { banned: false },
      null: { banned: null },
      'false, whatever banExpires says': { banned: false, banExpires: iso(start + DAY) },
      'no claim, whatever banExpires says': { banExpires: iso(start + DAY) },
      'until yesterday': { banned: true, banExpires: iso(start - DAY) }
    })) {
      for (const url of URLS) {
        for (const memory of ['cold', 'warm']) {
          t.equal((await app.inject({ url, headers: token(claims) })).statusCode, 200, `${name}, ${url}, ${memory}`)
        }
      }
    }
  })

  t.test('a claim that is neither true nor false is an invalid token', async t => {
    const log = captureLog()
    const app = await createGuarded(t, log)
    for (const banned of ['TRUE', 'yes', '', 'no', 't', 2, -1, {}, [], [true]]) {
      for (const url of URLS) {
        log.lines.length = 0
        const {
          statusCode, headers, body
        } = await app.inject({ url, headers: token({ banned, banExpires: iso(start - DAY) }) })
        t.strictSame([
          statusCode, JSON.parse(body).code, headers['www-authenticate']
        ], [401, 'FST_BETTER_AUTH_TOKEN_INVALID', 'Bearer error="invalid_token"'],
          `${JSON.stringify(banned)}, ${url}`)
        t.match(log.refusals(), [{ reason: 'claim_invalid', claim: 'banned' }])
      }
    }
  })

  t.test('nobody is locked out or let in by how a database spells it', async t => {
    const app = await createGuarded(t)
    const seconds = Math.floor(start / 1000)
    for (const [claims, status] of [
      [{ banned: 0 }, 200], [{ banned: '0' }, 200], [{ banned: 'false' }, 200],
      [{ banned: 1 }, 403], [{ banned: '1' }, 403], [{ banned: 'true' }, 403],
      [{ banned: 1, banExpires: start - DAY }, 200],
      [{ banned: 1, banExpires: seconds - 60 }, 200],
      [{ banned: 1, banExpires: `${start - DAY}` }, 200],
      [{ banned: 1, banExpires: iso(start - DAY).replace('T', ' ').replace('Z', '') }, 200],
      [{ banned: 1, banExpires: iso(start - 2 * DAY).slice(0, 10) }, 200],
      [{ banned: 1, banExpires: start + DAY }, 403],
      [{ banned: 1, banExpires: seconds + 60 }, 403],
      [{ banned: 1, banExpires: iso(start + 60_000).replace('T', ' ').replace('Z', '') }, 403],
      [{ banned: 1, banExpires: iso(start + DAY).slice(0, 10) }, 403]
    ] as Array<[Record<string, unknown>, number]>) {
      for (const url of [...URLS, '/jwt-verify']) {
        const { statusCode } = await app.inject({ url, headers: token(claims) })
        t.equal(statusCode, status, `${JSON.stringify(claims)}, ${url}`)
      }
    }
  })

  t.test('a ban ends while the token is remembered, at its very millisecond', async t => {
    const clock = createClock(start)
    const app = await createGuarded(t, captureLog(), clock)
    const headers = token({ banned: true, banExpires: iso(start + 60_000) })
    const status = async () => Promise.all(URLS.map(async url => (await app.inject({ url, headers })).statusCode))
    t.strictSame(await status(), [403, 403, 403])
    clock.set(start + 59_999)
    t.strictSame(await status(), [403, 403, 403], 'one millisecond before')
    clock.set(start + 60_000)
    t.strictSame(await status(), [200, 200, 200], 'at its end')
    clock.set(start + 59_999)
    t.strictSame(await status(), [403, 403, 403], 'nothing of it is remembered')
  })
})
