import t from 'tap'
import type { ExchangeResult, Exchanging, OwnExchangeClient } from '../../lib/auth-server/exchange-client.js'
import { shareExchanges } from '../../lib/auth-server/shared-exchange.js'
import { ExchangeUnavailableError } from '../../lib/contract/errors.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import type { ExchangeOptions } from '../../lib/index.js'
import { createClock } from '../fixtures/clock.js'
import { createMemoryStore } from '../fixtures/exchange-store.js'
import { recordLog } from '../fixtures/log.js'
import { refusalOf } from '../fixtures/refusals.js'
import { createSigningKey, signJws } from '../fixtures/signing.js'

const TOKEN = signJws(createSigningKey(), { sub: 'u_1' })
const SECRET = 'a secret that is long enough for this'
const sleep = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })

/** The timers of the store keep no process alive. */
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** The exchange of one credential. */
function exchanging (overrides: Partial<Exchanging> = {}): Exchanging {
  return {
    header: { name: 'authorization', value: 'Bearer abc' },
    address: '127.0.0.1',
    isKnown: false,
    token: 'abc',
    maxAge: 60_000,
    after: -Infinity,
    ...overrides
  }
}

type OneClient = Omit<OwnExchangeClient, 'status'>

/** An auth server as each instance sees it: its verdict, and who asked. */
interface Auth { verdict: 'token' | 'refused' | 'limited' | 'down', takes: number, asked: Exchanging[] }

function start (count: number, options: ExchangeOptions = {}) {
  const clock = createClock()
  const memory = createMemoryStore(clock)
  const { lines, log } = recordLog()
  const auth: Auth = { verdict: 'token', takes: 0, asked: [] }
  const exchange = resolveOptions({
    exchange: { ...options, shared: { store: memory.store, secret: SECRET } }
  }).exchange!
  const instances = Array.from({ length: count }, () => createInstance())
  const clients = instances.map(({ shared }) => shared)

  function createInstance () {
    let [failing, pausing, refusing] = [false, false, false]
    const client: OneClient = {
      get failing () { return failing },
      isPausing: () => pausing,
      assertMayExchange () {
        if (pausing) throw new ExchangeUnavailableError(1000)
        if (refusing) throw new ExchangeUnavailableError(1000, 'exchange_budget')
      },
      async exchange (given): Promise<ExchangeResult> {
        if (pausing) throw new ExchangeUnavailableError(1000)
        auth.asked.push(given)
        const exchangedAt = clock.now()
        if (auth.takes > 0) await sleep(auth.takes)
        failing = auth.verdict === 'down'
        switch (auth.verdict) {
          case 'token': return { kind: 'token', token: TOKEN, exchangedAt }
          case 'refused': return { kind: 'refused', exchangedAt }
          case 'limited': return { kind: 'limited', retryAfter: 1000, exchangedAt }
          case 'down': throw new ExchangeUnavailableError(1000)
        }
      }
    }
    const shared = shareExchanges(client, { exchange, log, now: clock.now, random: () => 0 })
    return { shared, pause () { pausing = failing = true }, refuse () { refusing = true } }
  }
  const leases = () => [...memory.values.keys()].filter(key => key.endsWith(':lease'))
  return { clock, memory, lines, auth, clients, instances, leases }
}

t.test('one instance asks, and the others get its result', async t => {
  const { clock, auth, clients, leases, lines, memory } = start(3)
  auth.takes = 30
  const exchangedAt = clock.now()
  const results = await Promise.all(clients.map(client => client.exchange(exchanging())))
  t.equal(auth.asked.length, 1)
  t.strictSame(results.map(({ isShared = false }) => isShared).sort(), [false, true, true])
  for (const result of results) t.match(result, { kind: 'token', token: TOKEN, exchangedAt })
  t.strictSame(leases(), [], 'the lease has ended')
  t.strictSame(lines, [])

  memory.calls.length = 0
  clock.advance(59_999)
  t.match(await clients[0]!.exchange(exchanging()), { exchangedAt, isShared: true })
  t.equal(memory.count('add'), 0)
  clock.advance(1)
  t.match(await clients[0]!.exchange(exchanging()), { exchangedAt: exchangedAt + 60_000 })
  t.equal(auth.asked.length, 2)
})

t.test('the age that counts is that of the caller', async t => {
  const { clock, auth, clients: [a, b] } = start(2)
  await a!.exchange(exchanging())
  clock.advance(100_000)
  t.match(await b!.exchange(exchanging({ maxAge: 900_000 })), { isShared: true })
  t.notMatch(await b!.exchange(exchanging()), { isShared: true })
  t.equal(auth.asked.length, 2)
})

t.test('only a result that is newer than what the caller has counts', async t => {
  const { clock, auth, clients: [a, b] } = start(2)
  const { exchangedAt } = await a!.exchange(exchanging())
  clock.advance(10)
  t.match(await b!.exchange(exchanging({ after: exchangedAt - 1 })), { isShared: true, exchangedAt })
  t.match(await b!.exchange(exchanging({ after: exchangedAt })), { exchangedAt: exchangedAt + 10 })
  t.match(await a!.exchange(exchanging({ after: exchangedAt })), { isShared: true, exchangedAt: exchangedAt + 10 })
  t.equal(auth.asked.length, 2)
})

t.test('a session that another instance knows does not count for the budget', async t => {
  const { clock, auth, clients: [a, b] } = start(2)
  await a!.exchange(exchanging())
  clock.advance(60_000)
  await b!.exchange(exchanging())
  await b!.exchange(exchanging({ header: { name: 'x-api-key', value: 'k' }, token: 'k', isKnown: true }))
  t.strictSame(auth.asked.map(({ isKnown }) => isKnown), [false, true, true])
})

t.test('a refusal is shared for a minute, the limit of an API key is not', async t => {
  const { clock, auth, clients: [a, b], leases } = start(2)
  auth.verdict = 'refused'
  await a!.exchange(exchanging())
  clock.advance(59_999)
  t.match(await b!.exchange(exchanging({ maxAge: 1 })), { kind: 'refused' })
  t.equal(auth.asked.length, 1)
  clock.advance(1)
  auth.verdict = 'limited'
  for (const client of [a, b]) t.match(await client!.exchange(exchanging()), { kind: 'limited' })
  t.equal(auth.asked.length, 3)
  t.strictSame(auth.asked.map(({ isKnown }) => isKnown), [false, false, false])
  t.strictSame(leases(), [])
})

t.test('a result that arrives just before the lease is taken, or just after it was not', async t => {
  for (const isTaken of [true, false]) {
    const { memory, auth, clients: [a, b], leases } = start(2)
    let isFirst = true
    memory.fault = operation => {
      if (operation !== 'add' || !isFirst) return undefined
      isFirst = false
      return a!.exchange(exchanging()).then(() => isTaken)
    }
    t.match(await b!.exchange(exchanging()), { isShared: true })
    t.equal(auth.asked.length, 1)
    t.equal(memory.count('delete'), isTaken ? 2 : 1, 'each ends only a lease of its own')
    t.strictSame(leases(), [])
  }
})

t.test('a lease for one credential does not hold up another', async t => {
  const { memory, auth, clients: [a, b] } = start(2)
  auth.takes = 30
  const other = exchanging({ header: { name: 'authorization', value: 'Bearer abd' }, token: 'abd' })
  await Promise.all([a!.exchange(exchanging()), b!.exchange(other)])
  t.equal(memory.count('add'), 2)
})

t.test('if the one that asks fails, the next one asks at once', async t => {
  const { auth, clients: [a, b], leases } = start(2)
  auth.takes = 60
  auth.verdict = 'down'
  const first = a!.exchange(exchanging())
  await sleep(20)
  const second = b!.exchange(exchanging())
  await t.rejects(first, { code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE' })
  t.ok(a!.failing && !b!.failing)
  auth.verdict = 'token'
  t.match(await second, { kind: 'token' })
  t.equal(auth.asked.length, 2)
  t.strictSame(leases(), [])
})

t.test('an instance that ended with the lease holds the others up no longer than an exchange takes', async t => {
  const { memory, auth, clients: [a] } = start(1, { timeout: 200 })
  await a!.exchange(exchanging())
  memory.values.clear()
  const [, key, , ttl] = memory.calls.find(([operation]) => operation === 'add')!
  t.equal(ttl, 2200)
  memory.values.set(key, { value: '1', until: Infinity })
  const startedAt = performance.now()
  t.match(await a!.exchange(exchanging()), { kind: 'token' })
  t.ok(performance.now() - startedAt > 190)
  t.equal(auth.asked.length, 2)
  t.ok(memory.values.has(key), 'the lease of somebody else stays')
})

t.test('during an outage of the auth server, sessions that any instance knew go on until staleIfError', async t => {
  const { clock, memory, auth, clients: [a, b, c], instances } = start(3, { staleIfError: 120_000 })
  const { exchangedAt } = await a!.exchange(exchanging())
  auth.verdict = 'down'
  clock.advance(119_999)
  t.match(await b!.exchange(exchanging()), { isShared: true, exchangedAt })
  await t.rejects(b!.exchange(exchanging({ after: exchangedAt })), ExchangeUnavailableError.prototype)
  instances[2]!.pause()
  t.ok(c!.isPausing())
  const asked = auth.asked.length
  memory.calls.length = 0
  t.match(await c!.exchange(exchanging()), { isShared: true, exchangedAt })
  t.equal(auth.asked.length, asked)
  t.ok(memory.calls.every(([operation]) => operation === 'get'), 'an instance that must not ask only reads')
  clock.advance(1)
  for (const client of [b, c]) await t.rejects(client!.exchange(exchanging()), { message: /.*/ })
})

t.test('a budget that is used up is no outage', async t => {
  const { clock, memory } = start(0)
  const exchange = resolveOptions({ exchange: { shared: { store: memory.store, secret: SECRET } } }).exchange!
  let isUsedUp = false
  const inner: OneClient = {
    failing: false,
    isPausing: () => false,
    assertMayExchange () {},
    async exchange () {
      if (isUsedUp) throw new ExchangeUnavailableError(1000, 'exchange_budget')
      return { kind: 'token', token: TOKEN, exchangedAt: clock.now() }
    }
  }
  const client = shareExchanges(inner, { exchange, log: recordLog().log, now: clock.now, random: () => 0 })
  await client.exchange(exchanging())
  isUsedUp = true
  clock.advance(60_000)
  await t.rejects(client.exchange(exchanging()), { code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE' })
})

t.test('an unknown credential that may not be exchanged takes no lease', async t => {
  const { memory, clients: [a], instances, auth } = start(1)
  instances[0]!.refuse()
  t.equal((await refusalOf(() => a!.exchange(exchanging()))).reason, 'exchange_budget')
  t.strictSame(memory.calls.map(([operation]) => operation), ['get'])
  t.equal(auth.asked.length, 0)
})

t.test('random credentials do not keep the store busy', async t => {
  const { clock, memory, clients: [a, b], instances, auth } = start(2, { requestsPerMinute: 6 })
  const known = exchanging({ address: '203.0.113.8' })
  await b!.exchange(known)
  memory.calls.length = 0
  instances[0]!.refuse()
  const tryOne = (i: number, address = '203.0.113.7') => a!.exchange(exchanging({
    header: { name: 'authorization', value: `Bearer ${i}` }, token: String(i), address
  })).catch(() => {})
  for (let i = 0; i < 1000; i++) await tryOne(i)
  t.equal(memory.calls.length, 60, 'ten for each that may be exchanged in a minute')
  clock.advance(30_000)
  t.match(await a!.exchange(known), { isShared: true }, 'others still find what they look for')
  memory.calls.length = 0
  for (let i = 1000; i < 2000; i++) await tryOne(i)
  t.equal(memory.calls.length, 15, 'at one address it gets half of them, once there is another')
  await tryOne(2000, '203.0.113.9')
  t.equal(memory.calls.length, 16)
  await a!.exchange({ ...known, isKnown: true })
  t.equal(auth.asked.length, 1)
})

t.test('credentials that an instance knows are looked up without limit', async t => {
  const { clients: [a] } = start(1, { requestsPerMinute: 1 })
  for (let i = 0; i < 20; i++) {
    const key = `key-${i}`
    await a!.exchange(exchanging({ header: { name: 'x-api-key', value: key }, token: key, isKnown: true }))
  }
  t.match(await a!.exchange(exchanging()), { kind: 'token' })
})

t.test('a store that fails in any way refuses nobody, and opens nothing', async t => {
  const down = () => { throw new Error('down') }
  for (const [name, fault] of Object.entries<NonNullable<ReturnType<typeof createMemoryStore>['fault']>>({
    'every call throws': down,
    'every call rejects': async () => down(),
    'get() throws': operation => operation === 'get' ? down() : undefined,
    'set() throws': operation => operation === 'set' ? down() : undefined,
    'add() throws': operation => operation === 'add' ? down() : undefined,
    'delete() throws': operation => operation === 'delete' ? down() : undefined,
    'markers cannot be read': (operation, key) => operation === 'get' && key.includes('revoked') ? down() : undefined,
    'get() returns a number': operation => operation === 'get' ? 1 : undefined,
    'get() returns any text': operation => operation === 'get' ? 'x'.repeat(100) : undefined,
    'add() returns OK': operation => operation === 'add' ? 'OK' : undefined,
    'every call returns true': () => true
  })) {
    const { memory, auth, clients: [a, b], lines } = start(2, { timeout: 100 })
    memory.fault = fault
    for (const client of [a!, b!, a!]) {
      t.match(await client.exchange(exchanging()), { kind: 'token', token: TOKEN }, name)
    }
    auth.verdict = 'refused'
    const other = exchanging({ header: { name: 'authorization', value: 'Bearer abd' }, token: 'abd' })
    for (const client of [a!, b!]) t.match(await client.exchange(other), { kind: 'refused' }, name)
    t.ok(lines.filter(({ level }) => level === 'warn').length <= 4, name)
    t.notMatch(JSON.stringify(lines), /abc|abd|better-auth-fastify:/)
  }
})

t.test('a store that hangs costs a second, once in a while', async t => {
  const { memory, auth, clients: [a] } = start(1)
  memory.fault = () => new Promise(() => {})
  const startedAt = performance.now()
  for (let i = 0; i < 20; i++) t.match(await a!.exchange(exchanging()), { kind: 'token' })
  t.ok(performance.now() - startedAt < 2000)
  t.equal(auth.asked.length, 20)
})

t.test('a bug is not taken for a failure of the store', async t => {
  const { clients: [a] } = start(1)
  let reads = 0
  const broken = Object.defineProperty(exchanging(), 'token', {
    get () {
      if (++reads === 2) throw new RangeError('bug')
      return 'abc'
    }
  })
  await t.rejects(a!.exchange(broken), { message: 'bug' })
})

t.test('revoke() ends a shared result for instances that look afterwards', async t => {
  const { clock, auth, clients: [a, b, c] } = start(3)
  await a!.exchange(exchanging())
  clock.advance(1000)
  await b!.revoke([['user', 'u_1']])
  t.notMatch(await c!.exchange(exchanging()), { isShared: true })
  t.equal(auth.asked.length, 2)
})
