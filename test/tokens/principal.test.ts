import t from 'tap'
import { resolveResource } from '../../lib/contract/resolve-resource.js'
import { includeScopes, isOAuthToken, readOAuthPrincipal, USER } from '../../lib/tokens/principal.js'
import { reasonOf, refusalOf } from '../fixtures/refusals.js'

const ISSUER = 'https://id.example.com/api/auth'
const URL = 'https://api.example.com'
const RESOURCE = resolveResource(URL, ISSUER)!

type Claims = Record<string, unknown>

/** The claims of a client that acts for a user, in 1.7. */
const DELEGATED = {
  iss: ISSUER, aud: URL, sub: 'u_1', sid: 's_1', client_id: 'app_1', azp: 'app_1', scope: 'orders:read orders:write'
}
const read = (claims: Claims) => readOAuthPrincipal({ ...DELEGATED, ...claims }, RESOURCE)

t.test('an access token of an OAuth client has its type, or names the client', async t => {
  for (const [claims, typ, isOAuth] of [
    [{}, undefined, false],
    [{}, 'jwt', false],
    [{ sub: 'u_1', scope: 'orders:read', sid: 's_1' }, undefined, false],
    [{}, 'at+jwt', true],
    [{ client_id: 'app_1' }, undefined, true],
    [{ azp: 'app_1' }, 'jwt', true],
    [{ client_id: null }, undefined, true],
    [{ azp: '' }, undefined, true],
    [JSON.parse('{ "__proto__": { "client_id": "app_1" } }'), undefined, false]
  ] as Array<[Claims, string | undefined, boolean]>) {
    t.equal(isOAuthToken(claims, typ), isOAuth, `${JSON.stringify(claims)}, ${typ}`)
  }
})

t.test('a client acts for the user that the token names', async t => {
  const delegated = {
    kind: 'delegated', clientId: 'app_1', scopes: ['orders:read', 'orders:write'], sessionId: 's_1'
  }
  t.strictSame(read({}), delegated)
  t.strictSame(read({ client_id: undefined }), delegated, '1.6')
  t.strictSame(read({ azp: undefined }), delegated)
  t.strictSame(read({ sub: 'app_1' }), delegated, 'its own id, and a session')
  for (const sid of [null, undefined]) t.strictSame(read({ sid }), { ...delegated, sessionId: null }, `sid ${sid}`)
})

t.test('or for itself: it is its own subject without a session, or has none', async t => {
  const client = { kind: 'client', clientId: 'app_1', scopes: ['orders:read', 'orders:write'], sessionId: null }
  for (const sub of ['app_1', undefined]) {
    for (const sid of [null, undefined]) t.strictSame(read({ sub, sid }), client, `sub ${sub}, sid ${sid}`)
  }
  t.equal(await reasonOf(() => read({ sub: undefined })), 'claim_missing sub', 'a session is a user\'s')
})

t.test('its claims are checked, whoever it acts for', async t => {
  for (const [claims, reason] of [
    [{ iss: undefined }, 'issuer_mismatch iss'],
    [{ iss: `${ISSUER}/` }, 'issuer_mismatch iss'],
    [{ iss: [ISSUER] }, 'claim_invalid iss'],
    [{ aud: undefined }, 'audience_mismatch aud'],
    [{ aud: 'https://other.example.com' }, 'audience_mismatch aud'],
    [{ aud: [URL, null] }, 'claim_invalid aud'],
    [{ client_id: 'app_2' }, 'claim_invalid azp'],
    [{ client_id: '' }, 'claim_invalid client_id'],
    [{ client_id: undefined, azp: undefined }, 'claim_missing client_id'],
    [{ azp: 5 }, 'claim_invalid azp'],
    [{ sub: null }, 'claim_invalid sub'],
    [{ sid: '' }, 'claim_invalid sid'],
    [{ sid: 5 }, 'claim_invalid sid']
  ] as Array<[Claims, string]>) {
    t.equal(await reasonOf(() => read(claims)), reason, JSON.stringify(claims))
    if ('sub' in claims) continue
    t.equal(await reasonOf(() => read({ sub: 'app_1', ...claims })), reason, `${JSON.stringify(claims)} of itself`)
  }
  t.match((await refusalOf(() => read({ iss: `${ISSUER}/` }))).details, {
    expected: [ISSUER], received: `${ISSUER}/`, difference: String
  })
})

t.test('without the resource, nothing else of it is looked at', async t => {
  for (const claims of [DELEGATED, {}, { iss: 5 }]) {
    t.equal(await reasonOf(() => readOAuthPrincipal(claims, undefined)), 'oauth_token_not_accepted')
  }
})

t.test('its scopes are separated by spaces and nothing else; what cannot be read is none', async t => {
  for (const [claims, scopes] of [
    [{ scope: ' a  b ' }, ['a', 'b']],
    [{ scope: 'a a' }, ['a', 'a']],
    [{ scope: 'a\tb\nc' }, ['a\tb\nc']],
    [{ scope: '__proto__ constructor' }, ['__proto__', 'constructor']],
    [{ scope: ['a'] }, []],
    [{ scope: {} }, []],
    [{ scope: 5 }, []],
    [{ scope: null, scp: ['a'] }, []],
    [{ scope: undefined, scp: ['a'] }, ['a']],
    [{ scope: undefined }, []]
  ] as Array<[Claims, string[]]>) {
    t.strictSame(read(claims).scopes, scopes, JSON.stringify(claims))
  }
})

t.test('scopes include others as the resource says, each of them once', async t => {
  const granted = ['a', 'a']
  t.equal(includeScopes(granted, RESOURCE), granted, 'without scopeIncludes they are as they were')
  const scopeIncludes = JSON.parse('{ "a": ["b"], "b": ["c", "a"], "__proto__": ["d"], "self": ["self"] }')
  const resource = resolveResource({ url: URL, scopeIncludes }, ISSUER)!
  for (const [scopes, all] of [
    [[], []],
    [['c'], ['c']],
    [['a'], ['a', 'b', 'c']],
    [['b', 'c', 'x'], ['b', 'c', 'a', 'x']],
    [['self', 'self'], ['self']],
    [['__proto__'], ['__proto__', 'd']],
    [['constructor', 'toString'], ['constructor', 'toString']]
  ]) {
    t.strictSame(includeScopes(scopes!, resource), all, scopes!.join(' '))
  }
})

t.test('all users are the same principal, which nobody can change', async t => {
  t.strictSame(USER, { kind: 'user' })
  t.ok(Object.isFrozen(USER))
})
