import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { createClock, startClockedApi, type Clock, type ClockedApi } from '../fixtures/clock.js'
import { JWKS_PATH, send, sendKeys, startJwksServer, type JwksServer, type Respond } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

/**
 * The application lets its users publish files at `/.well-known/`, and serves whatever it likes at `/jwks`. Somebody
 * publishes a JWKS there. Tokens that he signs must never be accepted because Better Auth's own URL fails.
 */
const SHARED = ['/.well-known/jwks.json', '/jwks']

const genuine = createSigningKey('EdDSA', 'genuine')
const attacker = createSigningKey('EdDSA', 'attacker')
const STALE_IF_ERROR = 600_000
const LONGEST_PAUSE = 72_000
/** For a server that would otherwise never be done with. */
const TIMEOUT = 1000
/** For a server that responds at once, however busy the machine is. */
const AMPLE_TIMEOUT = 10_000

interface Fault {
  respond: Respond
  /** Whether it says that there is no JWKS, rather than that the server failed. */
  isDefinitive?: boolean
  hangs?: boolean
}

const FAULTS: Record<string, Fault> = {
  500: { respond: send(500, '') },
  502: { respond: send(502, '<h1>Bad Gateway</h1>', { 'content-type': 'text/html' }) },
  503: { respond: send(503, '') },
  504: { respond: send(504, '') },
  408: { respond: send(408, '') },
  '429 of Better Auth': { respond: send(429, '{}', { 'x-retry-after': '10' }) },
  '429 without a word': { respond: send(429, '') },
  'no response': { respond: () => {}, hangs: true },
  'headers only': { respond: (_request, response) => { response.writeHead(200).flushHeaders() }, hangs: true },
  'a reset': { respond: (_request, response) => { response.socket!.resetAndDestroy() } },
  'something that is not HTTP': { respond: (_request, response) => { response.socket!.end('SSH-2.0\r\n') } },
  'a compressed JWKS': {
    respond: send(200, gzipSync(JSON.stringify({ keys: [genuine.jwk] })).toString(), { 'content-encoding': 'gzip' })
  },
  'more than a megabyte': { respond: send(200, ' '.repeat(2 ** 20 + 1)) },
  'an HTML page': { respond: send(200, '<h1>Hello</h1>', { 'content-type': 'text/html' }), isDefinitive: true },
  'JSON without keys': { respond: send(200, '{"error":"x"}'), isDefinitive: true },
  'keys that are no list': { respond: send(200, '{"keys":{}}'), isDefinitive: true },
  'half a JWKS': { respond: send(200, '{"keys":['), isDefinitive: true },
  'a redirect': { respond: send(302, '', { location: SHARED[0]! }), isDefinitive: true },
  404: { respond: send(404, ''), isDefinitive: true }
}

interface Setup {
  server: JwksServer
  clock: Clock
  api: ClockedApi
  setFault (fault: Respond | undefined): void
  statusOf (key: typeof genuine): Promise<number>
}

async function setUp (t: Test, timeout: number, fault?: Respond): Promise<Setup> {
  const server = await startJwksServer()
  t.teardown(() => server.stop().catch(() => {}))
  const { origin } = server
  let current = fault
  server.respond = (request, response) => {
    if (SHARED.includes(request.url!)) return sendKeys([attacker.jwk])(request, response)
    if (request.url !== JWKS_PATH) return send(404, '')(request, response)
    return (current ?? sendKeys([genuine.jwk]))(request, response)
  }
  const clock = createClock(Date.now())
  const jwks = { maxAge: 60_000, staleWhileRevalidate: 0, staleIfError: STALE_IF_ERROR, timeout }
  const api = await startClockedApi(t, { authUrl: origin, jwks }, clock)
  const exp = Math.floor(Date.now() / 1000) + 86_400
  return {
    server,
    clock,
    api,
    setFault (fault) { current = fault },
    statusOf: async key => (await api.call(signJws(key, createClaims(origin, { exp })))).status
  }
}

for (const [name, { respond, isDefinitive = false, hangs = false }] of Object.entries(FAULTS)) {
  const timeout = hangs ? TIMEOUT : AMPLE_TIMEOUT

  t.test(`when the known URL returns ${name}, no other URL is asked`, async t => {
    const { server, clock, api, setFault, statusOf } = await setUp(t, timeout)
    t.equal(await statusOf(genuine), 200)
    t.equal(await statusOf(attacker), 401)
    setFault(respond)
    for (const step of [3000, 60_000, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE, 200_000]) {
      clock.advance(step)
      t.not(await statusOf(attacker), 200)
      t.equal(await statusOf(genuine), 200)
      t.equal(api.app.betterAuth.jwksUrl, server.origin + JWKS_PATH)
    }
    if (name === '404') return
    for (let i = 0; i < 3; i++) {
      clock.advance(STALE_IF_ERROR)
      t.equal(await statusOf(attacker), 503)
      t.equal(await statusOf(genuine), 503)
    }
    t.equal(api.app.betterAuth.jwksUrl, server.origin + JWKS_PATH)
    setFault(undefined)
    clock.advance(LONGEST_PAUSE)
    t.equal(await statusOf(genuine), 200)
    t.equal(await statusOf(attacker), 401)
    t.notOk(api.log.lines.some(({ msg }) => msg.includes('has moved')))
  })

  if (isDefinitive) continue
  t.test(`when Better Auth's URL returns ${name} at the start, nobody else's JWKS is used`, async t => {
    const { server, clock, api, setFault, statusOf } = await setUp(t, timeout, respond)
    for (let i = 0; i < 3; i++) {
      t.equal(await statusOf(attacker), 503)
      t.equal(await statusOf(genuine), 503)
      t.equal(api.app.betterAuth.jwksUrl, null)
      clock.advance(LONGEST_PAUSE)
    }
    setFault(undefined)
    t.equal(await statusOf(genuine), 200)
    t.equal(await statusOf(attacker), 401)
    t.equal(api.app.betterAuth.jwksUrl, server.origin + JWKS_PATH)
  })
}

t.test('a URL that has been gone for longer than its keys are trusted is given up, with a warning', async t => {
  const [oldKey, newKey] = [createSigningKey('EdDSA', 'old'), createSigningKey('EdDSA', 'new')]
  const server = await startJwksServer([oldKey.jwk])
  t.teardown(() => server.stop())
  const clock = createClock(Date.now())
  const jwks = { maxAge: 60_000, staleWhileRevalidate: 0, staleIfError: STALE_IF_ERROR }
  const api = await startClockedApi(t, { authUrl: server.origin, jwks }, clock)
  const exp = Math.floor(Date.now() / 1000) + 86_400
  const statusOf = async (key: typeof oldKey) =>
    (await api.call(signJws(key, createClaims(server.origin, { exp })))).status
  t.equal(await statusOf(oldKey), 200)
  const moved = '/api/auth/.well-known/jwks.json'
  server.respond = (request, response) => {
    (request.url === moved ? sendKeys([newKey.jwk]) : send(404, ''))(request, response)
  }
  clock.advance(STALE_IF_ERROR - 1)
  t.equal(await statusOf(oldKey), 200)
  t.equal(await statusOf(newKey), 503)
  clock.advance(LONGEST_PAUSE)
  t.equal(await statusOf(newKey), 200)
  t.equal(await statusOf(oldKey), 401)
  t.match(api.log.lines.filter(({ msg }) => msg.includes('has moved')), [
    { level: 40, jwksUrl: server.origin + moved, previous: server.origin + JWKS_PATH }
  ])
})
