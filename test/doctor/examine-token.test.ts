import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import Fastify from 'fastify'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import { createJwksSource, type JwksFetchError } from '../../lib/jwks-source.js'
import { resolveOptions } from '../../lib/options.js'
import { examine } from '../../lib/doctor/examine.js'
import { print } from '../../lib/doctor/print.js'
import { addressAdvice } from '../../lib/doctor/server-advice.js'
import { duration, wrap } from '../../lib/doctor/text.js'
import { bearer, captureLog, TRANSPORTS } from '../fixtures/api.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { startCookieServer } from '../fixtures/cookie-server.js'
import { recordLog } from '../fixtures/log.js'
import { runDoctor } from '../fixtures/doctor.js'
import { createClaims, createSigningKey, encode, signHmac, signJws, type SigningKey } from '../fixtures/signing.js'
import { JWKS_PATH, startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'

type Respond = (request: IncomingMessage, response: ServerResponse) => void

const good = createSigningKey('EdDSA', 'good')
const es256 = createSigningKey('ES256', 'es256')

async function startJwks (t: Pick<Test, 'teardown'>, keys: unknown[] = [good.jwk]): Promise<JwksServer> {
  const server = await startJwksServer(keys)
  t.teardown(() => server.stop())
  return server
}

/** Answers the addresses of the JWKS in turn; the last answer goes on. */
function inTurn (...answers: Respond[]): Respond {
  return (request, response) => {
    if (request.url !== JWKS_PATH) return response.writeHead(404).end()
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    answer(request, response)
  }
}

const send = (status: number, body: string, headers: Record<string, string> = {}): Respond =>
  (_request, response) => { response.writeHead(status, headers).end(body) }
const jwks = (headers: Record<string, string> = {}, keys: unknown[] = [good.jwk]): Respond =>
  send(200, JSON.stringify({ keys }), { 'content-type': 'application/json', ...headers })

t.test('finds all well at a Better Auth server, and accepts its token', async t => {
  for (const alg of ['EdDSA', 'ES256', 'RS256'] as const) {
    t.test(alg, async t => {
      const server = await startAuthServer(alg === 'EdDSA' ? {} : { jwt: { jwks: { keyPairConfig: { alg } } } })
      t.teardown(() => server.close())
      const { token, user } = await server.signUp()
      const { report, text, status } = await runDoctor(server.origin, `Bearer ${token}\n`)
      t.equal(status, 0)
      t.match(report, {
        ok: true,
        authUrl: server.origin,
        authUrlFrom: 'argument',
        issuer: [server.origin],
        jwks: { status: 200, ageSeconds: null, maxAgeSeconds: null, fault: null },
        keys: [{ alg, algorithms: [alg], fault: null }],
        token: {
          segments: 3,
          signature: 'right',
          notes: ['"Bearer" in front of it was taken off'],
          verdict: { accepted: true, reason: null },
          asCookie: null
        }
      })
      t.strictSame(report.tried, [
        { url: `${server.origin}/.well-known/jwks.json`, found: false, answer: 'HTTP 404' },
        { url: `${server.origin}/api/auth/jwks`, found: true, answer: 'a JWKS' }
      ])
      t.equal(report.keys.length, 1)
      t.strictSame(report.findings, [])
      t.ok(Math.abs(report.jwks!.clockAheadSeconds!) <= 1)
      t.ok([...report.token!.header, ...report.token!.claims].every(({ reason }) => reason === null))
      const said = new Map(report.token!.claims.map(({ name, says }) => [name, says]))
      t.equal(said.get('iss'), `"${server.origin}"`)
      t.match(said.get('exp'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, in 1[45] min$/)
      t.match(said.get('iat'), /Z, \d s ago$/)
      t.equal(said.get('email'), `text of ${user.email.length} characters`)

      t.match(text, /found {4}\S+\/api\/auth\/jwks: a JWKS/)
      t.match(text, /^Token {8}accepted\nVerdict {6}all is well\n$/m)
      for (const personal of [user.email, user.name, user.id]) t.notMatch(text + JSON.stringify(report), personal)
      t.ok(text.split('\n').every(line => line.length < 100))
    })
  }
})

interface Case {
  token: string
  /** What the API answers and logs; `null` when it lets the request pass. */
  reason: string | null
  /** What the doctor says to do. */
  fix?: RegExp
  /** The part that it marks, and how many it marks. */
  part?: string
  marks?: number
  signature?: 'right' | 'wrong' | 'unchecked'
}

t.test('says of each token what an API says of it, and what to do', async t => {
  const strangerOfSameKid = createSigningKey('EdDSA', 'good')
  const weak: SigningKey = { ...createSigningKey('RS256', 'weak'), ...weakPair() }
  const published = createSigningKey('EdDSA', 'published')
  const { d } = published.privateKey.export({ format: 'jwk' })
  const server = await startJwks(t, [
    good.jwk, es256.jwk, { ...weak.publicKey.export({ format: 'jwk' }), alg: 'RS256', kid: 'weak' }, { ...published.jwk, d }
  ])
  const { origin } = server
  const options: BetterAuthOptions = { authUrl: origin, algorithms: ['EdDSA', 'RS256', 'ES256'] }
  const log = captureLog()
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, options)
  app.get('/me', { onRequest: app.authenticate }, async () => 'in')

  const now = Math.floor(Date.now() / 1000)
  const claims = (overrides: Record<string, unknown> = {}) => createClaims(origin, overrides)
  const sign = (overrides: Record<string, unknown> = {}, header: unknown = {}, key = good) =>
    signJws(key, claims(overrides), header)
  const newToken = /GET http:\/\/localhost:\d+\/api\/auth\/token/
  const fine = sign()
  const [head, body, signature] = fine.split('.') as [string, string, string]

  const CASES: Record<string, Case> = {
    'a token as Better Auth makes it': { token: fine, reason: null, signature: 'right' },
    'a token of another key': { token: sign({}, {}, es256), reason: null },
    'the id without sub': { token: sign({ sub: undefined }), reason: null },
    'several audiences': { token: sign({ aud: ['x', origin] }), reason: null },
    'an OAuth access token': { token: sign({ auth_time: 1 }, { typ: 'application/AT+JWT' }), reason: null },
    'a role and a scope': { token: sign({ role: 'admin,user', scope: 'a b', scp: [1], n: 1, list: [], map: {} }), reason: null },
    'a ban that is over': { token: sign({ banned: true, banExpires: '2020-01-01T00:00:00.000Z' }), reason: null },
    'a parameter that is not looked at': { token: sign({}, { jku: 'https://evil.example' }), reason: null },

    expired: { token: sign({ exp: now - 60 }), reason: 'token_expired', part: 'exp', fix: newToken, signature: 'right' },
    'without exp': { token: sign({ exp: undefined }), reason: 'claim_missing', part: 'exp', fix: /definePayload/ },
    'exp is text': { token: sign({ exp: 'soon' }), reason: 'claim_invalid', part: 'exp', fix: /definePayload/ },
    'exp beyond all time': { token: sign({ exp: 1e300 }), reason: null },
    'nbf in the future': { token: sign({ nbf: now + 600 }), reason: 'token_not_active', part: 'nbf', fix: /clockTolerance/ },
    'iat in the future': { token: sign({ iat: now + 600 }), reason: 'token_not_active', part: 'iat', fix: /clocks right/ },
    'another issuer': {
      token: sign({ iss: 'https://id.example' }),
      reason: 'issuer_mismatch',
      part: 'iss',
      fix: /^issuer: 'https:..id\.example'/
    },
    'no issuer': { token: sign({ iss: undefined }), reason: 'issuer_mismatch', part: 'iss', fix: /issuer: false/ },
    'issuer of the wrong type': { token: sign({ iss: 1 }), reason: 'claim_invalid', part: 'iss', fix: /signer/ },
    'another audience': {
      token: sign({ aud: 'https://api.example' }),
      reason: 'audience_mismatch',
      part: 'aud',
      fix: /^audience: 'https:\/\/api\.example'/
    },
    'other audiences': { token: sign({ aud: ['a', 'b'] }), reason: 'audience_mismatch', part: 'aud', fix: /^audience: 'a'/ },
    'no audience at all': { token: sign({ aud: [] }), reason: 'audience_mismatch', part: 'aud', fix: /audience: false/ },
    'no user': { token: sign({ sub: undefined, id: undefined }), reason: 'claim_missing', part: 'sub', fix: /signer/ },
    'a user of the wrong type': { token: sign({ email: 5 }), reason: 'claim_invalid', part: 'email', fix: /signer/ },
    'a banned user': { token: sign({ banned: true }), reason: 'banned', part: 'banned', fix: /lift the ban/ },
    'an ID token': { token: sign({ nonce: 'n' }), reason: 'token_kind', part: 'nonce', fix: newToken },
    'a DPoP-bound token': { token: sign({ cnf: { jkt: 'x' } }), reason: 'token_kind', part: 'cnf', fix: newToken },
    'a logout token': {
      token: sign({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
      reason: 'token_kind',
      part: 'events',
      fix: newToken
    },
    'the audience of a session cookie': {
      token: sign({ aud: 'better-auth:session-cache' }),
      reason: 'token_kind',
      part: 'aud',
      fix: newToken
    },

    'signed by somebody else': {
      token: sign({}, {}, strangerOfSameKid), reason: 'signature_invalid', fix: /set authUrl/, signature: 'wrong'
    },
    'a claim that was changed': {
      token: `${head}.${encode(claims({ role: 'admin' }))}.${signature}`,
      reason: 'signature_invalid',
      fix: newToken
    },
    'a key that nobody knows': {
      token: sign({}, { kid: 'stranger' }),
      reason: 'unknown_key',
      part: 'kid',
      fix: /authUrl/,
      signature: 'unchecked'
    },
    'a weak key': { token: sign({}, {}, weak), reason: 'unusable_key', part: 'kid', fix: /keys/ },
    'a published private key': { token: sign({}, {}, published), reason: 'unusable_key', part: 'kid', fix: /keys/ },
    "another key's algorithm": { token: sign({}, { alg: 'ES256' }), reason: 'algorithm_mismatch', part: 'alg', fix: /authUrl/ },
    HS256: { token: signHmac(randomBytes(32), claims()), reason: 'algorithm_not_allowed', part: 'alg', fix: /^secret: / },
    'HS256 with a kid': {
      token: signHmac(randomBytes(32), claims(), { kid: 'x' }),
      reason: 'algorithm_not_allowed',
      part: 'alg',
      marks: 2,
      fix: /^secret: /
    },
    none: {
      token: `${encode({ alg: 'none', kid: 'good' })}.${body}.AA`,
      reason: 'algorithm_not_allowed',
      part: 'alg',
      fix: /no option/
    },
    'no alg': { token: sign({}, { alg: undefined }), reason: 'algorithm_not_allowed', part: 'alg', fix: /no option/ },
    'an algorithm that the options leave out': {
      token: sign({}, { alg: 'PS512' }),
      reason: 'algorithm_not_allowed',
      part: 'alg',
      fix: /^algorithms: \['PS512'/
    },
    'no kid': { token: sign({}, { kid: undefined }), reason: 'kid_invalid', part: 'kid', fix: /name its key/ },
    'a kid that is an object': { token: sign({}, { kid: {} }), reason: 'kid_invalid', part: 'kid', fix: /name its key/ },
    'a critical extension': {
      token: sign({}, { crit: ['exp'], exp: 1 }),
      reason: 'critical_header',
      part: 'crit',
      fix: /leave it out/
    },
    'another type': {
      token: sign({ nonce: 1 }, { typ: 'logout+jwt' }),
      reason: 'typ_not_allowed',
      part: 'typ',
      marks: 2,
      fix: newToken
    },
    'an encrypted JWT': {
      token: `${encode({ alg: 'dir', enc: 'A256GCM' })}..${encode('iv-iv')}.${encode('text')}.${encode('tag')}`,
      reason: 'token_encrypted',
      fix: newToken
    },
    'an opaque token': { token: randomBytes(24).toString('base64url'), reason: 'token_malformed', fix: newToken },
    'a signed cookie of another kind': {
      token: `${randomBytes(24).toString('base64url')}.${randomBytes(24).toString('base64url')}`,
      reason: 'token_malformed',
      fix: newToken
    },
    'a header that is cut': { token: `${head.slice(5)}.${body}.${signature}`, reason: 'token_malformed', fix: newToken },
    garbage: { token: 'abcde.fghij.klmno', reason: 'token_malformed', fix: newToken },
    'a payload that is no object': { token: signJws(good, ['a']), reason: 'token_malformed', fix: newToken },
    'base64 instead of base64url': { token: `${head}.${body}.${signature}==`, reason: 'token_malformed', fix: newToken },
    'a signature that is missing': { token: `${head}.${body}.`, reason: 'token_malformed', fix: newToken },
    'a payload nested deeper than is walked through': {
      token: sign({ deep: JSON.parse(`${'['.repeat(101)}${']'.repeat(101)}`) as unknown }),
      reason: 'token_malformed',
      fix: /^put less into it/
    },
    'a header nested deeper than can be written': {
      token: signJws(good, claims(), Buffer.from(`{"alg":"EdDSA","kid":"good","typ":${'['.repeat(5500)}${']'.repeat(5500)}}`)),
      reason: 'typ_not_allowed',
      part: 'typ',
      fix: newToken
    },
    'more than 16 kB': { token: sign({ text: 'x'.repeat(17_000) }), reason: 'token_too_long', fix: /definePayload/ },
    'two words': { token: `${head} ${body}`, reason: 'authorization_malformed', fix: /without spaces/ },
    nothing: { token: '', reason: 'authorization_malformed', fix: /one token/ }
  }

  for (const [name, { token, reason, fix, part, marks = 1, signature }] of Object.entries(CASES)) {
    const logged = log.refusals().length
    const { status } = await TRANSPORTS.inject(app, { url: '/me', headers: bearer(token) })
    t.equal(log.refusals()[logged]?.reason ?? null, reason, `${name}: the API`)
    t.equal(status === 200, reason === null, `${name}: its answer`)

    const { report, text } = await runDoctor(origin, token === '' ? 'bearer ""' : token, '--algorithms', 'EdDSA,RS256,ES256')
    const examined = token === '' ? (await examine(options, '""', {})).token! : report.token!
    t.strictSame(examined.verdict, { accepted: reason === null, reason }, `${name}: the doctor`)
    if (token === '') continue
    t.match(text, reason === null ? /^Token {8}accepted$/m : new RegExp(`^Token {8}refused: ${reason}$`, 'm'), name)
    t.ok(text.split('\n').every(line => line.length < 100), `${name}: no line is too long`)
    const marked = [...examined.header, ...examined.claims].filter(one => one.reason !== null)
    if (part !== undefined) {
      t.equal(marked.find(one => one.reason === reason)?.name, part, `${name}: the part`)
      t.equal(marked.length, marks, `${name}: no more parts than that`)
    }
    if (reason === null) t.strictSame(marked, [], `${name}: no part is marked`)
    if (fix !== undefined) t.ok(report.findings.some(one => one.about === 'token' && fix.test(one.fix)), `${name}: what to do`)
    t.equal(examined.asCookie, null)
    if (signature !== undefined) t.equal(examined.signature, signature, `${name}: the signature`)
  }
})

function weakPair (): Pick<SigningKey, 'publicKey' | 'privateKey'> {
  return generateKeyPairSync('rsa', { modulusLength: 1024 })
}

t.test('a token that leaves no room for other headers is told to be long', async t => {
  const { origin } = await startJwks(t)
  const sign = (length: number) => {
    const token = signJws(good, createClaims(origin, { text: '' }))
    return signJws(good, createClaims(origin, { text: 'x'.repeat(Math.floor((length - token.length) * 3 / 4)) }))
  }
  const [short, long] = [sign(14_950), sign(16_300)]
  t.ok(short.length > 14_900 && short.length <= 15_000 && long.length > 16_200 && long.length < 16_384)
  t.match(await runDoctor(origin, short), { status: 0, report: { findings: { length: 0 } } })
  t.match(await runDoctor(origin, long), {
    status: 0, report: { token: { verdict: { accepted: true } }, findings: [{ level: 'warning', about: 'token', text: /431/ }] }
  })
  const { report } = await runDoctor(origin, sign(17_000))
  t.strictSame(report.findings.map(({ text }) => text), ['it is longer than 16 kB'])
})

t.test('the options say what is accepted', async t => {
  const { origin } = await startJwks(t)
  const token = signJws(good, createClaims(origin, { iss: 'a', aud: 'b' }))
  t.match(await runDoctor(origin, token), { status: 1, report: { token: { verdict: { reason: 'issuer_mismatch' } } } })
  const args = ['--issuer', 'x', '--issuer', 'a', '--audience', 'b', '--jwks-path', JWKS_PATH]
  const { report, status } = await runDoctor(origin, token, ...args)
  t.equal(status, 0)
  t.match(report, { issuer: ['x', 'a'], audience: ['b'], tried: [{ url: origin + JWKS_PATH, found: true }] })
  const { report: strict } = await runDoctor(origin, undefined, '--algorithms', 'ES256')
  t.match(strict, { ok: false, algorithms: ['ES256'], keys: [{ fault: 'algorithm_not_allowed' }] })

  const anyone = await examine({ authUrl: origin, issuer: false, audience: false }, token, {})
  t.match(anyone, { ok: true, issuer: false, audience: false })
  t.match(print(anyone), 'Accepted     iss any, aud any\n')

  const below = await examine({ authUrl: `${origin}/api/auth` }, 'opaque', {})
  t.match(below.findings, [{ about: 'token', fix: new RegExp(`GET ${origin}/api/auth/token `) }])
})

t.test('what people paste', async t => {
  const { origin } = await startJwks(t)
  const token = signJws(good, createClaims(origin))
  const pasted: Array<[string, RegExp[]]> = [
    [token, []],
    [`${token}\r\n`, []],
    [`  ${token}\n\n`, [/white space/]],
    [`Authorization: Bearer ${token}`, [/Bearer/]],
    [`{"token":"${token}"}\n`, [/JSON/]],
    [`"bearer ${token}"`, [/JSON/, /Bearer/]],
    [`better-auth.session_data=${token}\n`, [/cookie/]],
    [`__Secure-better-auth.session_data=${token}; Path=/; HttpOnly`, [/cookie/]]
  ]
  for (const [text, notes] of pasted) {
    const { ok, token } = await examine({ authUrl: origin }, text, {})
    t.ok(ok, text.slice(0, 8))
    t.match(token!.notes, notes)
    t.equal(token!.notes.length, notes.length)
  }
  for (const text of ['null', '5', '{"token":5}']) {
    t.match(await examine({ authUrl: origin }, text, {}), { ok: false, token: { verdict: { accepted: false } } })
  }
})

t.test('a session cookie is told to be one', async t => {
  const { jwt } = await import('better-auth/plugins')
  const server = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })] })
  t.teardown(() => server.close())
  const { cookies } = await server.signUp()
  const { report } = await runDoctor(server.origin, cookies.get('better-auth.session_data'))
  t.match(report.token, { verdict: { accepted: false, reason: 'typ_not_allowed' }, asCookie: { accepted: true, reason: null } })
  t.match(report.findings.map(({ fix }) => fix).join(), /sessionCookie: true.*there it is accepted/)

  const forged = cookies.get('better-auth.session_data')!.replace(/.{8}$/, 'AAAAAAAA')
  const { report: refused } = await runDoctor(server.origin, forged)
  t.match(refused.token!.asCookie, { accepted: false, reason: 'signature_invalid' })
  t.match(refused.findings.map(({ fix }) => fix).join(), /there it is refused: signature_invalid/)
})

t.test('an auth server that does not serve its keys', async t => {
  const page = send(200, '<html>said by the server', { 'content-type': 'text/html' })
  const FAULTS: Record<string, { respond: Respond, answer: string, fix: RegExp }> = {
    'has none': { respond: send(404, ''), answer: 'HTTP 404', fix: /plugin jwt\(\)/ },
    'answers a page': { respond: page, answer: 'HTTP 200 without JSON', fix: /HTML/ },
    redirects: { respond: send(302, '', { location: '/elsewhere' }), answer: 'HTTP 302', fix: /never followed/ },
    fails: { respond: send(500, 'said by the server'), answer: 'HTTP 500', fix: /its log/ },
    'has an empty JWKS': { respond: send(200, '{"keys":[]}'), answer: 'JSON without keys', fix: /table of keys/ },
    'has a null in its JWKS': { respond: send(200, '{"keys":[null]}'), answer: 'a malformed JWKS', fix: /null/ },
    'hangs up': { respond: (_request, response) => { response.socket!.destroy() }, answer: 'UND_ERR_SOCKET', fix: /network/ }
  }
  for (const [name, { respond, answer, fix }] of Object.entries(FAULTS)) {
    t.test(name, async t => {
      const server = await startJwks(t)
      server.respond = respond
      const token = signJws(good, createClaims(server.origin))
      const { report, text, status } = await runDoctor(server.origin, token)
      t.equal(status, 1)
      t.match(report, { ok: false, jwks: null, token: { verdict: { accepted: false, reason: 'jwks_unavailable' } } })
      t.ok(report.tried.every(one => one.answer === answer && !one.found), report.tried[0]!.answer)
      t.equal(report.tried.length, answer === 'UND_ERR_SOCKET' ? 1 : 3)
      t.match(report.findings.find(one => one.about === 'auth server')!.fix, fix)

      const { lines, log } = recordLog()
      const { jwksUrls } = resolveOptions({ authUrl: server.origin }, {})
      const source = createJwksSource(jwksUrls, 5000, log)
      const { code } = await source.fetchJwk('').catch((error: unknown) => error) as JwksFetchError
      const logged = code === 'no_jwks' ? lines[0]!.fields.tried : [{ url: jwksUrls[0], answer: code }]
      t.strictSame(report.tried.map(({ url, answer }) => ({ url, answer })), logged, 'as the plugin logs it')
      t.match(text, `http://localhost:${server.port}/.well-known/jwks.json: ${answer}`)
      t.notMatch(text, 'said by the server')
    })
  }

  t.test('is down', async t => {
    const server = await startJwks(t)
    await server.stop()
    const { report, status } = await runDoctor(server.origin)
    t.equal(status, 1)
    t.match(report, { tried: [{ answer: 'ECONNREFUSED' }], findings: [{ level: 'error', fix: /start the auth server/ }] })
    await server.start()
  })

  t.test('is too slow', async t => {
    const server = await startJwks(t)
    server.respond = () => {}
    const report = await examine({ authUrl: server.origin, jwks: { timeout: 100 } }, undefined, {})
    t.match(report, { ok: false, tried: [{ answer: 'timeout' }], findings: [{ fix: /jwks\.timeout/ }] })
  })

  t.test('fails when it is asked what else it answered', async t => {
    const server = await startJwks(t)
    let asked = 0
    server.respond = (request, response) => {
      if (request.url === JWKS_PATH) return jwks()(request, response)
      // The bounded reading, the plugin's fetch, and its question for the status.
      return ++asked <= 2 ? page(request, response) : response.socket!.destroy()
    }
    const report = await examine({ authUrl: server.origin }, undefined, {})
    t.ok(report.ok)
    t.equal(asked, 3)
    t.strictSame(report.tried.map(({ answer }) => answer), ['UND_ERR_SOCKET', 'a JWKS'])
  })

  t.match(addressAdvice('ENOTFOUND'), /misspelling/)
  t.match(addressAdvice('DEPTH_ZERO_SELF_SIGNED_CERT'), /NODE_EXTRA_CA_CERTS/)
})

t.test('one address that answers something else than 404 is what it is about', async t => {
  const ANSWERS: Array<[Respond, findings: Array<{ text: RegExp, fix: RegExp }>]> = [
    [send(302, '', { location: '/' }), [{ text: /HTTP 302/, fix: /never followed/ }]],
    [send(500, ''), [{ text: /HTTP 500/, fix: /its log/ }]],
    [send(404, ''), [{ text: /HTTP 404/, fix: /plugin jwt/ }]]
  ]
  for (const [respond, findings] of ANSWERS) {
    const server = await startJwks(t)
    server.respond = inTurn(respond)
    const { report } = await runDoctor(server.origin)
    t.ok(report.tried.some(({ answer }) => answer === 'HTTP 404'))
    t.match(report.findings, findings)
    t.equal(report.findings.length, 1)
  }
})

t.test('a JWKS with null behind the key of the token: the token is accepted, and the JWKS is not well', async t => {
  const server = await startJwks(t, [good.jwk, null])
  const { report, status } = await runDoctor(server.origin, signJws(good, createClaims(server.origin)))
  t.equal(status, 0)
  t.match(report, { jwks: null, token: { verdict: { accepted: true } } })
  t.match(report.findings, [
    { level: 'warning', about: 'auth server', text: /malformed/, fix: /null, which hides what is behind it/ }
  ])
  t.match(await runDoctor(server.origin), { status: 1, report: { findings: [{ level: 'error', text: /malformed/ }] } })
})

t.test('an answer without an end is not read to its end', { timeout: 20_000 }, async t => {
  const chunk = Buffer.alloc(65_536, ' ')
  let sent = 0
  const endless = (status: number): Respond => (_request, response) => {
    response.writeHead(status)
    const go = () => {
      if (response.destroyed) return
      sent += chunk.length
      response.write(chunk, () => setImmediate(go))
    }
    go()
  }
  const server = await startJwks(t)
  const token = signJws(good, createClaims(server.origin))
  const timeout = 2000
  const run = (pasted?: string) => examine({ authUrl: server.origin, jwks: { timeout } }, pasted, {})
  const bounded = (what: string) => {
    // What the sockets have room for comes on top.
    t.ok(sent < 2 ** 24, `${what}: ${sent} bytes`)
    sent = 0
  }

  server.respond = endless(200)
  const report = await run()
  bounded('no token')
  t.match(report, {
    ok: true, jwks: { status: 200, fault: 'too_long' }, keys: [], tried: [{ found: false, answer: 'longer than 1 MB' }]
  })
  t.equal(report.tried.length, 1, 'the plugin may take it for the JWKS, so the search ends')
  t.match(report.findings, [{ level: 'warning', about: 'auth server', fix: /no JWKS is that long/ }])
  t.match(print(report), /^JWKS {9}too_long after \d+ ms$/m)
  const withToken = await run(token)
  bounded('a token')
  t.match(withToken, {
    ok: false, token: null, findings: [{ level: 'warning' }, { level: 'error', about: 'token', text: /^not looked at: .* 1 MB$/ }]
  })

  for (const status of [404, 302, 500]) {
    server.respond = (request, response) => {
      const respond = request.url === JWKS_PATH ? jwks() : endless(status)
      respond(request, response)
    }
    const report = await run(token)
    bounded(`status ${status}`)
    t.match(report, { ok: true, tried: [{ answer: `HTTP ${status}` }, { found: true }], token: { verdict: { accepted: true } } })
  }
  // The last one: 1 MB and not a byte more is a JWKS.
  const whole = JSON.stringify({ keys: [good.jwk] })
  server.respond = inTurn(send(200, whole + ' '.repeat(2 ** 20 - whole.length)))
  t.match(await run(token), { ok: true, jwks: { fault: null }, token: { verdict: { accepted: true } } })
})

t.test('the time of the plugin is for its own questions, and is over when it is over', async t => {
  const later = (ms: number, respond: Respond): Respond =>
    (request, response) => { setTimeout(() => { respond(request, response) }, ms) }
  const server = await startJwks(t)
  const run = () => examine({ authUrl: server.origin, jwks: { timeout: 1500 } }, undefined, {})
  server.respond = inTurn(later(950, jwks()))
  t.match(await run(), { ok: true, tried: [{}, { found: true }] })
  server.respond = later(600, send(404, '{}'))
  const { tried } = await run()
  t.match([tried[0], tried.at(-1)], [{ answer: 'HTTP 404' }, { answer: 'timeout' }])
})

t.test('a JWKS that answered otherwise before', async t => {
  const elsewhere = await startJwks(t)
  const FIRST: Respond[] = [
    send(302, '', { location: elsewhere.origin + JWKS_PATH }),
    send(200, '<html>'),
    send(200, '{"keys":"abc"}'),
    send(204, ''),
    (_request, response) => { response.socket!.destroy() }
  ]
  for (const first of FIRST) {
    const server = await startJwks(t)
    server.respond = inTurn(first, jwks())
    const report = await examine({ authUrl: server.origin }, undefined, {})
    t.match(report, { ok: false, jwks: { fault: 'unreadable' }, tried: [{}, { found: true }] })
    t.strictSame(report.findings.map(({ about, level }) => `${about} ${level}`), ['JWKS error'])
    t.equal(report.keys.length, 0)
    t.match(print(report), /^JWKS {9}unreadable after \d+ ms$/m)
  }
})

t.test('the age of the answer, the caches before it and the clock behind it', async t => {
  const at = (ms: number) => ({ date: new Date(Date.now() + ms).toUTCString() })
  const ANSWERS: Array<[Record<string, string>, text: RegExp, warning: RegExp | null]> = [
    [{}, /HTTP 200 in \d+ ms, fresh \(no Age\), no max-age/, null],
    [{ 'cache-control': 'public, max-age=5' }, /max-age 5 s/, null],
    [{ 'cache-control': 'max-age=5, s-maxage=3600' }, /max-age 60 min/, /a cache keeps it for 60 min/],
    [{ age: '300', ...at(-300_000) }, /, 5 min old,/, /a cache keeps it for 5 min/],
    [{ age: 'young' }, /fresh/, null],
    [{ date: 'today' }, /fresh/, null],
    [at(-3_600_000 * 5.5), /fresh/, /its clock is 5 h behind this one/],
    [at(3_600_000 * 5.5), /fresh/, /its clock is 5 h ahead of this one/]
  ]
  for (const [headers, line, warning] of ANSWERS) {
    const server = await startJwks(t)
    server.respond = inTurn(jwks(headers))
    const { report, text, status } = await runDoctor(server.origin)
    t.equal(status, 0, 'a warning is no error')
    t.match(text, line)
    t.strictSame(report.findings.map(({ level }) => level), warning === null ? [] : ['warning'], JSON.stringify(headers))
    if (warning !== null) t.match(report.findings[0]!.text, warning)
  }
})

t.test('keys that are of no use are named with their fault', async t => {
  const { jwk } = good
  const { publicKey } = weakPair()
  const symmetric = { kty: 'oct', k: 'AAAA', kid: 'oct' }
  const KEYS: Array<[unknown, fault: string, level: 'error' | 'warning']> = [
    [{ ...jwk, kid: 'd', d: 'AAAA' }, 'private', 'error'],
    [symmetric, 'private', 'error'],
    [{ ...publicKey.export({ format: 'jwk' }), kid: 'rsa', alg: 'RS256' }, 'weak', 'warning'],
    [{ ...jwk, kid: 'enc', use: 'enc' }, 'use', 'warning'],
    [{ ...jwk, kid: 'ops', key_ops: ['encrypt'] }, 'key_ops', 'warning'],
    [{ ...jwk, kid: 'kty', crv: 'X25519' }, 'kty', 'warning'],
    [createForeignJwk(), 'kty', 'warning'],
    [{ ...createSigningKey('RS256', 'oaep').jwk, alg: 'RSA-OAEP' }, 'alg', 'warning'],
    [createSigningKey('PS512', 'other').jwk, 'algorithm_not_allowed', 'warning'],
    [5, 'kty', 'warning'],
    [{ ...jwk, kid: 'alg', alg: 'RS256' }, 'alg', 'warning'],
    [{ ...jwk, kid: 'x', x: '?' }, 'malformed', 'warning'],
    [{ ...jwk, kid: undefined }, 'kid_missing', 'warning'],
    [{ ...jwk, kid: 7 }, 'kid_missing', 'warning'],
    [{ ...jwk }, 'kid_duplicate', 'warning'],
    [{ ...jwk, kid: '' }, 'kid_invalid', 'warning']
  ]
  const server = await startJwks(t, [])
  for (const [key, fault, level] of KEYS) {
    server.keys = [jwk, key]
    const token = signJws(good, createClaims(server.origin))
    const { report, text, status } = await runDoctor(server.origin, token, '--algorithms', 'EdDSA,RS256')
    t.match(report.token!.verdict, { accepted: true }, fault)
    t.match(report.keys, [{ kid: 'good', fault: null }, { fault, algorithms: [] }], fault)
    t.match(report.findings, [{ level, about: 'key' }], fault)
    t.equal(report.findings.length, 1)
    t.equal(status, level === 'error' ? 1 : 0, fault)
    const mayStay = ['kty', 'alg', 'algorithm_not_allowed', 'kid_missing'].includes(fault)
    if (mayStay) t.match(report.findings[0]!.fix, /^nothing, if no token/)
    t.match(text, new RegExp(`NOT USED .*: ${fault}$`, 'm'))
    t.ok(text.split('\n').every(line => line.length < 100))
  }
  server.keys = [{ ...jwk, use: 'enc' }]
  const { report } = await runDoctor(server.origin)
  t.match(report, { ok: false, findings: [{ level: 'warning' }, { level: 'error', text: 'none of its keys is usable' }] })
  server.keys = [{ ...es256.jwk, alg: undefined }]
  t.match((await runDoctor(server.origin)).text, 'usable   "es256", EC P-256, no alg: verifies ES256')
})

/** A key of a curve that is not known here. */
function createForeignJwk (): object {
  return { ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }), kid: 'secp256k1' }
}

t.test('http is unsafe but to this machine', async t => {
  const hosts: Array<[string, boolean]> = [
    ['http://localhost:1', false], ['http://id.localhost:1', false], ['http://127.0.0.1:1', false], ['http://[::1]:1', false],
    ['http://0.0.0.0:1', true], ['http://localhost.example.invalid', true], ['https://id.example.invalid', false]
  ]
  for (const [authUrl, unsafe] of hosts) {
    const { findings } = await examine({ authUrl, jwks: { timeout: 2000 } }, undefined, {})
    t.equal(findings.some(({ level, text }) => level === 'warning' && /over http/.test(text)), unsafe, authUrl)
  }
})

t.test('what comes from outside cannot write to the terminal', async t => {
  const evil = '\u001b[2J\u009b31m\u202eevil\n\u0007é😀\ud800'
  const key = createSigningKey('EdDSA', 'k\u001b[2J\u009b31m\u202e😀')
  const server = await startJwks(t)
  const strange = { ...good.jwk, kid: evil, alg: evil, kty: evil, crv: evil }
  server.respond = inTurn(jwks({}, [key.jwk, strange, { ...good.jwk, kid: 'x'.repeat(300) }]))
  const text = 'x'.repeat(500)
  const claims = createClaims(server.origin, { iss: evil, aud: [evil], [evil]: evil, role: evil, scope: text, exp: -1e300 })
  for (const header of [{ [evil]: evil, typ: evil }, {}, { alg: evil }]) {
    const token = signJws(key, claims, header)
    const { report, text } = await runDoctor(server.origin, token)
    t.match(text, /^[\x20-\x7E\n]+$/)
    t.match(text, '\\u{1b}[2J')
    t.ok(text.split('\n').every(line => line.length < 200))
    t.equal(report.keys[1]!.kid, evil, 'in JSON it is what it was')
  }
  const hundred = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`claim${i}`, i]))
  t.match((await runDoctor(server.origin, signJws(key, createClaims(server.origin, hundred)))).text, /and 50 more/)
})

t.test('a length of time and a long line, for a person', async t => {
  const lengths = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(duration)
  t.strictSame(lengths, ['0 s', '119 s', '2 min', '119 min', '2 h', '47 h', '2 days'])
  t.equal(wrap('x'.repeat(120), '  '), `  ${'x'.repeat(120)}`)
  t.equal(wrap(`${'x'.repeat(60)} ${'y'.repeat(60)}`, ' '), ` ${'x'.repeat(60)}\n ${'y'.repeat(60)}`)
})
