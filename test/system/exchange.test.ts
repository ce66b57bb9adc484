import { createHmac, randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import { captureLog, type LogCapture } from '../fixtures/api.js'
import { createClock, useClock, type Clock } from '../fixtures/clock.js'
import { startSessionServer, type Person, type SessionServer } from '../fixtures/exchange.js'
import { VIAS, type Via } from '../fixtures/local-server.js'
import { loadPackages } from '../fixtures/oauth-packages.js'

interface Api { readonly app: FastifyInstance, readonly log: LogCapture }
interface Reply { status: number, body: Record<string, unknown>, headers: Record<string, unknown> }

type Headers = Record<string, string>

/** The same test over both transports. */
function test (title: string, run: (t: Test, via: Via) => Promise<unknown>): void {
  for (const via of VIAS) t.test(`${title}, ${via}`, t => run(t, via))
}

async function startApi (t: Test, server: SessionServer, options: BetterAuthOptions = {}): Promise<Api> {
  const log = captureLog()
  const app = Fastify({ logger: log.logger, trustProxy: true })
  t.teardown(() => app.close())
  // Longer than any test: on a busy machine, an exchange takes its time, and a failure would count as an outage.
  const exchange = { timeout: 120_000, ...server.options.exchange, ...options.exchange as object }
  await app.register(betterAuthPlugin, { ...server.options, ...options, exchange })
  const show = ({ user, principal }: { user: { id: string } | null, principal: { via: string } | null }) => ({
    id: user?.id ?? null, via: principal?.via ?? null
  })
  app.get('/me', { onRequest: [app.authenticate] }, async request => show(request))
  app.post('/me', { onRequest: [app.authenticate] }, async request => show(request))
  app.get('/optional', { onRequest: [app.authenticateOptional] }, async request => show(request))
  app.get('/admin', { onRequest: [app.authorize({ roles: ['admin'] })] }, async request => show(request))
  return { app, log }
}

async function ask ({ app }: Api, headers: Headers, url = '/me', method: 'GET' | 'POST' = 'GET'): Promise<Reply> {
  const response = await app.inject({ method, url, headers })
  return { status: response.statusCode, body: response.json(), headers: response.headers }
}

const bySessionToken = ({ token }: Person): Headers => ({ authorization: `Bearer ${token}` })
const byCookie = ({ cookie }: Person): Headers => ({ cookie })
const byKey = (key: string): Headers => ({ 'x-api-key': key })
const statusOf = async (api: Api, headers: Headers, url?: string) => (await ask(api, headers, url)).status

function startClock (t: Test): Clock {
  const clock = createClock(Date.now())
  useClock(t, clock)
  return clock
}

/** The headers that any request of `fetch` has. */
const OF_FETCH = [
  'accept', 'accept-encoding', 'accept-language', 'connection', 'host', 'sec-fetch-mode', 'user-agent'
]

test('each kind of credential is exchanged once, and then known', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  const key = await server.createKey(ada, { prefix: 'pk_' })
  const signed = decodeURIComponent(ada.cookie.split('=')[1]!)
  for (const [via, headers, sent] of [
    ['session-token', bySessionToken(ada), 'authorization'],
    ['session-token', { authorization: `Bearer ${signed}` }, 'authorization'],
    ['session-cookie', byCookie(ada), 'cookie'],
    ['api-key', byKey(key), 'x-api-key']
  ] as const) {
    const before = server.exchanges.length
    for (let i = 0; i < 3; i++) t.match(await ask(api, headers), { status: 200, body: { id: ada.id, via } })
    t.equal(server.exchanges.length, before + 1)
    const { [sent]: value, ...others } = server.exchanges.at(-1)!
    t.equal(value, headers[sent as keyof typeof headers])
    t.strictSame(Object.keys(others).filter(name => !OF_FETCH.includes(name)), [], 'and nothing else of the request')
  }
  const [jwt] = await Promise.all([fetch(`${server.origin}/api/auth/token`, { headers: byCookie(ada) })])
  const { token } = await jwt.json() as { token: string }
  t.match(await ask(api, { authorization: `Bearer ${token}` }), { status: 200, body: { id: ada.id, via: 'bearer' } })
})

test('a session that was signed out ends within maxAge', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  for (const by of [bySessionToken, byCookie]) {
    const ada = await server.signUp()
    t.equal(await statusOf(api, by(ada)), 200)
    await server.signOut(ada)
    clock.advance(47_000)
    t.equal(await statusOf(api, by(ada)), 200, 'known for less than a minute')
    clock.advance(13_000)
    const { status, body } = await ask(api, by(ada))
    t.equal(status, 401)
    t.match(body, { code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
    const before = server.exchanges.length
    t.equal(await statusOf(api, by(ada)), 401)
    t.equal(server.exchanges.length, before, 'a refused one costs no further exchange')
  }
  t.match(api.log.refusals().map(({ reason }) => reason), Array(4).fill('credential_refused'))
})

test('a session in use is exchanged in the background, shortly before maxAge', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  await ask(api, byCookie(ada))
  for (let minute = 1; minute <= 3; minute++) {
    clock.advance(50_000)
    // Another exchange that is still under way serves as well.
    while (server.exchanges.length <= minute) {
      if (await statusOf(api, byCookie(ada)) !== 200) t.fail('a request waited')
      await turn()
    }
  }
  t.equal(server.exchanges.length, 4)
  await server.signOut(ada)
  clock.advance(50_000)
  t.equal(await statusOf(api, byCookie(ada)), 200, 'the request that starts the exchange does not wait')
  while (await statusOf(api, byCookie(ada)) === 200) await turn()
  t.equal(server.exchanges.length, 5)
  t.equal(await statusOf(api, byCookie(ada)), 401, 'a later one knows')
})

test('a banned user', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  t.equal(await statusOf(api, bySessionToken(ada)), 200)
  server.ban(ada)
  clock.advance(60_000)
  t.match(await ask(api, bySessionToken(ada)), { status: 403, body: { code: 'FST_BETTER_AUTH_FORBIDDEN' } })
})

test('whoever a hook of Better Auth refuses', async (t, via) => {
  const { APIError, createAuthMiddleware } = await loadPackages('1.7') as unknown as {
    APIError: new (status: string, body?: object) => Error
    createAuthMiddleware (hook: (context: { path: string }) => Promise<void>): unknown
  }
  let refuse: (() => Error) | undefined
  const before = createAuthMiddleware(async ({ path }) => {
    if (refuse !== undefined && ['/token', '/get-session'].includes(path)) throw refuse()
  })
  const server = await startSessionServer(t, { via, hooks: { before } })
  for (const error of [() => new APIError('UNAUTHORIZED'), () => new APIError('FORBIDDEN', { code: 'BLOCKED' })]) {
    const api = await startApi(t, server, { exchange: { maxAge: 0 } })
    const ada = await server.signUp()
    t.equal(await statusOf(api, byCookie(ada)), 200)
    refuse = error
    t.equal(await statusOf(api, byCookie(ada)), 401)
    t.equal(api.log.refusals().at(-1)!.reason, 'credential_refused')
    refuse = undefined
  }
})

test('guards judge the JWT behind a credential as any other', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  const [ada, eve] = [await server.signUp(), await server.signUp()]
  Object.assign(server.db.user!.find(({ id }) => id === ada.id)!, { role: 'user,admin' })
  t.equal(await statusOf(api, bySessionToken(ada), '/admin'), 200)
  t.equal(await statusOf(api, bySessionToken(eve), '/admin'), 403)
  t.match((await ask(api, {}, '/optional')).body, { id: null, via: null })
  t.match((await ask(api, byCookie(eve), '/optional')).body, { id: eve.id, via: 'session-cookie' })
  t.equal(await statusOf(api, { cookie: `better-auth.session_token=${'a'.repeat(32)}` }, '/optional'), 401)
  const strict = await startApi(t, server, { issuer: 'https://other.example' })
  t.equal(await statusOf(strict, bySessionToken(eve)), 401)
  t.equal(await statusOf(strict, bySessionToken(eve)), 401)
  t.match(strict.log.refusals().map(({ reason }) => reason), ['issuer_mismatch', 'issuer_mismatch'])
})

test('isRevoked and userSchema see the claims of the JWT', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const ada = await server.signUp()
  const seen: unknown[] = []
  const api = await startApi(t, server, {
    isRevoked ({ sub }) {
      seen.push(sub)
      return true
    }
  })
  t.match(await ask(api, byCookie(ada)), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_REVOKED' } })
  t.strictSame(seen, [ada.id])
})

test('a cookie needs a trusted origin, a session token and a key do not', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { sessionCookie: { trustedOrigins: ['https://app.example.com'] } })
  const ada = await server.signUp()
  const key = await server.createKey(ada)
  const post = async (headers: Headers) => (await ask(api, headers, '/me', 'POST')).status
  t.equal(await post({ ...byCookie(ada), origin: 'https://evil.example' }), 403)
  t.equal(await post(byCookie(ada)), 403)
  t.equal(await post({ ...byCookie(ada), origin: 'https://app.example.com' }), 200)
  t.equal(await post(bySessionToken(ada)), 200)
  t.equal(await post(byKey(key)), 200)
  const { headers } = await ask(api, byCookie(ada))
  t.match(headers, { vary: 'Cookie', 'cache-control': 'private' })
  t.notHas((await ask(api, bySessionToken(ada))).headers, 'vary')
  const plain = await startApi(t, server)
  t.equal((await ask(plain, { ...byCookie(ada), origin: 'https://app.example.com' }, '/me', 'POST')).status, 403)
  t.equal((await ask(plain, { ...byCookie(ada), 'sec-fetch-site': 'same-origin' }, '/me', 'POST')).status, 200)
})

test('an exchange writes nothing, and prolongs no session', async (t, via) => {
  const server = await startSessionServer(t, { via, session: { updateAge: 0, expiresIn: 1000 } })
  const api = await startApi(t, server, { exchange: { maxAge: 0 } })
  const ada = await server.signUp()
  const before = structuredClone(server.db.session)
  for (let i = 0; i < 5; i++) t.equal(await statusOf(api, byCookie(ada)), 200)
  t.equal(server.exchanges.length, 5)
  t.strictSame(server.db.session, before)
})

test('an outage', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { exchange: { staleIfError: 300_000 } })
  const [ada, bob, eve] = [await server.signUp(), await server.signUp(), await server.signUp()]
  for (const person of [ada, bob]) t.equal(await statusOf(api, bySessionToken(person)), 200)
  server.fault = 'down'
  for (let seconds = 0; seconds < 299; seconds += 23) {
    // In the process, it needs two: an error may concern one credential alone.
    for (const person of [ada, bob]) t.equal(await statusOf(api, bySessionToken(person)), 200, `known for ${seconds} s`)
    const { status, headers, body } = await ask(api, bySessionToken(eve))
    t.equal(status, 503)
    t.match(headers, { 'retry-after': /^\d+$/ })
    t.match(body, { code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE', message: 'Auth service unreachable' })
    clock.advance(23_000)
  }
  t.equal(await statusOf(api, bySessionToken(ada)), 200)
  clock.advance(2000)
  t.equal(await statusOf(api, bySessionToken(ada)), 503, 'no longer than staleIfError')
  server.fault = undefined
  clock.advance(60_000)
  t.equal(await statusOf(api, bySessionToken(ada)), 200)
  t.equal(await statusOf(api, bySessionToken(eve)), 200)
  const lines = api.log.lines.filter(({ msg }) => /^the auth server (?:does not exchange|exchanges)/.test(msg))
  t.equal(lines.length, 2, 'one line when it begins, and one when it ends')
})

test('a server that hangs is down after the timeout', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { exchange: { timeout: 100, maxAge: 0 } })
  const [ada, eve] = [await server.signUp(), await server.signUp()]
  await api.app.betterAuth.ready()
  while (await statusOf(api, bySessionToken(ada)) !== 200) await turn()
  server.fault = 'hang'
  const startedAt = performance.now()
  t.equal(await statusOf(api, bySessionToken(eve)), 503)
  t.ok(performance.now() - startedAt < 5000)
  t.match(api.app.betterAuth.status().exchange, { lastError: 'timeout' })
  t.equal(await statusOf(api, bySessionToken(ada)), 200, 'a known session keeps working')
})

test('no JWT outlives its exp in an outage', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const options = { clockTolerance: 0, exchange: { staleIfError: 86_400_000 }, jwks: { staleIfError: 86_400_000 } }
  const api = await startApi(t, server, options)
  const ada = await server.signUp()
  t.equal(await statusOf(api, byCookie(ada)), 200)
  server.fault = 'error'
  clock.advance(898_000)
  t.equal(await statusOf(api, byCookie(ada)), 200)
  clock.advance(3000)
  t.not(await statusOf(api, byCookie(ada)), 200)
})

// In the process, the endpoint is called, whatever Better Auth serves.
t.test('a server without /token is named in one line, over HTTP', async t => {
  const server = await startSessionServer(t, { disabledPaths: ['/token'] })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  for (let i = 0; i < 3; i++) t.equal(await statusOf(api, bySessionToken(ada)), 503)
  const lines = api.log.lines.filter(({ msg }) => /returns 404/.test(msg))
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 50, code: 'http_4xx', detail: 404, msg: /plugin jwt\(\).*\/token/ })
})

test('a server that accepts no session tokens, or no keys, is suspected in one line for each', async (t, via) => {
  const server = await startSessionServer(t, { via, bearer: false, apiKey: { enableSessionForAPIKeys: false } })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  const key = await server.createKey(ada)
  for (let i = 0; i < 2; i++) {
    t.equal(await statusOf(api, bySessionToken(ada)), 401)
    t.equal(await statusOf(api, byKey(key)), 401)
  }
  t.equal(await statusOf(api, byCookie(ada)), 200)
  const lines = api.log.lines.filter(({ level }) => level === 40).map(({ msg }) => msg)
  t.equal(lines.length, 2)
  t.match(lines[0], /session-token.*bearer\(\)/)
  t.match(lines[1], /api-key.*enableSessionForAPIKeys/)
})

test('an API key in steady use costs 4 uses an hour, and its own limit is no outage', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via, apiKey: { rateLimit: { enabled: true, maxRequests: 4 } } })
  // The clock moves faster than keys are fetched: keys that nobody confirmed in time would cost an exchange.
  const api = await startApi(t, server, { jwks: { maxAge: 7_200_000 } })
  const [ada, eve] = [await server.signUp(), await server.signUp()]
  const key = await server.createKey(ada)
  for (let second = 0; second < 3600; second += 5) {
    const status = await statusOf(api, byKey(key))
    if (status !== 200) t.fail(`${status} after ${second} s`)
    await turn()
    clock.advance(5000)
  }
  t.equal(server.exchanges.length, 4)
  clock.advance(10_000)
  const { status, body, headers } = await ask(api, byKey(key))
  t.equal(status, 503)
  t.match(body, { code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE' })
  t.match(headers, { 'retry-after': /^\d+$/ })
  t.equal(api.log.refusals().at(-1)!.reason, 'api_key_limited')
  t.equal(await statusOf(api, byCookie(eve)), 200, 'others do not notice')
})

test('a flood of unknown credentials has a budget, and known sessions do not notice', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { exchange: { requestsPerMinute: 30 } })
  const ada = await server.signUp()
  t.equal(await statusOf(api, bySessionToken(ada)), 200)
  const statuses = new Map<number, number>()
  for (let second = 0; second < 120; second++) {
    for (let i = 0; i < 20; i++) {
      const status = await statusOf(api, { authorization: `Bearer ${randomBytes(16).toString('hex')}` })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    if (await statusOf(api, bySessionToken(ada)) !== 200) t.fail(`a known session after ${second} s`)
    clock.advance(1000)
  }
  const asked = statuses.get(401)!
  t.ok(asked >= 40 && asked <= 90, `${asked} were exchanged in two minutes`)
  t.equal(statuses.get(503), 2400 - asked)
  t.equal(api.log.refusals().find(({ reason }) => reason !== 'credential_refused')!.reason, 'exchange_budget')
})

test('malformed credentials cost no exchange', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { sessionCookie: { secret: server.secret } })
  const ada = await server.signUp()
  const sign = (text: string, secret: string) => createHmac('sha256', secret).update(text).digest('base64')
  const cookies = [
    ada.token, `${ada.token}.`, `${ada.token}.AAAA`, `.${sign('', server.secret)}`,
    `${ada.token}.${encodeURIComponent(sign(ada.token, 'x'.repeat(32)))}`,
    `${'b'.repeat(32)}.${encodeURIComponent(sign(ada.token, server.secret))}`
  ]
  for (const value of cookies) {
    t.equal(await statusOf(api, { cookie: `better-auth.session_token=${value}` }), 401, value)
  }
  for (const value of ['x', 'a.b', 'ä'.repeat(40), '%00'.repeat(12), 'a'.repeat(10_000), 'token?x=aaaaaaaaaaaaaaa']) {
    t.equal(await statusOf(api, { authorization: `Bearer ${encodeURI(value)}` }), 401, value.slice(0, 20))
    t.equal(await statusOf(api, { 'x-api-key': `${encodeURI(value)}` }), 401, value.slice(0, 20))
  }
  t.equal(server.exchanges.length, 0)
  t.strictSame(
    [...new Set(api.log.refusals().map(({ reason }) => reason))].sort(), ['credential_malformed']
  )
})

test('a user for whom the auth server cannot make a JWT pauses nobody else', async (t, via) => {
  const clock = startClock(t)
  const poisoned = new Set<string>()
  const server = await startSessionServer(t, {
    via,
    jwt: {
      jwt: {
        definePayload ({ user }: { user: { id: string } }) {
          if (poisoned.has(user.id)) throw new Error('no department')
          return user
        }
      }
    }
  })
  const api = await startApi(t, server)
  const [ada, eve] = [await server.signUp(), await server.signUp()]
  poisoned.add(eve.id)
  for (let i = 0; i < 20; i++) {
    t.equal(await statusOf(api, bySessionToken(eve)), 503)
    if (i === 0) t.equal(await statusOf(api, bySessionToken(ada)), 200, 'also one that is new')
    const { status } = await ask(api, bySessionToken(await server.signUp()))
    t.equal(status, 200)
    clock.advance(1000)
  }
  const asked = server.exchanges.filter(({ authorization }) => authorization === bySessionToken(eve).authorization)
  t.equal(asked.length, 4, 'and is asked for once in 5 seconds')
})

t.test('one client that tries random credentials takes no budget from others', async t => {
  const clock = startClock(t)
  const server = await startSessionServer(t)
  const api = await startApi(t, server, { exchange: { requestsPerMinute: 30 } })
  const from = (ip: string, headers: Headers) => statusOf(api, { ...headers, 'x-forwarded-for': ip })
  t.equal(await from('198.51.100.1', bySessionToken(await server.signUp())), 200)
  for (let second = 0; second < 120; second++) {
    for (let i = 0; i < 20; i++) {
      await from('203.0.113.7', { authorization: `Bearer ${randomBytes(16).toString('hex')}` })
    }
    if (second % 10 === 0) t.equal(await from('198.51.100.1', bySessionToken(await server.signUp())), 200, `${second}`)
    clock.advance(1000)
  }
})

test('a server with the base path / is found by the origin alone', async (t, via) => {
  const server = await startSessionServer(t, { via, basePath: '' })
  const api = await startApi(t, server)
  const ada = await server.signUp()
  for (const headers of [bySessionToken(ada), byCookie(ada)]) t.equal(await statusOf(api, headers), 200)
  t.equal(server.exchanges.length, 2)
})

test('status() tells of the exchange, if it is on', async (t, via) => {
  const clock = startClock(t)
  const server = await startSessionServer(t, { via })
  const { app, ...api } = await startApi(t, server)
  const iso = (plus = 0) => new Date(clock.now() + plus).toISOString()
  const calm = { lastError: null, lastFailureAt: null, nextTryAt: null }
  t.strictSame(app.betterAuth.status().exchange, { sessions: 0, remainingBudget: 60, ...calm, lastSuccessAt: null })
  const [ada, eve] = [await server.signUp(), await server.signUp()]
  const key = await server.createKey(ada)
  await ask({ app, ...api }, bySessionToken(ada))
  t.strictSame(app.betterAuth.status().exchange, { sessions: 1, remainingBudget: 59, ...calm, lastSuccessAt: iso() })
  server.fault = 'down'
  clock.advance(1000)
  for (const headers of [bySessionToken(eve), byCookie(ada), byKey(key)]) await ask({ app, ...api }, headers)
  const { nextTryAt, ...status } = app.betterAuth.status().exchange!
  // What fails in the process may concern one credential alone, and then does not pause the others.
  const isPaused = via === 'over HTTP'
  t.match(status, {
    sessions: 1,
    lastError: /^\w+$/,
    lastSuccessAt: iso(-1000),
    lastFailureAt: iso(),
    remainingBudget: isPaused ? 59 : 57
  })
  t.equal(nextTryAt !== null && nextTryAt > iso(), isPaused)
  const text = JSON.stringify(app.betterAuth.status())
  for (const secret of [ada.token, ada.id, eve.token, key]) t.notOk(text.includes(secret))

  const without = Fastify()
  t.teardown(() => without.close())
  await without.register(betterAuthPlugin, { ...server.options, exchange: false })
  t.notOk('exchange' in without.betterAuth.status())
})

test('revoke() ends a session at once', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server)
  for (const name of ['userId', 'token', 'sessionId'] as const) {
    const [ada, eve] = [await server.signUp(), await server.signUp()]
    for (const person of [ada, eve]) t.equal(await statusOf(api, byCookie(person)), 200)
    const sessionId = server.db.session!.find(({ token }) => token === ada.token)!.id as string
    await server.signOut(ada)
    t.equal(await statusOf(api, byCookie(ada)), 200, 'not known yet')
    await api.app.betterAuth.revoke({ userId: ada.id, token: ada.token, sessionId }[name] === undefined
      ? t.fail() as never
      : { [name]: { userId: ada.id, token: ada.token, sessionId }[name] } as { userId: string })
    t.equal(await statusOf(api, byCookie(ada)), 401, name)
    t.equal(await statusOf(api, byCookie(eve)), 200)
  }
})

test('no log line and no response has a credential', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const api = await startApi(t, server, { exchange: { maxAge: 0 } })
  const ada = await server.signUp()
  const key = await server.createKey(ada)
  const bodies: string[] = []
  const send = async (headers: Headers) => { bodies.push(JSON.stringify(await ask(api, headers))) }
  for (const headers of [bySessionToken(ada), byCookie(ada), byKey(key)]) await send(headers)
  await server.signOut(ada)
  for (const headers of [bySessionToken(ada), byCookie(ada), byKey(`${key}x`)]) await send(headers)
  server.fault = 'down'
  for (const headers of [bySessionToken(ada), byCookie(ada), byKey(key)]) await send(headers)
  const text = JSON.stringify(api.log.lines) + bodies.join()
  for (const secret of [ada.token, key, decodeURIComponent(ada.cookie.split('.').at(-1)!), 'eyJ']) {
    t.notOk(text.includes(secret))
  }
})

test('the client address is sent only where asked for', async (t, via) => {
  const server = await startSessionServer(t, { via })
  const ada = await server.signUp()
  const headers = { ...bySessionToken(ada), 'x-forwarded-for': '203.0.113.7' }
  const plain = await startApi(t, server)
  t.equal(await statusOf(plain, headers), 200)
  t.notHas(server.exchanges.at(-1), 'x-forwarded-for')
  const forwarding = await startApi(t, server, { exchange: { forwardedFor: true } })
  t.equal(await statusOf(forwarding, headers), 200)
  t.equal(server.exchanges.at(-1)!['x-forwarded-for'], '203.0.113.7')
})

/** Better Auth's defaults in production, but for the limit on signing up. */
const PRODUCTION = { enabled: true, customRules: { '/sign-up/*': false } }

for (const forwardedFor of [true, false]) {
  t.test(`200 sessions on 3 instances under the default rate limit, forwardedFor: ${forwardedFor}`, async t => {
    const clock = startClock(t)
    const server = await startSessionServer(t, { rateLimit: PRODUCTION })
    const apis = await Promise.all([1, 2, 3].map(() => startApi(t, server, {
      exchange: { forwardedFor, requestsPerMinute: 600 }
    })))
    const people: Person[] = []
    for (let i = 0; i < 200; i++) people.push(await server.signUp())
    const known = new Set<string>()
    let refused = 0
    let waited = 0
    // Without the addresses of the clients, the auth server lets fewer new ones in.
    for (let second = 0; second < 60 || (known.size < 600 && second < 300); second++) {
      // Each session asks each instance every 15 seconds.
      const turns = people.flatMap((person, i) => apis.map((api, a) => ({ person, i, api, name: `${i} ${a}` })))
        .filter(({ i }) => i % 15 === second % 15)
      for (const { person, i, api, name } of turns) {
        const headers = { ...bySessionToken(person), 'x-forwarded-for': `198.51.100.${i}` }
        const status = await statusOf(api, headers)
        if (status === 200) known.add(name)
        else if (status === 503 && !known.has(name)) waited++
        else refused++
      }
      clock.advance(1000)
    }
    t.equal(refused, 0, 'no known session is refused')
    t.equal(known.size, 600)
    t.comment(`${server.exchanges.length} exchanges; ${waited} first requests were told to come again`)
    if (forwardedFor) t.equal(waited, 0, 'no honest request is refused')
  })
}
