import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { UserSchema, type BetterAuthOptions, type Guard } from '../../lib/index.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { OPTIONS } from '../../lib/contract/option-schemas.js'
import { examine } from '../../lib/doctor/examine.js'
import { rawRequest, type RawResponse } from '../fixtures/raw-request.js'
import { JWKS_PATH, startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'
import { createClaims, signJws } from '../fixtures/signing.js'
import { anyJwks } from './properties/jwks.js'
import { anyGranted, anyGuard, isAdmitted, ORGANIZATIONS, ROLES } from './properties/guards.js'
import { cookieUserOf, isAcceptedByJose, userOf } from './properties/oracle.js'
import { anyAuthorization, anyCookies } from './properties/requests.js'
import { holds } from './properties/run.js'
import { anyToken, splicedTokens, TRUSTED, validToken } from './properties/tokens.js'

const SECRET = randomBytes(32).toString('hex')

interface App {
  send (path: string, lines: readonly string[]): Promise<RawResponse>
  /** The users that handlers saw since it was last called. */
  seen (): unknown[]
  /** What was logged since it was last called. */
  logged (): string
}

async function startServer (t: Test, keys: unknown[]): Promise<JwksServer> {
  const server = await startJwksServer(keys)
  t.teardown(() => server.stop())
  // A kept-alive connection can close at the moment it is used again, which is not under test here.
  server.respond = ({ url }, response) => {
    response.writeHead(url === JWKS_PATH ? 200 : 404, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ keys: server.keys }))
  }
  return server
}

async function startApp (t: Pick<Test, 'teardown'>, options: BetterAuthOptions): Promise<App> {
  const log: string[] = []
  const users: unknown[] = []
  const logger = { level: 'debug', stream: { write (line: string) { log.push(line) } } }
  // Two tokens with a long `kid` are more than Node.js reads by default.
  const app = Fastify({ logger, http: { maxHeaderSize: 65_536 } })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { ...options, jwks: { requestsPerMinute: 1e9, ...options.jwks } })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => { users.push(user); return user })
  app.get('/jwt', { onRequest: [async request => { await request.jwtVerify() }] }, async ({ user }) => {
    users.push(user)
    return user
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    send: (path, lines) => rawRequest(port, path, lines),
    seen: () => users.splice(0),
    logged: () => log.splice(0).join('')
  }
}

/** What holds for every response, whatever was asked. */
async function expectResponse (
  app: App, paths: readonly string[], lines: readonly string[]
): Promise<{ status: number, reason: string | null, id: unknown }> {
  app.seen()
  app.logged()
  const responses: RawResponse[] = []
  for (const path of paths) responses.push(await app.send(path, lines))
  const { status, body } = responses[0]!
  const log = app.logged()
  ensure([200, 400, 401, 403, 503].includes(status), `status ${status}`)
  ensure(responses.every(other => other.status === status && other.body === body),
    `the two ways differ: ${responses.map(response => response.body).join(' ')}`)
  const users = app.seen()
  ensure(users.length === (status === 200 ? paths.length : 0), `${users.length} handlers ran with status ${status}`)
  for (const user of users) ensure(Value.Check(UserSchema, user), `request.user is ${inspect(user)}`)
  const { code, id } = JSON.parse(body) as { code?: string, id?: unknown }
  if (status !== 200) ensure(/^FST_BETTER_AUTH_/.test(code!), `code ${code}`)
  for (const secret of confidential(lines)) {
    ensure(!log.includes(secret), `the log contains ${secret}`)
    ensure(!responses.some(({ text }) => text.includes(secret)), `a response contains ${secret}`)
  }
  const reason = /"reason":"(\w+)"/.exec(log)?.[1] ?? null
  return { status, reason, id }
}

function ensure (condition: boolean, message: string): void {
  if (!condition) throw new Error(message)
}

/** Tokens, their payloads and signatures: whatever is long enough not to be found by chance. */
function confidential (lines: readonly string[]): string[] {
  return lines.flatMap(line => line.split(/[^\w.-]+/)).flatMap(word => [word, ...word.split('.').slice(1)])
    .filter(text => text.length >= 40)
}

/** `jwtVerify()` reads no cookie. */
const BOTH = ['/me', '/jwt']
if (process.env.PROPERTY_RUNS === undefined) t.setTimeout(300_000)
else t.setTimeout(0)

t.test('a token gets 200 only if jose accepts it, and the doctor agrees', async t => {
  const server = await startServer(t, TRUSTED.map(({ jwk }) => jwk))
  const options = { authUrl: server.origin }
  const app = await startApp(t, options)
  const outcomes = new Map<string, number>()
  await holds(t, 400, anyToken(server.origin), async token => {
    // The verifier of @fastify/jwt does not know the newer names of EdDSA.
    const isKnown = !Buffer.from(token.split('.')[0]!, 'base64url').includes('"Ed25519"')
    const paths = isKnown ? BOTH : ['/me']
    const { status, reason, id } = await expectResponse(app, paths, [`Authorization: Bearer ${token}`])
    outcomes.set(reason ?? String(status), (outcomes.get(reason ?? String(status)) ?? 0) + 1)
    if (status === 200) {
      ensure(await isAcceptedByJose(token, server.keys, server.origin), 'jose refuses it')
      ensure(id === userOf(token), `${inspect(id)} is another user, or banned`)
    }
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return
    const { token: examined } = await examine(options, token, {})
    const { verdict } = examined!
    ensure(verdict.accepted ? status === 200 : verdict.reason === reason, `the doctor says ${inspect(verdict)}`)
  })
  t.comment(inspect(Object.fromEntries(outcomes), { breakLength: Infinity }))
  t.ok(outcomes.get('200')! > 20, `${outcomes.get('200')} are valid`)
  t.ok(outcomes.size > 8, 'the others are refused for many reasons')
})

t.test('an ordinary token gets 200, whatever else it says', async t => {
  const server = await startServer(t, TRUSTED.map(({ jwk }) => jwk))
  const app = await startApp(t, { authUrl: server.origin })
  await holds(t, 100, validToken(server.origin), async ({ token }) => {
    const { status, reason } = await expectResponse(app, BOTH, [`Authorization: Bearer ${token}`])
    ensure(status === 200, `refused: ${reason}`)
  })
})

t.test('parts of a token that was accepted just now make no other token valid', async t => {
  const server = await startServer(t, TRUSTED.map(({ jwk }) => jwk))
  const app = await startApp(t, { authUrl: server.origin })
  await holds(t, 60, splicedTokens(server.origin), async ({ genuine, spliced }) => {
    // The second use fills the cache.
    for (const token of [genuine, genuine, spliced]) {
      const { status, id } = await expectResponse(app, ['/me'], [`Authorization: Bearer ${token}`])
      ensure(token === genuine ? id === 'u_1' : status === 401, `status ${status}, user ${inspect(id)}`)
    }
  })
})

t.test('a guard lets in whoever meets its conditions, and nobody else', async t => {
  const server = await startServer(t, TRUSTED.map(({ jwk }) => jwk))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: server.origin, roles: ROLES })
  let guard: Guard = {}
  app.get('/:org', async (request, reply) => app.authorize(guard)(request, reply))
  let admitted = 0
  const inputs = fc.record({ guard: anyGuard, claims: anyGranted, org: fc.constantFrom(...ORGANIZATIONS) })
  await holds(t, 500, inputs, async ({ guard: given, claims, org }) => {
    guard = given
    const authorization = `Bearer ${signJws(TRUSTED[0]!, createClaims(server.origin, claims))}`
    const { statusCode } = await app.inject({ url: `/${org}`, headers: { authorization } })
    const expected = isAdmitted(given, claims, org) ? 200 : 403
    ensure(statusCode === expected, `status ${statusCode}, not ${expected}`)
    if (statusCode === 200) admitted++
  })
  t.ok(admitted > 20, `${admitted} are admitted`)
})

t.test('headers and cookies get 200 only with a credential of the auth server', async t => {
  const server = await startServer(t, TRUSTED.map(({ jwk }) => jwk))
  const app = await startApp(t, { authUrl: server.origin, sessionCookie: { secret: SECRET } })
  const accepted = { token: 0, cookie: 0 }
  const inputs = fc.record({
    authorization: fc.oneof(fc.constant<string[]>([]), anyAuthorization(anyToken(server.origin))),
    cookies: anyCookies(SECRET)
  })
  await holds(t, 400, inputs, async ({ authorization, cookies }) => {
    const { status, id } = await expectResponse(app, ['/me'], [...authorization, ...cookies.lines])
    if (status !== 200) return
    ensure(authorization.length < 2, 'two headers may name two users')
    accepted[authorization.length > 0 ? 'token' : 'cookie']++
    const tokens = authorization.map(line => line.replace(/^Authorization: *bearer +/i, ''))
    const users = await Promise.all([
      ...tokens.map(async token => await isAcceptedByJose(token, server.keys, server.origin) ? userOf(token) : null),
      ...cookies.values.map(value => cookieUserOf(value, SECRET))
    ])
    ensure(users.includes(id), `jose accepts nothing of it for ${inspect(id)}`)
  })
  t.ok(accepted.token > 3 && accepted.cookie > 3, `${accepted.token} tokens and ${accepted.cookie} cookies are valid`)
})

t.test('a JWKS with anything in it makes nobody valid whom jose refuses', async t => {
  const server = await startServer(t, [])
  let accepted = 0
  await holds(t, 120, fc.tuple(anyJwks, fc.constantFrom(...TRUSTED)), async ([keys, key]) => {
    server.keys = keys
    const closing: Array<() => unknown> = []
    const app = await startApp({ teardown: (close: () => unknown) => { closing.push(close) } }, {
      authUrl: server.origin
    })
    const token = signJws(key, createClaims(server.origin))
    try {
      const { status } = await expectResponse(app, BOTH, [`Authorization: Bearer ${token}`])
      if (status !== 200) return
      accepted++
      ensure(await isAcceptedByJose(token, keys, server.origin), 'jose refuses it')
    } finally {
      for (const close of closing) await close()
    }
  }, [[[{ ...TRUSTED[1]!.jwk, ext: {} }], TRUSTED[1]!]])
  t.ok(accepted > 2, `${accepted} are valid`)
})

t.test('options are accepted, or refused with an error that names one of them', async t => {
  const names = Object.keys(OPTIONS)
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
  const values = fc.oneof(anything, fc.constantFrom<unknown>(false, true, '', 0, -1, NaN, Infinity, [], {}, () => {},
    'http://localhost:1', 'https://a.example.com/api/auth', 'ftp://x', 'EdDSA', ['EdDSA'], SECRET))
  const anyName = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...names) }, fc.string())
  const objects = fc.dictionary(anyName, values, { maxKeys: 3 })
    .map(options => typeof options.secret === 'string' ? { ...options, secret: 'tell-nobody' } : options)
  let accepted = 0
  let refused = 0
  await holds(t, 2000, objects, async options => {
    try {
      resolveOptions(options as BetterAuthOptions, {})
      accepted++
    } catch (error) {
      const { code, message } = error as { code?: string, message: string }
      ensure(code === 'FST_BETTER_AUTH_INVALID_OPTION', inspect(error))
      const isNamed = Object.keys(options).some(name => message.includes(name.slice(0, 20)))
      ensure(isNamed, message)
      ensure(!message.includes('tell-nobody'), message)
      refused++
    }
  })
  t.ok(accepted > 50 && refused > 500, `${accepted} accepted, ${refused} refused`)
})
