import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { exchangeToken, type ExchangeRequest, type ExchangeResponse } from '../../lib/auth-server/token-exchange.js'
import { VERSION } from '../../lib/contract/version.js'
import { deadOrigin } from '../fixtures/jwks-server.js'
import { chunked, head, LAST_CHUNK, pour, startRawServer, type RawServer } from '../fixtures/raw-server.js'

const CREDENTIAL = { name: 'authorization', value: 'Bearer secret-session-token' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** A whole response, after which the connection is closed. */
const whole = (status: number, body: string | Buffer, headers: Record<string, string> = {}) => (socket: Socket) => {
  const length = { 'content-length': String(Buffer.byteLength(body)), connection: 'close' }
  socket.write(head(status, { ...JSON_TYPE, ...headers, ...length }))
  socket.end(body)
}

function exchange (
  server: Pick<RawServer, 'origin'>, changes: Partial<ExchangeRequest> = {}
): Promise<ExchangeResponse> {
  const url = `${server.origin}/api/auth/token?disableRefresh=true`
  return exchangeToken({ url, credential: CREDENTIAL, headers: {}, forwardedFor: undefined, timeout: 5000, ...changes })
}

/** The request of an exchange, as the server sees it. */
async function sent (
  t: Test, changes: Partial<ExchangeRequest>
): Promise<{ line: string, headers: Record<string, string> }> {
  const server = await startRawServer(t, whole(200, '{"token":"a.b.c"}'))
  t.strictSame(await exchange(server, changes), { kind: 'token', token: 'a.b.c' })
  t.equal(server.requests.length, 1)
  const [line, ...lines] = server.requests[0]!.trimEnd().split('\r\n')
  const entries = lines.map(text => [text.slice(0, text.indexOf(':')).toLowerCase(), text.slice(text.indexOf(':') + 2)])
  t.equal(new Set(entries.map(([name]) => name)).size, entries.length, 'no header comes twice')
  return { line: line!, headers: Object.fromEntries(entries) as Record<string, string> }
}

/** The names that every request of `fetch` has, and which say nothing about anybody. */
const OWN = ['accept', 'accept-encoding', 'accept-language', 'connection', 'host', 'sec-fetch-mode', 'user-agent']

t.test('it sends the credential, and no other header about the client', async t => {
  for (const credential of [
    CREDENTIAL,
    { name: 'cookie', value: 'better-auth.session_token=abc.def%3D' },
    { name: 'x-api-key', value: 'key'.repeat(20) }
  ]) {
    const { line, headers } = await sent(t, { credential })
    t.equal(line, 'GET /api/auth/token?disableRefresh=true HTTP/1.1')
    t.strictSame(Object.keys(headers).sort(), [...OWN, credential.name].sort())
    t.equal(headers[credential.name], credential.value)
    t.match(headers, {
      accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': `better-auth-fastify/${VERSION}`
    })
  }
})

t.test('it sends the address of the client only if it is told to', async t => {
  const { headers } = await sent(t, { forwardedFor: '203.0.113.7' })
  t.strictSame(Object.keys(headers).sort(), [...OWN, 'authorization', 'x-forwarded-for'].sort())
  t.equal(headers['x-forwarded-for'], '203.0.113.7')
  t.equal((await sent(t, { forwardedFor: '2001:db8::1', headers: { 'x-forwarded-for': '1.1.1.1' } }))
    .headers['x-forwarded-for'], '2001:db8::1', 'in place of one of the application')
})

t.test('headers of the application are sent too, but never in place of the credential', async t => {
  const { headers } = await sent(t, {
    headers: {
      'x-gate': 'open', accept: '*/*', 'user-agent': 'mine', authorization: 'Basic gate', 'accept-encoding': 'br'
    }
  })
  t.match(headers, {
    'x-gate': 'open',
    accept: '*/*',
    'user-agent': 'mine',
    authorization: CREDENTIAL.value,
    'accept-encoding': 'identity'
  })
})

t.test('what the auth server says', async t => {
  const long = JSON.stringify({ token: 'x'.repeat(100_000) })
  const failed = (code: string, detail: unknown, retryAfter = 0) => ({ kind: 'failed', code, detail, retryAfter })
  const keyLimit = (tryAgainIn: unknown, code: unknown = 'RATE_LIMITED') =>
    JSON.stringify({ code, message: 'Rate limit exceeded.', details: { tryAgainIn } })
  const rows: Array<[name: string, respond: (socket: Socket) => void, expected: object]> = [
    ['200 with a token', whole(200, '{"token":"a.b.c"}'), { kind: 'token', token: 'a.b.c' }],
    ['200 in chunks', socket => {
      socket.write(head(200, { 'transfer-encoding': 'chunked' }))
      socket.end(Buffer.concat([chunked('{"token":"a.b.c"}', 3), Buffer.from(LAST_CHUNK)]))
    }, { kind: 'token', token: 'a.b.c' }],
    ['200 with a token in gzip', whole(200, gzipSync('{"token":"a.b.c"}'), { 'content-encoding': 'gzip' }),
      { kind: 'token', token: 'a.b.c' }],
    ['200 with invalid gzip', whole(200, '{"token":"a.b.c"}', { 'content-encoding': 'gzip' }),
      failed('encoded', 'Z_DATA_ERROR')],
    ['a bomb', whole(200, gzipSync('x'.repeat(50_000_000)), { 'content-encoding': 'gzip' }), { kind: 'refused' }],
    ['200 without a body', whole(200, ''), failed('no_token', 200)],
    ['200 with HTML', whole(200, '<!doctype html><title>x</title>', { 'content-type': 'text/html' }),
      failed('no_token', 200)],
    ...['null', '[]', '7', '"a.b.c"', '{}', '{"token":null}', '{"token":7}', '{"token":["a.b.c"]}', '{"Token":"a.b.c"}',
      '{"token":"a.b.c"', '{"__proto__":{"token":"a.b.c"}}'
    ].map((body): typeof rows[number] => [`200 with ${body}`, whole(200, body), failed('no_token', 200)]),
    ['a JWT of 100 kB', whole(200, long, { 'content-type': 'application/json; charset=utf-8' }), { kind: 'refused' }],
    ['a page of 100 kB', whole(200, long, { 'content-type': 'text/html' }), failed('no_token', 200)],
    ['100 kB of no type', whole(200, long, { 'content-type': '' }), failed('no_token', 200)],
    ['200 without an end', socket => {
      socket.write(head(200, { 'transfer-encoding': 'chunked' }))
      pour(socket, chunked('x'.repeat(16_384), 16_384))
    }, failed('no_token', 200)],
    ['201 with a token', whole(201, '{"token":"a.b.c"}'), failed('no_token', 201)],
    ['204', socket => { socket.end(head(204, { connection: 'close' })) }, failed('no_token', 204)],
    ['304', socket => { socket.end(head(304, { connection: 'close' })) }, failed('no_token', 304)],
    ['401 of Better Auth', whole(401, '{"code":"UNAUTHORIZED"}'), { kind: 'refused' }],
    ['401 without a body', whole(401, ''), { kind: 'refused' }],
    ['401 with HTML', whole(401, '<p>no</p>', { 'content-type': 'text/html' }), { kind: 'refused' }],
    ['401 with 100 kB', whole(401, long), { kind: 'refused' }],
    ['403 of Better Auth', whole(403, '{"code":"BANNED_USER","message":"x"}'), { kind: 'refused' }],
    ['403 of a proxy', whole(403, '<p>forbidden</p>', { 'content-type': 'text/html' }), failed('http_4xx', 403)],
    ['403 with a code that is none', whole(403, '{"code":7}'), failed('http_4xx', 403)],
    ['403 with null', whole(403, 'null'), failed('http_4xx', 403)],
    ['403 with a code in 100 kB', whole(403, JSON.stringify({ code: 'X', x: long })), failed('http_4xx', 403)],
    ['404', whole(404, ''), failed('http_4xx', 404)],
    ['429 of the rate limiter', whole(429, '{"message":"Too many requests."}', { 'x-retry-after': '7' }),
      failed('rate_limited', 429, 7000)],
    ['429 of a proxy', whole(429, 'slow down', { 'retry-after': '3' }), failed('rate_limited', 429, 3000)],
    ['429 without a time', whole(429, ''), failed('rate_limited', 429)],
    ['401 of an API key over its limit', whole(401, keyLimit(5000)), { kind: 'limited', retryAfter: 5000 }],
    ['an API key without uses', whole(429, '{"code":"USAGE_EXCEEDED"}'), { kind: 'limited', retryAfter: 60_000 }],
    ['429 of an API key', whole(429, keyLimit(86_400_000)), { kind: 'limited', retryAfter: 86_400_000 }],
    ['429 of an API key without a time', whole(429, keyLimit(undefined)), failed('rate_limited', 429)],
    ['429 of an API key with a time that is none', whole(429, keyLimit('7')), failed('rate_limited', 429)],
    ['429 with a time and another code', whole(429, keyLimit(7, 'OTHER')), failed('rate_limited', 429)],
    ['429 with details that are none', whole(429, '{"code":"RATE_LIMITED","details":null}'),
      failed('rate_limited', 429)],
    ['500', whole(500, '{"token":"a.b.c"}'), failed('http_5xx', 500)],
    ['503 with a time', whole(503, '', { 'retry-after': '9' }), failed('http_5xx', 503, 9000)],
    ['another protocol than HTTP', socket => { socket.end('SSH-2.0-OpenSSH_9.6\r\n') },
      // From Node.js 24 on, the error has no code.
      failed('protocol', Number.parseInt(process.versions.node) < 24 ? 'HPE_INVALID_CONSTANT' : undefined)]
  ]
  for (const [name, respond, expected] of rows) {
    const server = await startRawServer(t, respond)
    t.strictSame(await exchange(server), expected, name)
    t.equal(server.requests.length, 1, `${name}: one request`)
  }
})

t.test('the rest of a body that is too long is not read', async t => {
  const server = await startRawServer(t, socket => {
    socket.write(head(200, { 'content-length': '100000000' }))
    pour(socket, Buffer.alloc(65_536, 120))
  })
  await exchange(server)
  await server.allClosed()
})

t.test('a redirect is not followed, so that the credential reaches no other host', async t => {
  const other = await startRawServer(t, whole(200, '{"token":"stolen"}'))
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [`${other.origin}/token`, '/elsewhere', 'http://[']) {
      const server = await startRawServer(t, whole(status, '{"token":"a.b.c"}', { location }))
      t.strictSame(await exchange(server), { kind: 'failed', code: 'no_token', detail: status, retryAfter: 0 })
      t.equal(server.requests.length, 1)
    }
  }
  t.strictSame(other.requests, [])
})

t.test('it ends when the time is over', async t => {
  for (const respond of [
    () => {},
    (socket: Socket) => { socket.write(head(200, JSON_TYPE)) },
    (socket: Socket) => { socket.write(head(200, { 'content-length': '9' }) + '{"token"') }
  ]) {
    const server = await startRawServer(t, respond)
    const started = Date.now()
    t.strictSame(await exchange(server, { timeout: 300 }), {
      kind: 'failed', code: 'timeout', detail: undefined, retryAfter: 0
    })
    t.ok(Date.now() - started >= 295)
    t.equal(server.requests.length, 1, 'and tries no second time')
  }
})

t.test('a server that cannot be reached', async t => {
  t.strictSame(await exchange({ origin: await deadOrigin() }), {
    kind: 'failed', code: 'connection_refused', detail: 'ECONNREFUSED', retryAfter: 0
  })
  t.match(await exchange({ origin: 'http://host.invalid' }), { kind: 'failed', code: 'dns' })
})

t.test('a connection that the server closes is tried once more', async t => {
  for (const close of [
    (socket: Socket) => { socket.end() },
    (socket: Socket) => { socket.resetAndDestroy() },
    (socket: Socket) => { socket.end(head(200, { 'content-length': '9' }) + '{') }
  ]) {
    let count = 0
    const once = await startRawServer(t, socket => {
      count++
      if (count === 1) close(socket)
      else whole(200, '{"token":"a.b.c"}')(socket)
    })
    t.strictSame(await exchange(once), { kind: 'token', token: 'a.b.c' })
    t.equal(once.requests.length, 2)
    t.match(once.requests[1], 'secret-session-token', 'with the credential')

    const always = await startRawServer(t, close)
    t.match(await exchange(always), { kind: 'failed', code: 'connection_reset', retryAfter: 0 })
    t.equal(always.requests.length, 2)
  }
})

t.test('both attempts share one timeout', async t => {
  let count = 0
  const server = await startRawServer(t, socket => { if (++count === 1) setTimeout(() => { socket.end() }, 400) })
  const started = Date.now()
  t.match(await exchange(server, { timeout: 1000 }), { kind: 'failed', code: 'timeout' })
  t.ok(Date.now() - started < 1380, 'not the whole time again')
  t.equal(count, 2)
})
