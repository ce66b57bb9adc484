import t from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import type { BetterAuthOptions } from '../../lib/index.js'
import { accessTokenProfile, boundTokenProfile } from '../../lib/tokens/access-token.js'
import { createUserReader } from '../../lib/tokens/user-reader.js'
import { accepts, ISSUER, LOGOUT, OAUTH_CLAIMS, OAUTH_RULES, reason, UNCHECKED } from '../fixtures/claims.js'
import { reasonOf } from '../fixtures/refusals.js'

t.test('refuses tokens of another kind, also where neither issuer nor audience is checked', async t => {
  const kinds: Array<[what: string, claims: Record<string, unknown>, claim: string]> = [
    ['bound to a DPoP key', { cnf: { jkt: 'x' } }, 'cnf'],
    ['bound to a certificate', { cnf: { 'x5t#S256': 'x' } }, 'cnf'],
    ['bound to nothing that can be read', { cnf: null }, 'cnf'],
    ['logout token', { events: { [LOGOUT]: {} } }, 'events'],
    ['logout token with more events', { events: { x: {}, [LOGOUT]: null } }, 'events'],
    ['session cookie', { aud: 'better-auth:session-cache' }, 'aud'],
    ['session cookie for others too', { aud: [ISSUER, 'better-auth:session-cache'] }, 'aud']
  ]
  for (const [what, claims, claim] of kinds) {
    for (const typ of [undefined, 'jwt', 'at+jwt']) {
      t.equal(await reason({ claims, typ }), `token_kind ${claim}`, `${what}, typ ${typ}`)
      t.equal(
        await reason({ claims, typ, rules: UNCHECKED }), `token_kind ${claim}`, `${what}, typ ${typ}, nothing checked`
      )
    }
  }
  t.equal(
    await reason({ claims: { aud: 'better-auth:session-cache' }, rules: { audience: ['better-auth:session-cache'] } }),
    'token_kind aud', 'session cookie, even where it is the audience'
  )
})

t.test('refuses ID tokens, which it recognises by their claims', async t => {
  for (const claim of ['nonce', 'at_hash', 'c_hash', 's_hash', 'auth_time', 'acr']) {
    for (const value of ['x', '', 0, null]) {
      const claims = { [claim]: value }
      t.equal(await reason({ claims }), `token_kind ${claim}`, `${claim}: ${JSON.stringify(value)}`)
      t.equal(
        await reason({ claims, typ: 'jwt', rules: UNCHECKED }), `token_kind ${claim}`,
        `${claim}: ${JSON.stringify(value)}, typ JWT`
      )
      accepts(
        t, { claims: { ...OAUTH_CLAIMS, ...claims }, typ: 'at+jwt', rules: OAUTH_RULES },
        `${claim}: ${JSON.stringify(value)} may be in an access token that says so`
      )
    }
  }
})

t.test('accepts events that are no logout', async t => {
  for (const events of [
    null, 'x', 1, [], [LOGOUT], {}, { 'https://example.com/event': {} },
    JSON.parse(`{ "__proto__": { "${LOGOUT}": {} } }`)
  ]) {
    accepts(t, { claims: { events } }, JSON.stringify(events))
  }
})

const RESOURCE = 'https://api.example.com'
const AUTH_URL = 'https://id.example.com'
const USER_CLAIMS = { iss: AUTH_URL, aud: AUTH_URL, sub: 'u_1' }
const DELEGATED = {
  iss: `${AUTH_URL}/api/auth`, aud: RESOURCE, sub: 'u_1', client_id: 'app_1', scope: 'read', sid: 's_1'
}
const THUMBPRINT = 'x'.repeat(43)

function profiles (given: Partial<BetterAuthOptions> = {}) {
  const options = resolveOptions({ authUrl: AUTH_URL, resource: RESOURCE, dpop: true, ...given }, {})
  const readUser = createUserReader(options.userId)
  return { bearer: accessTokenProfile(options, readUser), bound: boundTokenProfile(options, readUser) }
}

const headerOf = (typ: string) => ({ alg: 'EdDSA' as const, curve: undefined, kid: 'k', typ })

t.test('a bound token is an OAuth access token that names its key, and nothing else', async t => {
  const { bearer, bound } = profiles()
  t.match(bearer, { via: 'bearer', types: [undefined, 'jwt', 'at+jwt'] })
  t.match(bound, { via: 'dpop', types: bearer.types, algorithms: bearer.algorithms })
  const read = (claims: object, typ = 'at+jwt') => bound.read({ ...claims }, headerOf(typ), 0)
  const cnf = { jkt: THUMBPRINT }
  t.match(read({ ...DELEGATED, cnf }), {
    principal: { kind: 'delegated', clientId: 'app_1', scopes: ['read'], sessionId: 's_1', boundTo: THUMBPRINT },
    user: { id: 'u_1' },
    session: null,
    endsAt: Infinity
  })
  t.match(read({ ...DELEGATED, sub: 'app_1', sid: null, cnf }), {
    principal: { kind: 'client', boundTo: THUMBPRINT }, user: null
  })
  t.equal(await reasonOf(() => read(DELEGATED)), 'token_not_bound')
  t.equal(await reasonOf(() => read({ ...USER_CLAIMS, cnf }, 'jwt')), 'token_kind cnf')
  for (const invalid of [
    null, 'x', [], {}, { jkt: undefined }, { jkt: 7 }, { jkt: [THUMBPRINT] }, { jkt: `${THUMBPRINT}x` },
    { jkt: THUMBPRINT.slice(1) }, { jkt: `${THUMBPRINT.slice(1)}=` }, { 'x5t#S256': THUMBPRINT },
    { ...cnf, 'x5t#S256': THUMBPRINT }, { 'x5t#S256': THUMBPRINT, ...cnf }
  ]) {
    t.equal(await reasonOf(() => read({ ...DELEGATED, cnf: invalid })), 'claim_invalid cnf', JSON.stringify(invalid))
  }
})

t.test('with `dpop.required`, the tokens of OAuth clients must be bound, and those of users need not', async t => {
  for (const [dpop, reason] of [[{ required: true }, 'token_not_bound'], [{}, undefined], [undefined, undefined]]) {
    const { bearer } = profiles({ dpop } as BetterAuthOptions)
    t.match(bearer.read(USER_CLAIMS, headerOf('jwt'), 0), { principal: { kind: 'user' }, user: { id: 'u_1' } })
    for (const claims of [DELEGATED, { ...DELEGATED, sub: 'app_1', sid: null }]) {
      const read = () => bearer.read(claims, headerOf('at+jwt'), 0)
      if (reason === undefined) t.match(read(), { principal: { clientId: 'app_1' } })
      else t.equal(await reasonOf(read), reason)
    }
  }
})

t.test('only the JWT of a user names an organization, and only the token of a client has scopes that include others',
  async t => {
    const { bearer } = profiles({ resource: { url: RESOURCE, scopeIncludes: { read: ['list'] } } })
    const more = { o: { id: 'org_1', role: 'owner' }, role: 'admin', scope: 'read' }
    const organization = { id: 'org_1', role: 'owner' }
    const authorizationOf = (claims: object, typ: string) => bearer.read({ ...claims, ...more }, headerOf(typ), 0)
      .authorization
    const known = { roles: ['admin'], bannedUntil: undefined }
    t.strictSame(authorizationOf(USER_CLAIMS, 'jwt'), { ...known, scopes: ['read'], organization })
    for (const claims of [DELEGATED, { ...DELEGATED, sub: 'app_1', sid: null }]) {
      t.strictSame(authorizationOf(claims, 'at+jwt'), { ...known, scopes: ['read', 'list'], organization: undefined })
    }
  })

t.test('the user of an OAuth access token is its subject, whatever `userId` says', async t => {
  for (const userId of ['sub', 'id', undefined] as const) {
    const { bearer } = profiles({ userId })
    const read = (claims: object) => bearer.read({ ...DELEGATED, ...claims }, headerOf('at+jwt'), 0)
    t.match(read({ email: 'ada@example.com' }), { user: { id: 'u_1', email: 'ada@example.com' } })
    t.match(read({ id: 'u_1' }), { user: { id: 'u_1' } })
    t.equal(await reasonOf(() => read({ id: 'u_2' })), 'subject_ambiguous sub')
  }
})
