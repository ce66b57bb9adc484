import t from 'tap'
import { createKeyWatch } from '../../lib/keys/key-watch.js'
import { createWarmStore, DOWN, settle, type Policy } from '../fixtures/key-store.js'
import { createTimers } from '../fixtures/timers.js'

/** A watch over real keys, fresh for 5 seconds unless a test says otherwise, and everything that it does. */
async function createTestWatch (policy: Partial<Policy> = {}) {
  const setup = await createWarmStore({ maxAge: 5000, ...policy })
  const timers = createTimers(setup.clock)
  /** The time of each timer that was set. */
  const times: number[] = []
  const seen = { changes: 0 }
  /** Runs the timer that was set last, at once. */
  let fire = () => {}
  const watch = createKeyWatch(setup.store.watched, (run, ms) => {
    times.push(ms)
    fire = run
    return timers.setTimer(run, ms)
  }, () => { seen.changes++ })
  return { ...setup, timers, times, seen, watch, fire: () => fire() }
}

t.test('without a connection there is no timer', async t => {
  const { timers, source } = await createTestWatch()
  await timers.advance(20_000)
  t.equal(timers.waiting, 0)
  t.equal(source.calls.length, 0)
})

t.test('while a connection lasts, the keys are fetched each time they are no longer fresh', async t => {
  const { timers, times, source, seen, watch } = await createTestWatch()
  const stop = watch.start()
  t.same(times, [5000])
  await timers.advance(4999)
  t.equal(source.calls.length, 0)
  await timers.advance(1)
  t.equal(source.calls.length, 1)
  t.equal(seen.changes, 1, 'a new set is a change')
  await timers.advance(10_000)
  t.equal(source.calls.length, 3)
  t.same(times, [5000, 5000, 5000, 5000])
  stop()
  t.equal(timers.waiting, 0)
  await timers.advance(20_000)
  t.equal(source.calls.length, 3)
})

t.test('several connections share one timer, until the last one ends', async t => {
  const { timers, times, watch } = await createTestWatch()
  const stops = [watch.start(), watch.start()]
  t.equal(timers.waiting, 1)
  stops[0]!()
  t.equal(timers.waiting, 1)
  stops[1]!()
  t.equal(timers.waiting, 0)
  watch.start()
  t.equal(timers.waiting, 1, 'the next one starts again')
  t.same(times, [5000, 5000])
})

t.test('a timer that runs too early is set again and fetches nothing', async t => {
  const { clock, times, source, watch, fire } = await createTestWatch()
  watch.start()
  clock.advance(2000)
  fire()
  t.same(times, [5000, 3000])
  t.equal(source.calls.length, 0)
})

t.test('two fetches are at least one second apart', async t => {
  const { timers, times, watch } = await createTestWatch({ maxAge: 100 })
  watch.start()
  await timers.advance(100)
  t.same(times, [100, 1000])
})

t.test('there is no timer during a fetch', async t => {
  const { timers, source, watch } = await createTestWatch()
  const release = source.hold()
  watch.start()
  await timers.advance(5000)
  watch.start()
  t.equal(timers.waiting, 0)
  release()
  await settle()
  t.equal(timers.waiting, 1)
})

t.test('a connection that ends during a fetch leaves no timer behind', async t => {
  const { timers, source, watch } = await createTestWatch()
  const release = source.hold()
  const stop = watch.start()
  await timers.advance(5000)
  t.doesNotThrow(stop)
  release()
  await settle()
  t.equal(timers.waiting, 0)
})

t.test('a fetch that fails is a change too, and the next one follows', async t => {
  const { timers, source, seen, watch } = await createTestWatch()
  source.fault = DOWN
  watch.start()
  await timers.advance(5000)
  t.equal(seen.changes, 1)
  t.equal(timers.waiting, 1)
  await timers.advance(1000)
  t.equal(source.calls.length, 2)
})
