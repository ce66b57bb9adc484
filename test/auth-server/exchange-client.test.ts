import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createExchangeClient, type OwnExchangeClient } from '../../lib/auth-server/exchange-client.js'
import { httpTransport } from '../../lib/auth-server/http-transport.js'
import type { ExchangeOptions } from '../../lib/contract/exchange-options.js'
import type { Transport } from '../../lib/auth-server/transport.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { close, listen } from '../fixtures/auth-server.js'
import { createClock, type Clock } from '../fixtures/clock.js'
import { recordLog, type RecordedLine } from '../fixtures/log.js'
import { refusalOf } from '../fixtures/refusals.js'

const SECRET = 'secret-session-token-1234567890'
const KNOWN = {
  header: { name: 'authorization', value: `Bearer ${SECRET}` },
  address: '203.0.113.7',
  isKnown: true,
  token: SECRET,
  maxAge: 60_000,
  after: -Infinity
}
const UNKNOWN = { ...KNOWN, isKnown: false }
const OTHER = { ...KNOWN, header: { name: 'authorization', value: `Bearer other-${SECRET}` } }
const ELSEWHERE = { ...OTHER, address: '198.51.100.1' }

interface World {
  readonly client: OwnExchangeClient
  readonly clock: Clock
  readonly lines: RecordedLine[]
  /** The requests that came, in order. */
  readonly requests: IncomingMessage[]
  readonly url: string
  /** Where the keys are. */
  jwksUrl: string | null
  /** How often it was asked where they are. */
  searches: number
  /** How the server responds. */
  respond: (response: ServerResponse) => void
}

const token = (response: ServerResponse) => { response.end('{"token":"a.b.c"}') }
const status = (code: number, headers: Record<string, string> = {}) => (response: ServerResponse) => {
  response.writeHead(code, headers).end()
}

async function createWorld (
  t: Test, options: ExchangeOptions = {}, headers = {}, basePath = '', transport?: Transport
): Promise<World> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    world.requests.push(request)
    world.respond(response)
  }).on('connection', socket => { sockets.add(socket) })
  const authUrl = `http://127.0.0.1:${await listen(server)}`
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return close(server)
  })
  const { exchange, jwks } = resolveOptions({ authUrl: authUrl + basePath, exchange: options, jwks: { headers } }, {})
  const clock = createClock()
  const { lines, log } = recordLog()
  const client = createExchangeClient({
    exchange: exchange!,
    headers: jwks.headers,
    async findJwks () {
      world.searches++
      return world.jwksUrl
    },
    transport,
    log,
    now: clock.now,
    random: () => 0
  })
  const world: World = {
    client, clock, lines, requests: [], url: exchange!.url, jwksUrl: null, searches: 0, respond: token
  }
  return world
}

/** Responds to the exchange, and to the question whether there really is no session. */
const refused = (confirmation: number) => (response: ServerResponse) => {
  status(response.req.url!.includes('get-session') ? confirmation : 401)(response)
}
const cut = (response: ServerResponse) => { response.destroy() }

/** Why an exchange is refused, and for how many milliseconds. */
async function refusal (client: OwnExchangeClient, exchanging = KNOWN): Promise<[string, number | undefined]> {
  const { reason, retryAfter, statusCode } = await refusalOf(() => client.exchange(exchanging))
  t.equal(statusCode, 503)
  return [reason, retryAfter]
}

t.test('a token, and when its exchange began', async t => {
  const { client, clock, requests, lines, ...world } = await createWorld(t, {}, { 'x-gate': 'open' })
  const began = clock.now()
  const exchanged = client.exchange(UNKNOWN)
  clock.advance(500)
  t.strictSame(await exchanged, { kind: 'token', token: 'a.b.c', exchangedAt: began })
  t.equal(requests[0]!.url, '/api/auth/token?disableRefresh=true')
  t.match(requests[0]!.headers, { authorization: `Bearer ${SECRET}`, 'x-gate': 'open' })
  t.notOk('x-forwarded-for' in requests[0]!.headers)
  t.strictSame([client.failing, client.isPausing(), lines], [false, false, []])
  t.ok(world.url)
})

t.test('the address of the client is sent if the option says so', async t => {
  const { client, requests } = await createWorld(t, { forwardedFor: true })
  await client.exchange(KNOWN)
  t.equal(requests[0]!.headers['x-forwarded-for'], '203.0.113.7')
})

t.test('a verdict is no failure', async t => {
  const world = await createWorld(t)
  const { client, lines } = world
  world.respond = status(401)
  t.strictSame(await client.exchange(KNOWN), { kind: 'refused', exchangedAt: world.clock.now() })
  world.respond = response => {
    response.writeHead(429).end('{"code":"RATE_LIMITED","details":{"tryAgainIn":5000}}')
  }
  t.strictSame(await client.exchange(KNOWN), { kind: 'limited', retryAfter: 5000, exchangedAt: world.clock.now() })
  t.strictSame([client.failing, client.isPausing(), lines], [false, false, []])
})

t.test('after a failure nobody calls during the pause, then one at a time', async t => {
  const world = await createWorld(t)
  const { client, clock, requests, lines, url } = world
  world.respond = status(404)
  t.strictSame(await refusal(client), ['exchange_unavailable', 1000])
  t.strictSame([client.failing, client.isPausing()], [true, true])
  t.strictSame(await refusal(client), ['exchange_unavailable', 1000])
  t.strictSame(await refusal(client, UNKNOWN), ['exchange_unavailable', 1000])
  t.equal(requests.length, 1)

  clock.advance(500)
  t.equal(client.isPausing(), false)
  let release = () => {}
  world.respond = response => { release = () => { status(404)(response) } }
  const probe = refusal(client)
  t.equal(client.isPausing(), true, 'while one finds out')
  t.strictSame(await refusal(client), ['exchange_unavailable', 1000])
  while (requests.length < 2) await new Promise(resolve => { setTimeout(resolve, 1) })
  release()
  t.strictSame(await probe, ['exchange_unavailable', 1000])
  t.equal(requests.length, 2)

  clock.advance(1000)
  world.respond = token
  t.match(await client.exchange(KNOWN), { kind: 'token' })
  t.strictSame([client.failing, client.isPausing()], [false, false])
  t.equal(lines.length, 2)
  t.match(lines, [
    { level: 'error', msg: /does not exchange tokens: .GET/, fields: { url, code: 'http_4xx', detail: 404 } },
    { level: 'info', msg: 'the auth server exchanges tokens again', fields: { url, downFor: 1500 } }
  ], 'one line when it begins, and one when it ends')
})

t.test('the pause is as long as the auth server asks', async t => {
  const world = await createWorld(t)
  const { client, clock, requests } = world
  world.respond = status(429, { 'x-retry-after': '7' })
  t.strictSame(await refusal(client), ['exchange_unavailable', 7000])
  clock.advance(6999)
  t.strictSame(await refusal(client), ['exchange_unavailable', 1000])
  t.equal(requests.length, 1)
  clock.advance(1)
  world.respond = status(401)
  t.match(await client.exchange(KNOWN), { kind: 'refused' }, 'a refusal ends the outage too')
  t.equal(client.failing, false)
})

t.test('many that fail together are one failure', async t => {
  const world = await createWorld(t)
  const { client, clock, lines } = world
  const open: ServerResponse[] = []
  world.respond = response => {
    open.push(response)
    if (open.length === 30) for (const one of open) status(404)(one)
  }
  await Promise.all(Array.from({ length: 30 }, () => refusal(client)))
  t.equal(lines.length, 1)
  clock.advance(500)
  t.equal(client.isPausing(), false, 'the pause is that of one failure')
})

t.test('unknown credentials share a budget, known ones have none', async t => {
  const { client, clock, requests, lines } = await createWorld(t, { requestsPerMinute: 3 })
  for (let i = 0; i < 3; i++) t.match(await client.exchange(UNKNOWN), { kind: 'token' })
  t.strictSame(await refusal(client, UNKNOWN), ['exchange_budget', 11_000])
  for (let i = 0; i < 9; i++) t.match(await client.exchange(KNOWN), { kind: 'token' })
  t.strictSame(await refusal(client, UNKNOWN), ['exchange_budget', 11_000])
  t.equal(requests.length, 12)
  t.strictSame([client.failing, client.isPausing(), lines], [false, false, []], 'it is no outage')
  clock.advance(20_000)
  t.match(await client.exchange(UNKNOWN), { kind: 'token' })
})

t.test('nobody waits for a silence of all clients where the auth server does not count them as one', async t => {
  for (const [forwardedFor, transport, wait] of [
    [false, undefined, 11_000], [false, httpTransport, 11_000], [true, httpTransport, 10_000],
    [false, { ...httpTransport, isLocal: true }, 10_000]
  ] as const) {
    const options = { requestsPerMinute: 6, forwardedFor }
    const { client } = await createWorld(t, options, {}, '', transport)
    for (let i = 0; i < 6; i++) await client.exchange(UNKNOWN)
    t.strictSame(await refusal(client, UNKNOWN), ['exchange_budget', wait])
  }
})

t.test('a pause takes nothing from the budget', async t => {
  const world = await createWorld(t, { requestsPerMinute: 1 })
  world.respond = status(404)
  t.strictSame(await refusal(world.client), ['exchange_unavailable', 1000])
  for (let i = 0; i < 3; i++) t.strictSame(await refusal(world.client, UNKNOWN), ['exchange_unavailable', 1000])
  world.respond = token
  world.clock.advance(500)
  t.match(await world.client.exchange(UNKNOWN), { kind: 'token' })
})

t.test('the log says what to do, and never shows the credential', async t => {
  for (const [respond, code, advice] of [
    [status(404), 'http_4xx', /`GET \/token` returns 404\. Add the plugin jwt\(\).*path `\/token`.*"authUrl"$/],
    [status(429), 'rate_limited', /rate limiter returns 429.*"exchange\.forwardedFor".*customRules.*'\/token': false/],
    [status(302, { location: 'http://evil.example' }), 'no_token', /tokens: no_token \(302\)$/],
    [(response: ServerResponse) => { response.end(SECRET) }, 'no_token', /tokens: no_token \(200\)$/],
    [(response: ServerResponse) => { response.destroy() }, 'connection_reset',
      /tokens: connection_reset \(UND_ERR_SOCKET\)$/]
  ] as const) {
    const world = await createWorld(t)
    world.respond = respond
    const { message, cause, reason } = await refusalOf(() => world.client.exchange(KNOWN))
    t.strictSame([message, cause, reason], ['Auth service unreachable', undefined, 'exchange_unavailable'])
    t.match(world.lines, [{ level: 'error', msg: advice, fields: { url: world.url, code } }])
    t.equal(world.lines.length, 1)
    t.notMatch(JSON.stringify(world.lines), SECRET)
  }
})

t.test('a credential that fails alone is no outage', async t => {
  const world = await createWorld(t)
  const { client, clock, requests, lines, url } = world
  const isPoison = (request: IncomingMessage) => request.headers.authorization === KNOWN.header.value
  world.respond = response => { status(isPoison(response.req) ? 500 : 401)(response) }
  for (let i = 0; i < 30; i++) {
    t.match((await refusal(client))[0], 'exchange_unavailable')
    t.strictSame([client.failing, client.isPausing()], [false, false])
    t.match(await client.exchange({ ...OTHER, isKnown: false }), { kind: 'refused' })
    clock.advance(1000)
  }
  const asked = requests.filter(isPoison)
  t.equal(asked.length, 6, 'it is asked for once in 5 seconds')
  t.strictSame(await refusal(client), ['exchange_unavailable', 5000])
  t.equal(lines.length, 1, 'one line a minute')
  t.match(lines[0], { level: 'warn', fields: { url, code: 'http_5xx', detail: 500 }, msg: /one credential.*http_5xx$/ })
  t.notMatch(JSON.stringify(lines), SECRET)

  clock.advance(30_000)
  await refusal(client)
  t.equal(lines.length, 2)
})

t.test('two credentials that fail, one after the other, are an outage', async t => {
  const world = await createWorld(t)
  const { client, clock, lines } = world
  world.respond = status(503)
  await refusal(client)
  t.equal(client.failing, false)
  t.strictSame(await refusal(client, OTHER), ['exchange_unavailable', 5000], 'it failed itself')
  t.strictSame([client.failing, client.isPausing()], [true, true])
  t.strictSame(lines.map(({ level }) => level), ['warn', 'error'])
  clock.advance(5000)
  await refusal(client, OTHER)
  t.equal(client.isPausing(), true, 'one that worked before prolongs it')
  world.respond = token
  clock.advance(5000)
  t.match(await client.exchange(KNOWN), { kind: 'token' })
  t.equal(client.failing, false)
})

t.test('credentials that nobody knows are an outage where none has ever worked', async t => {
  const world = await createWorld(t)
  world.respond = status(500)
  for (const { header } of [KNOWN, OTHER]) await refusal(world.client, { ...UNKNOWN, header })
  t.equal(world.client.failing, true)
})

t.test('credentials that nobody knows cause no outage where others have worked, and prolong none', async t => {
  for (const [fail, code] of [
    [status(500), 'http_5xx'], [status(400), 'http_4xx'], [status(403), 'http_4xx'], [status(200), 'no_token'],
    [status(302), 'no_token'], [status(429), 'rate_limited']
  ] as const) {
    const world = await createWorld(t, { forwardedFor: true })
    const { client, clock, lines } = world
    await client.exchange(KNOWN)
    let count = 0
    const attack = () => refusal(client, {
      ...UNKNOWN, header: { ...KNOWN.header, value: `Bearer random-${count++}` }, address: `192.0.2.${count}`
    })
    world.respond = fail
    for (let i = 0; i < 3; i++) await attack()
    t.strictSame([client.failing, client.status().lastError], [false, code])
    t.strictSame(lines.map(({ level }) => level), ['warn'], 'one line a minute')

    // A real outage, which ends.
    await refusal(client)
    await refusal(client, ELSEWHERE)
    t.equal(client.failing, true, 'two that worked before')
    clock.advance(500)
    for (let i = 0; i < 3; i++) await attack()
    t.equal(client.isPausing(), false)
    world.respond = token
    t.match(await client.exchange({ ...KNOWN, header: { ...KNOWN.header, value: 'Bearer third' }, address: '::1' }), {
      kind: 'token'
    })
    t.equal(client.failing, false)
  }
})

t.test('a known credential that a firewall blocks alone is no outage, but 404 is one at once', async t => {
  const world = await createWorld(t)
  const { client, clock } = world
  await client.exchange(KNOWN)
  world.respond = status(403)
  await refusal(client)
  t.equal(client.failing, false)
  world.respond = token
  t.match(await client.exchange(OTHER), { kind: 'token' })
  clock.advance(5000)
  world.respond = status(404)
  await refusal(client, UNKNOWN)
  t.equal(client.failing, true)
})

t.test('with forwardedFor, a client that has reached the rate limit pauses nobody else', async t => {
  const world = await createWorld(t, { forwardedFor: true })
  const { client, clock, lines } = world
  const limited = new Set([KNOWN.address])
  world.respond = response => {
    const isLimited = limited.has(String(response.req.headers['x-forwarded-for']))
    status(isLimited ? 429 : 401, { 'x-retry-after': '9' })(response)
  }
  t.strictSame(await refusal(client), ['exchange_unavailable', 9000])
  t.strictSame(await refusal(client, OTHER), ['exchange_unavailable', 9000], 'all of the same client wait')
  t.match(await client.exchange({ ...ELSEWHERE, isKnown: false }), { kind: 'refused' })
  clock.advance(9000)
  await refusal(client)
  limited.add(ELSEWHERE.address)
  t.equal(client.failing, false)
  await refusal(client, ELSEWHERE)
  t.equal(client.failing, true, 'two in a row: it does not tell them apart')
  t.match(lines.at(-1), { level: 'error', msg: /429 to clients at several addresses.*X-Forwarded-For/ })
})

t.test('with forwardedFor, a connection that fails is an outage at once', async t => {
  const world = await createWorld(t, { forwardedFor: true })
  world.respond = cut
  await refusal(world.client)
  t.equal(world.client.failing, true)
  t.match(world.lines, [{ level: 'error', msg: /connection_reset/ }])
})

t.test('the clients at one address cannot use up the budget', async t => {
  const { client, clock } = await createWorld(t, { requestsPerMinute: 6 })
  await client.exchange(ELSEWHERE)
  for (let i = 0; i < 3; i++) await client.exchange(UNKNOWN)
  t.strictSame(await refusal(client, UNKNOWN), ['exchange_budget', 11_000])
  t.match(await client.exchange({ ...ELSEWHERE, isKnown: false }), { kind: 'token' })
  t.equal(client.status().budget, 2)
  clock.advance(20_000)
  t.match(await client.exchange(UNKNOWN), { kind: 'token' })
})

t.test('a refusal ends a known session only if the auth server can read its sessions', async t => {
  for (const [confirmation, outcome] of [
    [200, 'refused'], [401, 'refused'], [404, 'refused'], [429, 'refused'], [500, 'http_5xx'], [503, 'http_5xx']
  ] as const) {
    const world = await createWorld(t)
    world.respond = refused(confirmation)
    const { kind } = await world.client.exchange(KNOWN).catch(() => ({ kind: world.client.status().lastError }))
    t.equal(kind, outcome)
    t.strictSame(world.requests.map(({ url }) => url!.split('?')[0]), ['/api/auth/token', '/api/auth/get-session'])
    t.match(world.requests[1], {
      url: /\?disableRefresh=true&disableCookieCache=true$/, headers: { authorization: `Bearer ${SECRET}` }
    })
  }
})

t.test('a refusal shortly after a failure counts only if the auth server can read its sessions', async t => {
  const world = await createWorld(t)
  const { client, clock, requests } = world
  world.respond = refused(500)
  t.match(await client.exchange(UNKNOWN), { kind: 'refused' })
  t.equal(requests.length, 1)
  await refusal(client, OTHER)
  t.strictSame(await refusal(client, UNKNOWN), ['exchange_unavailable', 5000])
  clock.advance(60_000)
  t.match(await client.exchange(UNKNOWN), { kind: 'refused' })
})

t.test('if `authUrl` is an origin, `/token` is beside the keys', async t => {
  const world = await createWorld(t)
  const { client, requests } = world
  const origin = new URL(world.url).origin
  const pathFor = async (jwksUrl: string | null) => {
    world.jwksUrl = jwksUrl && origin + jwksUrl
    await client.exchange(KNOWN)
    return requests.at(-1)!.url
  }
  t.equal(await pathFor('/jwks'), '/token?disableRefresh=true')
  for (const path of [null, '/api/auth/jwks', '/.well-known/jwks.json', '/other/jwks']) {
    t.equal(await pathFor(path), '/api/auth/token?disableRefresh=true', String(path))
  }
})

t.test('its status', async t => {
  const world = await createWorld(t, { requestsPerMinute: 5 })
  const { client, clock } = world
  const NEVER = { nextTryAt: null, lastError: null, lastSuccessAt: null, lastFailureAt: null, budget: 5 }
  t.strictSame(client.status(), NEVER)
  const start = clock.now()
  await client.exchange(UNKNOWN)
  t.strictSame(client.status(), { ...NEVER, lastSuccessAt: start, budget: 4 })
  clock.advance(1000)
  world.respond = cut
  await refusal(client)
  t.strictSame(client.status(), {
    nextTryAt: start + 1500,
    lastError: 'connection_reset',
    lastSuccessAt: start,
    lastFailureAt: start + 1000,
    budget: 4
  })
  clock.advance(500)
  world.respond = token
  await client.exchange(KNOWN)
  t.match(client.status(), { nextTryAt: null, lastError: null, lastSuccessAt: start + 1500 })
})

t.test('with a base path nobody asks where the keys are', async t => {
  const world = await createWorld(t, {}, {}, '/auth')
  world.jwksUrl = new URL('/jwks', world.url).href
  t.match(await world.client.exchange(KNOWN), { kind: 'token' })
  t.strictSame(world.requests.map(({ url }) => url), ['/auth/token?disableRefresh=true'])
  t.equal(world.searches, 0)
})

t.test('an exchange that succeeds ends an outage that began after it', async t => {
  const world = await createWorld(t)
  const { client } = world
  const held: ServerResponse[] = []
  const isHeld = new Promise<void>(resolve => {
    world.respond = response => { held.push(response); resolve() }
  })
  const early = client.exchange(KNOWN)
  await isHeld
  world.respond = status(404)
  await refusal(client, OTHER)
  t.equal(client.failing, true)
  token(held[0]!)
  t.match(await early, { kind: 'token' })
  t.strictSame([client.failing, client.isPausing()], [false, false])
})

t.test('an exchange that began before a later one succeeded, and fails, begins no outage', async t => {
  const world = await createWorld(t)
  const { client, lines } = world
  const held: ServerResponse[] = []
  const isHeld = new Promise<void>(resolve => {
    world.respond = response => { held.push(response); resolve() }
  })
  const early = refusal(client)
  await isHeld
  world.respond = token
  t.match(await client.exchange(OTHER), { kind: 'token' })
  status(404)(held[0]!)
  t.strictSame(await early, ['exchange_unavailable', 1000])
  t.strictSame([client.failing, client.isPausing(), lines], [false, false, []])

  world.respond = status(404)
  await refusal(client)
  t.strictSame([client.failing, client.isPausing()], [true, true])
})
