import t from 'tap'
import { createBackoff } from '../../lib/auth-server/backoff.js'
import { createClock } from '../fixtures/clock.js'

const HOUR = 3_600_000
const ALMOST_ONE = 1 - Number.EPSILON

t.test('back-off', async t => {
  t.test('asks nobody to wait before anything has failed', async t => {
    const { failing, nextTryAt, remaining } = createBackoff(createClock().now, () => 0)
    t.equal(failing, false)
    t.equal(nextTryAt, null)
    t.equal(remaining(), 0)
  })

  const doubled = [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]
  const jitters = [
    { random: 0, pauses: doubled },
    { random: 0.5, pauses: doubled.map(pause => pause * 0.9) },
    { random: ALMOST_ONE, pauses: doubled.map(pause => pause * 0.8) }
  ]
  for (const { random, pauses } of jitters) {
    t.test(`doubles its pauses from 500 up to 15,000 ms, with jitter ${random}`, async t => {
      const clock = createClock()
      const backoff = createBackoff(clock.now, () => random)
      for (const pause of pauses) {
        backoff.fail(0)
        t.ok(Math.abs(backoff.remaining() - pause) < 0.01, `${pause} ms, is ${backoff.remaining()}`)
        t.equal(backoff.failing, true)
        clock.advance(15_000)
      }
    })
  }

  t.test('ends its pause neither one millisecond early nor one late', async t => {
    const clock = createClock()
    const backoff = createBackoff(clock.now, () => 0)
    backoff.fail(0)
    t.equal(backoff.nextTryAt, clock.now() + 500)
    for (const [elapsed, remaining] of [[0, 500], [499, 1], [1, 0], [1, 0]] as const) {
      clock.advance(elapsed)
      t.equal(backoff.remaining(), remaining)
      t.equal(backoff.failing, true, 'and it is failing until something succeeds')
    }
  })

  t.test('starts again after a success', async t => {
    const clock = createClock()
    const backoff = createBackoff(clock.now, () => 0)
    for (let i = 0; i < 5; i++) {
      backoff.fail(0)
      clock.advance(15_000)
    }
    backoff.fail(0)
    backoff.succeed()
    t.equal(backoff.remaining(), 0)
    t.equal(backoff.failing, false)
    t.equal(backoff.nextTryAt, null)
    backoff.fail(0)
    t.equal(backoff.remaining(), 500)
  })

  const asked = [
    { retryAfter: 1, pause: 500 },
    { retryAfter: 499, pause: 500 },
    { retryAfter: 1000, pause: 1000 },
    { retryAfter: 10_000, pause: 10_000 },
    { retryAfter: 60_000, pause: 60_000 },
    { retryAfter: 60_001, pause: 60_000 },
    { retryAfter: 86_400_000, pause: 60_000 },
    { retryAfter: Infinity, pause: 60_000 }
  ]
  for (const { retryAfter, pause } of asked) {
    t.test(`pauses as long as the server asks, within bounds: ${retryAfter} ms`, async t => {
      const clock = createClock()
      for (const [random, factor] of [[0, 1], [0.5, 1.1], [ALMOST_ONE, 1.2]] as const) {
        const backoff = createBackoff(clock.now, () => random)
        // However often: a server that says when knows better than a guess.
        for (let i = 0; i < 10; i++) backoff.fail(retryAfter)
        t.ok(Math.abs(backoff.remaining() - pause * factor) < 0.01, `with jitter ${random}: ${backoff.remaining()}`)
      }
    })
  }

  t.test('doubles again when the server no longer asks for a pause', async t => {
    const backoff = createBackoff(createClock().now, () => 0)
    backoff.fail(60_000)
    backoff.fail(0)
    t.equal(backoff.remaining(), 1000)
  })

  t.test('stays at its longest pause however long the outage is', async t => {
    const clock = createClock()
    const backoff = createBackoff(clock.now, () => 0)
    for (let i = 0; i < 5000; i++) {
      clock.advance(15_000)
      backoff.fail(0)
    }
    t.equal(backoff.remaining(), 15_000)
  })

  for (const setBack of [1, 400, 1000, HOUR]) {
    t.test(`tries again in time after a clock was set back by ${setBack} ms`, async t => {
      const clock = createClock()
      const backoff = createBackoff(clock.now, () => 0)
      backoff.fail(0)
      clock.advance(-setBack)
      t.ok(backoff.remaining() <= 15_000)
      clock.advance(15_000)
      t.equal(backoff.remaining(), 0)
    })

    t.test(`waits again after a failure that comes after a clock was set back by ${setBack} ms`, async t => {
      const clock = createClock()
      const backoff = createBackoff(clock.now, () => 0)
      backoff.fail(0)
      clock.advance(500)
      clock.advance(-setBack)
      backoff.fail(0)
      t.ok(backoff.remaining() > 0)
      t.ok(backoff.remaining() <= 15_000)
      clock.advance(15_000)
      t.equal(backoff.remaining(), 0)
    })
  }
})
