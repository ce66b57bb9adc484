import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions, type RefusalReason } from '../../lib/index.js'
import { JWKS_PATH, startJwksServer } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signHmac, signJws } from '../fixtures/signing.js'
import { rawRequest, type RawResponse } from '../fixtures/raw-request.js'
import { algorithms } from './hostile/algorithms.js'
import { token, type Families, type LogLine } from './hostile/cases.js'
import { claims } from './hostile/claims.js'
import { controls } from './hostile/controls.js'
import { encodings } from './hostile/encodings.js'
import { headers } from './hostile/headers.js'
import { keys } from './hostile/keys.js'
import { requests } from './hostile/requests.js'
import { signatures } from './hostile/signatures.js'
import { createWorld, publishedKeys, type World } from './hostile/world.js'

interface App {
  port: number
  log: string[]
}

const FAMILIES: Families = {
  ...algorithms, ...keys, ...headers, ...signatures, ...encodings, ...claims, ...requests
}

const INVALID = [401, 'FST_BETTER_AUTH_TOKEN_INVALID', 'Unauthorized', 'Invalid authentication credentials',
  'Bearer error="invalid_token"'] as const
const RESPONSES: Partial<Record<RefusalReason, readonly [number, string, string, string, string]>> = {
  token_missing: [401, 'FST_BETTER_AUTH_TOKEN_MISSING', 'Unauthorized', 'Missing bearer token', 'Bearer'],
  authorization_malformed: [400, 'FST_BETTER_AUTH_REQUEST_INVALID', 'Bad Request', 'Malformed Authorization header',
    'Bearer error="invalid_request"'],
  token_expired: [401, 'FST_BETTER_AUTH_TOKEN_EXPIRED', 'Unauthorized', 'Token expired', 'Bearer error="invalid_token"']
}

async function startApp (t: Test, options: BetterAuthOptions, http = { maxHeaderSize: 256 * 1024 }): Promise<App> {
  const log: string[] = []
  const app = Fastify({
    // At `trace`, Fastify itself logs the bytes of requests that Node.js refuses.
    logger: { level: 'debug', stream: { write (line: string) { log.push(line) } } },
    requestIdHeader: 'x-case',
    http
  })
  t.teardown(() => app.close())
  // The plugin looks for every unknown kid in the cases: the rate limit is not under test here.
  await app.register(betterAuthPlugin, { ...options, jwks: { requestsPerMinute: 1e9 } })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user)
  app.get('/jwt', { onRequest: [async request => { await request.jwtVerify() }] }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { port: (app.server.address() as AddressInfo).port, log }
}

let caseCount = 0

async function send (app: App, path: string, lines: readonly string[]): Promise<RawResponse & { logged: LogLine[] }> {
  const id = `case-${++caseCount}`
  const logLength = app.log.length
  const response = await rawRequest(app.port, path, [...lines, `X-Case: ${id}`])
  const logged = app.log.slice(logLength)
    .filter(line => line.includes(`"reqId":"${id}"`) && line.includes('"reason"'))
    .map(line => {
      const { reason, claim, expected, received } = JSON.parse(line) as LogLine
      return JSON.parse(JSON.stringify({ reason, claim, expected, received })) as LogLine
    })
  return { ...response, logged }
}

function expected ({ reason }: LogLine): { status: number, body: unknown, challenge: string } {
  const [statusCode, code, error, message, challenge] = RESPONSES[reason] ?? INVALID
  return { status: statusCode, body: { statusCode, code, error, message }, challenge }
}

function got (
  { status, body, headers }: RawResponse
): { status: number, body: unknown, challenge: string | undefined } {
  return { status, body: JSON.parse(body) as unknown, challenge: headers['www-authenticate'] }
}

/** The tokens in header lines and their signatures, which no response and no log line may contain. */
function confidential (lines: readonly string[]): string[] {
  return lines
    .flatMap(line => line.split(/[ \t,;="<>]+/))
    .filter(word => word.includes('.'))
    .flatMap(word => [word, word.slice(word.lastIndexOf('.') + 1)])
    .filter(text => text.length >= 32 && /^[\w.=-]+$/.test(text))
}

async function expectControls (t: Test, app: App, world: World): Promise<void> {
  for (const path of ['/me', '/jwt']) {
    for (const [name, lines, id] of controls(world)) {
      const { status, body, logged } = await send(app, path, lines)
      t.strictSame([status, (JSON.parse(body) as { id: string }).id, logged], [200, id, []], `${path}: ${name}`)
    }
  }
}

t.setTimeout(120_000)

t.test('hostile tokens', async t => {
  const attackerServer = await startJwksServer()
  const server = await startJwksServer()
  t.teardown(() => Promise.all([attackerServer.stop(), server.stop()]))
  const world = createWorld(server.origin, attackerServer.origin)
  let attackerHits = 0
  attackerServer.respond = (_request, response) => {
    attackerHits++
    response.end(JSON.stringify({ keys: [world.attacker.jwk] }))
  }

  server.keys = publishedKeys(world)
  // A kept-alive connection can close at the moment it is used again, which is not under test here.
  server.respond = ({ url }, response) => {
    response.writeHead(url === JWKS_PATH ? 200 : 404, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ keys: server.keys }))
  }

  for (const secret of [undefined, world.secret]) {
    t.test(`${secret === undefined ? 'without' : 'with'} the option "secret"`, async t => {
      const app = await startApp(t, { authUrl: server.origin, secret })
      const seen: string[] = []
      const sharedSecret = [`Authorization: Bearer ${signHmac(world.secret, createClaims(world.origin))}`]
      await t.test('accepts valid tokens', async t => {
        await expectControls(t, app, world)
        const { status } = await send(app, '/me', sharedSecret)
        t.equal(status, secret === undefined ? 401 : 200, 'HS256 with the secret')
      })

      for (const [family, cases] of Object.entries(FAMILIES)) {
        await t.test(`refuses ${family}`, async t => {
          for (const { name, lines, log, logWithSecret } of cases(world)) {
            const reason = secret === undefined ? log : logWithSecret
            seen.push(...confidential(lines))
            const response = await send(app, '/me', lines)
            const jwtVerify = await send(app, '/jwt', lines)
            t.strictSame(
              { ...got(response), logged: response.logged, jwtVerify: got(jwtVerify) },
              { ...expected(reason), logged: [reason], jwtVerify: expected(reason) },
              name
            )
            const texts = response.text + jwtVerify.text
            const leaks = confidential(lines).filter(text => texts.includes(text))
            if (leaks.length > 0) t.fail(`${name}: the response contains the token or its signature`)
          }
        })
      }

      t.test('afterwards', async t => {
        await expectControls(t, app, world)
        t.equal(attackerHits, 0, 'the attacker’s server received no request')
        const log = app.log.join('')
        t.ok(seen.length > 1000)
        t.strictSame(seen.filter(text => log.includes(text)), [], 'no log line contains a token or a signature')
        t.strictSame(app.log.filter(line => /"level":[56]0/.test(line) && line.includes('"reqId"')), [],
          'no request was logged as an error')
        t.strictSame([world.secret, server.origin].map(text => log.includes(text)), [false, true],
          'the log contains the issuer, but not the secret')
      })
    })
  }

  t.test('refuses other kinds of token and claims of the wrong type with issuer and audience unchecked', async t => {
    const app = await startApp(t, { authUrl: server.origin, issuer: false, audience: false })
    for (const family of ['other kinds of token, signed with the same keys', 'claims of the wrong type']) {
      for (const { name, lines, log } of FAMILIES[family]!(world)) {
        const response = await send(app, '/me', lines)
        t.strictSame({ ...got(response), logged: response.logged }, { ...expected(log), logged: [log] }, name)
      }
    }
    const { status } = await send(app, '/me', [`Authorization: Bearer ${token(world, { iss: 'x', aud: undefined })}`])
    t.equal(status, 200)
  })
})

t.test('requests that Node.js refuses before the plugin sees them', async t => {
  const server = await startJwksServer()
  t.teardown(() => server.stop())
  const key = createSigningKey()
  server.keys = [key.jwk]
  const app = await startApp(t, { authUrl: server.origin }, { maxHeaderSize: 16 * 1024 })
  const jws = signJws(key, createClaims(server.origin))
  const long = signJws(key, createClaims(server.origin, { long: 'x'.repeat(75_000) }))
  const cases: Array<[name: string, status: number, lines: string[]]> = [
    ['a token of 100 kB', 431, [`Authorization: Bearer ${'a'.repeat(100_000)}`]],
    ['a valid token of 100 kB', 431, [`Authorization: Bearer ${long}`]],
    ['a NUL after the token', 400, [`Authorization: Bearer ${jws}\0`]],
    ['a NUL before the token', 400, [`Authorization: Bearer \0${jws}`]],
    ['a carriage return in the header', 400, [`Authorization: Bearer ${jws}\rX-Other: x`]],
    ['a vertical tab', 400, [`Authorization: Bearer\v${jws}`]],
    ['a space before the colon', 400, [`Authorization : Bearer ${jws}`]],
    ['a folded header', 400, ['Authorization: Bearer', ` ${jws}`]],
    ['no colon', 400, [`Authorization Bearer ${jws}`]]
  ]
  for (const [name, status, lines] of cases) {
    const response = await rawRequest(app.port, '/me', lines)
    t.equal(response.status, status, name)
    t.notOk(response.text.includes(jws), 'the response does not contain the token')
  }
  const { status } = await rawRequest(app.port, '/me', [`Authorization: Bearer ${jws}`])
  t.equal(status, 200, 'a valid token still gets 200 afterwards')
  t.notOk(app.log.join('').includes(jws), 'no log line contains the token')
})
