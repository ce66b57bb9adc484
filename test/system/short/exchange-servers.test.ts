import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type ExchangeOptions } from '../../../lib/index.js'
import { captureLog } from '../../fixtures/api.js'
import { createClock, useClock, type Clock } from '../../fixtures/clock.js'
import {
  startSessionServer, type Person, type SessionServer, type SessionServerOptions
} from '../../fixtures/exchange.js'
import { VIAS } from '../../fixtures/local-server.js'
import { VERSIONS } from '../../fixtures/oauth-packages.js'
import { openSqlite, type Sqlite } from '../../fixtures/sqlite.js'

type Headers = Record<string, string>

interface World { readonly server: SessionServer, readonly clock: Clock, readonly app: FastifyInstance }

async function setUp (t: Test, options: SessionServerOptions, exchange: ExchangeOptions = {}): Promise<World> {
  const clock = createClock(Date.now())
  useClock(t, clock)
  const server = await startSessionServer(t, options)
  const app = Fastify({ logger: captureLog().logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, {
    ...server.options, exchange: { timeout: 120_000, ...server.options.exchange, ...exchange }
  })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, principal }) => `${user.id} ${principal!.via}`)
  return { server, clock, app }
}

/** Whom the API sees and how, or the status of its response. */
async function ask ({ app }: World, headers: Headers): Promise<string | number> {
  const { statusCode, body } = await app.inject({ url: '/me', headers })
  return statusCode === 200 ? body : statusCode
}

const tokenOf = ({ token }: Person): Headers => ({ authorization: `Bearer ${token}` })

/**
 * Every way to use a session, and that none works for longer than `maxAge` after its end.
 *
 * @param signed - whether Better Auth accepts the signed token of the cookie as a bearer token: up to 1.4, it does not.
 */
async function useSessions (t: Test, world: World, signed = true): Promise<void> {
  const { server, clock } = world
  const [ada, bob] = [await server.signUp(), await server.signUp()]
  const waysOf = ({ id, token, cookie }: Person): Array<readonly [expected: string, headers: Headers]> => [
    [`${id} session-token`, { authorization: `Bearer ${token}` }],
    ...signed
      ? [[`${id} session-token`, { authorization: `Bearer ${decodeURIComponent(cookie.split('=')[1]!)}` }] as const]
      : [],
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
  t.equal(await ask(world, { 'x-api-key': `${headers['x-api-key'].slice(1)}x` }), 401, 'unknown')
}

for (const version of VERSIONS) {
  for (const via of VIAS) {
    t.test(`session tokens and session cookies of Better Auth ${version}, ${via}`, async t => {
      await useSessions(t, await setUp(t, { version, via }), !['1.3', '1.4'].includes(version))
    })
  }
}

for (const via of VIAS) {
  t.test(`a Better Auth server with its tables in SQLite, ${via}`, async t => {
    const start = async (t: Test): Promise<World & { sqlite: Sqlite }> => {
      const sqlite = await openSqlite(t.testdir())
      return { ...await setUp(t, { via, sqlite, apiKey: { rateLimit: { enabled: false } } }), sqlite }
    }

    t.test('sessions and keys', async t => {
      const world = await start(t)
      await useSessions(t, world)
      await useKey(t, world)
    })

    t.test('a database that fails', async t => {
      const world = await start(t)
      const { server, clock, sqlite } = world
      const ada = await server.signUp()
      let bob = await server.signUp()
      const key = { 'x-api-key': await server.createKey(ada) }
      for (const headers of [tokenOf(ada), key]) await ask(world, headers)
      const other = sqlite.connect()
      for (const [fault, fail, mend] of [
        ['locked', () => other.exec('begin exclusive'), () => other.exec('rollback')],
        [
          'without a table',
          () => sqlite.database.exec('alter table session rename to lost; alter table apikey rename to lost2'),
          () => sqlite.database.exec('alter table lost rename to session; alter table lost2 rename to apikey')
        ]
      ] as const) {
        fail()
        const direct = await fetch(`${server.origin}/api/auth/token`, { headers: tokenOf(ada) })
        t.equal(direct.status, 401, `${fault}: Better Auth itself says that there is no session`)
        for (const minutes of [1, 2, 14]) {
          clock.advance(60_000)
          t.equal(await ask(world, tokenOf(ada)), `${ada.id} session-token`, `${fault}: a known session keeps working`)
          t.equal(await ask(world, key), `${ada.id} api-key`)
          t.equal(await ask(world, tokenOf(bob)), 503, `${minutes}: another one has to wait`)
        }
        mend()
        clock.advance(60_000)
        // In the background, a request of a known session finds out that it is over.
        while (world.app.betterAuth.status().exchange!.lastError !== null) {
          await ask(world, tokenOf(ada))
          await turn()
        }
        for (const person of [ada, bob]) t.equal(await ask(world, tokenOf(person)), `${person.id} session-token`, fault)
        t.equal(await ask(world, key), `${ada.id} api-key`)
        bob = await server.signUp()
      }
      await server.signOut(ada)
      clock.advance(60_000)
      t.equal(await ask(world, tokenOf(ada)), 401, 'one that has ended is not taken for a failure')
      other.close()
    })
  })
}
