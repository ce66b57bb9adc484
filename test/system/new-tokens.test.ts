import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createTestIssuer, type TestIssuer } from '../../lib/testing/index.js'
import { bearer, startApi } from '../fixtures/api.js'

const MANY = 200

/** An API whose auth server signs new tokens, with the keys already known. */
async function setUp (t: Test) {
  const issuer = await createTestIssuer()
  t.teardown(() => issuer.close())
  const app = await startApi(t, { authUrl: issuer.authUrl })
  const newTokens = (count: number, claims = {}) => Array.from({ length: count }, () => tokenOf(issuer, claims))
  return { issuer, app, newTokens }
}

const tokenOf = (issuer: TestIssuer, claims = {}) => issuer.token({ jti: randomUUID(), ...claims })

t.test('many new tokens at once: each request gets the user of its own token', async t => {
  const { app, issuer } = await setUp(t)
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user!.id)
  const ids = Array.from({ length: MANY }, () => randomUUID())
  const responses = await Promise.all(ids.map(async id => (
    app.inject({ url: '/me', headers: bearer(tokenOf(issuer, { id, sub: id })) })
  )))
  t.strictSame(responses.map(({ body }) => body), ids)
})

t.test('forged and good tokens at once: no verdict reaches another request', async t => {
  const { app, newTokens } = await setUp(t)
  app.get('/me', { onRequest: [app.authenticate] }, async () => 'in')
  const tokens = newTokens(MANY)
    .map((token, i) => i % 2 === 0 ? token : `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(85)}A`)
  const statuses = await Promise.all(tokens.map(async token => (
    (await app.inject({ url: '/me', headers: bearer(token) })).statusCode
  )))
  t.strictSame(statuses, tokens.map((_, i) => i % 2 === 0 ? 200 : 401))
})

t.test('AsyncLocalStorage: each request keeps its own context, with one token for all and with many', async t => {
  const { app, newTokens } = await setUp(t)
  const storage = new AsyncLocalStorage<string>()
  app.addHook('onRequest', (request, _reply, done) => { storage.run(request.headers['x-id'] as string, done) })
  app.get('/me', { onRequest: [app.authenticate] }, async () => storage.getStore())
  for (const tokens of [newTokens(MANY), Array<string>(MANY).fill(newTokens(1)[0]!)]) {
    const bodies = await Promise.all(tokens.map(async (token, i) => (
      (await app.inject({ url: '/me', headers: { ...bearer(token), 'x-id': `${i}` } })).body
    )))
    t.strictSame(bodies, tokens.map((_, i) => `${i}`))
  }
})

t.test('clients that go away during the check leave nothing behind', async t => {
  const { app, newTokens } = await setUp(t)
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user!.id)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const rejections: unknown[] = []
  const onRejection = (reason: unknown) => { rejections.push(reason) }
  process.on('unhandledRejection', onRejection)
  t.teardown(() => { process.off('unhandledRejection', onRejection) })

  const before = process.getActiveResourcesInfo().length
  await Promise.all(newTokens(MANY).map(async token => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`GET /me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`)
    await turn()
    socket.resetAndDestroy()
    await once(socket, 'close')
  }))
  const [token] = newTokens(1)
  t.equal((await app.inject({ url: '/me', headers: bearer(token!) })).statusCode, 200)
  while (process.getActiveResourcesInfo().length > before) await turn()
  t.strictSame(rejections, [])
})

t.test('in a flood of forged tokens, a new key is still fetched, and warm and open routes answer', async t => {
  const { app, issuer, newTokens } = await setUp(t)
  app.get('/me', { onRequest: [app.authenticate] }, async () => 'in')
  app.get('/open', async () => 'open')
  const [warm, forgeable] = newTokens(2)
  const call = async (url: string, token: string) => (await app.inject({ url, headers: bearer(token) })).statusCode
  t.equal(await call('/me', warm!), 200)
  const head = forgeable!.slice(0, forgeable!.lastIndexOf('.'))

  let refused = 0
  const flood = Promise.all(Array.from({ length: 3000 }, async (_, i) => {
    const signature = `${`${i}`.padStart(8, 'A')}${'A'.repeat(78)}`
    t.equal(await call('/me', `${head}.${signature}`), 401)
    refused++
  }))
  await turn()
  t.equal(await call('/open', warm!), 200)
  t.equal(await call('/me', warm!), 200)
  t.ok(refused < 3000, `after ${refused} of the forged tokens`)
  await issuer.rotate()
  t.equal(await call('/me', tokenOf(issuer)), 200)
  await flood
})
