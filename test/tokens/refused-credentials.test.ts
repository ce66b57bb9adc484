import t from 'tap'
import { createRefusedCredentials } from '../../lib/tokens/refused-credentials.js'
import { createClock } from '../fixtures/clock.js'

const refusal = () => new Error('refused')

t.test('a refusal is remembered for a minute, or for less, but never for more', async t => {
  const clock = createClock()
  const refused = createRefusedCredentials(10, clock.now)
  t.equal(refused.find('a'), undefined)
  refused.add('a', refusal)
  refused.add('long', refusal, 86_400_000)
  refused.add('short', refusal, 5000)
  refused.add('none', refusal, 0)
  refused.add('negative', refusal, -5)
  const isRefused = (id: string) => refused.find(id) !== undefined
  t.strictSame(['a', 'long', 'short', 'none', 'negative', 'b'].map(isRefused), [true, true, true, false, false, false])
  clock.advance(4999)
  t.ok(isRefused('short'))
  clock.advance(1)
  t.notOk(isRefused('short'))
  clock.advance(54_999)
  t.strictSame(['a', 'long'].map(isRefused), [true, true], 'reading makes it no longer')
  clock.advance(1)
  t.strictSame(['a', 'long'].map(isRefused), [false, false])
})

t.test('each request gets an error of its own', async t => {
  const refused = createRefusedCredentials(10, createClock().now)
  refused.add('a', refusal)
  t.match(refused.find('a'), { message: 'refused' })
  t.not(refused.find('a'), refused.find('a'))
})

t.test('a clock that was set back does not make it longer', async t => {
  const clock = createClock()
  const refused = createRefusedCredentials(10, clock.now)
  refused.add('a', refusal)
  clock.advance(-1)
  t.equal(refused.find('a'), undefined)
})

t.test('the least recently used are dropped first', async t => {
  const refused = createRefusedCredentials(2, createClock().now)
  refused.add('a', refusal)
  refused.add('b', refusal)
  refused.find('a')
  refused.add('c', refusal)
  t.strictSame(['a', 'b', 'c'].map(id => refused.find(id) !== undefined), [true, false, true])
})
