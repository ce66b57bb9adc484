import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import type { LogLine } from '../fixtures/api.js'
import { createClock, startClockedApi, type Clock, type ClockedApi } from '../fixtures/clock.js'
import { startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws, type SigningKey } from '../fixtures/signing.js'

const [first, second] = [createSigningKey('EdDSA', 'first'), createSigningKey('ES256', 'second')]
/** Two keys with one name, for two algorithms. */
const [sameEdDSA, sameES256] = [createSigningKey('EdDSA', 'same'), createSigningKey('ES256', 'same')]
const WARN = 40
const ERROR = 50
const MAX_AGE = 60_000
const STALE_AFTER = 2 * MAX_AGE

interface Setup {
  server: JwksServer
  clock: Clock
  api: ClockedApi
  statusOf (key: SigningKey): Promise<number>
  /** The lines of this level or a higher one, refusals left out. */
  warnings (): LogLine[]
}

async function setUp (t: Test, keys: unknown[]): Promise<Setup> {
  const server = await startJwksServer(keys)
  t.teardown(() => server.stop().catch(() => {}))
  const clock = createClock(Date.now())
  const { origin } = server
  const jwks = { maxAge: MAX_AGE, staleWhileRevalidate: MAX_AGE }
  const api = await startClockedApi(t, { authUrl: origin, jwks }, clock)
  const iat = Math.floor(Date.now() / 1000)
  return {
    server,
    clock,
    api,
    statusOf: async key => (await api.call(signJws(key, createClaims(origin, { exp: iat + 86_400 })))).status,
    warnings: () => api.log.lines.filter(line => line.level >= WARN && !('reason' in line))
  }
}

t.test('a JWKS without keys', async t => {
  t.test('ends all keys at once, which is one error in the log, and later keys are found', async t => {
    const { server, clock, api, statusOf, warnings } = await setUp(t, [first.jwk, second.jwk])
    t.equal(await statusOf(first), 200)
    server.keys = []
    t.equal(await statusOf(first), 200, 'not before the next fetch')
    for (let i = 0; i < 3; i++) {
      clock.advance(STALE_AFTER)
      for (const key of [first, second]) t.equal(await statusOf(key), 401)
    }
    t.match(warnings(), [{ level: ERROR, msg: /has no usable key/ }])
    t.equal(warnings().length, 1)
    t.match(api.app.betterAuth.status(), { keys: [], lastError: null, nextTryAt: null })
    await t.resolves(api.app.betterAuth.ready())

    server.keys = [second.jwk]
    clock.advance(3000)
    t.equal(await statusOf(second), 200)
    t.equal(await statusOf(first), 401)
  })

  t.test('at start is the same error, and 401 rather than 503', async t => {
    const { server, clock, statusOf, warnings } = await setUp(t, [])
    t.equal(await statusOf(first), 401)
    t.match(warnings(), [{ level: ERROR, msg: /has no usable key/ }])
    t.equal(warnings().length, 1)
    server.keys = [first.jwk]
    clock.advance(3000)
    t.equal(await statusOf(first), 200)
  })

  t.test('that has unusable keys only is the same', async t => {
    const { clock, statusOf, warnings, server } = await setUp(t, [first.jwk])
    t.equal(await statusOf(first), 200)
    server.keys = [{ ...first.jwk, use: 'enc' }, null]
    clock.advance(STALE_AFTER)
    t.equal(await statusOf(first), 401)
    t.same(warnings().map(({ level }) => level), [ERROR, WARN, WARN])
  })
})

/** Entries that are not even objects, or not the keys of anything. */
const STRANGE = [
  null, 'a string', '', 5, 0, true, false, [], [first.jwk], {}, { kid: null }, { kid: 5 }, { kid: '' }, { kty: 'OKP' },
  { kid: 'half', kty: 'OKP', crv: 'Ed25519' }, { kid: 'half', kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }
]

t.test('strange entries among good ones do not affect them, and each is reported once', async t => {
  for (const warm of [false, true]) {
    const published = [...STRANGE, first.jwk, ...STRANGE.slice(0, 3), second.jwk, null]
    const { server, clock, api, statusOf, warnings } = await setUp(t, warm ? [first.jwk, second.jwk] : published)
    server.keys = published
    for (const step of [0, 3000, STALE_AFTER, STALE_AFTER]) {
      clock.advance(step)
      for (const key of [first, second]) t.equal(await statusOf(key), 200)
    }
    t.equal(warnings().length, published.length - 2)
    t.ok(warnings().every(({ level, msg }) => level === WARN && msg.includes('not usable')))
    t.match(api.app.betterAuth.status(), { keys: [{ kid: 'first' }, { kid: 'second' }], lastError: null })

    server.keys = [first.jwk, second.jwk, 'another']
    clock.advance(STALE_AFTER)
    t.equal(await statusOf(first), 200)
    t.equal(warnings().length, published.length - 2, 'an entry of the same kind, where there were more, is no news')
  }
})

t.test('keys with the same kid', async t => {
  t.test('and different algorithms both work, in either order', async t => {
    for (const keys of [[sameEdDSA, sameES256], [sameES256, sameEdDSA]]) {
      const { clock, api, statusOf, warnings } = await setUp(t, keys.map(({ jwk }) => jwk))
      for (const step of [0, STALE_AFTER]) {
        clock.advance(step)
        for (const key of keys) t.equal(await statusOf(key), 200)
      }
      t.match(api.app.betterAuth.status().keys, keys.map(({ kid, alg }) => ({ kid, alg })))
      t.same(warnings(), [])
    }
  })

  t.test('of which the first is unusable: the usable one works', async t => {
    for (const entry of [{ ...sameES256.jwk, use: 'enc' }, { kid: 'same', kty: 'EC' }, { ...sameEdDSA.jwk, x: 5 }]) {
      const { statusOf, warnings } = await setUp(t, [entry, sameEdDSA.jwk])
      t.equal(await statusOf(sameEdDSA), 200)
      t.equal(await statusOf(sameES256), 401)
      t.match(warnings(), [{ level: WARN, kid: 'same' }])
      t.equal(warnings().length, 1)
    }
  })

  t.test('and the same algorithm: the first counts', async t => {
    const later = createSigningKey('EdDSA', 'same')
    const { statusOf } = await setUp(t, [sameEdDSA.jwk, later.jwk])
    t.equal(await statusOf(sameEdDSA), 200)
    t.equal(await statusOf(later), 401)
  })
})

t.test('of a JWKS with more than 1000 entries the first 1000 count', async t => {
  const { server, statusOf, warnings, clock } = await setUp(t, [...Array(999).fill(first.jwk), first.jwk, second.jwk])
  t.equal(await statusOf(first), 200)
  t.equal(await statusOf(second), 401)
  t.match(warnings(), [{ level: WARN, code: 'too_many_keys', entries: 1001 }])
  clock.advance(3000)
  server.keys = server.keys.slice(1)
  t.equal(await statusOf(second), 200)
  t.equal(warnings().filter(({ code }) => code === 'too_many_keys').length, 1)
})

t.test('elliptic, which get-jwks brings (GHSA-848j-6mx2-7j84), is loaded and never called', async t => {
  const getJwks = createRequire(createRequire(import.meta.url).resolve('get-jwks'))
  const jwkToPem = createRequire(getJwks.resolve('jwk-to-pem'))
  const calls: string[] = []
  const elliptic = jwkToPem('elliptic') as Record<'ec' | 'eddsa', { prototype: Record<string, () => unknown> }>
  for (const kind of ['ec', 'eddsa'] as const) {
    const { prototype } = elliptic[kind]
    for (const name of Object.keys(prototype)) {
      const original = prototype[name]!
      prototype[name] = function (this: unknown, ...args: []) {
        calls.push(name)
        return original.apply(this, args)
      }
      t.teardown(() => { prototype[name] = original })
    }
  }
  const toPem = getJwks('jwk-to-pem') as (jwk: unknown) => string
  toPem(second.jwk)
  t.ok(calls.length > 0, 'a call would be noticed')
  calls.length = 0

  const keys = [first, second, createSigningKey('RS256', 'third'), createSigningKey('ES512', 'fourth')]
  const { statusOf, clock } = await setUp(t, keys.map(({ jwk }) => jwk))
  for (let i = 0; i < 2; i++) {
    for (const key of keys) t.equal(await statusOf(key), 200)
    t.equal(await statusOf(createSigningKey('ES256', 'second')), 401)
    t.equal(await statusOf(createSigningKey('ES256', 'unknown')), 401)
    clock.advance(STALE_AFTER)
  }
  t.strictSame(calls, [])
})
