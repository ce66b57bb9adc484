import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type JwksOptions } from '../../../lib/index.js'
import { fetchToken, startAuthServer, type AuthServer } from '../../fixtures/auth-server.js'
import { VIAS, type Via } from '../../fixtures/local-server.js'

/** Real Better Auth servers, real keys: only their clocks and tables are moved by hand. */

/** The same test over both transports. */
function test (title: string, run: (t: Test, via: Via) => Promise<unknown>): void {
  for (const via of VIAS) t.test(`${title}, ${via}`, t => run(t, via))
}

async function startApi (t: Test, auth: AuthServer, via: Via, jwks: JwksOptions = {}) {
  const app = Fastify()
  const where = via === 'in process' ? { auth: auth.instance, mount: false } : { authUrl: auth.origin }
  await app.register(betterAuthPlugin, { ...where, jwks })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  t.teardown(() => app.close())
  const status = async (token: string) =>
    (await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })).statusCode
  return { app, status }
}

async function startAuth (t: Test, options: Parameters<typeof startAuthServer>[0] = {}): Promise<AuthServer> {
  const auth = await startAuthServer({ jwt: { jwks: { rotationInterval: 3600 } }, ...options })
  t.teardown(() => auth.close())
  return auth
}

/** Better Auth mints a new key at the first signing after the newest one has expired. */
function expireKeys (auth: AuthServer): void {
  for (const key of auth.db.jwks!) key.expiresAt = new Date(Date.now() - 1000)
}

const kidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
const jwksHits = (auth: AuthServer) => auth.hits.get('/api/auth/jwks') ?? 0

test('a rotated key is accepted at once, after one fetch, and the old one keeps working', async (t, via) => {
  const auth = await startAuth(t)
  const { app, status } = await startApi(t, auth, via)
  const { token: before, cookie } = await auth.signUp()
  t.equal(await status(before), 200)
  const hits = jwksHits(auth)

  expireKeys(auth)
  const after = await fetchToken(auth.origin, cookie)
  t.not(kidOf(after), kidOf(before))
  t.equal(await status(after), 200)
  t.equal(jwksHits(auth), hits + 1)
  t.equal(await status(before), 200)
  t.equal(await status(after), 200)
  t.equal(jwksHits(auth), hits + 1)
  t.same(app.betterAuth.status().keys.map(({ kid }) => kid).sort(), [kidOf(before), kidOf(after)].sort())
})

test('a key deleted from the database ends after maxAge + staleWhileRevalidate, with its tokens', async (t, via) => {
  const auth = await startAuth(t)
  const { status } = await startApi(t, auth, via, { maxAge: 50, staleWhileRevalidate: 50 })
  const { token: before, cookie } = await auth.signUp()
  expireKeys(auth)
  const after = await fetchToken(auth.origin, cookie)
  t.equal(await status(before), 200)
  t.equal(await status(after), 200)

  auth.db.jwks = auth.db.jwks!.filter(key => key.id !== kidOf(before))
  const deletedAt = Date.now()
  while (Date.now() - deletedAt <= 100) await new Promise(resolve => { setImmediate(resolve) })
  t.equal(await status(before), 401)
  t.equal(await status(after), 200)
})

test('the auth server is stopped and started again under load: every response is 200', async (t, via) => {
  const auth = await startAuth(t)
  const { app } = await startApi(t, auth, via, { maxAge: 20, staleWhileRevalidate: 20, timeout: 500 })
  const { token } = await auth.signUp()
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const answers = new Map<number, number>()
  const stop = new AbortController()
  const load = Array.from({ length: 8 }, async () => {
    while (!stop.signal.aborted) {
      const response = await fetch(`${address}/me`, { headers: { authorization: `Bearer ${token}` } })
      await response.arrayBuffer()
      answers.set(response.status, (answers.get(response.status) ?? 0) + 1)
    }
  })

  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise(resolve => { setTimeout(resolve, 5) })
  }
  await until(() => answers.has(200))
  await auth.close()
  await until(() => app.betterAuth.status().lastError !== null)
  await auth.reopen()
  await until(() => app.betterAuth.status().lastError === null)
  stop.abort()
  await Promise.all(load)
  t.same([...answers.keys()], [200])
})

test('an API that starts while its auth server is down responds with 503, and with 200 later', async (t, via) => {
  const auth = await startAuth(t)
  const { token } = await auth.signUp()
  await auth.close()
  const { app, status } = await startApi(t, auth, via)
  t.equal(await status(token), 503)
  await auth.reopen()
  const nextTryAt = Date.parse(app.betterAuth.status().nextTryAt!)
  while (Date.now() <= nextTryAt) await new Promise(resolve => { setTimeout(resolve, 5) })
  t.equal(await status(token), 200)
})
