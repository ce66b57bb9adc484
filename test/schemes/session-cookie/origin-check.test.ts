import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type HTTPMethods } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions, type SessionCookieOptions } from '../../../lib/index.js'
import { bearer, captureLog, startApi, type LogCapture } from '../../fixtures/api.js'
import { startIssuer, USER } from '../../fixtures/test-issuer.js'

const APP = 'https://app.example.com'
const HOST = 'api.example.com'
const OWN = `http://${HOST}`
const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE'] as const
const REFUSAL = {
  statusCode: 403, code: 'FST_BETTER_AUTH_CSRF', error: 'Forbidden', message: 'Cross-site request refused'
}

interface Api {
  readonly app: FastifyInstance
  readonly log: LogCapture
  readonly cookie: string
  readonly token: string
  /** Sends the session cookie with whatever else there is. */
  send (method: HTTPMethods, headers?: Record<string, string>, url?: string): Promise<Sent>
}

interface Sent { status: number, body: unknown, headers: Record<string, unknown> }

async function createApi (
  t: Test,
  sessionCookie: SessionCookieOptions | true = { trustedOrigins: [APP] },
  server: FastifyServerOptions = {},
  options: BetterAuthOptions = {}
): Promise<Api> {
  const issuer = await startIssuer(t)
  const log = captureLog()
  const all = { authUrl: issuer.authUrl, sessionCookie, ...options }
  const app = await startApi(t, all, log, { ...server, forceCloseConnections: true })
  const method: HTTPMethods[] = ['GET', 'OPTIONS', 'TRACE', ...UNSAFE]
  app.route({ method, url: '/', onRequest: app.authenticate, handler: async ({ user }) => user.id })
  app.route({ method, url: '/maybe', onRequest: app.authenticateOptional, handler: async () => 'served' })
  app.route({ method, url: '/admin', onRequest: app.authorize({ check: () => true }), handler: async () => 'served' })

  const cookie = issuer.sessionCookie()
  return {
    app,
    log,
    cookie,
    token: issuer.token(),
    async send (method, headers = {}, url = '/') {
      const response = await app.inject({ method: method as 'GET', url, headers: { host: HOST, cookie, ...headers } })
      const isJson = String(response.headers['content-type']).startsWith('application/json')
      return { status: response.statusCode, body: isJson ? response.json() : response.body, headers: response.headers }
    }
  }
}

/** What a browser may say of where a request comes from, and whether that is trusted. */
const PLACES: Array<[headers: Record<string, string>, isTrusted: boolean]> = [
  [{ origin: OWN }, true],
  [{ origin: APP }, true],
  [{ origin: OWN, 'sec-fetch-site': 'same-origin' }, true],
  [{ origin: APP, 'sec-fetch-site': 'cross-site' }, true],
  [{ 'sec-fetch-site': 'same-origin' }, true],

  [{}, false],
  [{ origin: '' }, false],
  [{ origin: 'null' }, false],
  [{ origin: '*' }, false],
  [{ origin: 'undefined' }, false],
  [{ origin: 'https://evil.example.com' }, false],
  [{ origin: 'http://api.example.com:8080' }, false],
  [{ origin: 'http://api.example.com:80' }, false],
  [{ origin: 'https://api.example.com' }, false],
  [{ origin: 'http://app.example.com' }, false],
  [{ origin: 'https://app.example.com:8443' }, false],
  [{ origin: 'https://app.example.com.evil.com' }, false],
  [{ origin: 'https://evilapp.example.com' }, false],
  [{ origin: 'https://evil.app.example.com' }, false],
  [{ origin: 'https://app.example.co' }, false],
  [{ origin: 'https://example.com' }, false],
  [{ origin: 'https://appXexample.com' }, false],
  [{ origin: 'http://api.example.com.evil.com' }, false],
  [{ origin: 'http://evilapi.example.com' }, false],
  [{ origin: 'http://api.example.com@evil.com' }, false],
  [{ origin: 'http://evil.com/api.example.com' }, false],
  [{ origin: 'http://evil.com#http://api.example.com' }, false],
  [{ origin: 'HTTPS://APP.EXAMPLE.COM' }, false],
  [{ origin: 'https://App.example.com' }, false],
  [{ origin: `${APP}/` }, false],
  [{ origin: `${OWN}/` }, false],
  [{ origin: `${APP}/path` }, false],
  [{ origin: `${APP}.` }, false],
  [{ origin: `${APP} https://evil.example.com` }, false],
  [{ origin: `${APP}, https://evil.example.com` }, false],
  [{ origin: HOST }, false],
  [{ origin: '//api.example.com' }, false],
  [{ origin: 'app.example.com' }, false],
  [{ origin: 'null', 'sec-fetch-site': 'same-origin' }, false],
  [{ origin: '', 'sec-fetch-site': 'same-origin' }, false],
  [{ origin: 'https://evil.example.com', 'sec-fetch-site': 'same-origin' }, false],
  [{ 'sec-fetch-site': 'same-site' }, false],
  [{ 'sec-fetch-site': 'none' }, false],
  [{ 'sec-fetch-site': 'cross-site' }, false],
  [{ 'sec-fetch-site': '' }, false],
  [{ 'sec-fetch-site': 'Same-Origin' }, false],
  [{ 'sec-fetch-site': 'same-origin, cross-site' }, false],
  [{ 'sec-fetch-site': 'same-originx' }, false],
  [{ referer: `${OWN}/form` }, false],
  [{ referer: `${APP}/form`, 'sec-fetch-site': 'cross-site' }, false],
  [{ 'x-requested-with': 'XMLHttpRequest' }, false],
  [{ 'x-forwarded-host': 'evil.example.com', origin: 'http://evil.example.com' }, false],
  [{ 'x-forwarded-proto': 'https', origin: `https://${HOST}` }, false]
]

t.test('an unsafe request with the cookie must come from the API\'s own origin or a trusted one', async t => {
  const { send, log } = await createApi(t)
  for (const [headers, isTrusted] of PLACES) {
    for (const method of UNSAFE) {
      const what = `${method} ${JSON.stringify(headers)}`
      const before = log.refusals().length
      const { status, body, headers: answered } = await send(method, headers)
      const lines = log.refusals().slice(before)
      if (isTrusted) {
        t.equal(status, 200, what)
        t.equal(body, USER.id, what)
        t.strictSame(lines, [], what)
        continue
      }
      t.equal(status, 403, what)
      t.strictSame(body, REFUSAL, what)
      t.notOk('www-authenticate' in answered, what)
      t.equal(lines.length, 1, what)
      t.match(lines[0], { reason: 'origin_not_trusted', msg: 'request refused', level: 30 }, what)
    }
  }
})

t.test('so must a GET that asks for a WebSocket', async t => {
  const { app, send, cookie } = await createApi(t)
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ=='
  }
  for (const [headers, isTrusted] of PLACES) {
    const { status, body } = await send('GET', { ...upgrade, ...headers })
    t.equal(status, isTrusted ? 200 : 403, JSON.stringify(headers))
    if (!isTrusted) t.strictSame(body, REFUSAL)
  }
  for (const value of ['WebSocket', 'h2c', '']) {
    t.equal((await send('GET', { upgrade: value })).status, 403, `Upgrade: ${value}`)
  }

  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const [origin, status] of [
    [`http://127.0.0.1:${port}`, 200], [APP, 200], ['https://evil.example.com', 403], [`http://localhost:${port}`, 403]
  ] as const) {
    t.equal(await statusOver(
      port, 'GET', ['Cookie', cookie, 'Connection', 'Upgrade', 'Upgrade', 'websocket', 'Origin', origin]
    ), status, `over a socket from ${origin}`)
  }
})

t.test('two Origin headers are none that is trusted', async t => {
  const { app, cookie } = await createApi(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const common = ['Cookie', cookie, 'Connection', 'close', 'Content-Length', '0']
  t.equal(await statusOver(port, 'POST', [...common, 'Origin', APP]), 200)
  for (const [first, second] of [
    [APP, 'https://evil.example.com'], ['https://evil.example.com', APP], [APP, APP]
  ] as const) {
    t.equal(await statusOver(port, 'POST', [...common, 'Origin', first, 'Origin', second]), 403, `${first} ${second}`)
  }
  const sites = ['Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Site', 'cross-site']
  t.equal(await statusOver(port, 'POST', [...common, ...sites]), 403)
})

async function statusOver (port: number, method: string, headers: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: '127.0.0.1', port, method, path: '/', headers: ['Host', `127.0.0.1:${port}`, ...headers], agent: false
    }, response => {
      response.resume()
      resolve(response.statusCode!)
    })
    request.on('error', reject)
    request.end()
  })
}

t.test('the same holds for guards and for optional users', async t => {
  const { send } = await createApi(t)
  for (const url of ['/maybe', '/admin']) {
    t.match(await send('POST', {}, url), { status: 403, body: REFUSAL }, url)
    t.match(await send('POST', { origin: 'null' }, url), { status: 403, body: REFUSAL }, url)
    t.match(await send('POST', { origin: APP }, url), { status: 200 }, url)
  }
})

t.test('safe methods need no origin', async t => {
  const { send } = await createApi(t)
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE'] as const) {
    for (const headers of [
      {}, { origin: 'https://evil.example.com' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }
    ]) {
      t.equal(
        (await send(method, headers as Record<string, string>)).status, 200, `${method} ${JSON.stringify(headers)}`
      )
    }
  }
})

t.test('bearer tokens need no origin, with or without a cookie', async t => {
  const { app, send, token } = await createApi(t)
  for (const method of UNSAFE) {
    for (const headers of [
      {}, { origin: 'https://evil.example.com' }, { 'sec-fetch-site': 'cross-site' }, { upgrade: 'websocket' }
    ]) {
      t.equal(
        (await send(method, { ...headers, ...bearer(token) })).status, 200, `${method} ${JSON.stringify(headers)}`
      )
      t.equal((await app.inject({ method, url: '/', headers: { ...headers, ...bearer(token) } })).statusCode, 200)
    }
  }
})

t.test('a token that extractToken found is no cookie', async t => {
  const {
    send, token
  } = await createApi(t, true, {}, { extractToken: request => request.headers['x-token'] as string | undefined })
  t.equal((await send('POST', { 'x-token': token })).status, 200)
  t.equal((await send('POST')).status, 403)
})

t.test('without a cookie, or with a bad one, the response says nothing about origins', async t => {
  const { app, send } = await createApi(t)
  t.match((await app.inject({ method: 'POST', url: '/' })).json(), {
    statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING'
  })
  t.equal(
    (await app.inject({ method: 'POST', url: '/maybe' })).statusCode, 200,
    'an anonymous request has nothing that could be abused'
  )
  t.match(await send('POST', { cookie: 'better-auth.session_data=a.b.c' }), {
    status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
  })
})

t.test('is asked on each request, of a cookie that is remembered as well', async t => {
  const { send } = await createApi(t)
  for (const round of ['first', 'second', 'third']) {
    t.equal((await send('POST', { origin: APP })).status, 200, round)
    t.equal((await send('POST', { origin: 'https://evil.example.com' })).status, 403, round)
  }
})

t.test('comes before isRevoked', async t => {
  let asked = 0
  const { send } = await createApi(t, true, {}, { isRevoked: () => { asked++; return false } })
  t.equal((await send('POST')).status, 403)
  t.equal(asked, 0)
  t.equal((await send('POST', { origin: OWN })).status, 200)
  t.equal(asked, 1)
})

t.test('without trustedOrigins only the API itself is trusted', async t => {
  for (const sessionCookie of [true, {}, { trustedOrigins: [] }] as const) {
    const { send } = await createApi(t, sessionCookie)
    t.equal((await send('POST', { origin: OWN })).status, 200)
    t.equal((await send('POST', { origin: APP })).status, 403)
  }
})

t.test('several trusted origins, with ports and of another scheme', async t => {
  const trustedOrigins = [APP, 'http://localhost:5173', 'https://xn--bcher-kva.example', 'http://[::1]:3000']
  const { send } = await createApi(t, { trustedOrigins })
  for (const origin of trustedOrigins) t.equal((await send('POST', { origin })).status, 200, origin)
  for (const origin of [
    'http://localhost', 'http://localhost:5174', 'https://localhost:5173', 'https://bücher.example', 'http://[::1]'
  ]) {
    t.equal((await send('POST', { origin: Buffer.from(origin).toString('latin1') })).status, 403, origin)
  }
})

t.test('trusted origins that are changed after registration change nothing', async t => {
  const trustedOrigins = [APP]
  const { send } = await createApi(t, { trustedOrigins })
  trustedOrigins.push('https://evil.example.com')
  t.equal((await send('POST', { origin: 'https://evil.example.com' })).status, 403)
})

t.test('the API\'s own origin is its host with its port', async t => {
  const { send } = await createApi(t)
  for (const [host, origin, status] of [
    ['api.example.com:8080', 'http://api.example.com:8080', 200],
    ['api.example.com:8080', 'http://api.example.com', 403],
    ['api.example.com:8080', 'http://api.example.com:8081', 403],
    ['[::1]:3000', 'http://[::1]:3000', 200],
    ['other.example.com', OWN, 403]
  ] as const) {
    t.equal((await send('POST', { host, origin })).status, status, `${origin} at ${host}`)
  }
})

t.test('behind a proxy its own origin is what the proxy says, if it is trusted', async t => {
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'www.example.com' }
  const trusting = await createApi(t, true, { trustProxy: true })
  t.equal((await trusting.send('POST', { ...forwarded, origin: 'https://www.example.com' })).status, 200)
  t.equal((await trusting.send('POST', { 'x-forwarded-proto': 'https', origin: `https://${HOST}` })).status, 200)
  for (const origin of ['http://www.example.com', `https://${HOST}`, OWN, 'https://evil.example.com']) {
    t.equal((await trusting.send('POST', { ...forwarded, origin })).status, 403, origin)
  }

  const wary = await createApi(t)
  for (const origin of ['https://www.example.com', 'http://www.example.com', `https://${HOST}`]) {
    t.equal((await wary.send('POST', { ...forwarded, origin })).status, 403, `${origin}, without trustProxy`)
  }
  t.equal((await wary.send('POST', { ...forwarded, origin: OWN })).status, 200)
})

t.test('trustedOrigins that are no origins fail the boot', async t => {
  for (const origin of [
    'https://app.example.com/', 'https://app.example.com/path',
    'https://app.example.com?x', 'https://app.example.com#x',
    'HTTPS://app.example.com', 'https://App.example.com', 'https://app.example.com:443', 'http://app.example.com:80',
    'https://user@app.example.com', 'https://user:password@app.example.com', ' https://app.example.com',
    'https://app.example.com ', 'app.example.com', '//app.example.com', 'app.example.com:443', 'localhost:3000',
    'https://', 'https:app.example.com', 'https:\\\\app.example.com', 'https://*.example.com', 'https://*', '*', 'null',
    'undefined', '', 'file:///', 'data:,x', 'about:blank', 'javascript:0', 'https://bücher.example'
  ]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(
      async () => { await app.register(betterAuthPlugin, { sessionCookie: { trustedOrigins: [APP, origin] } }) },
      {
        code: 'FST_BETTER_AUTH_INVALID_OPTION',
        message: new RegExp([
          '^Option "sessionCookie\\.trustedOrigins" must be ',
          'an array of origins such as "https://app\\.example\\.com", got '
        ].join(''))
      },
      JSON.stringify(origin)
    )
  }
  for (const trustedOrigins of [
    APP, [1], [null], [[APP]], { 0: APP, length: 1 }, true, null, [new URL(APP)]
  ] as unknown[]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(
      async () => {
        await app.register(betterAuthPlugin, { sessionCookie: { trustedOrigins: trustedOrigins as string[] } })
      },
      { code: 'FST_BETTER_AUTH_INVALID_OPTION', message: /^Option "sessionCookie\.trustedOrigins" must be / },
      JSON.stringify(trustedOrigins)
    )
  }
})

t.test('an origin that looks like our own is refused when the browser reports another site', async t => {
  const { send } = await createApi(t)
  t.equal((await send('POST', { origin: OWN, 'sec-fetch-site': 'cross-site' })).status, 403)
  t.equal((await send('POST', { origin: OWN, 'sec-fetch-site': 'same-site' })).status, 403)
  t.equal((await send('POST', { origin: OWN, 'sec-fetch-site': 'same-origin' })).status, 200)
  t.equal(
    (await send('POST', { origin: APP, 'sec-fetch-site': 'cross-site' })).status,
    200,
    'a trusted one is of another site'
  )
})
