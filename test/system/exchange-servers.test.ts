import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type ExchangeOptions } from '../../lib/index.js'
import { captureLog, type LogCapture } from '../fixtures/api.js'
import { createClock, useClock, type Clock } from '../fixtures/clock.js'
import { startSessionServer, type Person, type SessionServer, type SessionServerOptions } from '../fixtures/exchange.js'
import { VERSIONS } from '../fixtures/oauth-packages.js'
import { openSqlite, type Sqlite } from '../fixtures/sqlite.js'

type Headers = Record<string, string>

interface World { readonly server: SessionServer, readonly clock: Clock, readonly app: FastifyInstance, log: LogCapture }

async function setUp (t: Test, options: SessionServerOptions, exchange: ExchangeOptions = {}): Promise<World> {
  const clock = createClock(Date.now())
  useClock(t, clock)
  const server = await startSessionServer(t, options)
  const log = captureLog()
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: server.origin, exchange: { timeout: 120_000, ...exchange } })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, principal }) => `${user.id} ${principal!.via}`)
  return { server, clock, app, log }
}

/** Whom the API sees and how, or the status of its response. */
async function ask ({ app }: World, headers: Headers): Promise<string | number> {
  const { statusCode, body } = await app.inject({ url: '/me', headers })
  return statusCode === 200 ? body : statusCode
}

const tokenOf = ({ token }: Person): Headers => ({ authorization: `Bearer ${token}` })

/** Every way to use a session, and that none works for longer than `maxAge` after its end. */
async function useSessions (t: Test, world: World): Promise<void> {
  const { server, clock } = world
  const [ada, bob] = [await server.signUp(), await server.signUp()]
  const waysOf = ({ id, token, cookie }: Person): Array<[expected: string, headers: Headers]> => [
    [`${id} session-token`, { authorization: `Bearer ${token}` }],
    [`${id} session-token`, { authorization: `Bearer ${decodeURIComponent(cookie.split('=')[1]!)}` }],
    [`${id} session-cookie`, { cookie }]
  ]
  for (const [expected, headers] of [...waysOf(ada), ...waysOf(bob)]) t.equal(await ask(world, headers), expected)
  await server.signOut(ada)
  server.ban(bob)
  clock.advance(60_000)
  for (const [, headers] of waysOf(ada)) t.equal(await ask(world, headers), 401, 'signed out')
  for (const [, headers] of waysOf(bob)) t.equal(await ask(world, headers), 403, 'banned')
  t.equal(await ask(world, { authorization: `Bearer ${'x'.repeat(32)}` }), 401, 'unknown')
}

/** The same for an API key. */
async function useKey (t: Test, world: World): Promise<void> {
  const { server, clock } = world
  const eve = await server.signUp()
  const headers = { 'x-api-key': await server.createKey(eve) }
  t.equal(await ask(world, headers), `${eve.id} api-key`)
  server.ban(eve)
  clock.advance(900_000)
  t.equal(await ask(world, headers), 403)
  t.equal(await ask(world, { 'x-api-key': `${headers['x-api-key'].slice(1)}x` }), 401)
}

for (const version of VERSIONS) {
  t.test(`session tokens and session cookies of Better Auth ${version}`, async t => {
    await useSessions(t, await setUp(t, { version }))
  })
}

t.test('a Better Auth server with its tables in SQLite', async t => {
  const start = async (t: Test): Promise<World & { sqlite: Sqlite }> => {
    const sqlite = await openSqlite(t.testdir())
    return { ...await setUp(t, { sqlite, apiKey: { rateLimit: { enabled: false } } }), sqlite }
  }

  t.test('sessions and keys', async t => {
    const world = await start(t)
    await useSessions(t, world)
    await useKey(t, world)
  })

  t.test('a database that fails', async t => {
    const world = await start(t)
    const { server, clock, sqlite } = world
    const [ada, bob] = [await server.signUp(), await server.signUp()]
    const key = { 'x-api-key': await server.createKey(ada) }
    for (const headers of [tokenOf(ada), key]) await ask(world, headers)
    const other = sqlite.connect()
    for (const [fault, fail, mend] of [
      ['locked', () => other.exec('begin exclusive'), () => other.exec('rollback')],
      ['without its tables', () => sqlite.database.exec('alter table session rename to lost'),
        () => sqlite.database.exec('alter table lost rename to session')]
    ] as const) {
      clock.advance(50_000)
      t.match(await ask(world, tokenOf(ada)), ada.id, fault)
      fail()
      console.log(fault, await ask(world, tokenOf(ada)), await ask(world, key))
      clock.advance(60_000)
      console.log(fault, await ask(world, tokenOf(ada)), await ask(world, tokenOf(bob)), await ask(world, key))
      mend()
      clock.advance(5000)
      console.log(fault, await ask(world, tokenOf(ada)), await ask(world, tokenOf(bob)), await ask(world, key))
      clock.advance(60000)
      console.log(fault, await ask(world, tokenOf(ada)), await ask(world, tokenOf(bob)), await ask(world, key))
    }
    other.close()
  })
})
