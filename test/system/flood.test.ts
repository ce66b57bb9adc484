import { randomBytes, randomUUID } from 'node:crypto'
import { Agent, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { createTestIssuer, type TestIssuer } from '../../lib/testing/index.js'
import { bearer, startApi } from '../fixtures/api.js'
import { createClock, startClockedApi, type Clock, type ClockedApi } from '../fixtures/clock.js'
import { sendKeys, startJwks } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, encode, signJws } from '../fixtures/signing.js'

const TOKENS = 10_000
const AT_A_TIME = 20
/** The default of `requestsPerMinute`. */
const PER_MINUTE = 20
const MINUTE = 60_000
/** The least time between two fetches that unknown keys cause. */
const DISTANCE = MINUTE / PER_MINUTE
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
  return { issuer, clock, api, goodKid, goodToken, hits: () => issuer.requests - before }
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
    const calls = Array.from({ length: AT_A_TIME }, async () => String((await api.call(unknownToken(setup))).status))
    calls.push(api.call(goodToken()).then(({ status }) => `good ${status}`))
    for (const answer of await Promise.all(calls)) answers[answer] = (answers[answer] ?? 0) + 1
    clock.advance(during / batches)
  }
  return answers
}

t.test(`${TOKENS} tokens of random keys within 12.5 minutes, among good ones`, async t => {
  const setup = await setUp(t)
  const { api, issuer, goodKid } = setup
  await flood(setup, 2000, 2.5 * MINUTE)
  gc()
  const heapBefore = process.memoryUsage().heapUsed
  const answers = await flood(setup, TOKENS - 2000, 10 * MINUTE)
  gc()
  const growth = (process.memoryUsage().heapUsed - heapBefore) / MB

  t.comment(`${setup.hits()} fetches for ${TOKENS} tokens; the heap grew by ${growth.toFixed(2)} MB`)
  t.equal(setup.hits(), 12.5 * PER_MINUTE, 'as many fetches as are allowed; each also confirms the known key')
  t.same(answers, { 401: TOKENS - 2000, 'good 200': (TOKENS - 2000) / AT_A_TIME }, 'and no 503')
  t.ok(growth < 6, `the heap grew by ${growth.toFixed(2)} MB`)
  t.same(api.app.betterAuth.status().keys.map(({ kid }) => kid), [goodKid])
  t.equal(api.app.betterAuth.status().lastError, null)

  await issuer.rotate()
  t.equal((await api.call(tokenOf(setup))).status, 200, 'a key that was rotated in then is accepted at once')
  t.equal((await api.call(setup.goodToken())).status, 200)
})

t.test('any number of tokens of random keys within one moment cost one fetch', async t => {
  const setup = await setUp(t)
  t.same(await flood(setup, 2000, 0), { 401: 2000, 'good 200': 2000 / AT_A_TIME })
  t.equal(setup.hits(), 1)

  await setup.issuer.rotate()
  setup.clock.advance(DISTANCE - 1)
  t.equal((await setup.api.call(tokenOf(setup))).status, 401, 'one millisecond before the next fetch')
  setup.clock.advance(1)
  t.equal((await setup.api.call(tokenOf(setup))).status, 200)
  t.equal((await setup.api.call(setup.goodToken())).status, 200)
  t.equal(setup.hits(), 2)
})

t.test('a rotation is found at its first token, however young the keys are', async t => {
  const setup = await setUp(t)
  for (let i = 1; i <= 5; i++) {
    await setup.issuer.rotate()
    t.equal((await setup.api.call(tokenOf(setup))).status, 200)
    t.equal(setup.hits(), i)
  }
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

t.test('a rotation in the middle of a flood, by the clock of the machine', async t => {
  const LATENCY = 200
  const DURATION = 8000
  const [oldKey, newKey] = [createSigningKey('EdDSA', 'old'), createSigningKey('ES256', 'new')]
  const server = await startJwks(t, oldKey)
  server.respond = (request, response) => {
    // What it publishes when it responds, not when it is asked.
    setTimeout(() => { sendKeys(server.keys)(request, response) }, LATENCY)
  }
  const app = await startApi(t, { authUrl: server.origin }, undefined, {
    logger: { level: 'silent' }, forceCloseConnections: true
  })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  await app.listen({ host: '127.0.0.1', port: 0 })
  await app.betterAuth.ready()
  server.hits = 0

  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  t.teardown(() => agent.destroy())
  const { port } = app.server.address() as AddressInfo
  const call = (token: string) => new Promise<number>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/me', agent, headers: bearer(token) }
    httpRequest(options, response => {
      response.resume().on('end', () => resolve(response.statusCode!))
    }).on('error', reject).end()
  })
  const payload = encode(createClaims(server.origin))
  const forge = () => [encode({ alg: 'EdDSA', kid: randomUUID() }), payload, encode(randomBytes(64))].join('.')
  const honest = (key: typeof oldKey) => signJws(key, createClaims(server.origin, { jti: randomUUID() }))

  const answers: Record<string, number> = {}
  const startedAt = performance.now()
  let rotatedAt = Infinity
  let foundAfter = Infinity
  const load = async (name: string, token: () => string, pause: number): Promise<void> => {
    while (performance.now() - startedAt < DURATION) {
      const sentAfter = performance.now() - rotatedAt
      const status = await call(token())
      if (name === 'new' && status === 200) foundAfter = Math.min(foundAfter, performance.now() - rotatedAt)
      const isLate = name === 'new' && sentAfter > DISTANCE
      const answer = `${name} ${isLate ? 'after three seconds ' : ''}${status}`
      answers[answer] = (answers[answer] ?? 0) + 1
      await sleep(pause)
    }
  }
  const loads = [
    ...Array.from({ length: 8 }, () => load('forged', forge, 4)),
    load('old', () => honest(oldKey), 10)
  ]
  await sleep(DURATION / 2)
  server.keys = [newKey.jwk, oldKey.jwk]
  rotatedAt = performance.now()
  loads.push(load('new', () => honest(newKey), 10))
  await Promise.all(loads)
  const took = performance.now() - startedAt

  t.comment(`${JSON.stringify(answers)}; ${server.hits} fetches; the new key was accepted after ${foundAfter} ms`)
  t.ok(answers['forged 401']! >= 1000, `${answers['forged 401']} forged tokens`)
  t.ok(foundAfter <= DISTANCE + 2 * LATENCY + 1000, `the new key was accepted after ${Math.round(foundAfter)} ms`)
  const allowed = new Set(['forged 401', 'old 200', 'new 401', 'new 200', 'new after three seconds 200'])
  t.same(Object.keys(answers).filter(answer => !allowed.has(answer)), [], 'nothing else: no 503, no old token refused')
  t.ok(server.hits <= Math.floor(took / DISTANCE) + 1, `${server.hits} fetches in ${Math.round(took)} ms`)
  t.match(app.betterAuth.status().keys.map(({ kid }) => kid), ['new', 'old'])
})
