import t from 'tap'
import { fetchJwks } from '../../lib/auth-server/fetch-jwks.js'
import { createInProcessTransport, isResponse, type LocalServer } from '../../lib/auth-server/in-process.js'
import { exchangeToken, type ExchangeResponse } from '../../lib/auth-server/token-exchange.js'
import { VERSION } from '../../lib/contract/version.js'
import { ENTRIES } from '../fixtures/jwks-source.js'
import { recordLog } from '../fixtures/log.js'

const BASE = 'http://localhost:3000/api/auth'
const CREDENTIAL = { name: 'cookie', value: 'better-auth.session_token=secret-token' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** What both kinds of calls say about a server. */
async function ask (server: LocalServer, timeout = 5000) {
  const { log, lines } = recordLog()
  const transport = createInProcessTransport(server, '/api/auth', log)
  const jwks = await fetchJwks(`${BASE}/jwks`, { headers: {}, signal: AbortSignal.timeout(timeout) }, transport)
  const exchanged = await exchangeToken({
    url: `${BASE}/token?disableRefresh=true`,
    credential: CREDENTIAL,
    headers: {},
    forwardedFor: undefined,
    timeout,
    transport
  })
  return { jwks, exchanged, lines }
}

const failure = (exchanged: ExchangeResponse) => exchanged.kind === 'failed' ? exchanged.code : exchanged.kind

t.test('keys and tokens come from the handler', async t => {
  const requests: Request[] = []
  const { jwks, exchanged, lines } = await ask({
    async handler (request) {
      requests.push(request)
      return new URL(request.url).pathname === '/api/auth/jwks'
        ? Response.json({ keys: ENTRIES })
        : Response.json({ token: 'a.b.c' })
    }
  })
  t.match(jwks, { entries: ENTRIES, code: null, status: 200 })
  t.strictSame(exchanged, { kind: 'token', token: 'a.b.c' })
  t.strictSame(requests.map(({ method, url }) => `${method} ${url}`), [
    `GET ${BASE}/jwks`, `GET ${BASE}/token?disableRefresh=true`
  ])
  t.equal(requests[1]!.headers.get('cookie'), CREDENTIAL.value)
  t.equal(requests[0]!.headers.get('user-agent'), `better-auth-fastify/${VERSION}`)
  t.equal(requests[0]!.headers.get('x-forwarded-for'), null)
  t.strictSame(lines, [])
})

t.test('endpoints of auth.api come before the handler: no rate limiter counts them', async t => {
  const calls: Array<{ name: string, query: object, cookie: string | null, asResponse: boolean }> = []
  const endpoint = (name: string, path: string, method: unknown, body: object) => Object.assign(
    async ({ request, headers, query, asResponse }: {
      request: Request, headers: Headers, query: object, asResponse: boolean
    }) => {
      t.ok(request instanceof Request)
      calls.push({ name, query, cookie: headers.get('cookie'), asResponse })
      return Response.json(body)
    }, { path, options: { method } }
  )
  const { jwks, exchanged } = await ask({
    handler: () => { throw new Error('not called') },
    api: {
      data: { path: '/token', options: { method: 'GET' } },
      post: endpoint('post', '/token', 'POST', {}),
      renamed: endpoint('renamed', '/token', 'GET', { token: 'a.b.c' }),
      later: endpoint('later', '/token', 'GET', { token: 'x.y.z' }),
      keys: endpoint('keys', '/jwks', ['POST', 'GET'], { keys: ENTRIES }),
      helper: () => {},
      version: '1.7'
    }
  })
  t.match(jwks.entries, ENTRIES)
  t.strictSame(exchanged, { kind: 'token', token: 'a.b.c' })
  t.strictSame(calls, [
    { name: 'keys', query: {}, cookie: null, asResponse: true },
    { name: 'renamed', query: { disableRefresh: 'true' }, cookie: CREDENTIAL.value, asResponse: true }
  ])
})

t.test('what goes wrong has the words that it has over HTTP', async t => {
  const text = (body: string | null, init?: ResponseInit) => async () => new Response(body, init)
  const cases: Array<[string, () => Promise<Response>, string, string]> = [
    ['404', text(null, { status: 404 }), 'http_4xx', 'http_4xx'],
    ['429', text('{}', { status: 429 }), 'rate_limited', 'rate_limited'],
    ['500', text('secret-token', { status: 500 }), 'http_5xx', 'http_5xx'],
    ['HTML', text('<html>', { headers: { 'content-type': 'text/html' } }), 'no_jwks', 'no_token'],
    ['a redirect', async () => Response.redirect('http://localhost/', 302), 'no_jwks', 'no_token'],
    ['nothing', text(null), 'no_jwks', 'no_token'],
    ['a compressed body', text('x', { headers: { 'content-encoding': 'gzip' } }), 'encoded', 'no_token'],
    ['a huge body', text('x'.repeat(2 ** 20 + 1)), 'too_large', 'no_token'],
    ['a huge token', text(`{"token":"${'x'.repeat(65_536)}"}`, { headers: JSON_TYPE }), 'no_jwks', 'refused'],
    ['401', text('{}', { status: 401 }), 'http_4xx', 'refused']
  ]
  for (const [name, handler, jwksCode, exchangeCode] of cases) {
    const { jwks, exchanged, lines } = await ask({ handler })
    t.equal(jwks.code, jwksCode, name)
    t.equal(failure(exchanged), exchangeCode, name)
    t.strictSame(lines, [])
  }
})

t.test('an endless body is read no further than its bound', async t => {
  let pulls = 0
  let cancelled = 0
  const { jwks, exchanged } = await ask({
    async handler () {
      return new Response(new ReadableStream({
        pull (controller) {
          pulls++
          controller.enqueue(new Uint8Array(65_536))
        },
        cancel () { cancelled++ }
      }))
    }
  })
  t.equal(jwks.code, 'too_large')
  t.equal(failure(exchanged), 'no_token')
  t.equal(cancelled, 2)
  t.ok(pulls < 30, `${pulls}`)
})

t.test('a handler that hangs, or whose body hangs, ends with the timeout', async t => {
  // The signal alone would not be enough: Node.js forgets what it follows together with its request.
  const requests: Request[] = []
  // Timeouts do not keep a process alive, and here is no server that does.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  for (const handler of [
    async (request: Request) => {
      requests.push(request)
      return new Promise<Response>(() => {})
    },
    async () => new Response(new ReadableStream())
  ]) {
    const { jwks, exchanged } = await ask({ handler }, 20)
    t.match(jwks, { code: 'timeout', isTrouble: true, status: null })
    t.equal(failure(exchanged), 'timeout')
  }
  t.ok(requests.every(({ signal }) => signal.aborted), 'and is told to stop')
})

t.test('a handler that throws is a status of 500, and is logged once without its message', async t => {
  for (const handler of [
    () => { throw Object.assign(new Error('secret-token'), { code: 'SQLITE_BUSY' }) },
    async () => { throw new Error('secret-token') },
    async () => null as unknown as Response,
    async () => ({ status: 200 }) as unknown as Response
  ]) {
    const { jwks, exchanged, lines } = await ask({ handler })
    t.match(jwks, { code: 'http_5xx', isTrouble: true, status: 500 })
    t.match(exchanged, { kind: 'failed', code: 'http_5xx', detail: 500 })
    t.equal(lines.length, 1)
    t.match(lines[0], { level: 'error', msg: /Better Auth threw/, fields: { thrown: { name: /^(?:Type)?Error$/ } } })
    t.notMatch(JSON.stringify(lines), 'secret-token')
  }
})

t.test('a refusal that auth.api throws is the response of the handler, and no failure', async t => {
  const refuse = (statusCode: number, fields: object) => {
    const error = Object.assign(new Error('secret-token'), { name: 'APIError', statusCode, ...fields })
    const endpoint = () => { throw error }
    const options = { method: 'GET' }
    return ask({
      handler: () => { throw new Error('not called') },
      api: { token: Object.assign(endpoint, { path: '/token', options }), jwks: Object.assign(() => {}, { options }) }
    })
  }
  const kindOf = async (statusCode: number, fields: object) => {
    const { exchanged, lines } = await refuse(statusCode, fields)
    return [failure(exchanged), lines.length]
  }
  // One line is that of the handler, which fails for the keys.
  t.strictSame(await kindOf(400, {}), ['http_4xx', 1])
  t.strictSame(await kindOf(401, {}), ['refused', 1])
  t.strictSame(await kindOf(403, { body: { code: 'BLOCKED' } }), ['refused', 1])
  t.strictSame(await kindOf(401, { body: { code: 'RATE_LIMITED', details: { tryAgainIn: 7 } } }), ['limited', 1])
  const { exchanged } = await refuse(429, { headers: { 'retry-after': '7' } })
  t.match(exchanged, { kind: 'failed', code: 'rate_limited', retryAfter: 7000 })
  for (const [statusCode, fields] of [
    [500, {}], [302, {}], ['401', {}], [Number.NaN, {}], [401, { name: 'Error' }]
  ] as Array<[number, object]>) {
    t.strictSame(await kindOf(statusCode, fields), ['http_5xx', 2], `${statusCode}`)
  }
})

t.test('the same error is logged again after a success', async t => {
  const { log, lines } = recordLog()
  let fails = true
  const transport = createInProcessTransport({
    async handler () {
      if (fails) throw new TypeError('secret-token')
      return Response.json({})
    }
  }, '/api/auth', log)
  const get = () => transport.get(`${BASE}/token`, new Headers(), AbortSignal.timeout(5000))
  await get()
  await get()
  t.equal(lines.length, 1)
  fails = false
  await get()
  fails = true
  await get()
  t.equal(lines.length, 2)
  t.ok(transport.isLocal)
})

t.test('a Response is known by its shape', async t => {
  t.ok(isResponse(new Response()) && isResponse({ status: 200, headers: { get () {} } }))
  t.notOk([null, undefined, 'x', {}, { status: 200 }, { status: '200', headers: new Headers() }].some(isResponse))
})
