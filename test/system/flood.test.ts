import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { createTestIssuer, type TestIssuer } from '../../lib/testing/index.js'
import { createClock, startClockedApi, type Clock, type ClockedApi } from '../fixtures/clock.js'

const TOKENS = 20_000
const AT_A_TIME = 50
const BURST = 10
const PER_MINUTE = 30
const MINUTE = 60_000
const MB = 2 ** 20

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

t.setTimeout(180_000)

interface Setup {
  issuer: TestIssuer
  clock: Clock
  api: ClockedApi
  /** The key that is published from the start. */
  goodKid: string
  goodToken: () => string
  hits (): number
}

async function setUp (t: Test): Promise<Setup> {
  const issuer = await createTestIssuer()
  t.teardown(() => issuer.close())
  const clock = createClock(Date.now())
  const api = await startClockedApi(t, { authUrl: issuer.authUrl }, clock, 'silent')
  const before = issuer.requests
  const goodKid = issuer.kid!
  const goodToken = () => tokenOf({ issuer, clock }, goodKid)
  t.equal((await api.call(goodToken())).status, 200)
  return { issuer, clock, api, goodKid, goodToken, hits: () => issuer.requests - before - 1 }
}

/** Issued now, by the clock of the test, and different from any other. */
function tokenOf ({ issuer, clock }: Pick<Setup, 'issuer' | 'clock'>, kid = issuer.kid): string {
  return issuer.token({ iat: Math.floor(clock.now() / 1000), jti: randomUUID() }, { kid })
}

/** It names a key that nobody has. */
function unknownToken ({ issuer, clock }: Pick<Setup, 'issuer' | 'clock'>): string {
  return issuer.token({ iat: Math.floor(clock.now() / 1000), jti: randomUUID() }, { header: { kid: randomUUID() } })
}

/** Sends tokens of random keys, many at once, each batch with a good one in it, and counts the responses. */
async function flood (setup: Setup, count: number, during: number): Promise<Record<string, number>> {
  const { clock, api, goodToken } = setup
  const answers: Record<string, number> = {}
  const batches = count / AT_A_TIME
  for (let batch = 0; batch < batches; batch++) {
    const calls = Array.from({ length: AT_A_TIME }, async () => {
      const { status, retryAfter } = await api.call(unknownToken(setup))
      return status === 503
        ? `503 ${retryAfter !== undefined && retryAfter >= 1 && retryAfter <= 2 ? 'in time' : retryAfter}`
        : String(status)
    })
    calls.push(api.call(goodToken()).then(({ status }) => `good ${status}`))
    for (const answer of await Promise.all(calls)) answers[answer] = (answers[answer] ?? 0) + 1
    clock.advance(during / batches)
  }
  return answers
}

t.test(`${TOKENS} tokens of random keys within 40 minutes, among good ones`, async t => {
  const setup = await setUp(t)
  const { clock, api, issuer, goodKid } = setup
  await flood(setup, 2000, 4 * MINUTE)
  gc()
  const heapBefore = process.memoryUsage().heapUsed
  const answers = await flood(setup, TOKENS - 2000, 36 * MINUTE)
  gc()
  const growth = (process.memoryUsage().heapUsed - heapBefore) / MB

  const allowed = BURST + 40 * PER_MINUTE
  // The known key is confirmed again every ten minutes, for which it needs no budget.
  const refreshes = 4
  t.comment(
    `${setup.hits()} fetches for ${TOKENS} tokens; the budget of 40 minutes is ${allowed}; ` +
    `the heap grew by ${growth.toFixed(2)} MB`
  )
  t.ok(setup.hits() <= allowed + refreshes, `${setup.hits()} fetches`)
  t.ok(setup.hits() >= allowed - 2 * PER_MINUTE, 'and the budget is not kept back')
  t.same(Object.keys(answers).sort(), ['401', '503 in time', 'good 200'], JSON.stringify(answers))
  t.equal(answers['good 200'], (TOKENS - 2000) / AT_A_TIME, 'no good request was refused')
  t.ok(growth < 6, `the heap grew by ${growth.toFixed(2)} MB`)
  t.same(api.app.betterAuth.status().keys.map(({ kid }) => kid), [goodKid])
  t.equal(api.app.betterAuth.status().lastError, null)

  await issuer.rotate()
  const token = () => tokenOf(setup)
  let refused = 0
  const publishedAt = clock.now()
  for (;;) {
    const { status, retryAfter } = await api.call(token())
    if (status === 200) break
    refused++
    t.equal(status, 503)
    t.ok(retryAfter! >= 1 && retryAfter! <= 2, `Retry-After: ${retryAfter}`)
    clock.advance(retryAfter! * 1000)
    if (refused === 5) break
  }
  t.ok(refused <= 1, 'a key rotated in right after is accepted as soon as the budget allows')
  t.ok(clock.now() - publishedAt <= 2000)
  t.equal((await api.call(setup.goodToken())).status, 200)
})

t.test('any number of tokens of random keys within one moment cost the burst', async t => {
  const setup = await setUp(t)
  const answers = await flood(setup, 2000, 0)
  t.same(answers, {
    401: BURST - 1, '503 in time': 2001 - BURST, 'good 200': 2000 / AT_A_TIME
  }, 'the good key had the tenth')
  t.equal(setup.hits(), BURST - 1)

  await setup.issuer.rotate()
  const first = await setup.api.call(tokenOf(setup))
  t.equal(first.status, 503)
  t.equal(first.retryAfter, 2)
  setup.clock.advance(1999)
  t.equal((await setup.api.call(tokenOf(setup))).status, 503, 'one millisecond before')
  setup.clock.advance(1)
  t.equal((await setup.api.call(tokenOf(setup))).status, 200)
  t.equal(setup.hits(), BURST)
})

t.test('one token of an unknown key, sent again and again, costs one fetch in three seconds', async t => {
  const setup = await setUp(t)
  const token = unknownToken(setup)
  for (let second = 0; second < 30; second++) {
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await setup.api.call(token)).status))
    t.ok(statuses.every(status => status === 401))
    setup.clock.advance(1000)
  }
  t.equal(setup.hits(), 10)
})
