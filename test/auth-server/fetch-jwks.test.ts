import type { IncomingHttpHeaders } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { fetchJwks, type JwksResponse } from '../../lib/auth-server/fetch-jwks.js'
import { VERSION } from '../../lib/contract/version.js'
import { deadOrigin, send, sendKeys, startJwksServer, type Respond } from '../fixtures/jwks-server.js'
import { ENTRIES, never } from '../fixtures/jwks-source.js'
import { k1 } from '../fixtures/key-store.js'
import { chunked, head, pour, startRawServer } from '../fixtures/raw-server.js'

const PATH = '/api/auth/jwks'
const JWKS = JSON.stringify({ keys: ENTRIES })
const FOUND = { entries: ENTRIES, code: null, text: 'a JWKS', isTrouble: false, status: 200 }

function fetchFrom (
  url: string, { timeout = 5000, headers = {} }: { timeout?: number, headers?: Record<string, string> } = {}
): Promise<JwksResponse> {
  return fetchJwks(url, { headers, signal: AbortSignal.timeout(timeout) })
}

/** A server that responds like this to all requests. */
async function serve (t: Pick<Test, 'teardown'>, respond: Respond): Promise<{ url: string, asked: string[] }> {
  const server = await startJwksServer()
  t.teardown(() => server.stop())
  const asked: string[] = []
  server.respond = (request, response) => {
    asked.push(request.url!)
    respond(request, response)
  }
  return { url: server.origin + PATH, asked }
}

/** Puts a `fetch` that knows no dispatchers into the place of the real one, as other runtimes have it. */
function withoutDispatchers (t: Pick<Test, 'teardown'>): void {
  const { fetch } = globalThis
  t.teardown(() => { globalThis.fetch = fetch })
  globalThis.fetch = (url, { dispatcher, ...options }: RequestInit & { dispatcher?: unknown } = {}) => {
    return fetch(url, options)
  }
}

const RUNTIMES: Record<string, (t: Pick<Test, 'teardown'>) => void> = {
  'with dispatchers': () => {}, 'without dispatchers': withoutDispatchers
}

for (const [runtime, prepare] of Object.entries(RUNTIMES)) {
  t.test(`in a runtime ${runtime}`, async t => {
    prepare(t)

    t.test('a JWKS is fetched whole', async t => {
      for (const headers of [{}, { 'content-type': 'text/plain' }, { 'content-encoding': 'identity' }]) {
        const { url, asked } = await serve(t, send(200, JWKS, headers as Record<string, string>))
        t.match(await fetchFrom(url), { ...FOUND, url, retryAfter: 0 })
        t.equal(asked.length, runtime === 'with dispatchers' ? 1 : 2)
      }
    })

    t.test('its entries are as received, whatever they are', async t => {
      const deep = JSON.parse(`${'['.repeat(14)}${']'.repeat(14)}`) as unknown
      const lists = [[], [null], [5, 'x', true, [], {}], [{ ...k1.jwk, kid: '' }], [{ kid: '__proto__' }], [deep],
        [{ kid: '"[[[[[[[[[[[[[[[[[[[[[[[[[\\"[' }], [{ a: '\\' }, { b: '"{'.repeat(99) }], Array(5000).fill(null),
        Array(20).fill({}), Array(20).fill([])]
      for (const keys of lists) {
        const { url } = await serve(t, sendKeys(keys))
        t.strictSame((await fetchFrom(url)).entries, keys)
      }
    })

    t.test('anything else is no JWKS', async t => {
      const bodies = {
        'HTTP 200 without JSON': ['', '<html>', '\0', '{"keys":[', '{"keys":[]}{"keys":[]}', 'x'.repeat(1000)],
        'JSON without keys': ['null', 'true', '5', '"keys"', '[]', '{}', '{"keys":null}', '{"keys":{}}', '{"keys":5}',
          '{"keys":{"length":1}}', '{"keys":"keys"}', `[${JWKS}]`, JSON.stringify(k1.jwk)],
        'JSON that is nested too deeply': ['['.repeat(2 ** 20), `{"keys":[${'['.repeat(15)}${']'.repeat(15)}]}`,
          `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`, `["${']'.repeat(20)}",${'['.repeat(16)}${']'.repeat(16)}]`,
          `["${'}'.repeat(20)}",${'['.repeat(16)}${']'.repeat(16)}]`]
      }
      for (const [text, list] of Object.entries(bodies)) {
        for (const body of list) {
          const { url } = await serve(t, send(200, body))
          t.match(await fetchFrom(url), {
            entries: undefined, code: 'no_jwks', text, isTrouble: false, status: 200
          }, body.slice(0, 60))
        }
      }
    })

    t.test('no status but a success counts, and no redirect is followed', async t => {
      let followed = 0
      const target = await serve(t, (request, response) => { followed++; send(200, JWKS)(request, response) })
      for (const status of [201, 203, 206]) {
        const { url } = await serve(t, send(status, JWKS))
        t.match(await fetchFrom(url), { ...FOUND, status })
      }
      for (const status of [204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 410, 408, 425, 429, 500, 502, 503, 504]) {
        const isTrouble = status >= 500 || [408, 425, 429].includes(status)
        const code = status === 429 ? 'rate_limited' : status < 400 ? 'no_jwks' : status < 500 ? 'http_4xx' : 'http_5xx'
        const text = status === 204 ? 'HTTP 204 without JSON' : `HTTP ${status}`
        const { url } = await serve(t, send(status, JWKS, { location: target.url }))
        t.match(await fetchFrom(url), { entries: undefined, code, text, isTrouble, status }, String(status))
      }
      t.equal(followed, 0)
    })

    t.test('a response that is compressed or too large is refused', async t => {
      const compressed = await serve(t, send(200, 'x', { 'content-encoding': 'x-own' }))
      const refusal = { entries: undefined, isTrouble: true, status: 200 }
      t.match(await fetchFrom(compressed.url), { ...refusal, code: 'encoded', text: 'a compressed response' })
      const exact = await serve(t, send(200, JWKS.padEnd(2 ** 20)))
      t.match(await fetchFrom(exact.url), FOUND)
      const large = await serve(t, send(200, JWKS.padEnd(2 ** 20 + 1)))
      t.match(await fetchFrom(large.url), { ...refusal, code: 'too_large', text: 'longer than 1 MB' })
    })

    t.test('the server says how long to wait', async t => {
      for (const name of ['retry-after', 'x-retry-after']) {
        const { url } = await serve(t, send(429, '', { [name]: '7' }))
        t.match(await fetchFrom(url), { code: 'rate_limited', retryAfter: 7000 }, name)
      }
    })

    t.test('one timeout covers it all, and ends the connection', async t => {
      const hangs: Record<string, Respond> = {
        'a server that never responds': never,
        'headers and then nothing': (_request, response) => { response.writeHead(200).flushHeaders() },
        'half a JWKS': (_request, response) => { response.write(JWKS.slice(0, 50)) },
        'a body in drips': (_request, response) => {
          const drip = setInterval(() => { response.write(' ') }, 20)
          response.on('close', () => { clearInterval(drip) })
        }
      }
      for (const [name, respond] of Object.entries(hangs)) {
        const closed: Array<Promise<unknown>> = []
        const { url } = await serve(t, (request, response) => {
          closed.push(new Promise(resolve => { response.on('close', resolve) }))
          respond(request, response)
        })
        const startedAt = performance.now()
        const response = await fetchFrom(url, { timeout: 300 })
        const elapsed = performance.now() - startedAt
        t.match(response, { entries: undefined, code: 'timeout', text: 'timeout', isTrouble: true, status: null }, name)
        t.ok(elapsed >= 290 && elapsed < 2000, `${elapsed} ms`)
        t.ok(Math.abs(response.duration - elapsed) < 200)
        await Promise.all(closed)
      }
    })

    t.test('network errors have their code', async t => {
      const dead = await deadOrigin()
      t.match(await fetchFrom(dead + PATH), {
        code: 'connection_refused',
        systemCode: 'ECONNREFUSED',
        text: 'connection_refused (ECONNREFUSED)',
        isTrouble: true,
        status: null
      })
      const silent = await startRawServer(t, socket => { socket.end() })
      t.match(await fetchFrom(silent.origin + PATH), { code: 'connection_reset', isTrouble: true, status: null })
      t.equal(silent.requests.length, runtime === 'with dispatchers' ? 1 : 2, 'a failure is not tried again')
      const flooding = await startRawServer(t, socket => {
        socket.write('HTTP/1.1 200 OK\r\n')
        pour(socket, `x: ${'y'.repeat(1000)}\r\n`)
      })
      t.match(await fetchFrom(flooding.origin + PATH), { code: 'protocol', isTrouble: true })
      const truncated = await startRawServer(t, socket => {
        socket.end(head(200, { 'content-length': '9999' }) + '{"keys":[')
      })
      t.match(await fetchFrom(truncated.origin + PATH), { code: 'connection_reset', isTrouble: true, status: null })
      // Port 1 is one that fetch() refuses to call.
      t.match(await fetchFrom('http://127.0.0.1:1/jwks'), { code: 'network', isTrouble: true, status: null })
    })

    t.test('the request has headers of its own, and those of the application', async t => {
      const seen: IncomingHttpHeaders[] = []
      const { url } = await serve(t, (request, response) => {
        seen.push(request.headers)
        send(200, JWKS)(request, response)
      })
      const own = { connection: 'close', 'accept-encoding': 'identity' }
      await fetchFrom(url)
      t.match(seen.at(-1), { ...own, accept: 'application/json', 'user-agent': `better-auth-fastify/${VERSION}` })
      t.notOk('cookie' in seen.at(-1)! || 'authorization' in seen.at(-1)!)
      const headers = {
        accept: 'text/x', 'user-agent': 'mine', authorization: 'Bearer x', 'x-key': '\xe9 1', cookie: 'a=b'
      }
      await fetchFrom(url, { headers })
      t.match(seen.at(-1), { ...own, ...headers })
      await fetchFrom(url, { headers: { 'accept-encoding': 'gzip', connection: 'keep-alive' } })
      t.match(seen.at(-1), own, 'which never change the bounds')
    })
  })
}

t.test('a fetch that ignores its signal does not outlast the timeout', async t => {
  const { fetch } = globalThis
  t.teardown(() => { globalThis.fetch = fetch })
  globalThis.fetch = () => new Promise(() => {})
  const keepAlive = setTimeout(() => {}, 5000)
  t.match(await fetchFrom('http://localhost:1234/jwks', { timeout: 100 }), { code: 'timeout' })
  clearTimeout(keepAlive)
})

t.test('a signal that has aborted before is a timeout', async t => {
  const { url } = await serve(t, send(200, JWKS))
  t.match(await fetchJwks(url, { headers: {}, signal: AbortSignal.abort() }), { code: 'timeout', status: null })
})

t.test('collected garbage takes neither the timeout nor the bounds along', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const gc = setInterval(collect, 100)
  t.teardown(() => { clearInterval(gc) })

  const hanging = await startRawServer(t, socket => { socket.write(head(200)) })
  t.match(await fetchFrom(hanging.origin + PATH, { timeout: 400 }), { code: 'timeout' })
  await hanging.allClosed()

  const slow = await startRawServer(t, socket => {
    socket.write(head(200, { 'transfer-encoding': 'chunked' }))
    const piece = chunked(Buffer.alloc(2 ** 19), 2 ** 16)
    const timer = setInterval(() => { socket.write(piece) }, 150)
    socket.on('close', () => { clearInterval(timer) })
  })
  t.match(await fetchFrom(slow.origin + PATH), { code: 'too_large' })
  await slow.allClosed()
})
