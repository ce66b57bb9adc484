import t from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import type { DoctorJwks, DoctorKey, DoctorKeyFault } from '../../lib/doctor/report.js'
import { aboutAuthUrl, aboutJwks, aboutKeys, aboutSearch, fixFor } from '../../lib/doctor/server-findings.js'

const OPTIONS = resolveOptions({ authUrl: 'https://id.example.com' }, {})
const USED: DoctorKey = { kid: 'k1', alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519', algorithms: ['EdDSA'], fault: null }
const unused = (fault: DoctorKeyFault, kid: string | null = 'k2'): DoctorKey =>
  ({ ...USED, kid, algorithms: [], fault })

/** What the text about each fault of a key has in it. */
const FAULTS: Record<DoctorKeyFault, RegExp> = {
  private: /can sign tokens as anyone/,
  use: /"use" is not "sig"/,
  key_ops: /"key_ops" lack "verify"/,
  kty: /"kty" and "crv"/,
  alg: /"alg" is unknown/,
  weak: /RSA under 2048 bits/,
  malformed: /not a JWK, or its members are missing or malformed/,
  kid_missing: /no "kid"/,
  kid_duplicate: /only the first is used/,
  kid_invalid: /"kid" is empty, too long/,
  algorithm_not_allowed: /the option algorithms/
}

t.test('each fault of a key is a warning; a published private key is an error', async t => {
  for (const [fault, text] of Object.entries(FAULTS) as Array<[DoctorKeyFault, RegExp]>) {
    const findings = aboutKeys([USED, unused(fault)], 2)
    t.match(findings, [{ level: fault === 'private' ? 'error' : 'warning', about: 'key', text, fix: /./ }], fault)
    t.equal(findings.length, 1)
    t.ok(findings[0]!.text.startsWith('"k2": '))
    t.notMatch(findings[0]!.text + findings[0]!.fix, '`')
  }
  t.match(aboutKeys([USED, unused('kid_missing', null)], 2), [{ text: /^a key without kid: / }])
  t.match(aboutKeys([USED, unused('kty', '\u001b[2J')], 2), [{ text: '"\\u{1b}[2J": ' }], 'safe on a terminal')
  t.strictSame(aboutKeys([USED], 1), [])
})

t.test('a JWKS in which no key is usable is an error', async t => {
  const findings = aboutKeys([unused('weak'), unused('use')], 2)
  t.match(findings[2], {
    level: 'error', about: 'JWKS', text: 'none of its keys is usable', fix: /^see the findings about each; /
  })
  t.strictSame(aboutKeys([], 0).map(({ level, about, text }) => `${level} ${about} ${text}`), [
    'error JWKS it has no keys'
  ])
  t.match(aboutKeys([], 0), [{ fix: /request a token.*table of keys/ }])
})

t.test('a JWKS with more entries than the plugin looks at is a warning', async t => {
  t.match(aboutKeys([USED], 1001), [{
    level: 'warning',
    about: 'JWKS',
    text: 'it has 1001 entries: the plugin looks only at the first 1',
    fix: /remove old keys/
  }])
})

t.test('http to another machine is a warning', async t => {
  for (const authUrl of ['http://auth:3000', 'http://id.example.com', 'http://localhost.example.com']) {
    t.match(aboutAuthUrl(resolveOptions({ authUrl }, {})), [{ level: 'warning', fix: /https/ }], authUrl)
  }
  for (const authUrl of [
    'https://id.example.com', 'http://localhost:3000', 'http://a.localhost', 'http://127.0.0.1', 'http://[::1]:3000'
  ]) {
    t.strictSame(aboutAuthUrl(resolveOptions({ authUrl }, {})), [], authUrl)
  }
})

t.test('a search that finds nothing says what it got, each response once, and 404 only if it is all', async t => {
  const search = (...responses: string[]) => aboutSearch(responses.map((response, index) => {
    return { url: `https://id.example.com/${index}`, found: response === 'a JWKS', response }
  }))
  const texts = (...responses: string[]) => search(...responses).map(({ text }) => text)
  t.strictSame(search('HTTP 404', 'a JWKS'), [])
  t.strictSame(texts('HTTP 404', 'HTTP 404'), ['no JWKS was found: HTTP 404'])
  t.strictSame(texts('HTTP 404', 'HTTP 500', 'HTTP 500'), ['no JWKS was found: HTTP 500'])
  t.match(search('timeout'), [{ level: 'error', about: 'auth server', fix: fixFor('timeout') }])
  t.strictSame(texts('HTTP 500', 'a JWKS that may be of somebody else'), [
    'no JWKS was found: HTTP 500',
    'a JWKS at the root of the origin is not used while a URL before it fails: it may be of somebody else'
  ])
})

t.test('each response has its own fix', async t => {
  const fixes: Array<[response: string, fix: RegExp]> = [
    ['timeout', /jwks\.timeout/],
    ['connection_refused (ECONNREFUSED)', /nothing listens/],
    ['dns (ENOTFOUND)', /misspelling/],
    ['dns (EAI_AGAIN)', /misspelling/],
    ['tls (DEPTH_ZERO_SELF_SIGNED_CERT)', /NODE_EXTRA_CA_CERTS/],
    ['tls (ERR_SSL_WRONG_VERSION_NUMBER)', /http URL/],
    ['protocol (HPE_INVALID_CONSTANT)', /the port of authUrl/],
    ['connection_reset (ECONNRESET)', /its log/],
    ['longer than 1 MB', /jwksPath/],
    ['a compressed response', /turn compression off/],
    ['a JWKS that may be of somebody else', /the URL that fails.*set jwksPath/],
    ['HTTP 401', /credential.*jwks\.headers \(--header\)/],
    ['HTTP 403', /credential.*jwks\.headers \(--header\)/],
    ['HTTP 429', /try again.*rateLimit: \{ customRules: \{ '\/jwks': false \} \}/],
    ['JSON that is nested too deeply', /not the JWKS of Better Auth.*jwksPath/],
    ['JSON without keys', /not the JWKS of Better Auth.*jwksPath/],
    ['HTTP 200 without JSON', /such as HTML/],
    ['HTTP 302', /redirect/],
    ['HTTP 404', /basePath/],
    ['HTTP 400', /its log/],
    ['HTTP 500', /its log/],
    ['unreachable (EHOSTUNREACH)', /check the network/]
  ]
  for (const [response, fix] of fixes) t.match(fixFor(response), fix, response)
})

t.test('the JWKS: kept by a cache, or from a server with another clock', async t => {
  const about = (jwks: Partial<DoctorJwks>) => aboutJwks({
    url: OPTIONS.jwksUrls[0]!,
    status: 200,
    milliseconds: 1,
    ageSeconds: null,
    maxAgeSeconds: null,
    clockAheadSeconds: null,
    ...jwks
  }, OPTIONS)
  t.strictSame(about({}), [])
  t.strictSame(about({ ageSeconds: 60, maxAgeSeconds: 60 }), [])
  t.match(about({ ageSeconds: 61 }), [{ level: 'warning', about: 'JWKS', text: /keeps it for 61 s or more/ }])
  t.match(about({ ageSeconds: 5, maxAgeSeconds: 7200 }), [{ text: /keeps it for 2 h or more/ }])
  t.strictSame(about({ clockAheadSeconds: -6 }), [], 'the tolerance, and one second')
  t.match(about({ clockAheadSeconds: 7 }), [{ level: 'warning', text: /clock is 7 s ahead of this one/ }])
  t.match(about({ clockAheadSeconds: -7 }), [{ level: 'warning', text: /clock is 7 s behind this one/ }])
})
