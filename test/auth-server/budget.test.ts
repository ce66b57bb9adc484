import t from 'tap'
import { createBudget } from '../../lib/auth-server/budget.js'
import { createClock } from '../fixtures/clock.js'

const HOUR = 3_600_000

/** How many calls it gives at once. */
function drain (budget: ReturnType<typeof createBudget>): number {
  let count = 0
  while (budget.take() === 0) count++
  return count
}

t.test('it gives the calls of a minute at once, and then none for 11 seconds', async t => {
  const clock = createClock()
  const budget = createBudget(60, clock.now)
  t.equal(drain(budget), 60)
  t.equal(budget.take(), 11_000)
  clock.advance(4000)
  t.equal(budget.take(), 7000, 'a call that is refused does not make it longer')
  clock.advance(6999)
  t.equal(budget.take(), 1)
  clock.advance(1)
  t.ok([10, 11].includes(drain(budget)), 'what came in meanwhile')
})

t.test('it never holds more than the calls of a minute', async t => {
  const clock = createClock()
  const budget = createBudget(5, clock.now)
  clock.advance(HOUR)
  t.equal(drain(budget), 5)
  clock.advance(HOUR)
  t.equal(drain(budget), 5)
})

t.test('unused calls come back one by one', async t => {
  const clock = createClock()
  const budget = createBudget(6, clock.now)
  for (let i = 0; i < 6; i++) t.equal(budget.take(), 0)
  clock.advance(9999)
  t.equal(budget.take(), 11_000, 'not before a whole one is there')
  clock.advance(11_000)
  t.equal(drain(budget), 2)
})

t.test('it has one call at least', async t => {
  const clock = createClock()
  const budget = createBudget(0.5, clock.now)
  t.equal(drain(budget), 1)
  clock.advance(60_000)
  t.equal(drain(budget), 0)
  clock.advance(60_000)
  t.equal(drain(budget), 1)
})

t.test('a clock that was set back earns nothing, opens nothing, and closes for no longer', async t => {
  const clock = createClock()
  const budget = createBudget(60, clock.now)
  t.equal(drain(budget), 60)
  clock.advance(-HOUR)
  t.equal(budget.take(), 11_000)
  clock.advance(10_999)
  t.equal(budget.take(), 1)
  clock.advance(1)
  t.ok(drain(budget) <= 11)

  const open = createBudget(60, clock.now)
  for (let i = 0; i < 59; i++) open.take()
  clock.advance(-HOUR)
  t.equal(drain(open), 1)
})

t.test('`left` takes no call from the budget', async t => {
  const clock = createClock()
  const budget = createBudget(60, clock.now)
  for (let i = 0; i < 100; i++) t.equal(budget.wait(), 0)
  t.equal(budget.left, 60)
  t.equal(drain(budget), 60)
  t.equal(budget.left, 0)
  clock.advance(5000)
  t.strictSame([budget.wait(), budget.left], [6000, 0], 'what came in does not count while it is closed')
  clock.advance(6000)
  t.strictSame([budget.wait(), budget.left], [0, 11])
})

t.test('without silence, the next call is allowed as soon as the budget has one', async t => {
  const clock = createClock()
  const budget = createBudget(60, clock.now, 0)
  t.equal(drain(budget), 60)
  clock.advance(400)
  t.equal(budget.take(), 600)
  clock.advance(600)
  t.equal(drain(budget), 1)
})
