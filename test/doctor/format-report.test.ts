import t from 'tap'
import { formatReport } from '../../lib/doctor/format-report.js'
import type { DoctorReport, DoctorToken } from '../../lib/doctor/report.js'

const ORIGIN = 'https://id.example.com'

const TOKEN: DoctorToken = {
  notes: ['it was taken out of JSON'],
  segments: 3,
  kind: 'user',
  needs: { issuer: [ORIGIN], audience: false, options: ['issuer', 'audience'] },
  signature: 'right',
  header: [{ name: 'alg', value: '"EdDSA"', reason: null }],
  claims: [{ name: 'iss', value: '"x"', reason: 'issuer_mismatch' }],
  verdict: { accepted: false, reason: 'issuer_mismatch' },
  exchanges: [],
  asCookie: null
}

const REPORT: DoctorReport = {
  ok: true,
  authUrl: ORIGIN,
  authUrlFrom: 'argument',
  issuer: [ORIGIN],
  audience: [ORIGIN],
  algorithms: ['EdDSA'],
  resource: null,
  tried: [
    { url: `${ORIGIN}/a`, found: false, response: 'HTTP 404' },
    { url: `${ORIGIN}/b`, found: true, response: 'a JWKS' }
  ],
  jwks: {
    url: `${ORIGIN}/b`,
    status: 200,
    milliseconds: 12,
    ageSeconds: null,
    maxAgeSeconds: null,
    clockAheadSeconds: 0
  },
  keys: [{ kid: 'k1', alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519', algorithms: ['EdDSA'], fault: null }],
  provider: null,
  token: null,
  findings: []
}

const format = (changes: Partial<DoctorReport>) => formatReport({ ...REPORT, ...changes })

t.test('all is well', async t => {
  t.equal(formatReport(REPORT), `Auth server  https://id.example.com
Accepted     iss https://id.example.com, aud https://id.example.com

Search
  no       https://id.example.com/a: HTTP 404
  found    https://id.example.com/b: a JWKS

JWKS         HTTP 200 in 12 ms, fresh (no Age), no max-age

Keys
  usable   "k1", OKP Ed25519, alg EdDSA: verifies EdDSA

Verdict      all is well
`)
})

t.test('a token that is refused, and what to do', async t => {
  const findings = [
    { level: 'error', about: 'token', text: 'iss is "x"', fix: "issuer: 'x'" },
    { level: 'warning', about: 'auth server', text: 'http', fix: 'https' }
  ] as const
  const [, section, toDo, verdict] = format({ ok: false, keys: [], token: TOKEN, findings: [...findings] })
    .split(/\n\n(?=Token;|To do|Token {2})/)
  t.equal(section, `Token; 3 segments; signature right; it was taken out of JSON
  kind     a user's token, such as jwt() issues at GET /token
  needs    iss https://id.example.com (issuer), aud any (audience)
  header
  ok       alg: "EdDSA"
  claims
  REFUSED  iss: "x" (issuer_mismatch)`)
  t.equal(toDo, `To do
  ! token: iss is "x"
      issuer: 'x'
  - auth server: http
      https`)
  t.equal(verdict, `Token        refused: issuer_mismatch
Verdict      not well, see "To do" (exit status 1)
`)
})

t.test('where the URL comes from, and what is accepted', async t => {
  t.match(format({ authUrlFrom: 'BETTER_AUTH_URL' }), 'https://id.example.com (from BETTER_AUTH_URL)\n')
  t.match(format({ authUrlFrom: 'default' }), 'https://id.example.com (the default)\n')
  t.match(format({ issuer: ['a', 'b\u202e'], audience: false }), 'Accepted     iss a or b\\u{202e}, aud any\n')
})

t.test('the JWKS: its age and its max-age, or none', async t => {
  const jwks = REPORT.jwks!
  t.match(format({ jwks: { ...jwks, ageSeconds: 5, maxAgeSeconds: 7200 } }), '200 in 12 ms, 5 s old, max-age 2 h\n')
  t.match(format({ jwks: null, keys: [] }), /^ {2}found .*\n\nVerdict {6}all is well\n$/m, 'no JWKS, no keys')
})

t.test('a key that is not used, without members or with text from outside', async t => {
  const keys = [
    { kid: null, alg: null, kty: null, crv: null, algorithms: [], fault: 'kid_missing' },
    { kid: '\u001b', alg: '\u001b', kty: '\u001b', crv: '\u001b', algorithms: [], fault: 'kty' }
  ] satisfies DoctorReport['keys']
  t.match(format({ keys }), '  NOT USED no kid, no kty, no alg: kid_missing\n')
  t.match(format({ keys }), '  NOT USED "\\u{1b}", \\u{1b} \\u{1b}, alg \\u{1b}: kty\n')
})

t.test('a token of one segment, accepted, and one with many claims', async t => {
  const accepted = { accepted: true, reason: null }
  const opaque = { kind: 'opaque', needs: null, signature: 'unchecked', header: [], claims: [] } as const
  const one = format({ token: { ...TOKEN, ...opaque, notes: [], segments: 1, header: [], claims: [] } })
  t.match(one, '\nToken; 1 segment; signature not checked\n  kind     an opaque token: only its issuer can read it\n\n')
  t.match(format({ token: { ...TOKEN, kind: null, needs: null } }), '\n  kind     of no known kind\n  header\n')
  const claims = Array.from({ length: 62 }, (_, index) => ({ name: `c${index}`, value: 'a number', reason: null }))
  const many = format({ token: { ...TOKEN, signature: 'wrong', claims, verdict: accepted } })
  t.match(many, /; signature wrong;[^]* {2}ok {7}c59: a number\n {2}and 2 more\n[^]*\nToken {8}accepted\n/)
  t.notMatch(format({ token: { ...TOKEN, claims: claims.slice(2) } }), ' more\n')
})

t.test('what the auth server returned for an opaque token', async t => {
  const exchanges: DoctorToken['exchanges'] = [
    { as: 'session-token', response: 'refused', verdict: null },
    { as: 'api-key', response: 'token', verdict: { accepted: true, reason: null } }
  ]
  t.match(format({ token: { ...TOKEN, needs: null, exchanges } }), `
  exchange as a session token: refused
  exchange as an API key: a JWT, accepted
  header
`)
})

t.test('the option resource, and what a token of an OAuth client needs', async t => {
  const resource = { url: 'https://api.example.com', issuer: `${ORIGIN}/api/auth` }
  t.match(format({ resource }), `
OAuth        iss https://id.example.com/api/auth, aud https://api.example.com (resource)

`)
  const options = ['resource.issuer', 'resource'] as const
  const needs = { issuer: [resource.issuer], audience: [resource.url], options }
  t.match(format({ resource, token: { ...TOKEN, kind: 'client', needs } }), `
  kind     an access token of an OAuth client that acts for itself, a machine: only a guard with
           "clients" lets it in
  needs    iss https://id.example.com/api/auth (resource.issuer), aud https://api.example.com
           (resource)
`)
  t.match(format({ token: { ...TOKEN, kind: 'delegated', needs: { ...needs, audience: [] } } }), `
  needs    iss https://id.example.com/api/auth (resource.issuer), aud is the option resource,
           which is not set
`)
})

t.test('where users get tokens, and the OAuth provider', async t => {
  const provider: NonNullable<DoctorReport['provider']> = {
    tried: [
      { url: `${ORIGIN}/a`, found: false, response: 'HTTP 404' },
      { url: `${ORIGIN}/b`, found: false, response: 'HTTP 404' },
      { url: `${ORIGIN}/c`, found: false, response: 'timeout' }
    ],
    url: null,
    issuer: null,
    expectedIssuer: `${ORIGIN}/api/auth`,
    tokenUrl: `${ORIGIN}/api/auth/token`,
    tokenResponse: 'HTTP 401',
    tokenIsDisabled: false
  }
  t.match(format({ provider }), `
Tokens       GET https://id.example.com/api/auth/token: HTTP 401, right without a session
Provider     none found: HTTP 404, timeout
`)
  const found = { ...provider, url: `${ORIGIN}/c`, issuer: 'https://id\u202e' }
  t.match(format({ provider: { ...found, tokenResponse: 'HTTP 404', tokenIsDisabled: true } }), `
Tokens       GET https://id.example.com/api/auth/token: HTTP 404: it is disabled
Provider     issuer https://id\\u{202e}, metadata at https://id.example.com/c
`)
  t.match(format({ provider: { ...found, tokenResponse: 'HTTP 500' } }), '/token: HTTP 500\n')
})
