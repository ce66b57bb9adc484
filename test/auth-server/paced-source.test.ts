import t from 'tap'
import { createPacedSource, type PacedSource } from '../../lib/auth-server/paced-source.js'
import { JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import { JwksUnavailableError } from '../../lib/contract/errors.js'
import { createClock, type Clock } from '../fixtures/clock.js'
import { createFakeSource, DOWN, k1, type FakeSource } from '../fixtures/key-store.js'
import { refusalOf } from '../fixtures/refusals.js'

interface Setup { paced: PacedSource, source: FakeSource, clock: Clock, observed: unknown[][] }

/** A paced source, and what it reports to its observer. */
function setUp (): Setup {
  const clock = createClock()
  const source = createFakeSource([k1.jwk])
  const observed: unknown[][] = []
  const observe = (name: string) => (...args: unknown[]) => { observed.push([name, ...args]) }
  const observer = {
    fetched: observe('fetched'), unreachable: observe('unreachable'), reachable: observe('reachable')
  }
  return { paced: createPacedSource(source, observer, clock.now, () => 0), source, clock, observed }
}

/** Starts a fetch that takes some time. */
async function fetchFor (milliseconds: number, { paced, source, clock }: Setup): Promise<unknown> {
  const release = source.hold()
  const fetching = paced.fetchJwks(false)
  clock.advance(milliseconds)
  release()
  return fetching
}

t.test('a fetch that succeeds is reported with its duration', async t => {
  const setup = setUp()
  const { paced, source, observed } = setup
  t.strictSame(await fetchFor(30, setup), [k1.jwk])
  t.strictSame(observed, [['fetched', source.url, null, 30]])
  source.keys = []
  t.strictSame(await paced.fetchJwks(false), [], 'a JWKS without keys is no failure')
  t.match(paced, { url: source.url, failing: false, lastError: null, nextTryAt: null })
  t.equal(paced.isPausing(), false)
})

t.test('a failure begins an outage and a pause', async t => {
  const setup = setUp()
  const { paced, source, clock, observed } = setup
  const startedAt = clock.now()
  source.fault = DOWN
  t.match(await refusalOf(() => fetchFor(20, setup)), { reason: 'jwks_unavailable', retryAfter: 500 })
  t.strictSame(observed, [
    ['unreachable', source.url, startedAt, { code: 'connection_refused', systemCode: 'ECONNREFUSED' }],
    ['fetched', source.url, 'connection_refused', 20]
  ])
  t.match(paced, { failing: true, lastError: 'connection_refused', nextTryAt: startedAt + 20 + 500 })
  t.equal(paced.isPausing(), true)

  clock.advance(400)
  t.type(paced.unavailable(), JwksUnavailableError)
  t.equal(paced.unavailable().retryAfter, 100, 'until the pause is over')
  t.equal(paced.pauseLeft(), 100)
  clock.advance(100)
  t.equal(paced.isPausing(), false)
  t.equal(paced.failing, true, 'until a fetch succeeds')
})

t.test('an outage is reported once, and again only after it has ended', async t => {
  const setup = setUp()
  const { paced, source, clock, observed } = setup
  const startedAt = clock.now()
  source.fault = DOWN
  for (const pause of [500, 1000, 2000]) {
    t.match(await refusalOf(() => paced.fetchJwks(false)), { retryAfter: pause })
    clock.advance(15_000)
  }
  source.fault = undefined
  observed.length = 0
  t.strictSame(await fetchFor(10, setup), [k1.jwk])
  t.strictSame(observed, [['reachable', clock.now() - startedAt], ['fetched', source.url, null, 10]])
  t.match(paced, { failing: false, lastError: null, nextTryAt: null })

  source.fault = DOWN
  t.match(await refusalOf(() => paced.fetchJwks(false)), { retryAfter: 500 }, 'the pauses start again')
  t.match(observed.slice(2), [['unreachable', source.url, clock.now(), { code: 'connection_refused' }], ['fetched']])
})

t.test('a server that asks for a longer pause gets it', async t => {
  const { paced, source, clock } = setUp()
  source.fault = new JwksFetchError('rate_limited', 10_000)
  t.match(await refusalOf(() => paced.fetchJwks(false)), { reason: 'jwks_unavailable', retryAfter: 10_000 })
  t.match(paced, { lastError: 'rate_limited', nextTryAt: clock.now() + 10_000 })
  clock.advance(9999)
  t.equal(paced.isPausing(), true)
  clock.advance(1)
  t.equal(paced.isPausing(), false)
})

t.test('the error is that of the last fetch', async t => {
  const { paced, source, observed } = setUp()
  for (const code of ['timeout', 'too_large', 'no_jwks'] as const) {
    source.fault = new JwksFetchError(code)
    await refusalOf(() => paced.fetchJwks(false))
    t.equal(paced.lastError, code)
  }
  t.strictSame(observed.filter(([name]) => name === 'unreachable').map(([, , , failure]) => failure), [
    { code: 'timeout', systemCode: undefined }
  ])
})

t.test('whether to search again is handed to the source', async t => {
  const { paced, source } = setUp()
  await paced.fetchJwks(true)
  await paced.fetchJwks(false)
  t.strictSame(source.calls, [true, false])
})

t.test('any other error of the source is unexpected, and still a 503', async t => {
  const { paced, source, observed } = setUp()
  source.fault = new TypeError('a bug')
  t.type(await refusalOf(() => paced.fetchJwks(false)), JwksUnavailableError)
  t.equal(paced.lastError, 'unexpected')
  t.match(observed, [
    ['unreachable', source.url, Number, { code: 'unexpected' }], ['fetched', source.url, 'unexpected', 0]
  ])
})
