import dns from 'node:dns'
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { BetterAuthOptions } from '../../lib/index.js'
import { createTestIssuer, type Fault as IssuerFault } from '../../lib/testing/index.js'
import { createClock, startClockedApi, type ClockedResponse, type ClockedApi } from '../fixtures/clock.js'
import { createClaims, createSigningKey, encode, signJws } from '../fixtures/signing.js'
import { JWKS_PATH, startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'

type Respond = (request: IncomingMessage, response: ServerResponse) => void

const MAX_AGE = 60_000
const STALE_AFTER = 2 * MAX_AGE
const STALE_IF_ERROR = 10 * MAX_AGE
/** For servers that would otherwise never be done with. */
const TIMEOUT = 500
/** For servers that respond at once, however busy the machine is. */
const AMPLE_TIMEOUT = 4000
/** The limit for a response in time: the timeout, and what a busy machine may add. */
const IN_TIME = TIMEOUT + 4000
const LONGEST_PAUSE = 15_000
/** However long the server asks for, in seconds. */
const LONGEST_REQUEST = 60
const JITTER = 0.2
/** What no log line may hold: the hand-held server's words, and the test issuer's. */
const MARKER = 'said by the server'
const ISSUER_MARKER = 'Something went wrong'
const MB = 2 ** 20

t.setTimeout(180_000)

const good = createSigningKey('EdDSA', 'good')

/** A fault that the shipped test issuer does not have. */
interface Fault {
  begin (server: JwksServer): unknown
  end? (server: JwksServer): unknown
  /** What `status()` calls it. */
  lastError: RegExp
  /** How long the server asks to wait, in seconds. */
  asksFor?: number
  authUrl? (server: JwksServer, t: Test): string | Promise<string>
}

/** An auth server with a fault. */
interface Subject {
  readonly authUrl: string
  readonly issuer: string
  readonly kid: string
  readonly hits: number
  /** A new token each time, so that no cache has it. */
  token (): string
  begin (): unknown
  end (): unknown
}

interface Case { lastError: RegExp, asksFor?: number | undefined, start (t: Test): Promise<Subject> }

function responding (lastError: RegExp, respond: Respond, asksFor?: number): Fault {
  return {
    lastError,
    ...asksFor !== undefined && { asksFor },
    begin (server) { server.respond = respond },
    end (server) { server.respond = undefined }
  }
}

const send = (status: number, body: string | Buffer, headers: Record<string, string> = {}): Respond =>
  (_request, response) => { response.writeHead(status, headers).end(body) }
const json = (body: string): Fault => responding(/^no_jwks$/, send(200, body, { 'content-type': 'application/json' }))
const raw = (lastError: RegExp, bytes: string | Buffer): Fault =>
  responding(lastError, (_request, response) => { response.socket!.end(bytes) })

/** The target of redirects; it has the very keys that are looked for, and must never be asked. */
const elsewhere = await startJwksServer([good.jwk])
t.teardown(() => elsewhere.stop())
const location = `${elsewhere.origin}${JWKS_PATH}`
const jwks = JSON.stringify({ keys: [good.jwk] })

const bomb = gzipSync(Buffer.alloc(100 * MB, ' '))
const large = Buffer.alloc(50 * MB, 'a')

const FAULTS: Record<string, Fault> = {
  'refuses connections': {
    lastError: /^connection_(refused|reset)$/,
    begin: server => server.stop(),
    end: server => server.start()
  },
  'has a name that is not found': {
    lastError: /^(dns|connection_reset)$/,
    authUrl: (server, t) => `http://${resolvable(t).name}:${server.port}`,
    async begin (server) { names.resolved = false; await server.stop(); await server.start() },
    end () { names.resolved = true }
  },
  'answers a TLS handshake with garbage': {
    lastError: /^(tls|connection_reset)$/,
    authUrl: (server, t) => startTlsFront(t, server),
    begin () { front.plain = true; front.hangUp() },
    end () { front.plain = false; front.hangUp() }
  },
  'is a plain server called by https': {
    lastError: /^(tls|connection_reset)$/,
    authUrl: (server, t) => startTlsFront(t, server),
    begin () { front.passThrough = true; front.hangUp() },
    end () { front.passThrough = false; front.hangUp() }
  },
  'answers with a TLS alert': raw(/^protocol$/, Buffer.from('15030100020246', 'hex')),
  'does not speak HTTP': raw(/^protocol$/, 'SSH-2.0-OpenSSH_9.6\r\n'),
  'sends headers without end': raw(
    /^protocol$/, `HTTP/1.1 200 OK\r\n${'x-header: y\r\n'.repeat(20_000)}`
  ),
  'sends headers and then nothing': responding(
    /^timeout$/, (_request, response) => { response.writeHead(200).flushHeaders() }
  ),
  'sends its body in drips': responding(/^timeout$/, (_request, response) => {
    const drip = setInterval(() => { response.write(' ') }, 10)
    response.on('close', () => clearInterval(drip))
  }),
  'closes without an answer': responding(
    /^connection_reset$/, (_request, response) => { response.socket!.end() }
  ),
  'resets in mid-body': responding(/^connection_reset$/, (
    _request, response
  ) => {
    response.writeHead(200, { 'content-length': jwks.length })
    response.write(jwks.slice(0, 20), () => { response.socket!.resetAndDestroy() })
  }),
  'closes in mid-body': responding(/^connection_reset$/, (
    _request, response
  ) => {
    response.writeHead(200, { 'content-length': jwks.length })
    response.write(jwks.slice(0, 20), () => { response.socket!.end() })
  }),
  'answers 500 with JSON': responding(/^http_5xx$/, send(500, `{"message":"${MARKER}"}`)),
  'answers 500 with no body': responding(/^http_5xx$/, send(500, '')),
  'answers 500 with a JWKS': responding(/^http_5xx$/, send(500, jwks)),
  'answers 503 and asks to wait for 40 seconds': responding(
    /^http_5xx$/, send(503, '', { 'retry-after': '40' }), 40
  ),
  'answers 503 and asks to wait for a day': responding(
    /^http_5xx$/, send(503, '', { 'retry-after': '86400' }), LONGEST_REQUEST
  ),
  'answers 429': responding(/^rate_limited$/, send(429, `{"message":"${MARKER}"}`)),
  'answers 429 as Better Auth does': responding(
    /^rate_limited$/, send(429, `{"message":"${MARKER}"}`, { 'x-retry-after': '10' }), 10
  ),
  'answers 401': responding(/^http_4xx$/, send(401, `{"message":"${MARKER}"}`)),
  'answers 404 with no body': responding(/^http_4xx$/, send(404, '')),
  'answers 204': responding(/^no_jwks$/, send(204, '')),
  'sends invalid JSON': json(`{"keys":[${MARKER}`),
  'sends JSON without keys': json(`{"message":"${MARKER}"}`),
  'sends keys that are an object': json('{"keys":{"0":{}}}'),
  'sends keys that are a string': json(`{"keys":"${MARKER}"}`),
  'sends keys that are null': json('{"keys":null}'),
  'sends null': json('null'),
  'sends a list': json(`[${JSON.stringify(good.jwk)}]`),
  'redirects elsewhere': responding(/^no_jwks$/, send(302, '', { location })),
  'redirects elsewhere, for good': responding(/^no_jwks$/, send(308, '', { location })),
  'redirects elsewhere with a JWKS as its body': responding(
    /^no_jwks$/, send(302, jwks, { location, 'content-type': 'application/json' })
  ),
  'sends 50 MB': responding(/^too_large$/, send(200, large)),
  'sends 50 MB without a length': responding(/^too_large$/, (_request, response) => {
    response.write(large)
    response.end()
  }),
  'sends without end': responding(/^too_large$/, (_request, response) => {
    const more = () => { while (!response.destroyed && response.write(large.subarray(0, 65_536))); }
    response.on('drain', () => setTimeout(more, 1).unref())
    more()
  }),
  'sends a gzip bomb': responding(/^encoded$/, send(200, bomb, { 'content-encoding': 'gzip' })),
  'labels a plain body as gzip': responding(/^encoded$/, send(200, jwks, { 'content-encoding': 'gzip' })),
  'compresses its JWKS': responding(/^encoded$/, send(200, gzipSync(jwks), { 'content-encoding': 'gzip' }))
}

/** What the test issuer plays. */
const ISSUER_FAULTS: Record<string, { kind: IssuerFault, lastError: RegExp }> = {
  'accepts and hangs': { kind: 'hang', lastError: /^timeout$/ },
  'answers too late': { kind: 'slow', lastError: /^timeout$/ },
  'resets before an answer': { kind: 'down', lastError: /^connection_reset$/ },
  'answers 500 with HTML': { kind: 'error', lastError: /^http_5xx$/ },
  'answers 200 with HTML': { kind: 'html', lastError: /^no_jwks$/ },
  'answers 200 with no body': { kind: 'empty', lastError: /^no_jwks$/ },
  'redirects to where its keys are': { kind: 'redirect', lastError: /^no_jwks$/ },
  'sends half of its JSON': { kind: 'malformed', lastError: /^no_jwks$/ }
}

const CASES: Array<[name: string, one: Case]> = [
  ...Object.entries(FAULTS).map(([name, fault]): [string, Case] => {
    const { lastError, asksFor } = fault
    return [name, { lastError, asksFor, start: t => startHandHeld(t, fault) }]
  }),
  ...Object.entries(ISSUER_FAULTS).map(
    ([name, { kind, lastError }]): [string, Case] => [name, { lastError, start: t => startIssuer(t, kind) }]
  )
]

async function startHandHeld (t: Test, fault: Fault): Promise<Subject> {
  const server = await startServer(t)
  return {
    authUrl: await fault.authUrl?.(server, t) ?? server.origin,
    issuer: server.origin,
    kid: good.kid,
    get hits () { return server.hits },
    token: () => signJws(good, claimsOf(server)),
    begin: () => fault.begin(server),
    end: () => fault.end?.(server)
  }
}

async function startIssuer (t: Test, kind: IssuerFault): Promise<Subject> {
  const issuer = await createTestIssuer()
  t.teardown(() => issuer.close())
  return {
    authUrl: issuer.authUrl,
    issuer: issuer.authUrl,
    kid: issuer.kid!,
    get hits () { return issuer.requests },
    token: () => issuer.token(longLived()),
    begin: () => issuer.fail(kind),
    end: () => issuer.recover()
  }
}

function options (authUrl: string, issuer: string, timeout = AMPLE_TIMEOUT): BetterAuthOptions {
  return {
    authUrl,
    issuer,
    audience: issuer,
    jwks: { maxAge: MAX_AGE, staleWhileRevalidate: MAX_AGE, staleIfError: STALE_IF_ERROR, timeout }
  }
}

/** Issued an hour ago, valid for a day by any clock of the test; a new one each time, so that no cache has it. */
function longLived (): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1000) - 3600
  return { iat, exp: iat + 86_400, jti: randomBytes(8).toString('hex') }
}

function claimsOf ({ origin }: JwksServer): Record<string, unknown> {
  return createClaims(origin, longLived())
}

async function startServer (t: Test, keys: unknown[] = [good.jwk]): Promise<JwksServer> {
  const server = await startJwksServer(keys)
  t.teardown(() => server.stop().catch(() => {}))
  return server
}

function call (api: ClockedApi, server: JwksServer): Promise<ClockedResponse> {
  return api.call(signJws(good, claimsOf(server)))
}

/** @param asksFor - how long the server asks to wait, in seconds. */
function isUnavailable (
  t: Test, { status, body, retryAfter }: ClockedResponse, message: string, asksFor?: number
): void {
  t.equal(status, 503, message)
  t.same(JSON.parse(body), {
    statusCode: 503,
    code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE',
    error: 'Service Unavailable',
    message: 'Auth service unreachable'
  })
  const [least, most] = asksFor === undefined ? [1, 15] : [asksFor, Math.ceil(asksFor * (1 + JITTER))]
  t.ok(Number.isInteger(retryAfter) && retryAfter! >= least && retryAfter! <= most, `Retry-After: ${retryAfter}`)
}

function saysNothingOfIt (t: Test, { log }: ClockedApi): void {
  for (const marker of [MARKER, ISSUER_MARKER]) t.notMatch(JSON.stringify(log.lines), marker, 'no body in the log')
  t.equal(elsewhere.hits, 0, 'no redirect was followed')
}

/** The final count of requests: one that was aborted at the timeout may reach the server later. */
async function lastHit (auth: { readonly hits: number }): Promise<number> {
  for (;;) {
    const { hits } = auth
    await sleep(50)
    if (auth.hits === hits) return hits
  }
}

for (const [name, { lastError, asksFor, start }] of CASES) {
  const timeout = lastError.test('timeout') ? TIMEOUT : AMPLE_TIMEOUT
  const pause = asksFor === undefined ? LONGEST_PAUSE : asksFor * (1 + JITTER) * 1000

  t.test(`when the auth server ${name}`, async t => {
    t.test('a cold API responds with 503 in time, and with 200 after it', async t => {
      const auth = await start(t)
      const clock = createClock(Date.now())
      await auth.begin()
      const api = await startClockedApi(t, options(auth.authUrl, auth.issuer, timeout), clock)
      t.match(api.app.betterAuth.status().lastError, lastError)

      isUnavailable(t, await api.call(auth.token()), 'during the back-off of the check at start-up', asksFor)
      for (let i = 0; i < 2; i++) {
        clock.advance(pause)
        const startedAt = performance.now()
        isUnavailable(t, await api.call(auth.token()), 'by a fetch of its own', asksFor)
        const took = performance.now() - startedAt
        t.ok(took < IN_TIME, `in time: ${Math.round(took)} ms`)
        const hits = await lastHit(auth)
        isUnavailable(t, await api.call(auth.token()), 'and then at once', asksFor)
        t.equal(auth.hits, hits)
      }
      await t.rejects(api.app.betterAuth.ready())
      t.match(api.app.betterAuth.status(), { keys: [], lastError, nextTryAt: /Z$/ })
      const outages = api.log.lines.filter(({ msg }) => msg.includes('unreachable since'))
      t.match(outages, [{ level: 40, code: lastError }])
      t.equal(outages.length, 1)

      await auth.end()
      clock.advance(pause)
      t.equal((await api.call(auth.token())).status, 200)
      t.match(api.app.betterAuth.status(), {
        url: `${auth.authUrl}${JWKS_PATH}`, keys: [{ kid: auth.kid }], lastError: null, nextTryAt: null
      })
      await t.resolves(api.app.betterAuth.ready())
      saysNothingOfIt(t, api)
    })

    t.test('a warm API responds with 200 throughout', async t => {
      const auth = await start(t)
      const clock = createClock(Date.now())
      const api = await startClockedApi(t, options(auth.authUrl, auth.issuer, timeout), clock)
      t.equal((await api.call(auth.token())).status, 200)
      const confirmedAt = clock.now()

      await auth.begin()
      for (const age of [1, MAX_AGE, STALE_AFTER - 1, STALE_AFTER, STALE_AFTER + LONGEST_PAUSE, STALE_IF_ERROR - 1]) {
        clock.set(confirmedAt + age)
        const startedAt = performance.now()
        const answers = await Promise.all([api.call(auth.token()), api.call(auth.token()), api.call(auth.token())])
        t.same(answers.map(({ status }) => status), [200, 200, 200], `at ${age} ms`)
        t.ok(performance.now() - startedAt < IN_TIME, 'in time')
      }
      t.match(api.app.betterAuth.status(), {
        keys: [{ kid: auth.kid, confirmedAt: new Date(confirmedAt).toISOString() }], lastError
      })

      clock.set(confirmedAt + STALE_IF_ERROR)
      const tooOld = await api.call(auth.token())
      t.equal(tooOld.status, 503, 'but not for ever')
      clock.advance(tooOld.retryAfter! * 1000)
      isUnavailable(t, await api.call(auth.token()), 'and then by a fetch', asksFor)

      await auth.end()
      clock.advance(pause)
      t.equal((await api.call(auth.token())).status, 200)
      t.match(api.app.betterAuth.status(), {
        keys: [{ kid: auth.kid, confirmedAt: new Date(clock.now()).toISOString() }], lastError: null
      })
      saysNothingOfIt(t, api)
    })
  })
}

const names = { name: 'nonexistent.invalid', resolved: true }

/** Lets a name that nobody has stand for this machine, until it is not resolved any more. */
function resolvable (t: Test): { name: string } {
  const { lookup } = dns
  const resolve = (name: string, ...rest: unknown[]): void => {
    const host = name === names.name && names.resolved ? 'localhost' : name
    Reflect.apply(lookup, dns, [host, ...rest])
  }
  dns.lookup = Object.assign(resolve, { __promisify__: lookup.__promisify__ }) as typeof lookup
  names.resolved = true
  t.teardown(() => { dns.lookup = lookup })
  return names
}

const front = { plain: false, passThrough: false, hangUp: () => {} }

/** An https URL in front of a plain server; only this test trusts its certificate. */
async function startTlsFront (t: Test, server: JwksServer): Promise<string> {
  const { key, cert } = createCertificate()
  const { connect: connectTls } = tls
  tls.connect = ((...args: unknown[]) => {
    const [first, ...rest] = args
    return Reflect.apply(connectTls, tls, [{ ...first as tls.ConnectionOptions, ca: cert }, ...rest]) as tls.TLSSocket
  }) as typeof tls.connect
  t.teardown(() => { tls.connect = connectTls })

  const sockets = new Set<Socket>()
  const secureContext = tls.createSecureContext({ key, cert })
  const tcp = createTcpServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    if (front.plain) {
      socket.end('garbage'.repeat(100))
      return
    }
    const upstream = connect(server.port, 'localhost')
    const secure = front.passThrough ? socket : new tls.TLSSocket(socket, { isServer: true, secureContext })
    for (const one of [secure, upstream]) one.on('error', () => { socket.destroy(); upstream.destroy() })
    socket.on('close', () => upstream.destroy())
    secure.pipe(upstream).pipe(secure)
  })
  const port = await new Promise<number>(resolve => {
    tcp.listen(0, 'localhost', () => resolve((tcp.address() as { port: number }).port))
  })
  Object.assign(front, {
    plain: false, passThrough: false, hangUp: () => { for (const socket of sockets) socket.destroy() }
  })
  t.teardown(() => { front.hangUp(); tcp.close() })
  return `https://localhost:${port}`
}

/** A certificate for `localhost` that signs itself (RFC 5280 §4.1). */
function createCertificate (): { key: string, cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = (tag: number, ...parts: Array<Buffer | string>): Buffer => {
    const content = Buffer.concat(parts.map(part => typeof part === 'string' ? Buffer.from(part) : part))
    const { length } = content
    const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...head]), content])
  }
  const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, 'localhost'))))
  const subjectAltName = der(0x30, oid('551d11'), der(0x04, der(0x30, der(0x82, 'localhost'))))
  const body = der(0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    der(0x30, der(0x18, '20000101000000Z'), der(0x18, '29991231235959Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, subjectAltName))
  )
  const certificate = der(0x30, body, ecdsaWithSha256, der(0x03, Buffer.from([0]), sign('sha256', body, privateKey)))
  const base64 = certificate.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`
  }
}

t.test('when one JWK is unusable', async t => {
  const rsa = createSigningKey('RS256', 'bad')
  const ec = createSigningKey('ES256', 'bad')
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })

  interface BadKey { jwk: Record<string, unknown>, log: 'warn' | 'error', token? (server: JwksServer): string }
  const badKeys: Record<string, BadKey> = {
    'has members of wrong types': { jwk: { kty: 'OKP', crv: 'Ed25519', x: { toString: 'no' } }, log: 'warn' },
    'has numbers for members': { jwk: { ...rsa.jwk, n: 5, e: 3 }, log: 'warn' },
    'has an object for its type': { jwk: { ...ec.jwk, kty: {} }, log: 'warn' },
    'has a list for its algorithm': { jwk: { ...ec.jwk, alg: ['ES256'] }, log: 'warn' },
    'has nothing but a name': { jwk: {}, log: 'warn' },
    'is of an unknown type': { jwk: { ...ec.jwk, kty: 'PQC' }, log: 'warn' },
    'is of an unknown curve': { jwk: { ...ec.jwk, crv: 'P-192' }, log: 'warn' },
    'is a weak RSA key of 1024 bits': {
      jwk: { ...weak.publicKey.export({ format: 'jwk' }), alg: 'RS256' },
      log: 'warn',
      token: server => signJws({ ...weak, kid: 'bad', alg: 'RS256', jwk: {} }, claimsOf(server))
    },
    'is an RSA key with the exponent 1': {
      jwk: { ...rsa.jwk, e: 'AQ' },
      log: 'warn',
      token (server) {
        // What such a key verifies is its own padding: nobody's private key is needed.
        const input = `${encode({ alg: 'RS256', kid: 'bad' })}.${encode(claimsOf(server))}`
        const forged = createPublicKey({ key: { kty: 'RSA', n: rsa.jwk.n!, e: 'AQ' }, format: 'jwk' })
        // DigestInfo of SHA-256 (RFC 8017 §9.2).
        const info = Buffer.concat(
          [Buffer.from('3031300d060960864801650304020105000420', 'hex'), createHash('sha256').update(input).digest()]
        )
        const size = forged.asymmetricKeyDetails!.modulusLength! / 8
        const padded = Buffer.concat(
          [Buffer.from([0, 1]), Buffer.alloc(size - info.length - 3, 0xff), Buffer.from([0]), info]
        )
        return `${input}.${encode(padded)}`
      }
    },
    'is private': {
      jwk: { ...ec.privateKey.export({ format: 'jwk' }), alg: 'ES256' },
      log: 'error',
      token: server => signJws(ec, claimsOf(server))
    },
    'is for encryption': {
      jwk: { ...ec.jwk, use: 'enc' }, log: 'warn', token: server => signJws(ec, claimsOf(server))
    },
    'is not for verifying': {
      jwk: { ...ec.jwk, key_ops: ['encrypt'] }, log: 'warn', token: server => signJws(ec, claimsOf(server))
    },
    'is symmetric': {
      jwk: { kty: 'oct', k: encode('a shared secret of 32 bytes and more'), alg: 'HS256' }, log: 'error'
    },
    'is an Ed25519 point of small order': {
      jwk: { kty: 'OKP', crv: 'Ed25519', x: encode(Buffer.from([1, ...Buffer.alloc(31)])) },
      log: 'warn',
      token: server => [
        encode({ alg: 'EdDSA', kid: 'bad' }), encode(claimsOf(server)), encode(Buffer.from([1, ...Buffer.alloc(63)]))
      ].join('.')
    },
    'is a point that is not on the curve': { jwk: { ...ec.jwk, y: encode(randomBytes(32)) }, log: 'warn' }
  }

  for (const [name, { jwk, log, token }] of Object.entries(badKeys)) {
    for (const warm of [false, true]) {
      for (const place of ['before', 'behind']) {
        t.test(`it ${name}, ${place} a good one, and the API is ${warm ? 'warm' : 'cold'}`, async t => {
          const server = await startServer(t)
          const clock = createClock(Date.now())
          const published = [{ ...jwk, kid: 'bad' }, good.jwk]
          if (place === 'behind') published.reverse()
          if (!warm) server.keys = published
          const api = await startClockedApi(t, options(server.origin, server.origin), clock)
          if (warm) {
            t.equal((await call(api, server)).status, 200)
            server.keys = published
          }
          const badToken = token?.(server) ?? signJws(good, claimsOf(server), { kid: 'bad' })
          for (const step of [0, 3000, MAX_AGE, STALE_AFTER]) {
            clock.advance(step)
            const [bad, ok] = await Promise.all([api.call(badToken), call(api, server)])
            t.equal(ok.status, 200)
            t.equal(bad.status, 401)
            t.match(bad.challenge, 'invalid_token')
          }
          t.ok(api.log.refusals().every(({ reason }) => reason === 'unusable_key'))
          const level = { warn: 40, error: 50 }[log]
          const lines = api.log.lines.filter(line => line.kid === 'bad')
          t.same(lines.map(line => line.level), [level], 'logged once')
          t.equal(api.app.betterAuth.status().lastError, null)

          const mended = createSigningKey('EdDSA', 'bad')
          server.keys = [mended.jwk, good.jwk]
          clock.advance(3000)
          t.equal((await api.call(signJws(mended, claimsOf(server)))).status, 200, 'once it is mended')
          t.equal((await call(api, server)).status, 200)
        })
      }
    }
  }
})

t.test('a JWKS server that is stopped and started again on its port is found without a restart', async t => {
  const server = await startServer(t)
  const clock = createClock(Date.now())
  const api = await startClockedApi(t, options(server.origin, server.origin), clock)
  for (let i = 0; i < 3; i++) {
    t.equal((await call(api, server)).status, 200)
    await server.stop()
    clock.advance(STALE_AFTER)
    t.equal((await call(api, server)).status, 200)
    clock.advance(STALE_IF_ERROR)
    isUnavailable(t, await call(api, server), 'down for too long')
    await server.start()
    clock.advance(LONGEST_PAUSE)
  }
})
