import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type HTTPMethods } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions, type SessionCookieOptions } from '../../../lib/index.js'
import { bearer, captureLog, startApi, type LogCapture } from '../../fixtures/api.js'
import { recordUnhandled } from '../../fixtures/rejections.js'
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
  [{ origin: 'http://api.example.com:80' }, true],
  [{ origin: 'HTTP://API.EXAMPLE.COM' }, true],
  [{ origin: 'HTTPS://APP.EXAMPLE.COM' }, true],
  [{ origin: 'https://App.example.com:443' }, true],
  // The browser reports that page and API have one origin: a proxy has dropped the port, or terminates TLS.
  [{ origin: 'http://api.example.com:8080', 'sec-fetch-site': 'same-origin' }, true],
  [{ origin: 'https://api.example.com:8443', 'sec-fetch-site': 'same-origin' }, true],
  [{ origin: 'https://api.example.com', 'sec-fetch-site': 'same-origin' }, true],

  [{}, false],
  [{ origin: '' }, false],
  [{ origin: 'null' }, false],
  [{ origin: '*' }, false],
  [{ origin: 'undefined' }, false],
  [{ origin: 'https://evil.example.com' }, false],
  [{ origin: 'http://api.example.com:8080' }, false],
  [{ origin: 'http://api.example.com:443' }, false],
  [{ origin: 'http://api.example.com:080' }, false],
  [{ origin: 'http://api.example.com:' }, false],
  [{ origin: 'http://api.example.com:8080', 'sec-fetch-site': 'same-site' }, false],
  [{ origin: 'https://api.example.com', 'sec-fetch-site': 'same-site' }, false],
  [{ origin: 'https://api.example.com', 'sec-fetch-site': 'cross-site' }, false],
  [{ origin: 'https://evil-api.example.com:8080', 'sec-fetch-site': 'same-origin' }, false],
  [{ origin: 'http://api.example.com.evil.com:8080', 'sec-fetch-site': 'same-origin' }, false],
  [{ origin: 'capacitor://api.example.com', 'sec-fetch-site': 'same-origin' }, false],
  [{ origin: 'capacitor://localhost' }, false],
  [{ origin: 'https://app.example.com@evil.com' }, false],
  [{ origin: 'https://evil.com@app.example.com' }, false],
  [{ origin: 'https://app.example.com:443@evil.com' }, false],
  [{ origin: 'https://evil.com#.app.example.com' }, false],
  [{ origin: 'https://evil.com?app.example.com' }, false],
  [{ origin: 'https://evil.com\\app.example.com' }, false],
  [{ origin: 'https:\\\\app.example.com' }, false],
  [{ origin: 'https:/app.example.com' }, false],
  [{ origin: 'https:app.example.com' }, false],
  [{ origin: 'https:///app.example.com' }, false],
  [{ origin: 'https://app.example.com%00.evil.com' }, false],
  [{ origin: 'https://app%2eexample.com' }, false],
  [{ origin: 'https://app.example.com\tx' }, false],
  [{ origin: 'https://\u00e4pp.example.com' }, false],
  [{ origin: 'https://app.example.com\u00a0' }, false],
  [{ origin: 'https://.app.example.com' }, false],
  [{ origin: 'https://app..example.com' }, false],
  [{ origin: 'https://' }, false],
  [{ origin: 'NULL' }, false],
  [{ origin: `https://${'a'.repeat(8000)}.app.example.com` }, false],
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
      const origin = headers.origin?.slice(0, 300).replace(/\/\/.*@/, '//***@') ?? null
      t.strictSame([lines[0]!.origin, lines[0]!.site], [origin, headers['sec-fetch-site'] ?? null], what)
      t.strictSame(lines[0]!.expected, [OWN, APP], what)
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
    ['API.Example.com:80', OWN, 200],
    ['api.example.com', 'http://API.example.com:80', 200],
    ['', 'http://', 403],
    ['api example.com', 'http://api example.com', 403],
    ['evil.com#', 'http://evil.com#', 403],
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

  for (const trustProxy of ['10.0.0.1', 1, () => false] as string[]) {
    const { send } = await createApi(t, true, { trustProxy })
    t.equal((await send('POST', { ...forwarded, origin: 'https://www.example.com' })).status, 403, 'not from anyone')
    t.equal((await send('POST', { ...forwarded, origin: OWN })).status, 200)
  }

  const wary = await createApi(t)
  for (const origin of ['https://www.example.com', 'http://www.example.com', `https://${HOST}`]) {
    t.equal((await wary.send('POST', { ...forwarded, origin })).status, 403, `${origin}, without trustProxy`)
  }
  t.equal((await wary.send('POST', { ...forwarded, origin: OWN })).status, 200)
})

t.test('the pages of an app, and origins by pattern', async t => {
  const EXTENSION = `chrome-extension://${'abcdefghijklmnop'.repeat(2)}`
  const { send } = await createApi(t, {
    trustedOrigins: [
      'capacitor://localhost', 'ionic://localhost', 'tauri://localhost', EXTENSION, 'exp://192.168.0.7:8081', 'shop://',
      'https://*.example.com', 'https://preview-*.shop.example', 'https://**.example.net', 'http://localhost:*',
      'https://*.*.example.org:8443', 'http://*.localhost:3000'
    ]
  })
  for (const origin of [
    'capacitor://localhost', 'ionic://localhost', 'tauri://localhost', EXTENSION, 'exp://192.168.0.7:8081', 'shop://',
    'https://app.example.com', 'https://APP.example.com:443', 'https://x_1-y.example.com',
    'https://preview-42.shop.example', 'https://a.example.net', 'https://a.b.c.example.net',
    'http://localhost', 'http://localhost:80', 'http://localhost:5173', 'https://a.b.example.org:8443',
    'http://shop.localhost:3000'
  ]) {
    t.equal((await send('POST', { origin })).status, 200, origin)
  }
  for (const origin of [
    'capacitor://localhost:3000', 'capacitor://localhost/', 'capacitor://localhos', 'capacitor://',
    'xcapacitor://localhost',
    'chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba', 'exp://192.168.0.7', 'exp://192.168.0.8:8081', 'shop://evil',
    'https://example.com', 'https://.example.com', 'https://a.b.example.com', 'http://app.example.com',
    'https://app.example.com:8443', 'https://app.example.com.evil.com', 'https://evil.com#.example.com',
    'https://evil.com?.example.com', 'https://evil.com/.example.com', 'https://evil.com\\.example.com',
    'https://evil.com@a.example.com', 'https://a@b.example.com', 'https://appXexample.com',
    'https://evil.com%23.example.com',
    'https://*.example.com', 'https://\u00e4.example.com', 'https://a.example.com.', 'https://evilexample.com',
    'https://preview-.shop.example', 'https://preview-1.evil.shop.example', 'https://xpreview-1.shop.example',
    'https://example.net', 'https://evilexample.net', 'https://a..example.net', 'http://a.example.net',
    'https://localhost:5173', 'http://localhost:', 'http://localhost:123456', 'http://localhost.evil.com:5173',
    'http://evil.localhost', 'https://b.example.org:8443', 'https://a.b.c.example.org:8443', 'https://a.b.example.org'
  ]) {
    t.equal((await send('POST', { origin })).status, 403, origin)
  }
})

t.test('a function decides, and only about what a browser can send', async t => {
  const asked: unknown[] = []
  const { send, log } = await createApi(t, {
    trustedOrigins: (origin, request) => {
      asked.push(origin)
      if (origin === undefined) return request.headers['x-client'] === 'shop-app'
      return origin.endsWith('.example.com')
    }
  })
  for (const [headers, status, origins] of [
    [{ origin: 'https://App.Example.com:443' }, 200, ['https://app.example.com']],
    [{ origin: 'https://evil.com' }, 403, ['https://evil.com']],
    [{ 'x-client': 'shop-app' }, 200, [undefined]],
    [{ 'sec-fetch-site': 'same-site' }, 403, [undefined]],
    [{}, 403, [undefined]],
    [{ origin: OWN }, 200, []],
    [{ 'sec-fetch-site': 'same-origin' }, 200, []],
    [{ origin: 'null', 'x-client': 'shop-app' }, 403, []],
    [{ origin: '', 'x-client': 'shop-app' }, 403, []],
    [{ origin: 'https://evil.com#.example.com' }, 403, []],
    [{ origin: 'https://evil.com\\.example.com' }, 403, []],
    [{ origin: 'https://evil.com/.example.com' }, 403, []],
    [{ origin: 'https://a@.example.com' }, 403, []]
  ] as Array<[Record<string, string>, number, unknown[]]>) {
    t.equal((await send('POST', headers)).status, status, JSON.stringify(headers))
    t.strictSame(asked.splice(0), origins, JSON.stringify(headers))
  }
  t.strictSame(log.refusals().at(-1)!.expected, [OWN], 'no list is known')
  t.equal((await send('GET', { origin: 'https://evil.com' })).status, 200)
  t.strictSame(asked, [], 'a safe request asks nobody')
})

t.test('a function that does not return true trusts nobody', async t => {
  const broken = new Error('broken')
  const unhandled = recordUnhandled(t)
  for (const trust of [
    () => 'true', () => 1, () => {}, () => null, async () => true, async () => { throw broken }, () => { throw broken }
  ] as Array<() => unknown>) {
    const { send, log } = await createApi(t, { trustedOrigins: trust as () => boolean })
    t.match(await send('POST', { origin: APP }), { status: 403, body: REFUSAL }, String(trust))
    t.match(await send('POST'), { status: 403, body: REFUSAL }, String(trust))
    t.match(log.refusals(), [{ reason: 'origin_not_trusted' }, { reason: 'origin_not_trusted' }])
    if (/^\(\) => \{\s*throw/.test(String(trust))) t.match(log.refusals()[0]!.err, { message: 'broken' })
  }
  t.strictSame(unhandled, [])
})

t.test('trustedOrigins that are no origins fail the boot, and the error says why', async t => {
  for (const [origin, problem] of [
    ['https://app.example.com/', 'ends with a slash'],
    ['capacitor://localhost/', 'ends with a slash'],
    ['https://*.example.com/', 'ends with a slash'],
    ['file:///', 'no browser sends: the origin of a file is null'],
    ['https://app.example.com/path', 'has a path'],
    ['exp://192.168.*.*:*/**', 'has a path'],
    ['https://app.example.com?x', 'has a query or a fragment'],
    ['https://app.example.com#x', 'has a query or a fragment'],
    ['https://preview-?.example.com', 'has a query or a fragment'],
    ['https://user@app.example.com', 'has credentials'],
    ['https://user:hunter2@app.example.com', 'has credentials'],
    [' https://app.example.com', 'has a character that no origin has'],
    ['https://app.example.com\n', 'has a character that no origin has'],
    ['https://bücher.example', 'no browser sends: it sends https://xn--bcher-kva.example'],
    ['http://127.1', 'no browser sends: it sends http://127.0.0.1'],
    ['http://[0:0::1]:3000', 'no browser sends: it sends http://[::1]:3000'],
    ['https://app.example.com:99999', 'no browser sends: it sends nothing'],
    ['app.example.com', 'has no scheme'],
    ['*.example.com', 'has no scheme'],
    ['*', 'has no scheme'],
    ['//app.example.com', 'has no scheme'],
    ['localhost:3000', 'has no scheme'],
    ['https:app.example.com', 'has no scheme'],
    ['https:\\\\app.example.com', 'has no scheme'],
    ['undefined', 'has no scheme'],
    ['about:blank', 'has no scheme'],
    ['', 'has no scheme'],
    ['null', 'is what every sandboxed page sends'],
    ['https://', 'is not an origin such as'],
    ['https://app.example.com:', 'is not an origin such as'],
    ['https://[::1', 'is not an origin such as'],
    ['chrome-extension://<id>', 'is not an origin such as'],
    [`https://${'a'.repeat(400)}.com`, 'is not an origin such as'],
    ['*://app.example.com', 'trusts too much: a scheme cannot have a wildcard'],
    ['http*://app.example.com', 'trusts too much: a scheme cannot have a wildcard'],
    ['chrome-extension://*', 'has a wildcard: only origins with http or https can have one'],
    ['https://*', 'trusts too much'],
    ['https://**', 'trusts too much'],
    ['https://*:3000', 'trusts too much'],
    ['https://*.com', 'trusts too much'],
    ['https://**.com', 'trusts too much'],
    ['https://example.*', 'trusts too much'],
    ['https://ex*mple.com', 'trusts too much'],
    ['https://*.*', 'trusts too much'],
    ['http://192.168.0.*', 'trusts too much'],
    ['http://*.168.0.1', 'trusts too much'],
    ['https://a.**.example.com', 'is not a pattern such as'],
    ['https://a*b*.example.com', 'is not a pattern such as'],
    ['https://.*.example.com', 'is not a pattern such as'],
    ['https://*.example.com:8*', 'is not a pattern such as']
  ] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    const error = await app.register(betterAuthPlugin, { sessionCookie: { trustedOrigins: [APP, origin] } }).then(
      () => t.fail(origin) as never, (error: Error & { code: string }) => error
    )
    t.equal(error.code, 'FST_BETTER_AUTH_INVALID_OPTION')
    const shown = inspect(origin.slice(0, 300).replace(/user.*@/, '***@'))
    t.ok(error.message.startsWith(
      `Option "sessionCookie.trustedOrigins" contains ${shown}, which ${problem}`
    ), error.message)
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
      {
        code: 'FST_BETTER_AUTH_INVALID_OPTION',
        message: /^Option "sessionCookie\.trustedOrigins" must be an array of origins such as .*, or a function, got /
      },
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

t.test('a Host header that is no host makes no origin its own', async t => {
  const { send, log } = await createApi(t, true)
  for (const host of ['api.example.com/x', 'a b', 'user@api.example.com', 'api.example.com#']) {
    t.match(await send('POST', { host, origin: `http://${host}` }), { status: 403, body: REFUSAL }, host)
    t.match(await send('POST', { host, origin: OWN }), { status: 403, body: REFUSAL }, host)
    const headers = { host, origin: OWN, 'sec-fetch-site': 'same-origin' }
    t.match(await send('POST', headers), { status: 403, body: REFUSAL }, host)
    t.equal(log.refusals().at(-1)!.err, undefined, 'and causes no error')
  }
  const ipv6 = { host: '[::1]', origin: 'http://[::1]:3000', 'sec-fetch-site': 'same-origin' }
  t.equal((await send('POST', ipv6)).status, 200, 'an IPv6 address is one')
  t.equal((await send('POST', { ...ipv6, host: '[::2]' })).status, 403)
})
