import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { getUser, type BetterAuthOptions, type ExchangeStore } from '../../lib/index.js'
import { captureLog, startApi, type LogCapture } from '../fixtures/api.js'
import { JWKS_PATH, sendKeys, startJwks } from '../fixtures/jwks-server.js'
import { rawRequest, type RawResponse } from '../fixtures/raw-request.js'
import { createCookie, KEY, NAME as DATA } from '../fixtures/session-cookie.js'
import { createClaims, signJws } from '../fixtures/signing.js'

const SECRET = randomBytes(32).toString('hex')
const TOKEN = randomBytes(24).toString('hex').slice(0, 32)
const API_KEY = randomBytes(32).toString('hex')
const NAME = 'better-auth.session_token'
const signature = (token: string, secret = SECRET) => createHmac('sha256', secret).update(token).digest('base64')
const signed = (token: string, secret = SECRET) => `${token}.${encodeURIComponent(signature(token, secret))}`

interface World {
  readonly origin: string
  readonly app: FastifyInstance
  readonly log: LogCapture
  /** What was asked of the auth server at `/token`. */
  readonly exchanges: IncomingMessage[]
  /** The requests for the JWKS at its path. */
  readonly jwksRequests: IncomingMessage[]
  call (...headerLines: string[]): Promise<RawResponse>
}

/** An API and an auth server that knows one session and one API key, both over sockets. */
async function createWorld (
  t: Test, options: BetterAuthOptions = {}, { jwksPath = JWKS_PATH, jwksDelay = 0 } = {}
): Promise<World> {
  const server = await startJwks(t, KEY)
  const exchanges: IncomingMessage[] = []
  const jwksRequests: IncomingMessage[] = []
  const known = [`Bearer ${TOKEN}`, `Bearer ${TOKEN}.${signature(TOKEN)}`, `${NAME}=${signed(TOKEN)}`, API_KEY]
  server.respond = (request, response) => {
    if (request.url!.includes('jwks')) {
      if (request.url !== jwksPath) return response.writeHead(404).end()
      jwksRequests.push(request)
      setTimeout(() => { sendKeys(server.keys)(request, response) }, jwksDelay)
      return
    }
    exchanges.push(request)
    const { authorization, cookie, 'x-api-key': key } = request.headers
    const isKnown = [authorization, cookie, key].some(value => known.includes(String(value)))
    if (isKnown) response.end(JSON.stringify({ token: signJws(KEY, createClaims(server.origin)) }))
    else response.writeHead(401).end('{"code":"UNAUTHORIZED"}')
  }
  const log = captureLog()
  const http = { http: { maxHeaderSize: 1_000_000 } }
  const app = await startApi(t, { authUrl: server.origin, exchange: true, ...options }, log, http)
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, principal: { via } }) => ({ id: user.id, via }))
  app.get('/maybe', { onRequest: [app.authenticateOptional] }, async request => ({ id: getUser(request)?.id }))
  app.post('/me', { onRequest: [app.authenticate] }, async () => ({}))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const call = (...lines: string[]) => rawRequest(port, '/me', lines)
  return { origin: server.origin, app, log, exchanges, jwksRequests, call }
}

t.test('each kind of credential is accepted where the option says so', async t => {
  const rows: Array<[via: string, option: string, line: string]> = [
    ['session-token', 'sessionToken', `Authorization: Bearer ${TOKEN}`],
    ['session-token', 'sessionToken', `Authorization: Bearer ${TOKEN}.${signature(TOKEN)}`],
    ['session-cookie', 'sessionCookie', `Cookie: ${NAME}=${signed(TOKEN)}`],
    ['api-key', 'apiKey', `X-API-Key: ${API_KEY}`]
  ]
  const everything = await createWorld(t)
  for (const [via,, line] of rows) {
    const { status, body } = await everything.call(line)
    t.strictSame([status, JSON.parse(body)], [200, { id: 'u_1', via }])
  }
  for (const name of ['sessionToken', 'sessionCookie', 'apiKey']) {
    const { call, exchanges } = await createWorld(t, { exchange: { [name]: false } })
    for (const [, option, line] of rows) {
      t.equal((await call(line)).status, option === name ? 401 : 200, `${name}: ${line}`)
    }
    t.equal(exchanges.length, rows.filter(([, option]) => option !== name).length)
  }
  const nothing = await createWorld(t, { exchange: false })
  for (const [,, line] of rows) t.equal((await nothing.call(line)).status, 401)
  t.strictSame(nothing.exchanges, [])
})

t.test('a bearer token decides before an API key, and that before a cookie', async t => {
  const { call, exchanges } = await createWorld(t)
  const token = `Authorization: Bearer ${TOKEN}`
  const key = `X-API-Key: ${API_KEY}`
  const cookie = `Cookie: ${NAME}=${signed(TOKEN)}`
  const viaOf = async (...lines: string[]) => (JSON.parse((await call(...lines)).body) as { via: string }).via
  t.equal(await viaOf(cookie, key, token), 'session-token')
  t.equal(await viaOf(cookie, key), 'api-key')
  t.equal((await call(cookie, 'X-API-Key: short')).status, 401, 'an invalid one hides no better one')
  t.equal((await call(cookie, key, `Authorization: Bearer ${'x'.repeat(32)}`)).status, 401)
  for (const { headers } of exchanges) {
    t.equal(['authorization', 'cookie', 'x-api-key'].filter(name => name in headers).length, 1, 'one credential each')
  }
})

t.test('session_data is verified here; session_token if it is refused', async t => {
  const { call, exchanges, origin } = await createWorld(t, { sessionCookie: { secret: SECRET } })
  const viaOf = async (...pairs: string[]) => {
    const { body } = await call(`Cookie: ${pairs.join('; ')}`)
    return (JSON.parse(body) as { via: string }).via
  }
  const plain = `${NAME}=${signed(TOKEN)}`
  t.equal(await viaOf(`${DATA}=${createCookie(origin)}`, plain), 'cookie')
  t.strictSame(exchanges, [])
  t.equal(await viaOf(`${DATA}=${createCookie(origin, { exp: 1, iat: 0 })}`, plain), 'session-cookie')
  t.equal(await viaOf(plain), 'session-cookie')
  t.equal(exchanges.length, 1)

  const without = await createWorld(t, { sessionCookie: true, exchange: { sessionCookie: false } })
  t.equal((await without.call(`Cookie: ${DATA}=${createCookie(without.origin)}`)).status, 200)
  t.equal((await without.call(`Cookie: ${plain}`)).status, 401)
})

t.test('a cookie needs a trusted origin, whatever it is exchanged for; the others do not', async t => {
  for (const [options, origin] of [
    [{}, undefined], [{ sessionCookie: { trustedOrigins: ['https://app.example.com'] } }, 'https://app.example.com']
  ] as Array<[BetterAuthOptions, string | undefined]>) {
    const { app } = await createWorld(t, options)
    const post = async (headers: Record<string, string>) =>
      (await app.inject({ method: 'POST', url: '/me', headers })).statusCode
    const cookie = `${NAME}=${signed(TOKEN)}`
    t.equal(await post({ cookie }), 403)
    t.equal(await post({ cookie, origin: 'https://evil.example' }), 403)
    t.equal(await post({ cookie, host: 'api.example.com', origin: 'http://api.example.com' }), 200)
    if (origin !== undefined) t.equal(await post({ cookie, origin }), 200)
    for (const headers of [{ authorization: `Bearer ${TOKEN}` }, { 'x-api-key': API_KEY }]) {
      t.equal(await post({ ...headers, origin: 'https://evil.example' }), 200)
    }
  }
})

t.test('an exchange waits for the first fetch of the keys, which says where it is, and causes no other', async t => {
  // The base path of the auth server is `/`.
  const { app, exchanges, jwksRequests } = await createWorld(t, {}, { jwksPath: '/jwks', jwksDelay: 200 })
  t.equal(app.betterAuth.status().url, null)
  for (const apiKey of [API_KEY, API_KEY, 'x'.repeat(32)]) {
    const { statusCode } = await app.inject({ url: '/me', headers: { 'x-api-key': apiKey } })
    t.equal(statusCode, apiKey === API_KEY ? 200 : 401)
  }
  t.strictSame(new Set(exchanges.map(({ url }) => url)), new Set(['/token?disableRefresh=true']))
  t.equal(jwksRequests.length, 1)
})

t.test('jwks.headers and the address of the client reach the auth server where the options say so', async t => {
  const options = { exchange: { forwardedFor: true }, jwks: { headers: { 'x-gate': 'open' } } }
  const { app, exchanges } = await createWorld(t, options)
  const headers = {
    'x-api-key': API_KEY, 'x-forwarded-for': '6.6.6.6', cookie: 'a=b', 'user-agent': 'browser', referer: 'x'
  }
  await app.inject({ url: '/me', headers, remoteAddress: '203.0.113.7' })
  const sent = exchanges[0]!.headers
  t.match(sent, { 'x-gate': 'open', 'x-forwarded-for': '203.0.113.7', 'x-api-key': API_KEY })
  t.notOk('cookie' in sent || 'referer' in sent || sent['user-agent'] === 'browser')
})

const long = 'x'.repeat(100_000)
const sig = signature(TOKEN)
const foreign = signature(TOKEN, 'the secret of another auth server')
const MALFORMED = 'credential_malformed'

/** Values of the session cookie that no auth server has to judge. */
const COOKIES: Array<[name: string, value: string]> = [
  ['a token without a signature', TOKEN],
  ['a truncated signature', `${TOKEN}.${sig.slice(0, -2)}=`],
  ['a signature without its padding', `${TOKEN}.${sig.slice(0, -1)}`],
  ['a signature with more padding', `${TOKEN}.${sig}=`],
  ['another server\'s signature', `${TOKEN}.${encodeURIComponent(foreign)}`],
  ['the signature of another token', `${TOKEN}.${signature(`${TOKEN}x`)}`],
  ['a signature of zeros', `${TOKEN}.${'A'.repeat(43)}=`],
  ['a signature in hex', `${TOKEN}.${Buffer.from(sig, 'base64').toString('hex')}`],
  ['a signature in base64url', `${TOKEN}.${'-_'.repeat(21)}A=`],
  ['an edited token', `${TOKEN.slice(0, -1)}Z.${sig}`],
  ['a truncated token', `${TOKEN.slice(0, -1)}.${sig}`],
  ['a longer token', `${TOKEN}a.${sig}`],
  ['a token that is too short, though signed', signed('x'.repeat(15))],
  ['a token that is too long, though signed', signed('x'.repeat(129))],
  ['a token with other characters, though signed', signed('session token of ada!')],
  ['100 kB', long],
  ['100 kB, though signed', signed(long)],
  ['100 kB of percent signs', '%'.repeat(100_000)],
  ['100 kB as a signature', `${TOKEN}.${'%2B'.repeat(33_000)}`],
  ['a value that is encoded twice', encodeURIComponent(encodeURIComponent(`${TOKEN}.${sig}`))],
  ['an encoded dot', `${TOKEN}%2E${encodeURIComponent(sig)}`],
  ['an overlong dot', `${TOKEN}%C0%AE${encodeURIComponent(sig)}`],
  ['an encoded token', `%${TOKEN.charCodeAt(0).toString(16)}${TOKEN.slice(1)}.${sig}`],
  ['an encoded line break', `${signed(TOKEN)}%0d%0aX-Admin:%201`],
  ['an encoded NUL', `${signed(TOKEN)}%00`],
  ['a lone percent sign', `${signed(TOKEN)}%`],
  ['a percent sign with no number', `${TOKEN}.%zz`],
  ['an encoded semicolon', `${signed(TOKEN)}%3B${NAME}=x`],
  ['quotes', `"${signed(TOKEN)}"`],
  ['a space', `${TOKEN} .${sig}`],
  ['a tab', `${TOKEN}\t.${sig}`],
  ['a comma', `${signed(TOKEN)},${signed(TOKEN)}`],
  ['Latin-1', `${TOKEN}\xe9.${sig}`],
  ['__proto__', '__proto__'],
  ['__proto__ with a signature', `__proto__.${sig}`],
  ['constructor', 'constructor'],
  ['an empty token', `.${sig}`],
  ['an empty signature', `${TOKEN}.`],
  ['a dot', '.'],
  ['two dots', '..'],
  ['three parts', `${TOKEN}.${sig}.${sig}`],
  ['a JWT', 'eyJhbGciOiJub25lIn0.e30.'],
  ['JSON', '{"token":"x"}'],
  ['undefined', 'undefined'],
  ['[object Object]', '[object Object]']
]

/** Session tokens that no auth server has to judge. */
const TOKENS: Array<[name: string, value: string, reason?: string]> = [
  ['a word', 'secret'],
  ['15 characters', 'x'.repeat(15)],
  ['129 characters', 'x'.repeat(129)],
  ['100 kB', long],
  ['a truncated signature', `${TOKEN}.${sig.slice(0, -2)}=`],
  ['an empty signature', `${TOKEN}.`],
  ['an empty token', `.${sig}`],
  ['a dot', '.'],
  ['two parts', 'eyJhbGciOiJub25lIn0.e30'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['an encoded line break', `${TOKEN}%0d%0aX-Admin:1`],
  ['an encoded NUL', `${TOKEN}%00`],
  ['a plus sign', `${TOKEN}+`],
  ['quotes', `"${TOKEN}"`],
  ['a comma', `${TOKEN},${TOKEN}`],
  ['Latin-1', `${TOKEN}\xe9`],
  ['padding', `${TOKEN}==`],
  ['the whole cookie', `${NAME}=${signed(TOKEN)}`, 'token_malformed'],
  ['two words', `${TOKEN} ${TOKEN}`, 'authorization_malformed'],
  ['three empty parts', '..', 'token_malformed'],
  ['three parts', `${TOKEN}.${TOKEN}.${TOKEN}`, 'token_malformed'],
  ['five parts', 'a.b.c.d.e', 'token_encrypted']
]

/** API keys that no auth server has to judge. */
const KEYS: Array<[name: string, value: string]> = [
  ['nothing', ''],
  ['15 characters', 'x'.repeat(15)],
  ['513 characters', 'x'.repeat(513)],
  ['100 kB', long],
  ['a space', `${API_KEY} x`],
  ['a tab', `${API_KEY}\tx`],
  ['a comma', `${API_KEY},${API_KEY}`],
  ['a semicolon', `${API_KEY};a=b`],
  ['a percent sign', `${API_KEY}%0d%0aX-Admin:1`],
  ['quotes', `"${API_KEY}"`],
  ['Latin-1', `${API_KEY}\xe9`],
  ['a backslash', `${API_KEY}\\n`],
  ['braces', `{${API_KEY}}`],
  ['a scheme', `Bearer ${API_KEY}`],
  ['__proto__', '__proto__']
]

t.test('a hostile credential is refused without a call, and is in no log', async t => {
  const { call, log, exchanges } = await createWorld(t, { sessionCookie: { secret: SECRET } })
  type Row = [name: string, lines: string[], reason: string, secret: string]
  const five = [1, 2, 3, 4, 5].map(i => `${NAME}=${signed(`${TOKEN}${i}`)}`)
  const bearer = `Authorization: Bearer ${TOKEN}`
  const rows: Row[] = [
    ...COOKIES.map(([name, value]): Row => [`cookie: ${name}`, [`Cookie: ${NAME}=${value}`], MALFORMED, value]),
    ...TOKENS.map(([name, value, reason = MALFORMED]): Row => {
      return [`token: ${name}`, [`Authorization: Bearer ${value}`], reason, value]
    }),
    ...KEYS.map(([name, value]): Row => [`key: ${name}`, [`X-API-Key: ${value}`], MALFORMED, value]),
    ['two keys', [`X-API-Key: ${API_KEY}`, `X-API-Key: ${API_KEY}`], MALFORMED, API_KEY],
    ['a key and an empty one', [`X-API-Key: ${API_KEY}`, 'X-API-Key:'], MALFORMED, API_KEY],
    ['two tokens', [bearer, bearer.toLowerCase()], 'authorization_malformed', TOKEN],
    ['five cookies', [`Cookie: ${five.join(';')}`], 'cookie_ambiguous', TOKEN],
    ['five cookies in five headers', five.map(cookie => `Cookie: ${cookie}`), 'cookie_ambiguous', TOKEN],
    ['a part of a cookie', [`Cookie: ${NAME}.1=${signed(TOKEN)}`], 'token_missing', TOKEN],
    ['an empty cookie', [`Cookie: ${NAME}=`], 'token_missing', ''],
    ['a cookie without a value', [`Cookie: ${NAME}`], 'token_missing', '']
  ]
  t.ok(rows.length >= 60, `${rows.length} rows`)
  for (const [name, lines, reason, secret] of rows) {
    log.lines.length = 0
    const { status, body } = await call(...lines)
    t.equal(status, reason === 'authorization_malformed' ? 400 : 401, name)
    t.equal(log.refusals()[0]?.reason, reason, `${name}: the reason`)
    if (secret.length > 11) t.notMatch(JSON.stringify(log.lines) + body, secret.slice(0, 1000), `${name}: no trace`)
  }
  t.strictSame(exchanges, [])
  t.equal((await call(`Cookie: ${NAME}=${signed(TOKEN)}`)).status, 200, 'and the honest one is accepted')
})

t.test('a line break within a header never reaches the application', async t => {
  const { call, exchanges } = await createWorld(t)
  for (const line of [
    `Cookie: ${NAME}=${signed(TOKEN)}\rX-Admin: 1`, `X-API-Key: ${API_KEY}\rx`, `Authorization: Bearer ${TOKEN}\0`
  ]) t.equal((await call(line)).status, 400)
  t.strictSame(exchanges, [])
})

t.test('what only the auth server can refuse costs one call, however often it comes', async t => {
  const { call, log, exchanges } = await createWorld(t)
  const rows = [
    `Authorization: Bearer ${TOKEN.slice(0, -1)}`, `Authorization: Bearer ${TOKEN.toUpperCase()}`,
    `Authorization: Bearer ${TOKEN}.${foreign}`, `Cookie: ${NAME}=${TOKEN}.${encodeURIComponent(foreign)}`,
    `Cookie: ${NAME}=${signed(`${TOKEN}x`)}`, `X-API-Key: ${API_KEY.slice(1)}`, `X-API-Key: ${API_KEY}~`
  ]
  for (const line of rows) {
    for (let i = 0; i < 3; i++) t.equal((await call(line)).status, 401)
    t.equal(log.refusals().at(-1)!.reason, 'credential_refused')
  }
  t.equal(exchanges.length, rows.length)
  for (const { url } of exchanges) t.equal(url, '/api/auth/token?disableRefresh=true')
  for (const text of [TOKEN, API_KEY]) t.notMatch(JSON.stringify(log.lines), text.slice(0, -1))
})

t.test('an optional route refuses an invalid credential as well', async t => {
  const { app } = await createWorld(t)
  const maybe = async (headers: Record<string, string>) => {
    const { statusCode, body } = await app.inject({ url: '/maybe', headers })
    return statusCode === 200 ? (JSON.parse(body) as { id?: string }).id ?? 'nobody' : statusCode
  }
  t.equal(await maybe({}), 'nobody')
  t.equal(await maybe({ 'x-api-key': API_KEY }), 'u_1')
  t.equal(await maybe({ cookie: `${NAME}=${signed(TOKEN)}` }), 'u_1')
  for (const headers of [
    { 'x-api-key': 'short' }, { 'x-api-key': `${API_KEY}x` }, { cookie: `${NAME}=x` },
    { authorization: `Bearer ${'x'.repeat(32)}` }
  ]) t.equal(await maybe(headers), 401)
})

t.test('the status counts sessions and what is left of the budget, and says when the auth server judged', async t => {
  const { app, call } = await createWorld(t)
  const { remainingBudget, ...fresh } = app.betterAuth.status().exchange!
  const nothing = { sessions: 0, lastError: null, lastSuccessAt: null, lastFailureAt: null, nextTryAt: null }
  t.strictSame(fresh, nothing)
  const before = new Date().toISOString()
  t.equal((await call(`X-API-Key: ${API_KEY}`)).status, 200)
  const { lastSuccessAt, ...used } = app.betterAuth.status().exchange!
  t.match(used, { sessions: 1, lastError: null, lastFailureAt: null, nextTryAt: null })
  t.ok(used.remainingBudget < remainingBudget)
  t.ok(lastSuccessAt! >= before && lastSuccessAt! <= new Date().toISOString(), 'in ISO 8601')
})

t.test('instances that share a store exchange a credential once', async t => {
  const values = new Map<string, string>()
  const store: ExchangeStore = {
    get: key => values.get(key),
    set (key, value) { values.set(key, value) },
    add: (key, value) => !values.has(key) && !!values.set(key, value),
    delete (key) { values.delete(key) }
  }
  const exchange = { shared: { store, secret: SECRET } }
  const first = await createWorld(t, { exchange })
  const second = await createWorld(t, { exchange, authUrl: first.origin })
  const alone = await createWorld(t, { authUrl: first.origin })
  for (const [{ call }, exchanges] of [[first, 1], [second, 1], [alone, 2]] as const) {
    t.equal((await call(`X-API-Key: ${API_KEY}`)).status, 200)
    t.equal(first.exchanges.length, exchanges)
  }
})
