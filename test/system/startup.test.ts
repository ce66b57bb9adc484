import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { bearer, startApi, TRANSPORTS } from '../fixtures/api.js'
import { startJwks, type JwksServer } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEYS = [createSigningKey('EdDSA', 'a'), createSigningKey('ES256', 'b'), createSigningKey('RS256', 'c')]

async function setUp (t: Test) {
  const server = await startJwks(t, ...KEYS)
  const app = await startApi(t, { authUrl: server.origin })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  const knowsAll = async (call: typeof TRANSPORTS.inject) => {
    for (const key of KEYS) {
      const token = signJws(key, createClaims(server.origin))
      t.equal((await call(app, { url: '/me', headers: bearer(token) })).status, 200, `a token of ${key.kid}`)
    }
    t.match(app.betterAuth.status().keys, KEYS.map(({ kid, alg }) => ({ kid, alg })))
  }
  return { server, app, knowsAll }
}

async function stop (server: JwksServer): Promise<void> {
  await server.stop()
  server.hits = 0
}

t.test('an API that has listened for a moment accepts every published key while the auth server is down', async t => {
  const { server, app, knowsAll } = await setUp(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  while (app.betterAuth.jwksUrl === null) await turn()
  t.equal(server.hits, 1, 'by one request')
  await stop(server)
  await knowsAll(TRANSPORTS.socket)
  t.equal(server.hits, 0)
  t.equal(app.betterAuth.status().lastError, null)
})

t.test('so does an API that never listens, after ready()', async t => {
  const { server, app, knowsAll } = await setUp(t)
  await app.betterAuth.ready()
  t.equal(server.hits, 1, 'by one request')
  await stop(server)
  await knowsAll(TRANSPORTS.inject)
})

t.test('so does an API after its first request, whatever key that had', async t => {
  const { server, app, knowsAll } = await setUp(t)
  const token = signJws(KEYS[1]!, createClaims(server.origin))
  t.equal((await TRANSPORTS.inject(app, { url: '/me', headers: bearer(token) })).status, 200)
  await stop(server)
  await knowsAll(TRANSPORTS.inject)
})
