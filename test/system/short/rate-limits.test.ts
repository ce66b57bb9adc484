import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startAuthServer, type AuthServer } from '../../fixtures/auth-server.js'
import { createClock, startClockedApi } from '../../fixtures/clock.js'
import { JWKS_PATH, send, startJwks } from '../../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../../fixtures/signing.js'

const KEY = createSigningKey()
const JITTER = 0.2
const REAL_TIME = { ...createClock(), now: Date.now }

for (const [header, value, seconds] of [
  ['x-retry-after', '10', 10],
  ['retry-after', '10', 10],
  ['x-retry-after', '1', 1],
  ['retry-after', '3600', 60]
] as const) {
  t.test(`429 with ${header}: ${value} makes an API pause for ${seconds} s`, async t => {
    const server = await startJwks(t, KEY)
    server.respond = send(429, '', { [header]: value })
    const clock = createClock(Date.now())
    const api = await startClockedApi(t, { authUrl: server.origin }, clock)
    const token = () => signJws(KEY, createClaims(server.origin, { exp: Math.floor(Date.now() / 1000) + 86_400 }))
    t.equal(server.hits, 1, 'and the search ends there')
    const refusedAt = clock.now()
    const nextTryAt = Date.parse(api.app.betterAuth.status().nextTryAt!)
    t.match(api.app.betterAuth.status(), { keys: [], lastError: 'rate_limited' })
    t.ok(nextTryAt - refusedAt >= seconds * 1000, 'never earlier than it asks')
    t.ok(nextTryAt - refusedAt <= seconds * 1000 * (1 + JITTER))
    t.match(api.log.lines.filter(({ level }) => level >= 40), [{ level: 40, code: 'rate_limited' }])

    server.respond = undefined
    for (const time of [refusedAt, refusedAt + seconds * 500, nextTryAt - 1]) {
      clock.set(time)
      const { status, retryAfter } = await api.call(token())
      t.equal(status, 503)
      t.equal(retryAfter, Math.ceil((nextTryAt - time) / 1000))
    }
    t.equal(server.hits, 1, 'no fetch before that time')
    // `status()` has no fractions of a millisecond.
    clock.set(nextTryAt + 1)
    t.equal((await api.call(token())).status, 200)
    t.equal(server.hits, 2)
    t.match(api.app.betterAuth.status(), { lastError: null, nextTryAt: null })
  })
}

t.test('an API that has keys keeps them, whatever the rate limit', async t => {
  const server = await startJwks(t, KEY)
  const clock = createClock(Date.now())
  const api = await startClockedApi(t, { authUrl: server.origin }, clock)
  server.respond = send(429, '', { 'x-retry-after': '10' })
  server.hits = 0
  const token = () => signJws(KEY, createClaims(server.origin, { exp: Math.floor(Date.now() / 1000) + 86_400 }))
  for (let minute = 0; minute < 59; minute++) {
    t.equal((await api.call(token())).status, 200)
    clock.advance(60_000)
  }
  t.equal(api.app.betterAuth.status().lastError, 'rate_limited')
  t.ok(server.hits <= 51, `${server.hits} fetches, at most one a minute`)
})

/** A real Better Auth server that accepts two requests for its JWKS in three seconds. */
async function startLimited (t: Test, isExempt: boolean): Promise<AuthServer> {
  const auth = await startAuthServer({
    rateLimit: {
      enabled: true,
      storage: 'memory',
      customRules: { '/sign-up/*': false, '/token': false, '/jwks': isExempt ? false : { window: 3, max: 2 } }
    }
  })
  t.teardown(() => auth.close())
  return auth
}

t.test('the rate limiter of a real Better Auth server', async t => {
  t.test('makes the third API wait, which then starts', async t => {
    const auth = await startLimited(t, false)
    const { token } = await auth.signUp()
    const start = () => startClockedApi(t, { authUrl: auth.origin }, REAL_TIME)
    const early = [await start(), await start()]
    const late = await start()
    for (const api of early) t.equal((await api.call(token)).status, 200)
    const { lastError, nextTryAt } = late.app.betterAuth.status()
    t.equal(lastError, 'rate_limited')
    const { status, retryAfter } = await late.call(token)
    t.equal(status, 503)
    t.ok(retryAfter! >= 1 && retryAfter! <= 4, `Retry-After: ${retryAfter}`)
    t.equal(auth.hits.get(JWKS_PATH), 3)
    await sleep(Date.parse(nextTryAt!) - Date.now() + 1)
    t.equal((await late.call(token)).status, 200)
    t.equal(auth.hits.get(JWKS_PATH), 4)
  })

  t.test('lets all of them start if the JWKS is exempt', async t => {
    const auth = await startLimited(t, true)
    const { token } = await auth.signUp()
    for (let i = 0; i < 5; i++) {
      const api = await startClockedApi(t, { authUrl: auth.origin }, REAL_TIME)
      t.equal((await api.call(token)).status, 200)
      t.equal(api.app.betterAuth.status().lastError, null)
    }
    t.equal(auth.hits.get(JWKS_PATH), 5)
  })
})
