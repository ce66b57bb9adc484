import { randomBytes } from 'node:crypto'
import t from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { examine } from '../../lib/doctor/examine.js'
import type { DoctorTokenKind } from '../../lib/doctor/report.js'
import { isOAuthKind, KINDS, kindOf, needsOf } from '../../lib/doctor/token-kind.js'
import { LOGOUT } from '../fixtures/claims.js'
import { startCookieServer } from '../fixtures/cookie-server.js'
import { good, runDoctor } from '../fixtures/doctor.js'
import { OAUTH_VERSIONS, type OAuthVersion } from '../fixtures/oauth-packages.js'
import { RESOURCE, startOAuthServer } from '../fixtures/oauth-server.js'
import { issueEveryKind, KINDS as ISSUED, OTHER_RESOURCE, type Kind } from '../fixtures/oauth-tokens.js'
import { encode, signHmac, signJws } from '../fixtures/signing.js'

/** What the doctor says of a token: with the option `resource`, and the first advice without it. */
interface Said { kind: DoctorTokenKind, reason: string | null, fix?: RegExp, without?: RegExp }

const GUARDED = {
  reason: null, without: /^resource: 'https:\/\/api\.example\.com' \(--resource\), if that is this API$/
}
const DELEGATED: Said = { kind: 'delegated', ...GUARDED }
const CLIENT: Said = { kind: 'client', ...GUARDED }
const OPAQUE: Said = {
  kind: 'opaque',
  reason: 'token_malformed',
  fix: /^the OAuth client: ask .* resource=https:\/\/api\.example\.com: without it, .*; for a session token, fetch/,
  without: /^the OAuth client: ask .* resource=<the URL of this API>/
}
const BOUND: Said = {
  kind: 'dpop',
  reason: 'token_kind',
  fix: /resource=https:\/\/api\.example\.com, and without a DPoP proof; or set dpop: true in your API$/
}

const SAID: Record<Kind, Said> = {
  firstParty: { kind: 'user', reason: null },
  delegated: DELEGATED,
  refreshed: DELEGATED,
  signedOut: DELEGATED,
  openid: DELEGATED,
  twoResources: DELEGATED,
  userinfo: {
    kind: 'userinfo',
    reason: 'audience_mismatch',
    fix: /^the OAuth client: ask for a new access token, with resource=https:\/\/api\.example\.com$/,
    without: /^resource: '<the URL of this API>' \(--resource\), and the client has to ask/
  },
  bound: BOUND,
  opaque: OPAQUE,
  id: {
    kind: 'id', reason: 'token_kind', fix: /^fetch a new token: GET .*; or the OAuth client: ask .*, and send that$/
  },
  machine: CLIENT,
  machineBound: BOUND,
  machineOpaque: OPAQUE
}

/** Better Auth 1.6 binds no token, and names one audience: the last. */
const SAID_OF: Record<OAuthVersion, Record<Kind, Said>> = {
  1.7: SAID,
  1.6: {
    ...SAID,
    bound: DELEGATED,
    machineBound: CLIENT,
    twoResources: {
      kind: 'delegated',
      reason: 'audience_mismatch',
      fix: /resource=https:\/\/api\.example\.com; or resource: 'https:\/\/other\.example\.com' \(--resource\)/,
      without: /^resource: 'https:\/\/other\.example\.com'/
    }
  }
}

for (const version of OAUTH_VERSIONS) {
  t.test(`every kind of token that Better Auth ${version} issues`, async t => {
    const server = await startOAuthServer(t, { version, resources: [RESOURCE, OTHER_RESOURCE] })
    const { tokens, person, machine, client } = await issueEveryKind(server)
    const { origin, baseURL } = server
    for (const kind of ISSUED) {
      const said = SAID_OF[version][kind]
      const { report, text } = await runDoctor(origin, tokens[kind], '--resource', RESOURCE)
      t.match(report.token, { kind: said.kind, verdict: { accepted: said.reason === null, reason: said.reason } }, kind)
      const marked = [...report.token!.header, ...report.token!.claims].filter(({ reason }) => reason !== null)
      if (said.reason === null) t.strictSame(marked, [], `${kind}: nothing is marked`)
      t.equal(report.findings.length, said.reason === null ? 0 : 1, `${kind}: one thing to do`)
      if (said.fix !== undefined) t.match(report.findings[0]!.fix, said.fix, kind)

      const needs = isOAuthKind(said.kind)
        ? { issuer: [baseURL], audience: [RESOURCE], options: ['resource.issuer', 'resource'] }
        : { issuer: [origin], audience: [origin], options: ['issuer', 'audience'] }
      const hasNeeds = said.kind === 'user' || isOAuthKind(said.kind)
      t.strictSame(report.token!.needs, hasNeeds ? needs : null, `${kind}: what it needs`)
      t.match(text.replace(/\n {11}/g, ' '), `  kind     ${KINDS[said.kind]}\n`)
      for (const personal of [person.user.email, person.user.name, person.user.id]) t.notMatch(text, personal, kind)
      for (const { clientSecret } of [machine, client]) {
        if (clientSecret !== undefined) t.notMatch(text, clientSecret)
      }

      const unset = await examine({ authUrl: origin }, tokens[kind], {})
      t.equal(unset.token!.kind, said.kind)
      t.equal(unset.ok, said.kind === 'user', `${kind}: without the option`)
      t.equal(unset.findings.length, unset.ok ? 0 : 1, `${kind}: one thing to do without the option`)
      if (said.without !== undefined) t.match(unset.findings[0]!.fix, said.without, kind)
    }
  })
}

t.test('session cookies, with keys of the JWKS or with HS256', async t => {
  const { jwt } = await import('better-auth/plugins')
  for (const [plugins, fix] of [
    [[jwt({ sessionCookieCache: true })], /sessionCookie: true/],
    [[jwt()], /^sessionCookie: \{ secret: .* better, sign with the keys of the JWKS: jwt\(\{ sessionCookieCache: true/]
  ] as const) {
    const server = await startCookieServer({ plugins: [...plugins] })
    t.teardown(() => server.close())
    const { cookies } = await server.signUp()
    const { report } = await runDoctor(server.origin, cookies.get('better-auth.session_data'))
    t.match(report, { token: { kind: 'cookie', needs: null }, findings: [{ about: 'token', fix }] })
    t.equal(report.findings.length, 1)

    const sessionToken = decodeURIComponent(cookies.get('better-auth.session_token')!)
    const [unsigned, signature] = sessionToken.split('.') as [string, string]
    t.match(unsigned, /^[A-Za-z\d]{32}$/)
    t.equal(Buffer.from(signature, 'base64').length, 32)
    for (const pasted of [sessionToken, encodeURIComponent(sessionToken)]) {
      const { report } = await runDoctor(server.origin, pasted)
      t.match(report, { token: { kind: 'opaque' }, findings: [{ text: /sign-in, signed as in its cookie$/ }] })
      t.match(report.findings[0]!.fix, /^fetch a new token/)
    }
    const { report: bare } = await runDoctor(server.origin, unsigned)
    t.match(bare, { token: { kind: 'opaque' }, findings: [{ text: /an opaque token: .*session token of a sign-in/ }] })
  }
})

t.test('an opaque token: which of the two is likelier, and what to do about each', async t => {
  const options = resolveOptions({ resource: RESOURCE }, {})
  const { aboutOpaque } = await import('../../lib/doctor/token-advice.js')
  const about = (token: string) => aboutOpaque(token, token.split('.').length, 'FETCH', options)
  const letters = 'abcdefghijklmnopABCDEFGHIJKLMNOP'
  t.match(about(letters), {
    text: /an access token of an OAuth client that named no resource, or else the session token of a sign-in$/,
    fix: /^the OAuth client: .*; for a session token, FETCH$/
  })
  t.match(about(letters.replace('a', '1')), {
    text: /the session token of a sign-in, or else an access token/,
    fix: /^FETCH; for an OAuth token, the OAuth client: /
  })
  const signature = 'a/b+C%3D_'.repeat(5).slice(0, 43)
  for (const end of ['', '=', '==']) {
    t.match(about(`${letters.replace('a', '1')}.${signature}${end}`), {
      text: /\(2 of 3 segments\), but an opaque token: the session token of a sign-in, signed as in its cookie$/,
      fix: /^FETCH$/
    })
  }
  for (const other of [
    letters.slice(1), `${letters}a`, letters.replace('a', '-'), 'a.b', 'a.b.c.d', `${letters}.${signature.slice(1)}`,
    `x${letters}.${signature}`, `${letters}.${signature}===`, `${letters}.${signature.slice(1)}~`
  ]) {
    t.match(about(other), { text: /such as the session token of a sign-in, an API key/, fix: /^FETCH; or the OAuth/ })
  }
})

t.test('the kind by header and claims', async t => {
  const sign = (claims: object, header: object = {}) => signJws(good, claims, header)
  const oauth = { iss: 'x', aud: RESOURCE, client_id: 'c', sub: 'u' }
  const USERINFO = 'https://id.example.com/api/auth/oauth2/userinfo'
  const KIND_OF: Array<[token: string, kind: DoctorTokenKind | null]> = [
    [sign({ sub: 'u', iss: 'x', aud: ['x'] }), 'user'],
    [sign({}), 'user'],
    [sign({ sub: 'u' }, { typ: 'JWT' }), 'user'],
    [signHmac(randomBytes(32), { sub: 'u' }), 'user'],
    [signHmac(randomBytes(32), { user: {}, session: {} }), 'cookie'],
    [sign({ user: {}, session: {} }), 'user'],
    [sign({ user: {}, session: {} }, { kid: undefined }), 'user'],
    [signHmac(randomBytes(32), { user: {}, session: {} }, { kid: 'x' }), 'user'],
    [signHmac(randomBytes(32), { user: {} }), 'user'],
    [signHmac(randomBytes(32), { session: {} }), 'user'],
    [sign({ sub: 'u', aud: USERINFO }), 'user'],
    [sign({ aud: 'better-auth:session-cache' }), 'cookie'],
    [sign({}, { typ: 'better-auth.session-cache+jwt' }), 'cookie'],
    [sign({}, { typ: 'application/Logout+JWT' }), 'logout'],
    [sign({ events: { [LOGOUT]: {} } }), 'logout'],
    [sign({ acr: '0' }), 'id'],
    [sign({ ...oauth, nonce: 'n' }), 'id'],
    [sign({ cnf: { jkt: 'x' } }), 'dpop'],
    [sign({ ...oauth, cnf: { jkt: 'x' } }, { typ: 'at+jwt' }), 'dpop'],
    [sign(oauth), 'delegated'],
    [sign({ ...oauth, acr: '0' }, { typ: 'at+jwt' }), 'delegated'],
    [sign({ azp: 'c', sub: 'u', aud: [] }), 'delegated'],
    [sign({ ...oauth, sub: 'c' }), 'client'],
    [sign({ ...oauth, sub: 'c', sid: 's' }), 'delegated'],
    [sign({ azp: 'c' }), 'client'],
    [sign({ ...oauth, aud: [USERINFO] }), 'userinfo'],
    [sign({ ...oauth, aud: [USERINFO, RESOURCE] }), 'delegated'],
    [sign({ ...oauth, azp: 'd' }), null],
    [sign({ ...oauth, aud: [5] }), null],
    [sign({}, { typ: 'dpop+jwt' }), null],
    [sign({}, { typ: 5 }), 'user'],
    [`${encode({ alg: 'dir', enc: 'A256GCM' })}..a.b.c`, 'encrypted'],
    ['a', 'opaque'],
    ['a.b', 'opaque'],
    ['a.b.c', null],
    ['e30.x.AA', null],
    ['', null],
    ['a b', null],
    ['""', null]
  ]
  for (const [token, kind] of KIND_OF) t.equal(kindOf(token), kind, token)
  t.strictSame([...new Set(KIND_OF.map(([, kind]) => kind))].filter(kind => kind !== null).sort(),
    Object.keys(KINDS).sort(), 'every kind')
})

t.test('what a kind needs, by the options', async t => {
  const given = { issuer: ['a', 'b'], audience: false } as const
  const options = resolveOptions({ ...given, resource: RESOURCE }, {})
  t.strictSame(needsOf('user', options, 'i'), { ...given, options: ['issuer', 'audience'] })
  t.match(needsOf('user', { ...options, issuer: () => true }, 'i'), { issuer: ['a function'] })
  for (const kind of ['delegated', 'client', 'userinfo'] as const) {
    const needs = { issuer: ['i'], audience: [RESOURCE], options: ['resource.issuer', 'resource'] }
    t.strictSame(needsOf(kind, options, 'i'), needs)
    t.match(needsOf(kind, resolveOptions({}, {}), 'i'), { audience: { length: 0 } })
  }
  for (const kind of ['dpop', 'id', 'logout', 'cookie', 'encrypted', 'opaque', null] as const) {
    t.equal(needsOf(kind, options, 'i'), null)
  }
})
