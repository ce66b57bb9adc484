import { randomUUID, sign } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { AddressInfo } from 'node:net'
import fastifyAuth from '@fastify/auth'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import {
  ALGORITHMS, CHANNELS, getUser, type BetterAuthOptions, type DpopOptions, type DpopReplayStore,
  type VerificationMessage
} from '../../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type ApiResponse, type LogCapture } from '../../fixtures/api.js'
import { createDpopKey, sha256 } from '../../fixtures/dpop.js'
import { startOAuthServer } from '../../fixtures/oauth-server.js'
import { rawRequest } from '../../fixtures/raw-request.js'
import { connectRedis, withoutRedis } from '../../fixtures/redis.js'
import { createSigningKey, encode, signHmac, signJws } from '../../fixtures/signing.js'
import { startIssuer } from '../../fixtures/test-issuer.js'

const RESOURCE = 'https://api.example.com'
const URL_OF_ORDERS = `${RESOURCE}/orders`
const METADATA = `resource_metadata="${RESOURCE}/.well-known/oauth-protected-resource"`
const ALGS = `algs="${ALGORITHMS.join(' ')}"`
const SCOPES = ['orders:read']
const FORGED = '401 proof_signature_invalid'
const BAD_KEY = '401 proof_header_invalid jwk'
const HTU = '401 proof_mismatch htu'
const GRANT = { clientId: 'app_1', scopes: SCOPES, resource: RESOURCE }

const KEY = createDpopKey()
const OTHER_KEY = createDpopKey()
const issuer = await startIssuer(t)
const boundTo = (jkt: unknown, claims: Record<string, unknown> = {}) =>
  issuer.accessToken({ ...GRANT, claims: { cnf: { jkt }, ...claims } })
const TOKEN = boundTo(KEY.thumbprint)
const MACHINE = issuer.clientToken({ ...GRANT, claims: { cnf: { jkt: KEY.thumbprint } } })

/** What comes over the socket, and what becomes of it. */
type Row = readonly [what: string, headerLines: readonly string[], outcome: string]

interface World { readonly app: FastifyInstance, readonly log: LogCapture, readonly port: number }

async function createWorld (
  t: Pick<Test, 'teardown'>, dpop: boolean | DpopOptions = true, options: BetterAuthOptions = {}
): Promise<World> {
  const log = captureLog()
  // More than Node.js allows by default: the limits of the plugin are under test.
  const server = { http: { maxHeaderSize: 100_000 } }
  const app = await startApi(t, { authUrl: issuer.authUrl, resource: RESOURCE, dpop, ...options }, log, server)
  const guard = app.authorize({ delegated: SCOPES, clients: SCOPES })
  const handler = async (request: FastifyRequest) => ({ user: getUser(request)?.id, via: request.principal.via })
  app.get('/orders', { onRequest: [guard] }, handler)
  app.post('/orders', { onRequest: [guard] }, handler)
  app.get('/more', { onRequest: [app.authorize({ delegated: ['orders:write'] })] }, handler)
  app.get('/me', { onRequest: [app.authenticate] }, handler)
  app.get('/optional', { onRequest: [app.authenticateOptional] }, async request => ({ user: getUser(request) }))
  app.get('/jwt', { onRequest: [async request => { await request.jwtVerify() }] }, async () => ({}))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, log, port: (app.server.address() as AddressInfo).port }
}

/** The headers of a request with a token and a proof. */
function dpop (token = TOKEN, proof = KEY.prove('GET', URL_OF_ORDERS, token)) {
  return { authorization: `DPoP ${token}`, dpop: proof }
}

/** The status, and the reason word and the claim of a refusal. */
async function outcomeOf ({ log }: World, call: () => Promise<{ status: number }>): Promise<string> {
  log.lines.length = 0
  const { status } = await call()
  const [refusal] = log.refusals()
  return [status, refusal?.reason, refusal?.claim].filter(part => part !== undefined).join(' ')
}

const call = (world: World, url: string, headers: Record<string, string>): Promise<ApiResponse> =>
  TRANSPORTS.socket(world.app, { url, headers })

t.test('requests of all kinds: each has its outcome', async t => {
  const world = await createWorld(t)
  const now = Math.floor(Date.now() / 1000)
  const { jwk } = KEY
  const prove = (claims?: Record<string, unknown>, header?: Record<string, unknown>, token = TOKEN, key = KEY) =>
    key.prove('GET', URL_OF_ORDERS, token, claims, header)
  const lines = (proof: string, token = TOKEN) => [`Authorization: DPoP ${token}`, `DPoP: ${proof}`]
  const withClaims = (claims: Record<string, unknown>) => lines(prove(claims))
  const withHeader = (header: Record<string, unknown>) => lines(prove({}, header))
  const [header, payload, signature] = prove().split('.') as [string, string, string]
  const rsa = createSigningKey('RS256')
  const ed = createDpopKey('EdDSA')
  const payloadOf = () => ({ jti: randomUUID(), htm: 'GET', htu: URL_OF_ORDERS, iat: now, ath: sha256(TOKEN) })
  const { d } = KEY.key.privateKey.export({ format: 'jwk' })
  const unbound = issuer.accessToken(GRANT)
  const ofUser = issuer.token()
  const der = sign('sha256', Buffer.from(`${header}.${payload}`), KEY.key.privateKey)
  const withCnf = (cnf: unknown) => issuer.accessToken({ ...GRANT, claims: { cnf } })

  const rows: Row[] = [
    ['a bound token with its proof', lines(prove()), '200'],
    ['the scheme in lower case', [`authorization: dpop ${TOKEN}`, `dpop: ${prove()}`], '200'],
    ['the scheme in upper case, and spaces', [`AUTHORIZATION: DPOP   ${TOKEN}  `, `DPOP: ${prove()}`], '200'],
    ['a machine', lines(prove({}, {}, MACHINE), MACHINE), '200'],
    ['a jti of one character', withClaims({ jti: String.fromCodePoint(0x1f600) }), '200'],
    ['a jti of 512 characters', withClaims({ jti: 'x'.repeat(512) }), '200'],
    ['a nonce, which nobody asked for', withClaims({ nonce: 'x' }), '200'],
    ['further claims, and a kid', lines(prove({ x: 1 }, { kid: 'x' })), '200'],
    ['a query and a fragment in htu', withClaims({ htu: `${URL_OF_ORDERS}?x#y` }), '200'],
    ['a default port in htu', withClaims({ htu: 'HTTPS://API.example.com:443/orders' }), '200'],
    ['key_ops that say verify', lines(prove({}, { jwk: { ...jwk, use: 'sig', key_ops: ['verify'] } })), '200'],

    // The headers.
    ['no proof', [`Authorization: DPoP ${TOKEN}`], '401 proof_missing'],
    ['an empty proof', lines(''), '401 proof_malformed'],
    ['two proofs', [...lines(prove()), `DPoP: ${prove()}`], '401 proof_malformed'],
    ['one proof twice', [...lines(header), `dpop: ${header}`], '401 proof_malformed'],
    ['two proofs in one header', lines(`${prove()}, ${prove()}`), '401 proof_malformed'],
    ['no token', ['Authorization: DPoP', `DPoP: ${prove()}`], '400 authorization_malformed'],
    ['two tokens', [`Authorization: DPoP ${TOKEN} ${TOKEN}`, `DPoP: ${prove()}`], '400 authorization_malformed'],
    ['a tab before the token', [`Authorization: DPoP\t${TOKEN}`, `DPoP: ${prove()}`], '400 authorization_malformed'],
    ['two Authorization headers', [...lines(prove()), `Authorization: DPoP ${TOKEN}`], '400 authorization_malformed'],
    ['DPoP and Bearer', [...lines(prove()), `Authorization: Bearer ${ofUser}`], '400 authorization_malformed'],
    ['Bearer and DPoP', [`Authorization: Bearer ${ofUser}`, ...lines(prove())], '400 authorization_malformed'],
    ['no Authorization header', [`DPoP: ${prove()}`], '401 token_missing'],
    ['a scheme that begins like it', [`Authorization: DPoPs ${TOKEN}`, `DPoP: ${prove()}`], '401 token_missing'],
    ['the proof as token', lines(prove(), prove()), '401 typ_not_allowed'],
    ['the token as proof', lines(TOKEN), '401 proof_header_invalid typ'],

    // The token.
    ['a bound token as Bearer', [`Authorization: Bearer ${TOKEN}`], '401 token_kind cnf'],
    [
      'a bound token as Bearer, with its proof', [`Authorization: Bearer ${TOKEN}`, `DPoP: ${prove()}`],
      '401 token_kind cnf'
    ],
    ['an unbound token as Bearer', [`Authorization: Bearer ${unbound}`], '200'],
    ['an unbound token as DPoP', lines(prove({}, {}, unbound), unbound), '401 token_not_bound'],
    ['the token of a user as Bearer', [`Authorization: Bearer ${ofUser}`], '200'],
    ['the token of a user as DPoP', lines(prove({}, {}, ofUser), ofUser), '401 token_not_bound'],
    ...[
      ['a user\'s token that is bound', issuer.token({ cnf: { jkt: KEY.thumbprint } }), '401 token_kind cnf'],
      ['an expired token', boundTo(KEY.thumbprint, { exp: now - 60 }), '401 token_expired'],
      ['a token for another API', boundTo(KEY.thumbprint, { aud: 'https://x.example' }), '401 audience_mismatch aud'],
      ['an opaque token', 'x'.repeat(32), '401 token_malformed'],
      ['a token of 17 kB', 'x'.repeat(17_000), '401 token_too_long'],
      ['cnf with another method too', withCnf({ jkt: KEY.thumbprint, 'x5t#S256': 'x' }), '401 claim_invalid cnf'],
      ['cnf with another method alone', withCnf({ 'x5t#S256': KEY.thumbprint }), '401 claim_invalid cnf'],
      ['an empty cnf', withCnf({}), '401 claim_invalid cnf'],
      ['cnf that is null', withCnf(null), '401 claim_invalid cnf'],
      ['cnf that is text', withCnf(KEY.thumbprint), '401 claim_invalid cnf'],
      ['cnf in an array', withCnf([{ jkt: KEY.thumbprint }]), '401 claim_invalid cnf'],
      ['a thumbprint of another type', withCnf({ jkt: [KEY.thumbprint] }), '401 claim_invalid cnf'],
      ['a thumbprint that is too short', withCnf({ jkt: KEY.thumbprint.slice(1) }), '401 claim_invalid cnf'],
      ['a thumbprint with padding', withCnf({ jkt: `${KEY.thumbprint}=` }), '401 claim_invalid cnf'],
      ['bound to another key', boundTo(OTHER_KEY.thumbprint), '401 proof_key_mismatch']
    ].map(([what, token, outcome]): Row => [what!, lines(prove({}, {}, token), token), outcome!]),

    // The form of the proof, and its header.
    ['a word', lines('proof'), '401 proof_malformed'],
    ['two segments', lines(`${header}.${payload}`), '401 proof_malformed'],
    ['four segments', lines(`${prove()}.x`), '401 proof_malformed'],
    ['no signature', lines(`${header}.${payload}.`), '401 proof_malformed'],
    ['a signature with padding', lines(`${prove()}=`), '401 proof_malformed'],
    ['a header that is no JSON', lines(`${encode('{')}.${payload}.${signature}`), '401 proof_malformed'],
    ['a header that is an array', lines(`${encode([])}.${payload}.${signature}`), '401 proof_malformed'],
    ['a payload that is no object', lines(signJws(KEY.key, '"x"', { typ: 'dpop+jwt', jwk })), '401 proof_malformed'],
    [
      'a payload that is no UTF-8', lines(signJws(KEY.key, Buffer.from('7bff7d', 'hex'), { typ: 'dpop+jwt', jwk })),
      '401 proof_malformed'
    ],
    ['a proof of 17 kB', lines(prove({ x: 'x'.repeat(12_000) })), '401 proof_malformed'],
    ...[undefined, 'JWT', 'at+jwt', 'DPOP+JWT', 'application/dpop+jwt', null, ['dpop+jwt']].map((typ): Row => {
      return [`typ ${JSON.stringify(typ)}`, withHeader({ typ }), '401 proof_header_invalid typ']
    }),
    ...['none', 'HS256', 'HS512', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'es256', 'ES256K', '', null, undefined, []]
      .map((alg): Row =>
        [`alg ${JSON.stringify(alg)}`, withHeader({ alg }), '401 proof_header_invalid alg']),
    [
      'no signature, and alg none', lines(`${encode({ typ: 'dpop+jwt', alg: 'none', jwk })}.${payload}.`),
      '401 proof_header_invalid alg'
    ],
    ['HMAC with the public key', lines(signHmac(JSON.stringify(jwk), payloadOf(), { typ: 'dpop+jwt', jwk })),
      '401 proof_header_invalid alg'],
    ['HMAC with a key of its own', lines(signHmac('x'.repeat(32), payloadOf(), {
      typ: 'dpop+jwt', jwk: { kty: 'oct', k: encode('x'.repeat(32)) }
    })), BAD_KEY],
    ...[undefined, null, 'x', [], [jwk], {}].map((wrong): Row =>
      [`jwk ${JSON.stringify(wrong)?.slice(0, 9)}`, withHeader({ jwk: wrong }), BAD_KEY]),
    ['a private key', withHeader({ jwk: { ...jwk, d } }), BAD_KEY],
    ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].map((member): Row =>
      [`a member ${member}`, withHeader({ jwk: { ...jwk, [member]: '' } }), BAD_KEY]),
    ['a key for encryption', withHeader({ jwk: { ...jwk, use: 'enc' } }), BAD_KEY],
    ['a key for signing only', withHeader({ jwk: { ...jwk, key_ops: ['sign'] } }), BAD_KEY],
    ['a key for another algorithm', withHeader({ jwk: { ...jwk, alg: 'ES384' } }), BAD_KEY],
    ['another curve', withHeader({ jwk: { ...jwk, crv: 'P-384' } }), BAD_KEY],
    ['a key in __proto__', withHeader({ jwk: JSON.parse('{ "__proto__": {} }') }), BAD_KEY],
    ['RSA with 1024 bits', withHeader({ alg: 'RS256', jwk: { kty: 'RSA', e: 'AQAB', n: `v${'x'.repeat(170)}` } }),
      BAD_KEY],
    ['RSA with 200 kbit', withHeader({ alg: 'RS256', jwk: { kty: 'RSA', e: 'AQAB', n: 'x'.repeat(5000) } }),
      BAD_KEY],
    ['crit', withHeader({ crit: ['exp'] }), '401 proof_header_invalid crit'],
    ['b64', withHeader({ b64: false }), '401 proof_header_invalid b64'],
    ['a link to a key', withHeader({ jwk: undefined, jku: 'https://evil.example/jwks' }), BAD_KEY],

    // Whose it is.
    ['another key', lines(prove({}, {}, TOKEN, OTHER_KEY)), '401 proof_key_mismatch'],
    ['another kind of key', lines(prove({}, {}, TOKEN, ed)), '401 proof_key_mismatch'],
    ['an RSA key', lines(signJws(rsa, payloadOf(), { typ: 'dpop+jwt', jwk: rsa.jwk })), '401 proof_key_mismatch'],
    ['the key of the client, signed with another', lines(prove({}, { jwk }, TOKEN, OTHER_KEY)), FORGED],
    ['the signature of another proof', lines(`${header}.${payload}.${prove().split('.')[2]}`), FORGED],
    ['a signature of zeros', lines(`${header}.${payload}.${encode(Buffer.alloc(64))}`), FORGED],
    ['a signature in DER', lines(`${header}.${payload}.${encode(der)}`), FORGED],
    ['other claims', lines(`${header}.${encode(payloadOf())}.${signature}`), FORGED],

    // The claims.
    ...['jti', 'htm', 'htu', 'iat', 'ath'].flatMap(claim => [undefined, null, '', [], {}, true]
      .map((value): Row => [
        `${claim} ${JSON.stringify(value)}`, withClaims({ [claim]: value }), `401 proof_claim_invalid ${claim}`
      ])),
    ['a jti that is a number', withClaims({ jti: 1 }), '401 proof_claim_invalid jti'],
    ['a jti of 513 characters', withClaims({ jti: 'x'.repeat(513) }), '401 proof_claim_invalid jti'],
    ['a jti with half a character', withClaims({ jti: 'x\ud800' }), '401 proof_claim_invalid jti'],
    ['an iat that is text', withClaims({ iat: String(now) }), '401 proof_claim_invalid iat'],
    ['another method', withClaims({ htm: 'POST' }), '401 proof_mismatch htm'],
    ['the method in lower case', withClaims({ htm: 'get' }), '401 proof_mismatch htm'],
    ['another path', withClaims({ htu: `${RESOURCE}/me` }), HTU],
    ['a path with a slash more', withClaims({ htu: `${URL_OF_ORDERS}/` }), HTU],
    ['the origin alone', withClaims({ htu: RESOURCE }), HTU],
    ['another host', withClaims({ htu: 'https://other.example.com/orders' }), HTU],
    ['another port', withClaims({ htu: 'https://api.example.com:8443/orders' }), HTU],
    ['a host before ours', withClaims({ htu: 'https://api.example.com@evil.example/orders' }), HTU],
    ['a relative URL', withClaims({ htu: '/orders' }), HTU],
    ['the hash of another token', withClaims({ ath: sha256(boundTo(KEY.thumbprint)) }), '401 proof_mismatch ath'],
    ['the hash with padding', withClaims({ ath: `${sha256(TOKEN)}=` }), '401 proof_mismatch ath'],
    ['the token itself as ath', withClaims({ ath: TOKEN.slice(0, 99) }), '401 proof_mismatch ath'],
    ['a proof of yesterday', withClaims({ iat: now - 86_400 }), '401 proof_expired'],
    ['a proof of 5 minutes ago', withClaims({ iat: now - 300 }), '401 proof_expired'],
    ['a proof of tomorrow', withClaims({ iat: now + 86_400 }), '401 proof_not_active'],
    ['a proof that says that it has expired', withClaims({ exp: now - 1 }), '401 proof_expired']
  ]
  t.ok(rows.length > 60)

  for (const [what, headerLines, expected] of rows) {
    const url = expected === '200' && headerLines[0]!.includes(ofUser) ? '/me' : '/orders'
    const outcome = await outcomeOf(world, async () => {
      const response = await rawRequest(world.port, url, headerLines)
      if (response.status === 401) {
        t.notMatch(response.text, /proof_|token_/, `${what}: no reason in the response`)
        t.notOk(JSON.stringify(world.log.lines).includes(signature), `${what}: no signature in the log`)
      }
      return response
    })
    t.equal(outcome, expected, what)
  }
})

t.test('a proof counts once', async t => {
  const world = await createWorld(t)
  const headers = dpop()
  t.equal(await outcomeOf(world, () => call(world, '/orders', headers)), '200')
  t.equal(await outcomeOf(world, () => call(world, '/orders', headers)), '401 proof_replayed')
  const again = { jti: JSON.parse(Buffer.from(headers.dpop.split('.')[1]!, 'base64url').toString()).jti as string }
  const later = KEY.prove('GET', URL_OF_ORDERS, TOKEN, { ...again, iat: Math.floor(Date.now() / 1000) - 1 })
  t.equal(await outcomeOf(world, () => call(world, '/orders', dpop(TOKEN, later))), '401 proof_replayed', 'its jti')
  const other = KEY.prove('GET', `${RESOURCE}/me`, TOKEN, again)
  t.equal(await outcomeOf(world, () => call(world, '/me', dpop(TOKEN, other))), '403 principal_not_allowed')
  t.equal(await outcomeOf(world, () => call(world, '/orders', dpop())), '200')
})

t.test('a proof in 50 requests at once: one gets in', async t => {
  const world = await createWorld(t)
  for (let round = 0; round < 3; round++) {
    const headers = dpop()
    const responses = await Promise.all(Array.from({ length: 50 }, () => call(world, '/orders', headers)))
    t.equal(responses.filter(({ status }) => status === 200).length, 1)
    t.equal(responses.filter(({ status }) => status === 401).length, 49)
  }
  // As many proofs as requests, while the thread pool checks them.
  const all = await Promise.all(Array.from({ length: 50 }, () => call(world, '/orders', dpop())))
  t.ok(all.every(({ status }) => status === 200))
})

t.test('several hooks of one request use its proof once', async t => {
  const app = await startApi(t, { authUrl: issuer.authUrl, resource: RESOURCE, dpop: true })
  await app.register(fastifyAuth)
  const [first, second] = [app.authorize({ delegated: SCOPES }), app.authorize({ delegated: SCOPES, clients: SCOPES })]
  const handler = async (request: FastifyRequest) => request.principal.via
  app.get('/twice', { onRequest: [first, second] }, handler)
  app.get('/either', { onRequest: [app.auth([app.authenticate, first])] }, handler)
  app.get('/optional', { onRequest: [app.auth([app.authenticateOptional, second])] }, handler)
  app.get('/at-once', {
    onRequest: [async (request, reply) => { await Promise.all([first(request, reply), second(request, reply)]) }]
  }, handler)
  app.get('/changed', {
    onRequest: [
      app.auth([app.authenticate, async (request: FastifyRequest) => { request.headers.dpop += 'x' }]), first
    ]
  }, handler)
  for (const path of ['/twice', '/either', '/optional', '/at-once', '/changed']) {
    const headers = dpop(TOKEN, KEY.prove('GET', RESOURCE + path, TOKEN))
    const { status, body } = await TRANSPORTS.inject(app, { url: path, headers })
    if (path === '/changed') {
      t.equal(status, 401, 'what one hook changes is another credential')
    } else {
      t.strictSame([status, body], [200, 'dpop'], path)
      t.equal((await TRANSPORTS.inject(app, { url: path, headers })).status, 401, 'the next request does not')
    }
  }
})

t.test('routes for users only, for everybody, and request.jwtVerify()', async t => {
  const world = await createWorld(t, true, { extractToken: () => issuer.token() })
  const at = (path: string, claims = {}) => ({
    authorization: `DPoP ${TOKEN}`, dpop: KEY.prove('GET', RESOURCE + path, TOKEN, claims)
  })
  t.equal(await outcomeOf(world, () => call(world, '/me', at('/me'))), '403 principal_not_allowed')
  t.equal(await outcomeOf(world, () => call(world, '/optional', at('/optional'))), '403 principal_not_allowed')
  t.equal(await outcomeOf(world, () => call(world, '/optional', at('/x'))), HTU)
  const malformed = { authorization: 'DPoP' }
  t.equal(await outcomeOf(world, () => call(world, '/optional', malformed)), '400 authorization_malformed')
  t.equal(await outcomeOf(world, () => call(world, '/jwt', at('/jwt'))), '401 token_missing', 'it knows bearer tokens')
  t.equal(await outcomeOf(world, () => call(world, '/me', at('/x'))), HTU, 'not asked: extractToken')
  t.equal(await outcomeOf(world, () => call(world, '/me', {})), '200', 'asked')
  t.equal(await outcomeOf(world, () => call(world, '/me', { dpop: 'x' })), '200', 'a proof alone says nothing')

  const revoked = await createWorld(t, true, { isRevoked: ({ cnf }) => cnf !== undefined })
  t.equal(await outcomeOf(revoked, () => call(revoked, '/orders', dpop())), '401 token_revoked')
})

t.test('POST, HEAD and a query', async t => {
  const world = await createWorld(t)
  const send = (method: 'POST' | 'HEAD', htm: string) => TRANSPORTS.socket(world.app, {
    method, url: '/orders?limit=5', headers: dpop(TOKEN, KEY.prove(htm, URL_OF_ORDERS, TOKEN))
  })
  for (const method of ['POST', 'HEAD'] as const) {
    t.equal((await send(method, method)).status, 200, method)
    t.equal((await send(method, 'GET')).status, 401, method)
  }
})

t.test('required: only OAuth clients need DPoP', async t => {
  const world = await createWorld(t, { required: true }, { sessionCookie: true })
  const unbound = issuer.accessToken(GRANT)
  const machine = issuer.clientToken(GRANT)
  for (const token of [unbound, unbound, machine]) {
    t.equal(await outcomeOf(world, () => call(world, '/orders', bearer(token))), '401 token_not_bound')
    t.equal(await outcomeOf(world, () => call(world, '/jwt', bearer(token))), '401 token_not_bound')
  }
  t.equal(await outcomeOf(world, () => call(world, '/orders', dpop())), '200')
  t.equal(await outcomeOf(world, () => call(world, '/orders', bearer(issuer.token()))), '200')
  t.equal(await outcomeOf(world, () => call(world, '/orders', { cookie: issuer.sessionCookie() })), '200')
  t.match(JSON.parse((await call(world, '/.well-known/oauth-protected-resource', {})).body), {
    dpop_signing_alg_values_supported: ALGORITHMS, dpop_bound_access_tokens_required: true
  })
})

t.test('there is a challenge for each scheme, and the error is in that of the scheme that the client used', async t => {
  const { app, port } = await createWorld(t)
  const challengesOf = async (url: string, ...lines: string[]) => {
    const { text } = await rawRequest(port, url, lines)
    return text.split('\r\n').filter(line => /^www-authenticate:/i.test(line)).map(line => line.replace(/^.*?: /, ''))
  }
  const scope = 'scope="orders:read"'
  const proof = KEY.prove('GET', URL_OF_ORDERS, TOKEN)
  const rest = `${scope}, ${METADATA}`
  const rows: Array<[lines: string[], challenges: string[]]> = [
    [[], [`Bearer ${rest}`, `DPoP ${ALGS}, ${rest}`]],
    [['Authorization: Basic eDp5'], [`Bearer ${rest}`, `DPoP ${ALGS}, ${rest}`]],
    [['Authorization: Bearer x'], [`Bearer error="invalid_token", ${rest}`, `DPoP ${ALGS}, ${rest}`]],
    [[`Authorization: Bearer ${TOKEN}`], [`Bearer error="invalid_token", ${rest}`, `DPoP ${ALGS}, ${rest}`]],
    [
      [`Authorization: Bearer ${issuer.accessToken({ ...GRANT, claims: { exp: 1 } })}`],
      [`Bearer error="invalid_token", ${rest}`, `DPoP ${ALGS}, ${rest}`]
    ],
    [['Authorization: DPoP x', `DPoP: ${proof}`], [`Bearer ${rest}`, `DPoP error="invalid_token", ${ALGS}, ${rest}`]],
    ...[[], ['DPoP: x']].map((lines): typeof rows[number] => [
      [`Authorization: DPoP ${TOKEN}`, ...lines],
      [`Bearer ${rest}`, `DPoP error="invalid_dpop_proof", ${ALGS}, ${rest}`]
    ])
  ]
  for (const [lines, challenges] of rows) {
    t.strictSame(await challengesOf('/orders', ...lines), challenges, lines.join())
  }
  t.strictSame(await challengesOf('/me'), [`Bearer ${METADATA}`, `DPoP ${ALGS}, ${METADATA}`])
  t.strictSame(await challengesOf('/orders', 'Authorization: DPoP'), [
    `Bearer ${METADATA}`, `DPoP error="invalid_request", ${ALGS}, ${METADATA}`
  ])
  // A new token of the same scheme is what helps.
  const more = KEY.prove('GET', `${RESOURCE}/more`, TOKEN)
  t.strictSame(await challengesOf('/more', `Authorization: DPoP ${TOKEN}`, `DPoP: ${more}`), [
    `DPoP error="insufficient_scope", ${ALGS}, scope="orders:write", ${METADATA}`
  ])
  t.strictSame(await challengesOf('/more', `Authorization: Bearer ${issuer.accessToken(GRANT)}`), [
    `Bearer error="insufficient_scope", scope="orders:write", ${METADATA}`
  ])
  const response = await app.inject({ url: '/orders', headers: { authorization: `DPoP ${TOKEN}` } })
  t.strictSame(response.json(), {
    statusCode: 401, code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID', error: 'Unauthorized', message: 'Invalid DPoP proof'
  })
})

t.test('without the option, the scheme is unknown, and nothing names it', async t => {
  const world = await createWorld(t, false)
  t.equal(await outcomeOf(world, () => call(world, '/orders', dpop())), '401 token_missing')
  t.equal(await outcomeOf(world, () => call(world, '/orders', bearer(TOKEN))), '401 token_kind cnf')
  const { headers } = await call(world, '/orders', dpop())
  t.equal(headers['www-authenticate'], `Bearer scope="orders:read", ${METADATA}`)
  const { body } = await call(world, '/.well-known/oauth-protected-resource', {})
  t.notMatch(body, /dpop/)
})

t.test('behind a proxy: what Fastify trusts, and resource.url, say where a proof is for', async t => {
  for (const trustProxy of [false, true]) {
    const app = await startApi(
      t, { authUrl: issuer.authUrl, resource: RESOURCE, dpop: { origins: ['https://api.example.org'] } }, captureLog(),
      { trustProxy }
    )
    app.get('/orders', { onRequest: [app.authorize({ delegated: SCOPES })] }, async () => ({}))
    const statusFor = async (origin: string, headers: Record<string, string> = {}) => {
      const proof = KEY.prove('GET', `${origin}/orders`, TOKEN)
      return (await TRANSPORTS.inject(app, { url: '/orders', headers: { ...dpop(TOKEN, proof), ...headers } })).status
    }
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example.org:8443' }
    t.equal(await statusFor(RESOURCE, { host: '10.0.0.7:3001' }), 200)
    t.equal(await statusFor('https://api.example.org', { host: '10.0.0.7:3001' }), 200)
    t.equal(await statusFor('https://api.example.net', { host: '10.0.0.7:3001' }), 401)
    t.equal(await statusFor('http://10.0.0.7:3001', { host: '10.0.0.7:3001' }), 401)
    t.equal(await statusFor('http://localhost:3001', { host: 'localhost:3001' }), 200)
    t.equal(await statusFor('https://api.example.org:8443', { host: '10.0.0.7', ...forwarded }), trustProxy ? 200 : 401)
    t.equal(await statusFor('https://10.0.0.7', { host: '10.0.0.7', ...forwarded }), 401)
    // A rogue server to which a client sent its token and proof, and which sends both to us.
    t.equal(await statusFor('http://rogue.example', { host: 'rogue.example' }), 401)
    t.equal(await statusFor('https://rogue.example', {
      host: 'x', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'rogue.example'
    }), 401)
  }
})

t.test('rewriteUrl: a proof is for the URL that the client sees', async t => {
  const app = await startApi(t, { authUrl: issuer.authUrl, resource: RESOURCE, dpop: true }, captureLog(), {
    rewriteUrl: ({ url }) => url!.replace('/v1/', '/')
  })
  app.get('/orders', { onRequest: [app.authorize({ delegated: SCOPES })] }, async () => ({}))
  for (const [path, status] of [['/v1/orders', 200], ['/orders', 401]] as const) {
    const headers = dpop(TOKEN, KEY.prove('GET', RESOURCE + path, TOKEN))
    t.equal((await TRANSPORTS.inject(app, { url: '/v1/orders', headers })).status, status, path)
  }
})

t.test('503 while the store of used proofs fails', async t => {
  let reserve: () => unknown
  const world = await createWorld(t, { replayStore: { reserve: () => reserve() as boolean } }, { callbackTimeout: 30 })
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  const faults = [
    () => { throw new Error('no Redis') }, async () => { throw new Error('no Redis') }, () => 'OK',
    () => new Promise(() => {})
  ]
  for (const fault of faults) {
    reserve = fault
    world.log.lines.length = 0
    const { status, headers, body } = await call(world, '/orders', dpop())
    t.match(world.log.refusals(), [{ level: 40, reason: 'replay_unavailable' }])
    t.match([status, headers], [503, { 'retry-after': '5', 'www-authenticate': undefined }])
    t.strictSame(JSON.parse(body), {
      statusCode: 503,
      code: 'FST_BETTER_AUTH_DPOP_UNAVAILABLE',
      error: 'Service Unavailable',
      message: 'DPoP replay check unavailable'
    })
  }
  reserve = () => true
  t.equal(await outcomeOf(world, () => call(world, '/orders', dpop())), '200')
  let calls = 0
  reserve = () => { calls++; return true }
  await call(world, '/orders', dpop(TOKEN, KEY.prove('POST', URL_OF_ORDERS, TOKEN)))
  await call(world, '/orders', dpop('x', KEY.prove('GET', URL_OF_ORDERS, 'x')))
  t.equal(calls, 0, 'nothing that is invalid is used up')
})

t.test('the diagnostics channel and the principal say dpop', async t => {
  const world = await createWorld(t)
  const messages: VerificationMessage[] = []
  const listen = (message: unknown) => { messages.push(message as VerificationMessage) }
  subscribe(CHANNELS.verification, listen)
  t.teardown(() => { unsubscribe(CHANNELS.verification, listen) })
  for (let i = 0; i < 3; i++) {
    const { body } = await call(world, '/orders', dpop())
    t.strictSame(JSON.parse(body), { via: 'dpop', user: 'user_1' })
  }
  await call(world, '/orders', dpop(TOKEN, 'x'))
  await call(world, '/orders', { authorization: `DPoP ${TOKEN}` })
  t.match(messages, [
    { credential: 'dpop', outcome: 'accepted', reason: null, cached: false },
    { credential: 'dpop', outcome: 'accepted', reason: null, cached: true },
    { credential: 'dpop', outcome: 'accepted', reason: null, cached: true },
    { credential: 'dpop', outcome: 'refused', reason: 'proof_malformed', cached: true },
    { credential: 'dpop', outcome: 'refused', reason: 'proof_missing', cached: false }
  ])
})

t.test('instances that share Redis: a proof counts once for all of them', { skip: withoutRedis }, async t => {
  const { server, redis } = await connectRedis(t)
  // As docs/guides/dpop.md has it.
  const replayStore: DpopReplayStore = {
    async reserve ({ key, expiresAt, now }) {
      const ttl = Math.max(1, expiresAt.getTime() - now.getTime())
      const expiration = { type: 'PX', value: ttl } as const
      return await redis.set(`dpop:${key}`, '1', { condition: 'NX', expiration }) === 'OK'
    }
  }
  const fleet = await Promise.all([1, 2, 3, 4].map(() => createWorld(t, { replayStore })))
  for (let round = 0; round < 5; round++) {
    const headers = dpop()
    const responses = await Promise.all(fleet.flatMap(world => [1, 2, 3].map(() => call(world, '/orders', headers))))
    t.strictSame(responses.map(({ status }) => status).sort(), [200, ...Array(11).fill(401)])
  }
  const [key] = await redis.keys('dpop:*')
  t.match(key, /^dpop:[\w-]{43}$/)
  const ttl = await redis.pTTL(key!)
  t.ok(ttl > 290_000 && ttl <= 305_000)
  process.kill(server.pid, 'SIGKILL')
  await server.exit
  t.equal(await outcomeOf(fleet[0]!, () => call(fleet[0]!, '/orders', dpop())), '503 replay_unavailable')
})

t.test('Better Auth 1.7: clients whose tokens are bound', async t => {
  const server = await startOAuthServer(t)
  const person = await server.signUp()
  const client = await server.registerClient({ dpop_bound_access_tokens: true })
  const machine = await server.createClient(person, ['orders:sync'])
  const key = createDpopKey('EdDSA')
  const request = { scopes: [...SCOPES, 'offline_access'], resource: RESOURCE }
  await t.rejects(server.delegate(person, client, request), /invalid_dpop_proof/, 'this client has to use DPoP')
  const bound = await server.delegate(person, client, { ...request, dpop: key })
  t.equal(bound.token_type, 'DPoP')
  const refreshed = await server.refresh(client, bound, { resource: RESOURCE, dpop: key })
  const ofMachine = await server.clientCredentials(machine, { resource: RESOURCE, dpop: key })
  const unbound = await server.clientCredentials(machine, { resource: RESOURCE })

  const log = captureLog()
  const app = await startApi(t, { authUrl: server.origin, resource: RESOURCE, dpop: true }, log)
  app.get('/orders', { onRequest: [app.authorize({ delegated: SCOPES, clients: ['orders:sync'] })] }, async request => {
    return request.principal
  })
  const world: World = { app, log, port: 0 }
  const callWith = async (token: string, prover = key) => {
    const proof = prover.prove('GET', URL_OF_ORDERS, token)
    return TRANSPORTS.socket(app, { url: '/orders', headers: { authorization: `DPoP ${token}`, dpop: proof } })
  }
  for (const { access_token: token } of [bound, refreshed]) {
    t.match(JSON.parse((await callWith(token)).body), { kind: 'delegated', via: 'dpop', user: { id: person.user.id } })
  }
  t.match(JSON.parse((await callWith(ofMachine.access_token)).body), { kind: 'client', via: 'dpop' })
  t.equal(await outcomeOf(world, () => callWith(bound.access_token, OTHER_KEY)), '401 proof_key_mismatch')
  t.equal(await outcomeOf(world, () => callWith(unbound.access_token)), '401 token_not_bound')
  const asBearer = (token: string) => TRANSPORTS.socket(app, { url: '/orders', headers: bearer(token) })
  t.equal(await outcomeOf(world, () => asBearer(bound.access_token)), '401 token_kind cnf')
  t.equal(await outcomeOf(world, () => asBearer(unbound.access_token)), '200')
})
