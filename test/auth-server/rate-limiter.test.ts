import t from 'tap'
import { createBudget } from '../../lib/pace.js'
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
      const budget = createBudget(perMinute, clock.now)
      for (let i = 0; i < 10; i++) t.equal(budget.take(), true)
      t.equal(budget.take(), false)
      t.equal(budget.remaining(), interval)
      for (let i = 0; i < 3; i++) {
        clock.advance(interval - 1)
        t.equal(budget.take(), false, 'one millisecond before')
        t.ok(Math.abs(budget.remaining() - 1) < 0.01)
        clock.advance(1)
        t.equal(budget.take(), true, 'exactly then')
        t.equal(budget.take(), false)
      }
    })
  }

  t.test('has something left until it is spent', async t => {
    const clock = createClock()
    const budget = createBudget(30, clock.now)
    for (let i = 0; i < 10; i++) {
      t.equal(budget.remaining(), 0)
      budget.take()
    }
    t.equal(budget.remaining(), 2000)
  })

  t.test('saves up no more than the burst', async t => {
    const clock = createClock()
    const budget = createBudget(30, clock.now)
    clock.advance(24 * HOUR)
    let taken = 0
    while (budget.take()) taken++
    t.equal(taken, 10)
  })

  t.test('gives no more than the burst and the rate over an hour of asking', async t => {
    const clock = createClock()
    const budget = createBudget(30, clock.now)
    let taken = 0
    for (let ms = 0; ms < HOUR; ms += 7) {
      clock.advance(7)
      if (budget.take()) taken++
    }
    t.ok(taken <= 10 + 30 * 60, `${taken} fetches`)
    t.ok(taken >= 9 + 30 * 60, `${taken} fetches`)
  })

  t.test('is had when it said that it would be', async t => {
    const clock = createClock()
    const budget = createBudget(7, clock.now)
    while (budget.take());
    for (let i = 0; i < 100; i++) {
      clock.advance(Math.ceil(budget.remaining()))
      t.equal(budget.take(), true)
    }
  })

  t.test('neither gains nor loses by a clock that is set back', async t => {
    const clock = createClock()
    const budget = createBudget(30, clock.now)
    while (budget.take());
    clock.advance(-HOUR)
    t.equal(budget.take(), false)
    t.equal(budget.remaining(), 2000)
    clock.advance(2000)
    t.equal(budget.take(), true)
    t.equal(budget.take(), false)
  })
})
