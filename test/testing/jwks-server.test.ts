import t, { type Test } from 'tap'
import { checkFault, startJwksServer, type Fault, type JwksServer } from '../../lib/testing/jwks-server.js'
import { JWKS_PATH } from '../fixtures/jwks-server.js'
import { soon, until } from '../fixtures/waiting.js'

const KEYS = [{ kid: 'k1' }]

async function start (t: Pick<Test, 'teardown'>, keys: unknown[] = KEYS): Promise<JwksServer> {
  const server = await startJwksServer(() => keys, () => undefined)
  t.teardown(() => server.close())
  return server
}

const get = ({ origin }: JwksServer, path = JWKS_PATH, init: RequestInit = {}) =>
  soon(fetch(origin + path, { redirect: 'manual', ...init }))

t.test('it serves the keys at Better Auth\'s path, as they are now, and counts the requests', async t => {
  const keys: unknown[] = [...KEYS]
  const server = await start(t, keys)
  t.match(server.origin, /^http:\/\/127\.0\.0\.1:\d+$/)
  const response = await get(server)
  t.equal(response.headers.get('content-type'), 'application/json')
  t.strictSame(await response.json(), { keys: KEYS })
  keys.push({ kid: 'k2' })
  t.strictSame(await (await get(server)).json(), { keys })
  t.equal(server.requests, 2)
})

t.test('anything else is a 404 without a body', async t => {
  const server = await start(t)
  for (const [path, method] of [
    ['/', 'GET'], ['/redirected/jwks', 'GET'], [`${JWKS_PATH}?x`, 'GET'], [JWKS_PATH, 'POST'],
    ['/api/auth/token', 'POST'], ['/api/auth/token/x', 'GET']
  ] as const) {
    const response = await get(server, path, { method })
    t.strictSame([response.status, await response.text()], [404, ''], `${method} ${path}`)
  }
  t.equal(server.requests, 1, 'only the URL of the JWKS counts')
  t.equal(server.exchanges, 0)
  t.equal((await get(await start(t, []))).status, 404, 'and so is a JWKS without keys')
})

t.test('each fault, until it is over', async t => {
  const server = await start(t)
  const show = async (fault: Fault) => {
    server.fault = fault
    const response = await get(server)
    return [response.status, response.headers.get('content-type'), await response.text()]
  }
  t.match(await show('error'), [500, 'text/html', /<h1>/])
  t.match(await show('html'), [200, 'text/html', /<h1>/])
  t.strictSame(await show('empty'), [200, null, ''])
  t.strictSame(await show('malformed'), [200, 'application/json', '{"keys":[{"kid":"k1"'])
  server.fault = 'down'
  await t.rejects(get(server), { cause: { code: /^(ECONNRESET|UND_ERR_SOCKET)$/ } })
  server.fault = undefined
  t.equal((await get(server)).status, 200)
})

t.test('a redirect leads to the keys, and only during that fault', async t => {
  const server = await start(t)
  server.fault = 'redirect'
  const response = await get(server)
  t.equal(response.status, 302)
  const target = response.headers.get('location')!
  t.strictSame(await (await get(server, target)).json(), { keys: KEYS })
  server.fault = 'html'
  t.match(await (await get(server, target)).text(), '<h1>')
  server.fault = undefined
  t.equal((await get(server, target)).status, 404)
})

t.test('a slow response that nobody waits for keeps no timer', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const server = await start(t)
  server.fault = 'slow'
  const before = timers()
  const controller = new AbortController()
  const ended = t.rejects(get(server, JWKS_PATH, { signal: controller.signal }))
  await until(() => server.requests > 0)
  const startedAt = performance.now()
  controller.abort()
  await ended
  await until(() => timers() <= before)
  t.ok(performance.now() - startedAt < 900)
})

t.test('close() ends a request that hangs', async t => {
  const server = await startJwksServer(() => KEYS, () => undefined)
  server.fault = 'hang'
  const ended = t.rejects(get(server))
  await until(() => server.requests > 0)
  await server.close()
  await ended
  await t.resolves(server.close(), 'twice is once')
})

t.test('an unknown fault is a TypeError that lists the known ones', async t => {
  for (const kind of ['dwon', 'toString'] as unknown as Fault[]) {
    t.throws(() => { checkFault(kind) }, {
      name: 'TypeError',
      message: `Unknown fault '${kind}'. Known faults: down, hang, slow, error, html, empty, redirect, malformed`
    })
  }
  t.doesNotThrow(() => { checkFault('slow') })
})
