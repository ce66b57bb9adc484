import { getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { beforeAbort, fetchJson, type JsonResponse } from '../../lib/auth-server/fetch-json.js'
import { VERSION } from '../../lib/contract/version.js'
import { deadOrigin, send, startJwksServer, type Respond } from '../fixtures/jwks-server.js'
import { head, pour, startRawServer } from '../fixtures/raw-server.js'

const fetchFrom = (url: string, timeout = 5000, headers = {}): Promise<JsonResponse> =>
  fetchJson(url, { headers, signal: AbortSignal.timeout(timeout) })

async function serve (t: Pick<Test, 'teardown'>, respond: Respond): Promise<{ url: string, asked: unknown[] }> {
  const server = await startJwksServer()
  t.teardown(() => server.stop())
  const asked: unknown[] = []
  server.respond = (request, response) => {
    asked.push([request.url, request.headers])
    respond(request, response)
  }
  return { url: `${server.origin}/a`, asked }
}

t.test('JSON of any kind is the value', async t => {
  for (const value of [{ issuer: 'x' }, [], 'x', 0, false, null]) {
    const { url } = await serve(t, send(200, JSON.stringify(value), { 'content-type': 'text/plain' }))
    t.strictSame(await fetchFrom(url), { url, status: 200, value, text: 'JSON' })
  }
})

t.test('the request: no cookies, no compression, and the headers of the options', async t => {
  const { url, asked } = await serve(t, send(200, '{}'))
  await fetchFrom(url, 5000, { 'x-gate': 'open', 'Accept-Encoding': 'gzip' })
  t.match(asked, [['/a', {
    'x-gate': 'open',
    'accept-encoding': 'identity',
    accept: 'application/json',
    connection: 'close',
    'user-agent': `better-auth-fastify/${VERSION}`
  }]])
})

t.test('anything else has a text instead of a value', async t => {
  const RESPONSES: Array<[Respond, status: number | null, text: string]> = [
    [send(404, '{}'), 404, 'HTTP 404'],
    [send(401, '{}'), 401, 'HTTP 401'],
    [send(500, '{}'), 500, 'HTTP 500'],
    [send(302, '{}', { location: '/b' }), 302, 'HTTP 302'],
    [send(200, '{}', { 'content-encoding': 'gzip' }), 200, 'a compressed response'],
    [send(200, JSON.stringify('x'.repeat(2 ** 20))), 200, 'longer than 1 MB'],
    [send(200, `${'['.repeat(17)}${']'.repeat(17)}`), 200, 'JSON that is nested too deeply'],
    [send(200, '<html>'), 200, 'HTTP 200 without JSON'],
    [send(200, ''), 200, 'HTTP 200 without JSON'],
    [(_request, response) => { response.socket!.destroy() }, null, 'connection_reset (UND_ERR_SOCKET)']
  ]
  for (const [respond, status, text] of RESPONSES) {
    const { url, asked } = await serve(t, respond)
    t.strictSame(await fetchFrom(url), { url, status, value: undefined, text }, text)
    t.equal(asked.length, 1, 'one request: no redirect is followed')
  }
  const url = await deadOrigin()
  t.strictSame(await fetchFrom(url), { url, status: null, value: undefined, text: 'connection_refused (ECONNREFUSED)' })
  t.match(await fetchFrom('http://localhost:1/\0', 5000, { 'x y': 'z' }), { status: null, text: 'network' })
})

t.test('a server that hangs, before or in the body, ends with the signal', async t => {
  const hangs: Array<(socket: Socket) => void> = [
    () => {}, socket => { socket.write(`${head(200, { 'content-length': '100' })}{"a":`) }
  ]
  for (const hang of hangs) {
    const { origin, allClosed } = await startRawServer(t, hang)
    t.match(await fetchFrom(origin, 100), { status: null, value: undefined, text: 'timeout' })
    await allClosed()
  }
})

t.test('what has settled no longer listens to its signal', async t => {
  const { signal } = new AbortController()
  t.equal(await beforeAbort(Promise.resolve(1), signal), 1)
  await t.rejects(beforeAbort(Promise.reject(new Error('no')), signal), { message: 'no' })
  await turn()
  t.strictSame(getEventListeners(signal, 'abort'), [])
})

t.test('an endless body is read to 1 MB, and the connection is closed', async t => {
  const { origin, allClosed } = await startRawServer(t, socket => {
    socket.write(head(200))
    pour(socket, Buffer.alloc(65_536, ' '))
  })
  t.match(await fetchFrom(origin), { status: 200, text: 'longer than 1 MB' })
  await allClosed()
})
