import t from 'tap'
import { createRateLimiter } from '../../lib/auth-server/rate-limiter.js'
import { createClock } from '../fixtures/clock.js'

const HOUR = 3_600_000

t.test('budget', async t => {
  for (const { perMinute, interval } of [
    { perMinute: 30, interval: 2000 },
    { perMinute: 1, interval: 60_000 },
    { perMinute: 0.5, interval: 120_000 },
    { perMinute: 60, interval: 1000 },
    { perMinute: 6000, interval: 10 }
  ]) {
    t.test(`of ${perMinute} a minute: ten at once, then one each ${interval} ms`, async t => {
      const clock = createClock()
      const budget = createRateLimiter(perMinute, clock.now)
      for (let i = 0; i < 10; i++) t.equal(budget.tryAcquire(), true)
      t.equal(budget.tryAcquire(), false)
      t.equal(budget.remaining(), interval)
      for (let i = 0; i < 3; i++) {
        clock.advance(interval - 1)
        t.equal(budget.tryAcquire(), false, 'one millisecond before')
        t.ok(Math.abs(budget.remaining() - 1) < 0.01)
        clock.advance(1)
        t.equal(budget.tryAcquire(), true, 'exactly then')
        t.equal(budget.tryAcquire(), false)
      }
    })
  }

  t.test('has something left until it is spent', async t => {
    const clock = createClock()
    const budget = createRateLimiter(30, clock.now)
    for (let i = 0; i < 10; i++) {
      t.equal(budget.remaining(), 0)
      budget.tryAcquire()
    }
    t.equal(budget.remaining(), 2000)
  })

  t.test('saves up no more than the burst', async t => {
    const clock = createClock()
    const budget = createRateLimiter(30, clock.now)
    clock.advance(24 * HOUR)
    let taken = 0
    while (budget.tryAcquire()) taken++
    t.equal(taken, 10)
  })

  t.test('gives no more than the burst and the rate over an hour of asking', async t => {
    const clock = createClock()
    const budget = createRateLimiter(30, clock.now)
    let taken = 0
    for (let ms = 0; ms < HOUR; ms += 7) {
      clock.advance(7)
      if (budget.tryAcquire()) taken++
    }
    t.ok(taken <= 10 + 30 * 60, `${taken} fetches`)
    t.ok(taken >= 9 + 30 * 60, `${taken} fetches`)
  })

  t.test('is had when it said that it would be', async t => {
    const clock = createClock()
    const budget = createRateLimiter(7, clock.now)
    while (budget.tryAcquire());
    for (let i = 0; i < 100; i++) {
      clock.advance(Math.ceil(budget.remaining()))
      t.equal(budget.tryAcquire(), true)
    }
  })

  t.test('neither gains nor loses by a clock that is set back', async t => {
    const clock = createClock()
    const budget = createRateLimiter(30, clock.now)
    while (budget.tryAcquire());
    clock.advance(-HOUR)
    t.equal(budget.tryAcquire(), false)
    t.equal(budget.remaining(), 2000)
    clock.advance(2000)
    t.equal(budget.tryAcquire(), true)
    t.equal(budget.tryAcquire(), false)
  })
})
