import t from 'tap'
import { createBoundedStore, StoreFailedError } from '../../lib/auth-server/bounded-store.js'
import { createClock } from '../fixtures/clock.js'
import { createMemoryStore } from '../fixtures/exchange-store.js'
import { recordLog } from '../fixtures/log.js'

const FAILED = { message: /^the store /, constructor: StoreFailedError }

/** The timers of the store keep no process alive. */
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

function start () {
  const clock = createClock()
  const memory = createMemoryStore(clock)
  const { lines, log } = recordLog()
  return { clock, memory, lines, store: createBoundedStore(memory.store, { log, now: clock.now, random: () => 0 }) }
}

t.test('passes calls and results on', async t => {
  const { store, lines } = start()
  t.equal(await store.get('a'), undefined)
  t.equal(await store.add('a', '1', 1000), true)
  t.equal(await store.add('a', '2', 1000), false)
  t.equal(await store.get('a'), '1')
  await store.set('a', '3', 1000)
  t.equal(await store.get('a'), '3')
  await store.delete('a')
  t.equal(await store.get('a'), undefined)
  t.strictSame(lines, [])
})

t.test('an outage is one line in the log; the store is left alone for a while, and its return is a line', async t => {
  const { clock, memory, lines, store } = start()
  memory.fault = () => { throw Object.assign(new Error('secret-value'), { code: 'ECONNREFUSED' }) }
  await t.rejects(Promise.all([store.get('a'), store.get('b')]), FAILED)
  t.equal(memory.calls.length, 2)
  await t.rejects(store.get('a'), FAILED)
  t.equal(memory.calls.length, 2, 'not asked')
  await t.rejects(store.set('a', '1', 1, true), { ...FAILED, cause: { code: 'ECONNREFUSED' } })
  t.equal(memory.calls.length, 3, 'asked, for what must not be left out')
  clock.advance(500)
  await t.rejects(store.get('a'), FAILED)
  t.equal(memory.calls.length, 4)
  t.match(lines, [{ level: 'warn', fields: { operation: 'get', code: 'ECONNREFUSED' } }])
  t.equal(lines.length, 1)
  t.notMatch(JSON.stringify(lines), 'secret-value')

  memory.fault = undefined
  clock.advance(1000)
  t.equal(await store.get('a'), undefined)
  t.match(lines.slice(1), [
    { level: 'info', fields: { operation: 'get' }, msg: 'the shared store of exchanges works again' }
  ])
})

t.test('a store that can be read, but not written, is one outage', async t => {
  const { clock, memory, lines, store } = start()
  memory.fault = operation => { if (operation === 'add') throw new RangeError('read only') }
  for (let i = 0; i < 3; i++) {
    t.equal(await store.get('a'), undefined)
    await t.rejects(store.add('a', '1', 1), FAILED)
    clock.advance(20_000)
  }
  t.match(lines, [{ level: 'warn', fields: { operation: 'add', code: 'RangeError' } }])
  t.equal(lines.length, 1)
  memory.fault = undefined
  await store.add('a', '1', 1)
  t.equal(lines.length, 2)
})

t.test('what does not settle within a second has failed, and may fail later', async t => {
  for (const [name, pending] of Object.entries({
    hangs: () => new Promise(() => {}),
    'rejects later': () => new Promise((_resolve, reject) => { setTimeout(reject, 1100, new Error('late')) })
  })) {
    const { memory, lines, store } = start()
    memory.fault = pending
    const startedAt = performance.now()
    await t.rejects(store.get('a'), FAILED, name)
    const took = performance.now() - startedAt
    t.ok(took > 950 && took < 3000, `${took} ms`)
    t.match(lines, [{ level: 'warn', fields: { operation: 'get', code: 'timeout' } }])
  }
  await new Promise(resolve => { setTimeout(resolve, 200) })
})

t.test('nonsense is a failure, with one line that says what is expected', async t => {
  const { memory, lines, store } = start()
  memory.fault = operation => operation === 'add' ? 'OK' : 42
  for (let i = 0; i < 2; i++) {
    await t.rejects(store.get('a'), FAILED)
    await t.rejects(store.add('a', '1', 1), FAILED)
    await store.set('a', '1', 1)
  }
  t.match(lines, [
    { msg: /^get\(\) of .* must return a string, null or undefined$/, fields: { got: 'number' } },
    { msg: 'add() of the shared store of exchanges must return true or false', fields: { got: 'string' } }
  ])
  t.equal(lines.length, 2)
})

t.test('the log shows a word for whatever is thrown', async t => {
  for (const [thrown, code] of [['a string', 'error'], [undefined, 'error'], [{ code: 'a b', name: 'X' }, 'X']]) {
    const { memory, lines, store } = start()
    memory.fault = () => { throw thrown }
    await t.rejects(store.get('a'), FAILED)
    t.match(lines, [{ fields: { code } }])
  }
})
