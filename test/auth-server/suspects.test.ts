import t from 'tap'
import { createSuspects } from '../../lib/auth-server/suspects.js'
import { createClock } from '../fixtures/clock.js'

t.test('only the one that failed alone is not tried again for a while', async t => {
  const clock = createClock()
  const suspects = createSuspects(clock.now)
  t.equal(suspects.remaining('a'), 0)
  t.equal(suspects.add('a', 5000, true), false)
  t.strictSame([suspects.remaining('a'), suspects.remaining('b')], [5000, 0])
  clock.advance(5000)
  t.equal(suspects.remaining('a'), 0)
  t.equal(suspects.add('a', 5000, true), false, 'however often it fails')
})

t.test('if a second one fails, the fault is the auth server\'s', async t => {
  const clock = createClock()
  const suspects = createSuspects(clock.now)
  suspects.add('a', 5000, true)
  t.equal(suspects.add('b', 5000, true), true)
  suspects.acquit()
  t.equal(suspects.add('c', 5000, true), false, 'not after a success')
  t.equal(suspects.remaining('b'), 5000)
})

t.test('one that says nothing about others is left alone, and counts for nothing else', async t => {
  const suspects = createSuspects(createClock().now)
  for (const name of ['a', 'b']) t.equal(suspects.add(name, 5000, false), false)
  t.equal(suspects.remaining('b'), 5000)
  t.equal(suspects.add('c', 5000, true), false)
  t.equal(suspects.add('d', 5000, false), false)
  t.equal(suspects.add('e', 5000, true), true)
})

t.test('after the clock is set back, no wait is longer', async t => {
  const clock = createClock()
  const suspects = createSuspects(clock.now)
  suspects.add('a', 5000, true)
  clock.advance(-60_000)
  t.equal(suspects.remaining('a'), 0)
})
