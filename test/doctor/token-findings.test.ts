import t from 'tap'
import { REASONS, type RefusalReason } from '../../lib/contract/reasons.js'
import type { BetterAuthOptions } from '../../lib/contract/options.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import type { DoctorFinding, DoctorProvider, DoctorToken, DoctorVerdict } from '../../lib/doctor/report.js'
import { aboutToken } from '../../lib/doctor/token-findings.js'
import { KINDS, needsOf, userNeeds } from '../../lib/doctor/token-kind.js'
import { encode } from '../fixtures/signing.js'

type Fields = Record<string, unknown>

const ORIGIN = 'https://id.example.com'
const OPTIONS = resolveOptions({ authUrl: ORIGIN }, {})
const BY = { options: OPTIONS, provider: null }
const NEW_TOKEN = `GET ${ORIGIN}/api/auth/token with the cookies`
const API = 'https://api.example.com'
const OAUTH = `${ORIGIN}/api/auth`
const USERINFO = `${OAUTH}/oauth2/userinfo`
const ASK = `the OAuth client: ask for a new access token, with resource=${API}`
const refused = (reason: RefusalReason | null): DoctorVerdict => ({ accepted: reason === null, reason })
const compact = (payload: Fields, header: Fields = { alg: 'EdDSA' }) => `${encode(header)}.${encode(payload)}.AA`

const EXAMINED: Omit<DoctorToken, 'notes'> = {
  segments: 3,
  kind: 'user',
  needs: userNeeds(OPTIONS),
  signature: 'right',
  header: [],
  claims: [],
  verdict: refused(null),
  exchanges: [],
  asCookie: null
}

/** What the doctor says about a token that is refused for one reason, which lies in one claim if `name` is given. */
function findings (
  reason: RefusalReason, name?: string, token = compact({}), changes: Partial<DoctorToken> = {}
): DoctorFinding[] {
  const claims = name === undefined ? [] : [{ name, value: 'x', reason }]
  const verdict = refused(reason)
  return aboutToken(token, { ...EXAMINED, claims, verdict, ...changes }, BY)
}

/** The claim that the doctor names for a reason that lies in one. */
const CLAIMS: Partial<Record<RefusalReason, string>> = {
  claim_missing: 'exp', claim_invalid: 'email', token_not_active: 'nbf', token_kind: 'nonce'
}

t.test('every reason has a text and a fix, without Markdown', async t => {
  for (const reason of Object.keys(REASONS) as RefusalReason[]) {
    const all = findings(reason, CLAIMS[reason])
    t.equal(all.length, 1, reason)
    const [{ level, about, text, fix }] = all as [DoctorFinding]
    t.strictSame([level, about], ['error', 'token'])
    t.ok(text.length > 10 && fix.length > 5, `${text}: ${fix}`)
    t.notMatch(text + fix, /`|(claim|its) undefined/, `${reason}: ${text}: ${fix}`)
  }
})

t.test('a reason without advice of its own has the words of the table', async t => {
  t.match(findings('unknown_key'), [{
    text: 'the JWKS has no key with this kid', fix: REASONS.unknown_key.fix.replaceAll('`', '')
  }])
  t.match(findings('banned'), [{ text: /^the user is banned: banned is true/, fix: /lift the ban/ }])
  t.match(findings('jwks_unavailable'), [{ text: /\(503\)$/ }])
})

t.test('other reasons have advice of their own', async t => {
  for (const [reason, name, text, fix] of [
    ['token_encrypted', undefined, `it is ${KINDS.encrypted}`, NEW_TOKEN],
    ['token_expired', 'exp', 'it has expired', /GET .*; clockTolerance is for clocks that are seconds apart$/],
    ['token_not_active', 'nbf', 'its nbf is in the future', /^synchronise the clocks; clockTolerance covers a few/],
    ['claim_missing', 'exp', 'the claim exp is missing', 'the signer, or definePayload, has to set it'],
    ['claim_invalid', 'sub', 'the claim sub has the wrong type, or is empty', /^the signer, .* has to fix it$/],
    ['signature_invalid', undefined, 'its signature is wrong', /^it was changed, .*: set authUrl, or fetch a new/],
    ['unusable_key', 'kid', REASONS.unusable_key.meaning.replaceAll('`', ''), /^see the findings about the keys; fix/],
    ['jwks_unavailable', undefined, /\(503\)$/, 'see the findings about the auth server']
  ] satisfies Array<[RefusalReason, string | undefined, text: string | RegExp, fix: string | RegExp]>) {
    t.match(findings(reason, name), [{ text, fix }], reason)
  }
})

t.test('who gets a new token, and where, depends on its kind and on the auth server', async t => {
  const fixOf = (kind: DoctorToken['kind'], provider: DoctorProvider | null = null) =>
    aboutToken('e30.x.AA', { ...EXAMINED, kind, verdict: refused('token_malformed') }, {
      options: resolveOptions({ authUrl: ORIGIN, resource: API }, {}), provider
    })[0]!.fix
  const fetched = `fetch a new token: ${NEW_TOKEN} of a sign-in`
  t.equal(fixOf('user'), fetched)
  t.equal(fixOf('id'), `${fetched}; or ${ASK}, and send that`)
  t.equal(fixOf('delegated'), ASK)
  t.equal(fixOf('dpop'), `${ASK}, and without a DPoP proof; or set dpop: true in your API`)
  const provider: DoctorProvider = {
    tried: [],
    url: null,
    issuer: null,
    expectedIssuer: OAUTH,
    tokenUrl: `${ORIGIN}/token`,
    tokenResponse: 'HTTP 401',
    tokenIsDisabled: false
  }
  t.equal(fixOf('user', provider), `fetch a new token: GET ${ORIGIN}/token with the cookies of a sign-in`)
  const isOff = { ...provider, tokenIsDisabled: true }
  t.equal(fixOf('user', isOff), `${ASK} (GET ${ORIGIN}/token is disabled)`)
  const opaque = (provider: DoctorProvider) => aboutToken('a.b', { ...EXAMINED, verdict: refused('token_malformed') }, {
    options: OPTIONS, provider
  })[0]!.fix
  t.match(opaque(provider), /^fetch a new token: .*; or the OAuth client: ask/)
  t.match(opaque(isOff), /^the OAuth client: ask .*\(GET \S+ is disabled\)$/)
})

t.test('token_kind says which kind of token it is', async t => {
  const kinds = {
    cnf: /bound to its client's own key \(DPoP\), not an access token/,
    events: /the claim events shows that it is a logout token, not an access token/,
    aud: /Better Auth's session cookie, not an access token/,
    nonce: /the claim nonce shows that it is an ID token/,
    at_hash: /an ID token/
  }
  for (const [name, text] of Object.entries(kinds)) {
    t.match(findings('token_kind', name), [{ text, fix: NEW_TOKEN }], name)
  }
})

t.test('another issuer or audience is quoted, with the option to set', async t => {
  const token = compact({ iss: 'https://auth\u202e', aud: ['a', 'b'] })
  t.match(findings('issuer_mismatch', 'iss', token), [{
    text: `iss is "https://auth\\u{202e}", and "${ORIGIN}" is expected`, fix: /^issuer: 'https:\/\/auth\\u\{202e\}', if/
  }])
  t.match(findings('audience_mismatch', 'aud', token), [{ text: 'aud is "a"', fix: /^audience: 'a', if/ }])
  for (const iss of [undefined, 5, null]) {
    t.match(findings('issuer_mismatch', 'iss', compact({ iss })), [{
      text: `it has no iss, and "${ORIGIN}" is expected`, fix: 'issuer: false accepts any, which is not safe'
    }])
  }
})

t.test('an algorithm is accepted by an option, by the secret, or not at all', async t => {
  const fixes: Array<[alg: unknown, text: string, fix: RegExp]> = [
    ['HS256', 'its alg is "HS256"', /^secret: /],
    ['ES256', 'its alg is "ES256"', /^algorithms: \['ES256', \.\.\.\]$/],
    ['none', 'its alg is "none"', /^no option accepts it/],
    [5, 'its alg is missing or not a string', /^no option accepts it/]
  ]
  for (const [alg, text, fix] of fixes) {
    t.match(findings('algorithm_not_allowed', 'alg', compact({}, { alg })), [{ text, fix }])
  }
})

t.test('a session cookie says how it fares as a cookie', async t => {
  const type = (asCookie: DoctorVerdict | null, kind: DoctorToken['kind'] = 'cookie') =>
    findings('typ_not_allowed', 'typ', compact({}), { asCookie, kind })
  t.match(type(null, null), [{ text: 'its typ names another kind of token', fix: NEW_TOKEN }])
  t.match(type(null, 'logout'), [{ text: /^it is a logout token: .* not for an API$/, fix: NEW_TOKEN }])
  t.match(type(refused(null)), [{ text: "Better Auth's session cookie", fix: '(there it is accepted)' }])
  t.match(type(refused('session_expired')), [{ fix: '(there it is refused: session_expired)' }])
})

t.test('a token that is not a JWT gets advice about its form', async t => {
  for (const [token, text] of [
    ['opaque', '1 of 3 segments'],
    ['x.e30.AA', 'its header is not'],
    ['AAAA.e30.AA', 'its header is not'],
    ['e30.x.AA', 'its payload is not'],
    ['e30.AAAA.AA', 'its payload is not'],
    ['e30.e30.A', 'its segments are not'],
    ['e30.e30.AA', 'nested too deeply']
  ] as const) {
    t.match(findings('token_malformed', undefined, token), [{ text }])
  }
})

t.test('a verdict that a part explains is not reported twice, and every refused part is reported', async t => {
  const part = (name: string, reason: RefusalReason | null) => ({ name, value: 'x', reason })
  const all = aboutToken(compact({}), {
    ...EXAMINED,
    header: [part('alg', null)],
    claims: [part('exp', 'token_expired'), part('iss', 'issuer_mismatch')],
    verdict: refused('issuer_mismatch')
  }, BY)
  t.match(all, [{ text: 'it has expired' }, { text: 'it has no iss' }])
  t.equal(all.length, 2)
})

t.test('an accepted token has no finding, unless it is long', async t => {
  const about = (token: string) => aboutToken(token, EXAMINED, BY)
  t.strictSame(about('x'.repeat(15_000)), [])
  t.match(about('x'.repeat(15_001)), [{ level: 'warning', text: 'it has 15001 characters', fix: 'definePayload' }])
  t.equal(findings('token_too_long', undefined, 'x'.repeat(20_000)).length, 1, 'a longer one is refused for it')
})

t.test('a new token comes from below the base path of the auth server', async t => {
  const options = resolveOptions({ authUrl: `${ORIGIN}/auth` }, {})
  const [finding] = aboutToken('e30.x.AA', { ...EXAMINED, verdict: refused('token_malformed') }, {
    options, provider: null
  })
  t.equal(finding!.fix, `fetch a new token: GET ${ORIGIN}/auth/token with the cookies of a sign-in`)
})

t.test('of a kind that is never accepted, only what shows the kind matters', async t => {
  const part = (name: string, reason: RefusalReason) => ({ name, value: 'x', reason })
  const claims = [
    part('iss', 'issuer_mismatch'), part('aud', 'audience_mismatch'), part('exp', 'token_expired'),
    part('acr', 'token_kind'), part('nonce', 'token_kind')
  ]
  const about = (reason: RefusalReason, kind: DoctorToken['kind'] = 'id') =>
    aboutToken(compact({}), { ...EXAMINED, kind, needs: null, claims, verdict: refused(reason) }, BY)
  t.match(about('token_kind'), [{ text: 'the claim acr shows that it is an ID token' }])
  t.equal(about('token_kind').length, 1)
  t.strictSame(about('unknown_key').map(({ text }) => text.slice(0, 13)), ['the JWKS has ', 'the claim acr'])
  t.equal(about('typ_not_allowed', 'cookie').length, 1)
  t.equal(about('unknown_key', null).length, 5, 'of no known kind: all but a repetition')
})

t.test('a session cookie with HS256 needs the secret of cookies', async t => {
  const token = compact({}, { alg: 'HS256' })
  t.match(findings('algorithm_not_allowed', 'alg', token, { kind: 'cookie' }), [{
    text: "it is the JWT in Better Auth's session cookie; its alg is", fix: /^sessionCookie: \{ secret: '\.\.\.' \}/
  }])
  t.match(findings('algorithm_not_allowed', 'alg', compact({}, { alg: 'ES256' }), { kind: 'cookie' }), [{
    text: /^its alg is "ES256"/, fix: /^algorithms: \['ES256'/
  }])
})

/** What the doctor says about the issuer or the audience of a token of some kind, for an API with these options. */
function mismatch (
  claim: 'iss' | 'aud', kind: DoctorToken['kind'], payload: Fields, given: BetterAuthOptions = {}, issuer = OAUTH
): Pick<DoctorFinding, 'text' | 'fix'> {
  const options = resolveOptions({ authUrl: ORIGIN, ...given }, {})
  const reason = claim === 'iss' ? 'issuer_mismatch' : 'audience_mismatch'
  const needs = needsOf(kind, options, issuer)
  const all = aboutToken(compact(payload), { ...EXAMINED, kind, needs, verdict: refused(reason) }, {
    options, provider: null
  })
  const [{ text, fix }] = all as [DoctorFinding]
  return { text, fix }
}

t.test('an access token of an OAuth client with another issuer or audience', async t => {
  const resource = { resource: API }
  t.strictSame(mismatch('iss', 'delegated', {}, resource), {
    text: `it has no iss, and "${OAUTH}" is expected`, fix: ASK
  })
  t.match(mismatch('iss', 'delegated', { iss: 'own' }, resource), {
    text: `iss is "own", and "${OAUTH}" is expected`, fix: /^resource: \{ url, issuer: 'own' \} /
  })
  t.match(mismatch('iss', 'client', { iss: 'http://auth/a' }, resource, 'https://auth/a'), {
    fix: /^leave resource\.issuer out: tokens keep http/
  })
  t.strictSame(mismatch('aud', 'client', {}, resource), { text: `it has no aud, and "${API}" is expected`, fix: ASK })
  t.strictSame(mismatch('aud', 'delegated', { aud: [USERINFO, 'orders'] }, resource), {
    text: `aud is "orders", and "${API}" is expected`,
    fix: `${ASK}; or resource: 'orders' (--resource), if that is this API`
  })
  t.strictSame(mismatch('aud', 'userinfo', { aud: USERINFO }, resource), {
    text: `it is ${KINDS.userinfo}, and "${API}" is expected`, fix: ASK
  })
  t.match(mismatch('iss', 'userinfo', { iss: 'own' }, resource), { text: /^iss is "own", / })
})

t.test("a user's token with the issuer and audience of another origin: one option sets both", async t => {
  const fixOf = (iss: string, aud: string, given?: BetterAuthOptions) =>
    mismatch('iss', 'user', { iss, aud }, given).fix
  const own = (iss: string) =>
    `issuer: '${iss}', if it is your own: Better Auth's baseURL, or its jwt({ jwt: { issuer } })`
  for (const origin of ['https://b.example', 'http://b']) {
    t.equal(fixOf(origin, origin), `${own(origin)}; publicUrl: '${origin}' (--public-url) sets issuer and audience`)
    t.equal(fixOf(origin, 'c'), own(origin), 'the audience is another one')
    t.equal(fixOf(origin, origin, { audience: origin }), own(origin), 'the audience is right')
    t.equal(fixOf(origin, origin, { audience: false }), own(origin), 'the audience does not matter')
  }
  for (const other of ['https://b.example/c', 'x://https://b.example', 'https://', 'b']) {
    t.equal(fixOf(other, other), own(other), 'it is not an origin')
  }
  t.match(mismatch('iss', 'user', { iss: 'b' }, { issuer: ['a', 'c'] }).text, '"a" or "c" is expected')
})

t.test('an access token of an OAuth client, for an API without the option resource', async t => {
  const about = (payload: Fields, kind: DoctorToken['kind'] = 'delegated') => {
    const needs = needsOf(kind, OPTIONS, OAUTH)
    return findings('oauth_token_not_accepted', undefined, compact(payload), { kind, needs })
  }
  const set = `resource: '${API}' (--resource), if that is this API`
  const ask = "resource: '<the URL of this API>' (--resource), and the client has to ask for a token with that as " +
    'resource'
  for (const [payload, fix] of [
    [{ aud: API, iss: OAUTH }, set],
    [{ aud: [USERINFO, API] }, set],
    [{ aud: 'http://api' }, "resource: 'http://api' (--resource), if that is this API"],
    [{ aud: API, iss: 5 }, set],
    [{ aud: API, iss: 'own' }, /\(--resource\), if that is this API; and resource: \{ url, issuer: 'own' \} /],
    [{ aud: 'orders' }, ask], [{ aud: 'x:https://api' }, ask], [{ aud: USERINFO }, ask], [{}, ask]
  ] satisfies Array<[Fields, string | RegExp]>) {
    const [finding] = about(payload)
    t.equal(finding!.text, `it is ${KINDS.delegated}; and the option resource is not set`)
    if (typeof fix === 'string') t.equal(finding!.fix, fix, JSON.stringify(payload))
    else t.match(finding!.fix, fix)
  }
  const [unknown] = about({ aud: API, iss: 'own' }, null)
  t.equal(unknown!.text, 'it is an access token of an OAuth client; and the option resource is not set')
  t.equal(unknown!.fix, set, 'the issuer of no known kind says nothing')
})
