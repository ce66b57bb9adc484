import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { EnvHttpProxyAgent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import type { JwksOptions } from '../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS } from '../fixtures/api.js'
import { BLOCKS } from '../fixtures/docs.js'
import { startForwardProxy, type ForwardProxy } from '../fixtures/forward-proxy.js'
import { copyProject, get, start } from '../fixtures/program.js'
import { chunked, head, pour, startRawServer } from '../fixtures/raw-server.js'
import { startIssuer, USER } from '../fixtures/test-issuer.js'

t.setTimeout(120_000)

/** A host that only the proxy knows: a request that goes around the proxy fails with `ENOTFOUND`. */
const HOST = 'auth.test'
const PATH = '/api/auth/jwks'
const PASSWORD = 'open-sesame'

// The global dispatcher of undici 6 is that of `fetch` in Node.js 20 to 24. The one of Node.js 26 needs undici 7.
const withoutUndici = Number.parseInt(process.versions.undici!) < 8 ? false : 'undici 6 is too old for this Node.js'
const withoutEnv = process.allowedNodeEnvironmentFlags.has('--use-env-proxy')
  ? false
  : 'this Node.js does not know NODE_USE_ENV_PROXY'

const outside = (url: string): string => `http://${HOST}:${new URL(url).port}`

/** Makes a proxy the one of all requests of this process, as the documentation shows it. */
async function useProxy (t: Test, noProxy = ''): Promise<ForwardProxy> {
  const proxy = await startForwardProxy(t)
  const before = getGlobalDispatcher()
  const agent = new EnvHttpProxyAgent({ httpProxy: proxy.url.replace('//', `//name:${PASSWORD}@`), noProxy })
  setGlobalDispatcher(agent)
  t.teardown(async () => {
    setGlobalDispatcher(before)
    await agent.destroy()
  })
  return proxy
}

/** An API, and the status of its response to this token. */
async function setUp (t: Test, authUrl: string, jwks: JwksOptions = {}) {
  const log = captureLog()
  const app = await startApi(t, { authUrl, jwksPath: PATH, issuer: false, audience: false, jwks }, log)
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  const me = (token: string) => TRANSPORTS.inject(app, { url: '/me', headers: bearer(token) })
  return { app, log, me }
}

t.test('with the global dispatcher of undici', { skip: withoutUndici }, async t => {
  t.test('the JWKS is fetched through the proxy', async t => {
    const issuer = await startIssuer(t)
    const proxy = await useProxy(t)
    const { app, log, me } = await setUp(t, outside(issuer.authUrl))
    const { status, body } = await me(issuer.token())
    t.equal(status, 200)
    t.match(JSON.parse(body), USER)
    t.strictSame(proxy.requests, [`CONNECT ${new URL(outside(issuer.authUrl)).host}`], 'once, in a tunnel')
    t.strictSame(proxy.passwords, [`Basic ${Buffer.from(`name:${PASSWORD}`).toString('base64')}`])
    t.equal((await me(issuer.token({ id: 'grace' }))).status, 200)
    t.equal(proxy.requests.length, 1, 'and no token goes there')
    t.equal(app.betterAuth.status().lastError, null)
    t.notMatch(JSON.stringify(log.lines), PASSWORD)
  })

  t.test('a host of NO_PROXY is reached without it', async t => {
    const issuer = await startIssuer(t)
    const proxy = await useProxy(t, '127.0.0.1')
    const { me } = await setUp(t, issuer.authUrl)
    t.equal((await me(issuer.token())).status, 200)
    t.strictSame(proxy.requests, [])
  })

  for (const [refusal, lastError] of [[407, 'network'], [502, 'network'], ['hang', 'timeout']] as const) {
    t.test(`a proxy that responds with ${refusal} is an outage`, async t => {
      const issuer = await startIssuer(t)
      const proxy = await useProxy(t)
      proxy.refusal = refusal
      const { app, log, me } = await setUp(t, outside(issuer.authUrl), { timeout: 1000 })
      const { status, headers, body } = await me(issuer.token())
      t.equal(status, 503)
      t.match(headers, { 'retry-after': /^\d+$/ })
      t.match(JSON.parse(body), { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', message: 'Auth service unreachable' })
      t.equal(app.betterAuth.status().lastError, lastError)
      t.equal(proxy.requests.length, 1)
      t.notMatch(JSON.stringify([log.lines, body]), new RegExp(`${PASSWORD}|refused by the proxy`))
    })

    t.test(`known keys outlive a proxy that responds with ${refusal}`, async t => {
      const issuer = await startIssuer(t)
      const proxy = await useProxy(t)
      // The keys are due at once.
      const jwks = { timeout: 1000, maxAge: 0, staleWhileRevalidate: 0 }
      const { app, me } = await setUp(t, outside(issuer.authUrl), jwks)
      await app.betterAuth.ready()
      proxy.refusal = refusal
      t.equal((await me(issuer.token())).status, 200)
      t.equal(proxy.requests.length, 2)
      t.equal(app.betterAuth.status().lastError, lastError)
    })
  }

  const JUNK = Buffer.alloc(65_536, 'junk')
  const poured = (start: string, bytes: Buffer) => (socket: Socket) => { socket.write(start); pour(socket, bytes) }
  const RESPONSES = {
    'an endless body': ['too_large', poured(head(200), JUNK)],
    'an endless body in chunks': [
      'too_large', poured(head(200, { 'transfer-encoding': 'chunked' }), chunked(JUNK, 4096))
    ],
    'a compressed endless body': ['encoded', poured(head(200, { 'content-encoding': 'gzip' }), JUNK)],
    'an endless body of an error': ['http_5xx', poured(head(500), JUNK)]
  } as const
  for (const [name, [lastError, respond]] of Object.entries(RESPONSES)) {
    t.test(`${name} is cut`, async t => {
      const sockets: Socket[] = []
      const server = await startRawServer(t, socket => { respond(socket); sockets.push(socket) })
      const proxy = await useProxy(t)
      const { app } = await setUp(t, outside(server.origin))
      await t.rejects(app.betterAuth.ready(), { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
      t.equal(app.betterAuth.status().lastError, lastError)
      t.match(proxy.requests, [/^CONNECT /])
      await server.allClosed()
      t.equal(server.requests.length, 1)
      // What was on its way in the buffers of four sockets comes on top of the 1 MB that is read.
      t.ok(sockets[0]!.bytesWritten < 32 * 2 ** 20, `${sockets[0]!.bytesWritten} bytes were sent`)
    })
  }
})

t.test('with NODE_USE_ENV_PROXY, the quick start fetches the JWKS through the proxy', { skip: withoutEnv }, async t => {
  const issuer = await startIssuer(t)
  const proxy = await startForwardProxy(t)
  const authUrl = outside(issuer.authUrl)
  const { code } = BLOCKS.find(({ code }) => code.startsWith('// api.mjs: '))!
  const folder = copyProject({ testdir: () => t.testdir({ 'api.mjs': code }) })
  const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy.url, BETTER_AUTH_URL: authUrl, PORT: '0' }
  const api = start(t, folder, [process.execPath, 'api.mjs'], env)
  await api.printed('Server listening at')
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(api.stdout)!
  const token = issuer.token({ iss: authUrl, aud: authUrl })
  t.match(await get(`${url}/me`, token), { status: 200, body: USER })
  t.match(proxy.requests[0], new RegExp(`^(?:CONNECT |GET http://)${HOST}:`))
})
