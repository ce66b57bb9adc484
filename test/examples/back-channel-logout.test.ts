import { createPrivateKey, createPublicKey, randomBytes, randomUUID, type JsonWebKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import { transformSync } from 'esbuild'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startApi } from '../fixtures/api.js'
import { close, listen } from '../fixtures/auth-server.js'
import { parsePage, read } from '../fixtures/docs.js'
import type { Fields } from '../fixtures/oauth-packages.js'
import type { SignedIn } from '../fixtures/oauth-protocol.js'
import { RESOURCE, startOAuthServer, type OAuthServer } from '../fixtures/oauth-server.js'
import { copyProject, freePorts, NODE, start } from '../fixtures/program.js'
import { createSigningKey, encode, signHmac, signJws, type SigningKey } from '../fixtures/signing.js'

const GUIDE = 'docs/guides/revocation.md'
const { blocks } = parsePage(GUIDE)
const blockWith = (text: string): string => blocks.find(({ code }) => code.includes(text))!.code

const project = copyProject(t)
const PATH = '/back-channel-logout'
const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

t.setTimeout(300_000)

t.test('the guide shows the whole program, except for its first line', async t => {
  const rest = (code: string) => code.slice(code.indexOf('\n'))
  t.equal(rest(blockWith(LOGOUT)), rest(read('examples/back-channel-logout.ts')))
})

/** How an API responds to the session cookie of somebody. */
async function statusOf (api: string, { cookie }: SignedIn): Promise<number> {
  const response = await fetch(`${api}/me`, { headers: { cookie } })
  await response.body?.cancel()
  return response.status
}

/** How often sessions were exchanged. */
const exchanges = ({ hits }: OAuthServer): number => hits.get('/api/auth/token') ?? 0

/** The key with which the server signs. */
function keyOf ({ db }: OAuthServer): SigningKey {
  const { id, privateKey: text } = db.jwks![0]! as { id: string, privateKey: string }
  const privateKey = createPrivateKey({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' })
  const publicKey = createPublicKey(privateKey)
  return { kid: id, alg: 'EdDSA', privateKey, publicKey, jwk: publicKey.export({ format: 'jwk' }) }
}

/**
 * Sends the header fields of a request alone: a server that refuses its length closes the connection, which would break
 * off the writing of a body.
 */
function announce (url: string, length: number): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers: { ...FORM, 'content-length': length } })
    sent.on('error', reject)
    sent.on('response', response => {
      const init = { status: response.statusCode!, headers: response.headers as Record<string, string> }
      text(response).then(body => { resolve(new Response(body, init)) }, reject)
    })
    sent.flushHeaders()
  })
}

/** Receives what the server sends to the client, and hands it to the example. */
async function startRecorder (t: Test, target: string): Promise<{ url: string, bodies: string[], statuses: number[] }> {
  const bodies: string[] = []
  const statuses: number[] = []
  const recorder = createServer((request, response) => {
    const receive = async () => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      bodies.push(body)
      const { status } = await fetch(target, {
        method: 'POST', headers: { 'content-type': request.headers['content-type']! }, body
      })
      statuses.push(status)
      response.writeHead(status).end()
    }
    receive().catch(() => { response.destroy() })
  })
  const port = await listen(recorder)
  t.teardown(() => close(recorder))
  return { url: `http://127.0.0.1:${port}`, bodies, statuses }
}

t.test('examples/back-channel-logout.ts, with a real Better Auth server', async t => {
  const [port] = await freePorts(t)
  const api = `http://localhost:${port}`
  const [, definePayload] = /definePayload: (.*?) } }\)`/.exec(read(GUIDE))!
  const server = await startOAuthServer(t, {
    jwt: {
      jwt: { definePayload: runInNewContext(definePayload!) as unknown },
      jwks: { disablePrivateKeyEncryption: true }
    }
  })
  const client = await server.registerClient({ backchannel_logout_uri: `https://api.example.com${PATH}` })
  const recorder = await startRecorder(t, api + PATH)
  // Better Auth registers public host names only.
  Object.assign(server.db.oauthClient![0]!, { backchannelLogoutUri: recorder.url })
  const example = start(t, project, [...NODE, 'examples/back-channel-logout.js'], {
    BETTER_AUTH_URL: server.origin, CLIENT_ID: client.clientId, PORT: String(port)
  })
  const nameless = start(t, project, [...NODE, 'examples/back-channel-logout.js'], { CLIENT_ID: '' })
  await example.printed('Server listening at')

  const post = (body: string | URLSearchParams | undefined, headers: Record<string, string> = FORM) =>
    fetch(api + PATH, { method: 'POST', headers, ...body !== undefined && { body: String(body) } })
  const send = (token: string) => post(new URLSearchParams({ logout_token: token }))

  t.test('without CLIENT_ID, which would accept the logout tokens of all clients, it does not start', async t => {
    t.match(await nameless.exit, { code: 1 })
    t.match(nameless.stderr, 'CLIENT_ID must be the client')
  })

  t.test('the server tells the API of a sign-out, and the session ends at once; others cost no exchange', async t => {
    const [ada, grace] = [await server.signUp(), await server.signUp()]
    const sessionId = server.sessionIdOf(ada)
    await server.delegate(ada, client, { scopes: ['openid'] })
    for (const person of [ada, grace]) t.equal(await statusOf(api, person), 200)
    const before = exchanges(server)

    await server.signOut(ada)
    t.strictSame(recorder.statuses, [200])
    t.equal(await statusOf(api, grace), 200)
    t.equal(exchanges(server), before)
    t.equal(await statusOf(api, ada), 401)

    const token = new URLSearchParams(recorder.bodies[0]).get('logout_token')!
    const [header, claims] = token.split('.', 2)
      .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as Fields)
    t.match(header, { typ: 'logout+jwt', alg: 'EdDSA' })
    t.match(claims, { iss: server.baseURL, aud: client.clientId, sub: ada.user.id, sid: sessionId })
    t.equal(Number(claims!.exp) - Number(claims!.iat), 120)
    t.equal((await send(token)).status, 400, 'and it counts once')
    t.notMatch(example.stdout, token.split('.')[2]!)
  })

  t.test('a client without an opaque token or a refresh token of the session gets no logout token', async t => {
    const person = await server.signUp()
    await server.delegate(person, client, { scopes: ['orders:read'], resource: RESOURCE })
    await server.signOut(person)
    t.equal(recorder.bodies.length, 1)
    const another = await server.signUp()
    await server.delegate(another, client, { scopes: ['orders:read', 'offline_access'], resource: RESOURCE })
    await server.signOut(another)
    t.strictSame(recorder.statuses, [200, 200])
  })

  t.test('which logout tokens are accepted', async t => {
    const person = await server.signUp()
    t.equal(await statusOf(api, person), 200)
    const { access_token: access, id_token: idToken } = await server.delegate(person, client, {
      scopes: ['openid', 'orders:read'], resource: RESOURCE
    })
    const { access_token: opaque } = await server.delegate(person, client, { scopes: ['openid'] })
    const [firstParty, before] = [await server.firstPartyToken(person), exchanges(server)]
    const [key, stranger] = [keyOf(server), createSigningKey()]
    const now = Math.floor(Date.now() / 1000)

    const claimsWith = (overrides: Fields = {}): Fields => ({
      iss: server.baseURL,
      aud: client.clientId,
      sub: person.user.id,
      sid: server.sessionIdOf(person),
      iat: now,
      exp: now + 120,
      jti: randomUUID(),
      events: { [LOGOUT]: {} },
      ...overrides
    })
    const sign = (overrides?: Fields, header: Fields = {}, by = key): string =>
      signJws(by, claimsWith(overrides), { typ: 'logout+jwt', ...header })
    const valid = sign()
    const pem = String(key.publicKey.export({ format: 'pem', type: 'spki' }))

    const refused: Record<string, string> = {
      'a forged signature': `${valid.slice(0, -8)}AAAAAAAA`,
      'the claims of another': `${valid.split('.')[0]}.${encode(claimsWith())}.${valid.split('.')[2]}`,
      'another key': sign({}, {}, createSigningKey('EdDSA', key.kid)),
      'an unknown key': sign({}, {}, stranger),
      'a key in the header': sign({}, { kid: undefined, jwk: stranger.jwk }, stranger),
      'alg none': `${encode({ alg: 'none', typ: 'logout+jwt' })}.${encode(claimsWith())}.`,
      'HS256 with the public key': signHmac(pem, claimsWith(), { typ: 'logout+jwt', kid: key.kid }),
      'no typ': sign({}, { typ: undefined }),
      'the typ of an access token': sign({}, { typ: 'at+jwt' }),
      'the typ JWT': sign({}, { typ: 'JWT' }),
      'the issuer of first-party tokens': sign({ iss: server.origin }),
      'no issuer': sign({ iss: undefined }),
      'another client': sign({ aud: 'another' }),
      'several audiences': sign({ aud: [client.clientId, 'another'] }),
      'an API': sign({ aud: RESOURCE }),
      'no audience': sign({ aud: undefined }),
      'an expired one': sign({ iat: now - 130, exp: now - 10 }),
      'no expiry': sign({ exp: undefined }),
      'no time of issue': sign({ iat: undefined }),
      'an old one': sign({ iat: now - 600 }),
      'one of the future': sign({ iat: now + 600, exp: now + 720 }),
      'no events': sign({ events: undefined }),
      'another event': sign({ events: { 'http://schemas.openid.net/event/other': {} } }),
      'an event that is null': sign({ events: { [LOGOUT]: null } }),
      'an event that is a list': sign({ events: { [LOGOUT]: [] } }),
      'events that are a text': sign({ events: LOGOUT }),
      'events that are a list': sign({ events: [LOGOUT] }),
      'a nonce': sign({ nonce: 'n' }),
      'a nonce that is null': sign({ nonce: null }),
      'no jti': sign({ jti: undefined }),
      'a jti that is a number': sign({ jti: 1 }),
      'neither a session nor a user': sign({ sid: undefined, sub: undefined }),
      'an empty session': sign({ sid: '' }),
      'a session that is a number': sign({ sid: 1, sub: undefined }),
      'an access token': access,
      'an opaque access token': opaque,
      'an ID token': idToken!,
      'a token of /token': firstParty,
      'the session cookie': person.cookie,
      nothing: '',
      '100 kB': `${valid}${'A'.repeat(100_000)}`
    }
    const logoutToken = (token: string) => new URLSearchParams({ logout_token: token })
    const two = logoutToken(valid)
    two.append('logout_token', valid)
    const requests: Record<string, Promise<Response>> = {
      'without a token': post('token=x'),
      'with two tokens': post(two),
      'with an empty body': post(''),
      'without a body': post(undefined, {}),
      'as JSON': post(JSON.stringify({ logout_token: valid }), { 'content-type': 'application/json' }),
      'as a text': post(logoutToken(valid), { 'content-type': 'text/plain' }),
      'with 2 MB': announce(api + PATH, 2_000_000),
      'in the URL': fetch(`${api}${PATH}?${logoutToken(sign())}`, { method: 'POST', headers: FORM, body: 'a=b' }),
      'as a bearer token': post('a=b', { ...FORM, authorization: `Bearer ${valid}` })
    }
    for (const [title, token] of Object.entries(refused)) requests[title] = send(token)
    for (const [title, promise] of Object.entries(requests)) {
      const response = await promise
      t.strictSame([response.status, response.headers.get('cache-control')], [400, 'no-store'], title)
      t.equal(await response.text(), '{"error":"invalid_request"}', title)
    }
    t.equal((await fetch(`${api}${PATH}?${logoutToken(sign())}`)).status, 404, 'GET')
    t.equal(await statusOf(api, person), 200)
    t.equal(exchanges(server), before, 'none of these made the API forget a session')

    const accepted = [
      sign(), sign({ sub: undefined }), sign({ sid: undefined }), sign({}, { typ: 'application/logout+jwt' })
    ]
    for (const [index, token] of accepted.entries()) {
      const response = await send(token)
      t.strictSame([response.status, response.headers.get('cache-control')], [200, 'no-store'])
      t.equal((await send(token)).status, 400)
      t.equal(await statusOf(api, person), 200, 'as the server says that the session has not ended')
      t.equal(exchanges(server), before + 1 + index)
    }
    const log = example.stdout
    t.match(log, 'unexpected \\"aud\\" claim value')
    t.match(log, 'The logout token was received before')
    t.notMatch(log, valid.split('.')[2]!)
  })
})

t.test('the hook of the guide, with a real Better Auth server', async t => {
  const [port] = await freePorts(t)

  /** A block of the guide as a module of its own. `betterAuth()` returns its options. */
  async function load (text: string): Promise<Fields> {
    const typed = blockWith(text).replace(/^import .*'better-auth.*$/gm, '')
      .replace('http://api.internal:3001', `http://localhost:${port}`)
    const file = join(project, `${randomBytes(4).toString('hex')}.mjs`)
    const stubs = 'const betterAuth = options => options, jwt = () => ({}), bearer = jwt\n'
    writeFileSync(file, stubs + transformSync(typed, { loader: 'ts' }).code)
    return await import(pathToFileURL(file).href) as Fields
  }
  const { hooks } = await load('timingSafeEqual') as { hooks: (app: FastifyInstance) => Promise<void> }
  const { auth: { databaseHooks } } = await load('databaseHooks') as { auth: { databaseHooks: Fields } }
  const server = await startOAuthServer(t, { databaseHooks })
  const secret = process.env.HOOK_SECRET = randomBytes(32).toString('hex')
  const app = await startApi(t, { authUrl: server.origin, exchange: true })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  await app.register(hooks)
  const api = await app.listen({ port, host: 'localhost' })

  t.test('a session ends at once by a sign-out, and all sessions of a user by a ban', async t => {
    const [ada, grace] = [await server.signUp(), await server.signUp()]
    const second = await server.signIn(grace.user.email)
    const sessions = [ada, grace, second]
    for (const session of sessions) t.equal(await statusOf(api, session), 200)
    await server.signOut(ada)
    t.strictSame(await Promise.all(sessions.map(session => statusOf(api, session))), [401, 200, 200])
    await server.ban(grace)
    t.strictSame(await Promise.all(sessions.map(session => statusOf(api, session))), [401, 401, 401])
  })

  t.test('only a caller with the secret may call the route', async t => {
    const rows: Array<[Record<string, string>, string, number]> = [
      [{}, '{"userId":"x"}', 403],
      [{ 'x-hook-secret': '' }, '{"userId":"x"}', 403],
      [{ 'x-hook-secret': 'undefined' }, '{"userId":"x"}', 403],
      [{ 'x-hook-secret': secret.slice(1) }, '{"userId":"x"}', 403],
      [{ 'x-hook-secret': `${secret.slice(0, -1)}x` }, 'not JSON', 403],
      [{ authorization: `Bearer ${secret}` }, '{"userId":"x"}', 403],
      [{ 'x-hook-secret': secret }, '{"userId":"x"}', 204],
      [{ 'x-hook-secret': secret }, '{"userId":""}', 400],
      [{ 'x-hook-secret': secret }, '{}', 400],
      [{ 'x-hook-secret': secret }, 'null', 400]
    ]
    for (const [headers, body, status] of rows) {
      const response = await fetch(`${api}/hooks/session-ended`, {
        method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body
      })
      t.equal(response.status, status, JSON.stringify({ headers, body }))
    }
  })

  t.test('a short secret fails the boot', async t => {
    process.env.HOOK_SECRET = ''
    const other = await startApi(t, { authUrl: server.origin, exchange: true })
    await t.rejects(async () => other.register(hooks), { message: 'HOOK_SECRET must have at least 32 bytes' })
  })

  t.test('the sign-out succeeds even if the API cannot be reached', async t => {
    const person = await server.signUp()
    await app.close()
    await t.resolves(server.signOut(person))
  })
})
