import t from 'tap'
import { clientOf, createClientBudget, type ClientBudget } from '../../lib/auth-server/client-budget.js'
import { createClock } from '../fixtures/clock.js'

const [FLOOD, HONEST] = ['203.0.113.7', '198.51.100.1']
const MINUTE = 60_000

/** How many calls an address gets at once. */
function drain (budget: ClientBudget, address = FLOOD): number {
  let count = 0
  while (budget.take(address) === 0) count++
  return count
}

t.test('clients at the only IP address may use the whole budget', async t => {
  const clock = createClock()
  const budget = createClientBudget(60, clock.now)
  t.equal(drain(budget), 60)
  t.equal(budget.wait(HONEST), 11_000)
  t.equal(budget.left, 0)
  clock.advance(10 * MINUTE)
  t.equal(drain(budget), 60, 'the other one is forgotten')
})

t.test('one IP address cannot use up the budget of the others', async t => {
  const clock = createClock()
  const budget = createClientBudget(60, clock.now)
  budget.see(HONEST)
  let taken = 0
  for (let second = 0; second < 600; second++) {
    taken += drain(budget)
    if (second % 4 === 0) t.equal(budget.take(HONEST), 0, `after ${second} s`)
    clock.advance(1000)
  }
  t.ok(taken > 150 && taken <= 330, `${taken} in ten minutes`)
  t.ok(budget.wait(FLOOD) > 0)
})

t.test('many IP addresses share the budget', async t => {
  const clock = createClock()
  const budget = createClientBudget(60, clock.now, 0)
  let taken = 0
  for (let i = 0; i < 3000; i++) taken += drain(budget, `203.0.113.${i % 250}:${i}`)
  t.equal(taken, 60)
  clock.advance(1000)
  t.equal(budget.take(HONEST), 0, 'without silence, the next one is for whoever comes first')
  t.equal(budget.take(HONEST), 1000)
})

t.test('after the clock is set back, the budget stays open', async t => {
  const clock = createClock()
  const budget = createClientBudget(60, clock.now)
  for (const address of [FLOOD, HONEST]) t.equal(budget.take(address), 0)
  clock.advance(-60 * MINUTE)
  t.equal(budget.take(FLOOD), 0)
})

t.test('an IPv6 network is one client', async t => {
  for (const [address, client] of [
    ['203.0.113.7', '203.0.113.7'], ['::ffff:203.0.113.7', '::ffff:203.0.113.7'], ['', ''], ['::1', ''],
    [undefined, ''],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'], ['2001:db8:1:2::9', '2001:db8:1:2'], ['2001:db8::1', '2001:db8']
  ] as const) t.equal(clientOf(address), client, String(address))
})
