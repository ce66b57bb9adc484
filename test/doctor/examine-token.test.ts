import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import { examine } from '../../lib/doctor/examine.js'
import type { DoctorVerdict } from '../../lib/doctor/report.js'
import { bearer, captureLog, TRANSPORTS } from '../fixtures/api.js'
import { startCookieServer } from '../fixtures/cookie-server.js'
import { createCookieClaims, TYP } from '../fixtures/session-cookie.js'
import { createClaims, createSigningKey, encode, signHmac, signJws, type SigningKey } from '../fixtures/signing.js'
import { es256, good, runDoctor, startServer, weakPair } from '../fixtures/doctor.js'

interface Case {
  token: string
  /** The reason that the API logs; `null` when it accepts the request. */
  reason: string | null
  /** What the doctor says to do. */
  fix?: RegExp
  /** The part that it marks, and how many it marks. */
  part?: string
  marks?: number
  signature?: 'right' | 'wrong' | 'unchecked'
}

t.test('a token that leaves no room for other headers is reported as long', async t => {
  const { origin } = await startServer(t)
  const sign = (length: number) => {
    const token = signJws(good, createClaims(origin, { text: '' }))
    return signJws(good, createClaims(origin, { text: 'x'.repeat(Math.floor((length - token.length) * 3 / 4)) }))
  }
  const [short, long] = [sign(14_950), sign(16_300)]
  t.ok(short.length > 14_900 && short.length <= 15_000 && long.length > 16_200 && long.length < 16_384)
  t.match(await runDoctor(origin, short), { status: 0, report: { findings: { length: 0 } } })
  t.match(await runDoctor(origin, long), {
    status: 0,
    report: { token: { verdict: { accepted: true } }, findings: [{ level: 'warning', about: 'token', text: /431/ }] }
  })
  const { report } = await runDoctor(origin, sign(17_000))
  t.strictSame(report.findings.map(({ text }) => text), ['the token is longer than 16 kB'])
})

t.test('what people paste', async t => {
  const { origin } = await startServer(t)
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

t.test('a token of another type is judged as a session cookie as well', async t => {
  const { origin } = await startServer(t)
  const sign = (key: SigningKey, typ = TYP) => signJws(key, createCookieClaims(origin), { typ })
  const CASES: Array<[token: string, asCookie: DoctorVerdict | null]> = [
    [sign(good), { accepted: true, reason: null }],
    [sign(createSigningKey('EdDSA', 'good')), { accepted: false, reason: 'signature_invalid' }],
    [sign(good, 'logout+jwt'), null],
    [sign(good, 'JWT'), null]
  ]
  for (const [text, asCookie] of CASES) {
    const { token } = await examine({ authUrl: origin }, text, {})
    t.equal(token!.verdict.accepted, false)
    t.strictSame(token!.asCookie, asCookie)
  }
})

t.test('of an OAuth access token, with the option resource, it marks what an API would refuse', async t => {
  const { origin } = await startServer(t)
  const oauth = { iss: `${origin}/api/auth`, aud: 'https://api.example.com', client_id: 'c', jti: 'j', sid: 's' }
  const sign = (changes: Record<string, unknown>) =>
    signJws(good, createClaims(origin, { ...oauth, ...changes }), { typ: 'at+jwt' })
  const RESOURCE = ['--resource', 'https://api.example.com']
  const CASES: Array<[claims: Record<string, unknown>, reason: string | null, part?: string, fix?: RegExp]> = [
    [{}, null],
    [{ aud: ['https://api.example.com', 'x'] }, null],
    [{ azp: 'c' }, null],
    [{ client_id: undefined, azp: 'c' }, null],
    [{ sub: undefined, sid: undefined, id: undefined }, null],
    [{ sid: null }, null],
    [{ sub: 'c', id: 'c', sid: undefined }, null],
    [{ iss: origin }, 'issuer_mismatch', 'iss', /^resource: \{ url, issuer: /],
    [{ iss: undefined }, 'issuer_mismatch', 'iss', /^the OAuth client: ask/],
    [{ aud: origin }, 'audience_mismatch', 'aud', /resource=https:.*; or resource: 'http:.* \(--resource\), if that/],
    [{ aud: undefined }, 'audience_mismatch', 'aud', /^the OAuth client: ask .*resource=https:\/\/api\.example\.com$/],
    [{ azp: 'd' }, 'claim_invalid', 'azp'],
    [{ client_id: '' }, 'claim_invalid', 'client_id'],
    [{ client_id: undefined }, 'claim_missing', 'client_id'],
    [{ sub: undefined, id: undefined }, 'claim_missing', 'sub'],
    [{ sid: 5 }, 'claim_invalid', 'sid'],
    [{ id: 'other' }, 'subject_ambiguous', 'id'],
    [{ banned: true }, 'banned', 'banned'],
    [{ exp: 1 }, 'token_expired', 'exp', /^the OAuth client: ask for a new access token.*clockTolerance/]
  ]
  for (const [claims, reason, part, fix] of CASES) {
    const { report } = await runDoctor(origin, sign(claims), ...RESOURCE)
    const { verdict, claims: parts } = report.token!
    const what = JSON.stringify(claims)
    t.strictSame(verdict, { accepted: reason === null, reason }, what)
    const marked = parts.filter(one => one.reason !== null)
    t.strictSame(marked.map(one => one.name), part === undefined ? [] : [part], what)
    const about = report.findings.filter(({ about }) => about === 'token')
    t.equal(about.length, marked.length, what)
    if (fix !== undefined) t.match(about[0]!.fix, fix, what)
  }
  const { report } = await runDoctor(origin, signJws(good, createClaims(origin)), ...RESOURCE)
  t.notOk(report.token!.claims.some(({ name }) => name === 'client_id'), "a user's token has no client")
})

t.test('of an OAuth access token, without the option, it says what the token names', async t => {
  const { origin } = await startServer(t)
  const FIXES: Array<[claims: Record<string, unknown>, fix: RegExp]> = [
    [{ iss: `${origin}/api/auth` }, /^resource: 'https:\/\/api\.example\.com' \(--resource\), if that is this API$/],
    [{ iss: 'https://id.example.com/api/auth' }, /if that is this API; and publicUrl: 'https:\/\/id\.example\.com'/],
    [{ iss: 'https://issuer.example.com' }, /if that is this API; and resource: \{ url, issuer: '/],
    [{ iss: 5 }, /if that is this API$/],
    [{ aud: 'orders' }, /^resource: '<the URL of this API>' .*the client has to ask for a token with that as resource/],
    [{ aud: undefined }, /^resource: '<the URL of this API>'/],
    [{ azp: 'd' }, /^resource: 'https:\/\/api/]
  ]
  for (const [changes, fix] of FIXES) {
    const claims = { aud: 'https://api.example.com', client_id: 'c', ...changes }
    const { report } = await runDoctor(origin, signJws(good, createClaims(origin, claims)))
    const about = report.findings.filter(({ about }) => about === 'token')
    t.match(report.token!.verdict, { reason: 'oauth_token_not_accepted' })
    t.match(about, [{ text: /^it is an access token of an OAuth client.*and the option resource is not set$/, fix }])
    t.equal(about.length, 1, JSON.stringify(changes))
  }
})

t.test('says of each token what an API says of it, and what to do', async t => {
  const strangerOfSameKid = createSigningKey('EdDSA', 'good')
  const weak: SigningKey = { ...createSigningKey('RS256', 'weak'), ...weakPair() }
  const published = createSigningKey('EdDSA', 'published')
  const { d } = published.privateKey.export({ format: 'jwk' })
  const server = await startServer(t, [
    good.jwk, es256.jwk, { ...weak.publicKey.export({ format: 'jwk' }), alg: 'RS256', kid: 'weak' },
    { ...published.jwk, d }
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
    'an OAuth access token': {
      token: sign({ auth_time: 1, client_id: 'c' }, { typ: 'application/AT+JWT' }),
      reason: 'oauth_token_not_accepted',
      part: 'client_id',
      fix: /^resource: 'http:..localhost:\d+' \(--resource\), if that is this API; and resource: \{ url, issuer/
    },
    'a role and a scope': {
      token: sign({ role: 'admin,user', scope: 'a b', scp: [1], n: 1, list: [], map: {} }), reason: null
    },
    'a ban that is over': { token: sign({ banned: true, banExpires: '2020-01-01T00:00:00.000Z' }), reason: null },
    'a parameter that is not looked at': { token: sign({}, { jku: 'https://evil.example' }), reason: null },

    expired: {
      token: sign({ exp: now - 60 }), reason: 'token_expired', part: 'exp', fix: newToken, signature: 'right'
    },
    'without exp': { token: sign({ exp: undefined }), reason: 'claim_missing', part: 'exp', fix: /definePayload/ },
    'exp is text': { token: sign({ exp: 'soon' }), reason: 'claim_invalid', part: 'exp', fix: /definePayload/ },
    'exp beyond all time': { token: sign({ exp: 1e300 }), reason: null },
    'nbf in the future': {
      token: sign({ nbf: now + 600 }), reason: 'token_not_active', part: 'nbf', fix: /clockTolerance/
    },
    'iat in the future': {
      token: sign({ iat: now + 600 }), reason: 'token_not_active', part: 'iat', fix: /synchronise the clocks/
    },
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
    'other audiences': {
      token: sign({ aud: ['a', 'b'] }), reason: 'audience_mismatch', part: 'aud', fix: /^audience: 'a'/
    },
    'no audience at all': {
      token: sign({ aud: [] }), reason: 'audience_mismatch', part: 'aud', fix: /audience: false/
    },
    'no user': { token: sign({ sub: undefined, id: undefined }), reason: 'claim_missing', part: 'sub', fix: /signer/ },
    'a user of the wrong type': { token: sign({ email: 5 }), reason: 'claim_invalid', part: 'email', fix: /signer/ },
    'a banned user': { token: sign({ banned: true }), reason: 'banned', part: 'banned', fix: /lift the ban/ },
    'an ID token': { token: sign({ nonce: 'n' }), reason: 'token_kind', part: 'nonce', fix: newToken },
    'a DPoP-bound token': {
      token: sign({ cnf: { jkt: 'x' } }), reason: 'token_kind', part: 'cnf', fix: /without a DPoP proof/
    },
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
    "another key's algorithm": {
      token: sign({}, { alg: 'ES256' }), reason: 'algorithm_mismatch', part: 'alg', fix: /authUrl/
    },
    HS256: {
      token: signHmac(randomBytes(32), claims()), reason: 'algorithm_not_allowed', part: 'alg', fix: /^secret: /
    },
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
    'a kid that is an object': {
      token: sign({}, { kid: {} }), reason: 'kid_invalid', part: 'kid', fix: /name its key/
    },
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
    'a header that is cut': {
      token: `${head.slice(5)}.${body}.${signature}`, reason: 'token_malformed', fix: newToken
    },
    garbage: { token: 'abcde.fghij.klmno', reason: 'token_malformed', fix: newToken },
    'a payload that is no object': { token: signJws(good, ['a']), reason: 'token_malformed', fix: newToken },
    'base64 instead of base64url': {
      token: `${head}.${body}.${signature}==`, reason: 'token_malformed', fix: newToken
    },
    'a signature that is missing': { token: `${head}.${body}.`, reason: 'token_malformed', fix: newToken },
    'a payload nested deeper than is walked through': {
      token: sign({ deep: JSON.parse(`${'['.repeat(101)}${']'.repeat(101)}`) as unknown }),
      reason: 'token_malformed',
      fix: /^put less into it/
    },
    'a header nested deeper than can be written': {
      token: signJws(
        good, claims(), Buffer.from(`{"alg":"EdDSA","kid":"good","typ":${'['.repeat(5500)}${']'.repeat(5500)}}`)
      ),
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

    const {
      report, text
    } = await runDoctor(origin, token === '' ? 'bearer ""' : token, '--algorithms', 'EdDSA,RS256,ES256')
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
    if (fix !== undefined) {
      t.ok(
        report.findings.some(one => one.about === 'token' && fix.test(one.fix)), `${name}: what to do`
      )
    }
    t.equal(examined.asCookie, null)
    if (signature !== undefined) t.equal(examined.signature, signature, `${name}: the signature`)
  }
})

t.test('a session cookie is recognised as one', async t => {
  const { jwt } = await import('better-auth/plugins')
  const server = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })] })
  t.teardown(() => server.close())
  const { cookies } = await server.signUp()
  const { report } = await runDoctor(server.origin, cookies.get('better-auth.session_data'))
  t.match(report.token, {
    verdict: { accepted: false, reason: 'typ_not_allowed' }, asCookie: { accepted: true, reason: null }
  })
  t.match(report.findings.map(({ fix }) => fix).join(), /sessionCookie: true.*there it is accepted/)

  const forged = cookies.get('better-auth.session_data')!.replace(/.{8}$/, 'AAAAAAAA')
  const { report: refused } = await runDoctor(server.origin, forged)
  t.match(refused.token!.asCookie, { accepted: false, reason: 'signature_invalid' })
  t.match(refused.findings.map(({ fix }) => fix).join(), /there it is refused: signature_invalid/)
})
