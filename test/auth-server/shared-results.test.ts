import t from 'tap'
import { createBoundedStore } from '../../lib/auth-server/bounded-store.js'
import { createExchangeVault, type Revoked } from '../../lib/auth-server/exchange-vault.js'
import { createSharedResults } from '../../lib/auth-server/shared-results.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import type { ExchangeOptions } from '../../lib/index.js'
import { createClock } from '../fixtures/clock.js'
import { createMemoryStore } from '../fixtures/exchange-store.js'
import { recordLog } from '../fixtures/log.js'
import { createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()
const SECRET = 'a secret that is long enough for this'
const jwt = (claims: object = { sub: 'u_1' }) => signJws(KEY, claims)

function start (options: ExchangeOptions = {}) {
  const clock = createClock()
  const memory = createMemoryStore(clock)
  const { lines, log } = recordLog()
  const exchange = resolveOptions({
    exchange: { ...options, shared: { store: memory.store, secret: SECRET } }
  }).exchange!
  const vault = createExchangeVault(SECRET, exchange.url)
  const store = createBoundedStore(memory.store, { log, now: clock.now, random: () => 0 })
  const results = createSharedResults({ exchange, store, vault, log, now: clock.now })
  const place = vault.placeOf({ name: 'authorization', value: 'Bearer abc' })
  const keep = (token: string, exchangedAt = clock.now()) => results.keep(place, { kind: 'token', token, exchangedAt })
  return { clock, memory, lines, vault, results, place, keep }
}

t.test('a token is found with the time of its exchange, as long as it can be of use', async t => {
  for (const [options, lifetime] of [
    [{}, 900_000], [{ staleIfError: 0 }, 900_000], [{ staleIfError: 0, apiKey: false }, 60_000],
    [{ maxAge: 5000.5, staleIfError: 0, apiKey: false }, 5001], [{ maxAge: 0, staleIfError: 0, apiKey: false }, 1],
    [{ maxAge: 0, staleIfError: 0, apiKey: { maxAge: 7000 } }, 7000]
  ] satisfies Array<[ExchangeOptions, number]>) {
    const { clock, memory, place, results, keep } = start(options)
    t.equal(await results.find(place, 'abc'), undefined)
    const [token, exchangedAt] = [jwt(), clock.now()]
    await keep(token)
    t.equal(memory.calls.at(-1)![3], lifetime, 'the store is told')
    t.strictSame(await results.find(place, 'abc'), { kind: 'token', token, exchangedAt, isShared: true })
    memory.values.get(place.key)!.until = Infinity
    clock.advance(lifetime - 1)
    t.match(await results.find(place, 'abc'), { exchangedAt })
    clock.advance(1)
    t.equal(await results.find(place, 'abc'), undefined, 'a store that forgets nothing is not enough')
  }
})

t.test('a refusal is found for a minute', async t => {
  const { clock, memory, place, results } = start()
  const exchangedAt = clock.now()
  await results.keep(place, { kind: 'refused', exchangedAt })
  t.equal(memory.calls.at(-1)![3], 60_000)
  memory.values.get(place.key)!.until = Infinity
  clock.advance(59_999)
  t.match(await results.find(place, 'abc'), { kind: 'refused', exchangedAt })
  clock.advance(1)
  t.equal(await results.find(place, 'abc'), undefined)
})

t.test('a result from the future does not count: some clock is wrong', async t => {
  const { clock, place, results, keep } = start()
  await keep(jwt(), clock.now() + 1)
  t.equal(await results.find(place, 'abc'), undefined)
  clock.advance(1)
  t.match(await results.find(place, 'abc'), { kind: 'token' })
})

t.test('neither the limit of an API key nor what is not a JWT is shared', async t => {
  const { clock, memory, place, results, keep } = start()
  await results.keep(place, { kind: 'limited', retryAfter: 1000, exchangedAt: clock.now() })
  for (const token of ['', 'a', 'a.b.c', '..']) await keep(token)
  t.equal(memory.calls.length, 0)
})

t.test('the store holds neither the token nor the credential nor an id', async t => {
  const { memory, results, keep } = start()
  const token = jwt({ sub: 'user-one', email: 'ada@example.com' })
  await keep(token)
  await results.revoke([['user', 'user-one'], ['token', 'abc']])
  const all = JSON.stringify([...memory.values])
  const parts = [...token.split('.'), 'user-one', 'ada@example.com', 'Bearer', 'refused', 'isShared']
  for (const part of parts) {
    for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      const text = Buffer.from(part).toString(encoding).replace(/=+$/, '')
      t.notMatch(all, text.slice(0, -1))
    }
  }
})

t.test('what another program wrote is ignored, and logged once', async t => {
  const { memory, lines, vault, place, results, keep } = start()
  await keep(jwt())
  const { value } = memory.values.get(place.key)!
  for (const wrong of [
    value.slice(0, -2), 'x' + value, '{"kind":"token"}', '', vault.placeOf({ name: 'a', value: 'b' }).seal('{}')
  ]) {
    memory.values.get(place.key)!.value = wrong
    t.equal(await results.find(place, 'abc'), undefined)
  }
  t.match(lines, [{ level: 'warn' }])
  t.equal(lines.length, 1)
  memory.values.get(place.key)!.value = value
  t.match(await results.find(place, 'abc'), { kind: 'token' })
})

const CLAIMS = { sub: 'u_1', id: 'u_2', sid: 's_1' }

t.test('a revocation ends the results of exchanges that began before it', async t => {
  for (const [name, claims, revoked] of [
    ['by sub', CLAIMS, ['user', 'u_1']],
    ['by id', CLAIMS, ['user', 'u_2']],
    ['by sid', CLAIMS, ['session', 's_1']],
    ['by sessionId', { ...CLAIMS, sessionId: 's_2' }, ['session', 's_2']],
    ['a session without an id', { sub: 'u_1' }, ['session', '']],
    ['a session with an id that is no string', { sub: 'u_1', sessionId: 1 }, ['session', '']],
    ['by token', CLAIMS, ['token', 'abc']]
  ] satisfies Array<[string, object, Revoked]>) {
    const { clock, memory, place, results, keep } = start()
    const exchangedAt = clock.now()
    await keep(jwt(claims))
    clock.advance(1000)
    await results.revoke([revoked])
    t.equal(await results.find(place, 'abc'), undefined, name)
    await keep(jwt(claims), exchangedAt)
    t.equal(await results.find(place, 'abc'), undefined, 'also if it is stored after it')
    await keep(jwt(claims), clock.now() + 5000)
    clock.advance(5000)
    t.equal(await results.find(place, 'abc'), undefined, 'also if the clock that stamped it is a little ahead')
    clock.advance(1)
    await keep(jwt(claims))
    t.match(await results.find(place, 'abc'), { kind: 'token' }, 'a later exchange counts')

    const [, , , ttl] = memory.calls.find(([operation, key]) => operation === 'set' && key.includes('revoked'))!
    t.equal(ttl, 900_000 + 5000 + 10_000, 'the marker outlives every result that it concerns')
  }
})

t.test('a result costs one read, and one more for each name that a revocation can have', async t => {
  for (const [claims, markers] of [
    [CLAIMS, 4], [{ sub: 'u_1' }, 3], [{ sub: 'u_1', id: 'u_1' }, 3], [{ sub: 7, id: null }, 2]
  ] satisfies Array<[object, number]>) {
    const { memory, place, results, keep } = start()
    await keep(jwt(claims))
    t.match(await results.find(place, 'abc'), { kind: 'token' })
    t.equal(memory.calls.filter(([operation]) => operation === 'get').length, 1 + markers, JSON.stringify(claims))
  }
})

t.test('a revocation of something else ends nothing', async t => {
  const { clock, place, results, keep } = start()
  await keep(jwt(CLAIMS))
  clock.advance(1)
  await results.revoke([['user', 's_1'], ['session', 'u_1'], ['session', ''], ['token', 'abcd'], ['user', 'abc']])
  t.match(await results.find(place, 'abc'), { kind: 'token' })
})

t.test('a marker that is unreadable, or cannot be read, ends the result', async t => {
  const { memory, vault, place, results, keep } = start()
  await keep(jwt(CLAIMS))
  memory.values.set(vault.markerOf(['user', 'u_1']), { value: 'soon', until: Infinity })
  t.equal(await results.find(place, 'abc'), undefined)
  memory.fault = (_operation, key) => { if (key.includes('revoked')) throw new Error('down') }
  await t.rejects(results.find(place, 'abc'), { message: 'the store failed: get()' })
})

t.test('a revocation is tried even if the store failed a moment ago, and says that it failed', async t => {
  const { memory, results } = start()
  memory.fault = () => { throw new Error('down') }
  for (let i = 1; i <= 2; i++) {
    await t.rejects(results.revoke([['user', 'u_1']]), { message: 'the store failed: set()' })
    t.equal(memory.calls.length, i)
  }
})
