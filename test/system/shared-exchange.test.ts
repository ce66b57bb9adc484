import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions, type ExchangeOptions, type ExchangeStore } from '../../lib/index.js'
import { captureLog, startApi, type LogCapture } from '../fixtures/api.js'
import { startSessionServer, type Person } from '../fixtures/exchange.js'
import { createMemoryStore } from '../fixtures/exchange-store.js'
import { connectRedis, withoutRedis } from '../fixtures/redis.js'

const SECRET = 'a secret that is long enough for this'
const COUNT = 10
const sleep = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })

async function startStore (t: Test) {
  const { port, server, redis } = await connectRedis(t)
  const store: ExchangeStore = {
    get: key => redis.get(key),
    set: (key, value, ttl) => redis.set(key, value, { expiration: { type: 'PX', value: ttl } }),
    add: async (key, value, ttl) =>
      await redis.set(key, value, { condition: 'NX', expiration: { type: 'PX', value: ttl } }) === 'OK',
    delete: key => redis.del(key)
  }
  return { server, redis, store, port }
}

async function startFleet (
  t: Test, authUrl: string, exchange: ExchangeOptions, count = COUNT, log: LogCapture = captureLog()
): Promise<FastifyInstance[]> {
  const fleet: FastifyInstance[] = []
  for (let i = 0; i < count; i++) {
    const app = Fastify({ logger: log.logger })
    t.teardown(() => app.close())
    await app.register(betterAuthPlugin, { authUrl, exchange })
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user.id)
    await app.betterAuth.ready()
    fleet.push(app)
  }
  return fleet
}

const headersOf = ({ token }: Person) => ({ authorization: `Bearer ${token}` })

async function statusOf (app: FastifyInstance, person: Person): Promise<number> {
  return (await app.inject({ url: '/me', headers: headersOf(person) })).statusCode
}

t.setTimeout(120_000)

t.test('ten instances that share a store in Redis', { skip: withoutRedis }, async t => {
  const server = await startSessionServer(t)
  const { redis, store } = await startStore(t)

  t.test('300 requests with one session in one maxAge are one exchange', async t => {
    const fleet = await startFleet(t, server.origin, { shared: { store, secret: SECRET } })
    const ada = await server.signUp()
    const before = server.exchanges.length
    const statuses = await Promise.all(Array.from({ length: 300 }, (_, i) => statusOf(fleet[i % COUNT]!, ada)))
    t.strictSame(new Set(statuses), new Set([200]))
    t.equal(server.exchanges.length - before, 1)
    t.strictSame(await redis.keys('*:lease'), [])
  })

  t.test('so is each maxAge after it, and a sign-out ends all instances', async t => {
    const maxAge = 1500
    const fleet = await startFleet(t, server.origin, { maxAge, shared: { store, secret: SECRET } })
    const ada = await server.signUp()
    const before = server.exchanges.length
    const startedAt = Date.now()
    let count = 0
    while (Date.now() - startedAt < 4 * maxAge) {
      t.equal(await statusOf(fleet[count++ % COUNT]!, ada), 200)
      await sleep(4 * maxAge / 300)
    }
    const exchanges = server.exchanges.length - before
    // Each begins after 80 % of `maxAge`, in the background.
    t.ok(exchanges >= 4 && exchanges <= 6, `${exchanges} exchanges in 4 × maxAge, for ${count} requests`)
    t.comment(`${exchanges} exchanges in 4 × maxAge, for ${count} requests`)

    await server.signOut(ada)
    await sleep(maxAge)
    for (const app of fleet) t.equal(await statusOf(app, ada), 401)
    t.ok(server.exchanges.length - before - exchanges <= 2, 'the refusal is shared as well')
  })

  for (const [name, name2] of [['userId', 'id'], ['token', 'token']] as const) {
    t.test(`revoke() by ${name} on one instance ends shared results for those that do not hold it`, async t => {
      const fleet = await startFleet(t, server.origin, { shared: { store, secret: SECRET } }, 4)
      const ada = await server.signUp()
      const [first, second, third, ...others] = fleet
      for (const app of [first!, second!]) t.equal(await statusOf(app, ada), 200)
      await server.signOut(ada)
      t.equal(await statusOf(third!, ada), 200, 'the shared result counts for maxAge')
      await first!.betterAuth.revoke({ [name]: ada[name2] } as { userId: string })
      for (const app of [first!, ...others]) t.equal(await statusOf(app, ada), 401)
      t.equal(await statusOf(second!, ada), 200, 'it has the session in its memory, for maxAge')
    })
  }

  t.test('Redis shows neither a credential nor a JWT nor an id', async t => {
    const fleet = await startFleet(t, server.origin, { shared: { store, secret: SECRET } }, 1)
    const ada = await server.signUp()
    const key = await server.createKey(ada)
    const session = server.db.session!.find(({ token }) => token === ada.token)!
    const requests = [headersOf(ada), { cookie: ada.cookie }, { 'x-api-key': key }]
    for (const headers of requests) {
      t.equal((await fleet[0]!.inject({ url: '/me', headers })).statusCode, 200)
    }
    await fleet[0]!.betterAuth.revoke({ sessionId: String(session.id) })
    const { token: jwt } = await (await fetch(`${server.origin}/api/auth/token`, {
      headers: headersOf(ada)
    })).json() as { token: string }
    const keys = await redis.keys('*')
    const values = await Promise.all(keys.map(key => redis.get(key)))
    t.ok(keys.length >= 5)
    const all = keys.concat(values.map(String)).join('\n')
    const signature = decodeURIComponent(ada.cookie).split('.')[1]!
    for (const secret of [
      ada.token, ada.cookie, signature, key, ada.id, ada.email, String(session.id), SECRET, jwt.split('.')[0]!, 'eyJ'
    ]) {
      t.notOk(all.includes(secret), secret)
      t.notOk(all.includes(Buffer.from(secret).toString('base64url').slice(0, -2)) && secret !== 'eyJ', secret)
    }
  })
})

t.test('a shared JWT that does not pass here refuses nobody: a newer one decides', async t => {
  const server = await startSessionServer(t)
  const { store } = createMemoryStore({ now: Date.now })
  const exchange = { shared: { store, secret: SECRET } }
  const startOne = async (options: BetterAuthOptions = {}) => {
    const app = await startApi(t, { authUrl: server.origin, exchange, ...options })
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user.id)
    return app
  }
  const ada = await server.signUp()
  t.equal(await statusOf(await startOne(), ada), 200)
  t.equal(server.exchanges.length, 1)

  t.equal(await statusOf(await startOne({ jwksPath: '/nowhere' }), ada), 503)
  t.equal(server.exchanges.length, 1, 'a newer one would not help an instance without keys')

  server.db.jwks!.length = 0
  t.equal(await statusOf(await startOne(), ada), 200, 'the key of the first JWT was removed')
  t.equal(server.exchanges.length, 2)
  t.equal(await statusOf(await startOne(), ada), 200)
  t.equal(server.exchanges.length, 2, 'the newer one is shared')
})

t.test('without Redis, each instance exchanges by itself, and one line says so', { skip: withoutRedis }, async t => {
  const server = await startSessionServer(t)
  const { server: process_, store } = await startStore(t)
  const log = captureLog()
  const fleet = await startFleet(t, server.origin, { shared: { store, secret: SECRET } }, 3, log)
  const [ada, bob] = [await server.signUp(), await server.signUp()]
  for (const app of fleet) t.equal(await statusOf(app, ada), 200)
  const before = server.exchanges.length
  process.kill(process_.pid, 'SIGKILL')
  await process_.exit
  for (const app of fleet) {
    t.equal(await statusOf(app, ada), 200)
    t.equal(await statusOf(app, bob), 200)
  }
  t.equal(server.exchanges.length - before, 3)
  const warnings = log.lines.filter(({ level }) => level === 40)
  t.equal(warnings.length, 3, 'one for each instance')
  await t.rejects(fleet[0]!.betterAuth.revoke({ userId: bob.id }), { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' })
  t.match(await statusOf(fleet[0]!, bob), 200)
  t.equal(server.exchanges.length - before, 4, 'it has forgotten the session nevertheless')
})
