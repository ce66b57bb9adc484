import t from 'tap'
import { formatReport } from '../../lib/doctor/format-report.js'
import type { DoctorReport, DoctorToken } from '../../lib/doctor/report.js'

const ORIGIN = 'https://id.example.com'

const TOKEN: DoctorToken = {
  notes: ['it was taken out of JSON'],
  segments: 3,
  signature: 'right',
  header: [{ name: 'alg', value: '"EdDSA"', reason: null }],
  claims: [{ name: 'iss', value: '"x"', reason: 'issuer_mismatch' }],
  verdict: { accepted: false, reason: 'issuer_mismatch' },
  asCookie: null
}

const REPORT: DoctorReport = {
  ok: true,
  authUrl: ORIGIN,
  authUrlFrom: 'argument',
  issuer: [ORIGIN],
  audience: [ORIGIN],
  algorithms: ['EdDSA'],
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
  t.notMatch(format({ jwks: null }), /^JWKS/m)
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
  const one = format({ token: { ...TOKEN, notes: [], segments: 1, signature: 'unchecked', header: [], claims: [] } })
  t.match(one, '\nToken; 1 segment; signature not checked\n\n')
  const claims = Array.from({ length: 62 }, (_, index) => ({ name: `c${index}`, value: 'a number', reason: null }))
  const many = format({ token: { ...TOKEN, signature: 'wrong', claims, verdict: accepted } })
  t.match(many, /; signature wrong;[^]* {2}ok {7}c59: a number\n {2}and 2 more\n[^]*\nToken {8}accepted\n/)
})
