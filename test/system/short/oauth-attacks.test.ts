import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { getUser, type BetterAuthOptions, type Guard } from '../../../lib/index.js'
import type { TestIssuer } from '../../../lib/testing/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../../fixtures/api.js'
import { startIssuer } from '../../fixtures/test-issuer.js'

// Tokens with a valid signature that try to be more than they are: another user, a user at all, another API's, or with
// scopes that nobody granted. Each is seen at a route for users, at one for everybody, and by request.jwtVerify().

const RESOURCE = 'https://api.example.com'
const OTHER = 'https://other.example.com'
const GUARD: Guard = { delegated: ['orders:read'], clients: ['orders:read'] }
const GRANT = { clientId: 'app_1', scopes: ['orders:read'], resource: RESOURCE }

type Claims = Record<string, unknown>

/** What a token is at a route for everybody. */
type Verdict = 'user' | 'delegated' | 'client' | '403 scope_missing' | '403 banned' | `401 ${string}`

/** The text of each row says what the token does. */
type Rows = Record<string, [token: string, verdict: Verdict]>

const NO_TEXT = [null, 5, 0, true, false, '', {}, [], ['app_1']]

/** As JSON in ASCII: other characters would end the line of a test's name. */
function show (value: unknown): string {
  const escape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return String(JSON.stringify(value)).replace(/[^ -~]/g, escape)
}

interface World { readonly issuer: TestIssuer, readonly app: FastifyInstance, readonly log: LogCapture }

async function createWorld (t: Test, options: (issuer: TestIssuer) => Partial<BetterAuthOptions>): Promise<World> {
  const issuer = await startIssuer(t)
  const log = captureLog()
  const app = await startApi(t, { authUrl: issuer.authUrl, resource: RESOURCE, ...options(issuer) }, log)
  app.get('/users', { onRequest: [app.authenticate] }, async () => ({}))
  app.get('/optional', { onRequest: [app.authenticateOptional] }, async () => ({}))
  app.get('/jwt', async request => request.jwtVerify())
  app.get('/all', { onRequest: [app.authorize(GUARD)] }, async request => {
    return { principal: request.principal, user: getUser(request) }
  })
  return { issuer, app, log }
}

/** The status, the reason word and the claim of a refusal. */
async function call ({ app, log }: World, url: string, token: string): Promise<{ outcome: string, body: string }> {
  log.lines.length = 0
  const { status, body } = await TRANSPORTS.socket(app, { url, headers: bearer(token) })
  const [refusal] = log.refusals()
  return { outcome: [status, refusal?.reason, refusal?.claim].filter(part => part !== undefined).join(' '), body }
}

async function tryAll (t: Test, world: World, rows: Rows): Promise<void> {
  for (const [what, [token, verdict]] of Object.entries(rows)) {
    const { outcome, body } = await call(world, '/all', token)
    const isRefused = /^\d/.test(verdict)
    t.equal(outcome, isRefused ? verdict : '200', `${what}: ${verdict}`)
    if (!isRefused && outcome === '200') {
      const { principal, user } = JSON.parse(body)
      t.equal(principal.kind, verdict, `${what}: kind`)
      t.equal(user === null, verdict === 'client', `${what}: a user, unless it is a machine`)
    }
    const forUsers = verdict === 'user' ? '200' : verdict.startsWith('401') ? verdict : '403 principal_not_allowed'
    for (const url of ['/users', '/optional', '/jwt']) {
      t.equal((await call(world, url, token)).outcome, forUsers, `${what}: ${url}`)
    }
  }
}

t.test('who the token is of', async t => {
  const world = await createWorld(t, () => ({}))
  const { issuer } = world
  const delegated = (claims: Claims, header?: Claims) => issuer.accessToken({ ...GRANT, claims, header })
  const client = (claims: Claims) => issuer.clientToken({ ...GRANT, claims })
  const untyped = { typ: undefined }
  const sameId = { ...GRANT, clientId: 'user_1' }
  const proto = (claims: Claims): Claims => JSON.parse(`{ "__proto__": ${JSON.stringify(claims)} }`)

  await tryAll(t, world, {
    'an app': [delegated({}), 'delegated'],
    'a machine': [client({}), 'client'],
    'a machine with the id of a user': [issuer.clientToken(sameId), 'client'],
    'a machine with the row of a user': [client({ id: 'user_1', email: 'ada@example.com', role: 'admin' }), 'client'],
    'an app with the id of its user': [issuer.accessToken(sameId), 'delegated'],
    'the same without the session': [issuer.accessToken({ ...sameId, claims: { sid: null } }), 'client'],
    'the same without sid': [issuer.accessToken({ ...sameId, claims: { sid: undefined } }), 'client'],
    'a machine with a session': [client({ sid: 'session_1' }), 'delegated'],
    'a session of nobody': [delegated({ sub: undefined }), '401 claim_missing sub'],
    'nobody, and no session': [delegated({ sub: undefined, sid: undefined }), 'client'],
    'nobody but an id': [client({ sub: undefined, id: 'user_1' }), 'client'],
    'another id': [delegated({ id: 'user_2' }), '401 subject_ambiguous sub'],
    'the same id': [delegated({ id: 'user_1' }), 'delegated'],
    'an id that is null': [delegated({ id: null }), '401 subject_ambiguous sub'],
    'another client in azp': [delegated({ azp: 'app_2' }), '401 claim_invalid azp'],
    'another client in client_id': [client({ client_id: 'app_2' }), '401 claim_invalid azp'],
    'the client in client_id alone': [delegated({ azp: undefined }), 'delegated'],
    'the client in azp alone': [delegated({ client_id: undefined }), 'delegated'],
    'no client': [delegated({ client_id: undefined, azp: undefined }), '401 claim_missing client_id'],
    'no client, and not typed': [
      delegated({ client_id: undefined, azp: undefined }, untyped), '401 issuer_mismatch iss'
    ],
    'not typed': [delegated({}, untyped), 'delegated'],
    'not typed, azp alone': [delegated({ client_id: undefined }, untyped), 'delegated'],
    'typed JWT': [delegated({}, { typ: 'JWT' }), 'delegated'],
    'typed in upper case': [delegated({}, { typ: 'AT+JWT' }), 'delegated'],
    'typed in full': [delegated({}, { typ: 'application/at+jwt' }), 'delegated'],
    'of another type': [delegated({}, { typ: 'logout+jwt' }), '401 typ_not_allowed'],
    'bound to a key': [delegated({ cnf: { jkt: 'x' } }), '401 token_kind cnf'],
    'an email of another type': [delegated({ email: 5 }), '401 claim_invalid email'],
    'a jti of another type': [client({ jti: 5 }), '401 claim_invalid jti'],
    'a ban of another type': [client({ banned: {} }), '401 claim_invalid banned'],
    'a banned user': [delegated({ banned: true }), '403 banned'],
    'a person': [issuer.token(), 'user'],
    'a person with the claims of a client in __proto__': [issuer.token(proto({ client_id: 'app_1' })), 'user'],
    'a machine with the claims of a user in __proto__': [client(proto({ sub: 'user_1', sid: 'x' })), 'client'],
    'nobody, with a user in __proto__': [client({ sub: undefined, ...proto({ sub: 'user_1', sid: 'x' }) }), 'client']
  })

  for (const wrong of NO_TEXT) {
    const text = show(wrong)
    await tryAll(t, world, {
      [`client_id ${text}`]: [delegated({ client_id: wrong }), '401 claim_invalid client_id'],
      [`client_id ${text} alone, not typed`]: [
        delegated({ client_id: wrong, azp: undefined }, untyped), '401 claim_invalid client_id'
      ],
      [`azp ${text}`]: [delegated({ azp: wrong }), '401 claim_invalid azp'],
      [`azp ${text} alone, not typed`]: [
        delegated({ client_id: undefined, azp: wrong }, untyped), '401 claim_invalid azp'
      ],
      [`sub ${text}`]: [delegated({ sub: wrong }), '401 claim_invalid sub'],
      [`sub ${text} of a machine`]: [client({ sub: wrong }), '401 claim_invalid sub'],
      [`sid ${text}`]: [delegated({ sid: wrong }), wrong === null ? 'delegated' : '401 claim_invalid sid'],
      [`sid ${text} of a machine`]: [client({ sid: wrong }), wrong === null ? 'client' : '401 claim_invalid sid']
    })
  }
})

t.test('the issuer and the audience of one kind do not help the other', async t => {
  for (const [name, options] of Object.entries<(issuer: TestIssuer) => Partial<BetterAuthOptions>>({
    'by default': () => ({}),
    'with options that name both': ({ authUrl }) => {
      return { issuer: [authUrl, `${authUrl}/api/auth`], audience: [authUrl, RESOURCE] }
    },
    'where neither is checked': () => ({ issuer: false, audience: false })
  })) {
    await t.test(name, async t => {
      const world = await createWorld(t, options)
      const { issuer, issuer: { authUrl } } = world
      const oauthIssuer = `${authUrl}/api/auth`
      const delegated = (claims: Claims) => issuer.accessToken({ ...GRANT, claims })
      const client = (claims: Claims) => issuer.clientToken({ ...GRANT, claims })

      const both = [authUrl, RESOURCE]
      const scope = 'orders:read'
      const typed = { header: { typ: 'at+jwt' } }
      await tryAll(t, world, {
        'a person': [issuer.token(), 'user'],
        'an app with the issuer of a person': [delegated({ iss: authUrl }), '401 issuer_mismatch iss'],
        'an app with the audience of a person': [delegated({ aud: authUrl }), '401 audience_mismatch aud'],
        'an app with both of a person': [delegated({ iss: authUrl, aud: authUrl }), '401 issuer_mismatch iss'],
        'an app with that issuer for both': [delegated({ iss: authUrl, aud: both }), '401 issuer_mismatch iss'],
        'a machine with the issuer of a person': [client({ iss: authUrl }), '401 issuer_mismatch iss'],
        'a machine with the audience of a person': [client({ aud: authUrl }), '401 audience_mismatch aud'],
        // By definePayload().
        'a person with client_id': [issuer.token({ client_id: 'app_1', scope }), '401 issuer_mismatch iss'],
        'a person with azp': [issuer.token({ azp: 'app_1', scope }), '401 issuer_mismatch iss'],
        'a person with both, and a session': [
          issuer.token({ client_id: 'app_1', azp: 'app_1', sid: 'x', aud: both }), '401 issuer_mismatch iss'
        ],
        'a person with a client and the issuer of apps': [
          issuer.token({ client_id: 'app_1', scope, iss: oauthIssuer }), '401 audience_mismatch aud'
        ],
        'a person with the type of apps': [issuer.token({}, typed), '401 issuer_mismatch iss'],
        'a person with the type and the issuer of apps': [
          issuer.token({ iss: oauthIssuer, aud: RESOURCE }, typed), '401 claim_missing client_id'
        ]
      })
      if (name !== 'by default') return
      await tryAll(t, world, {
        'a person with the issuer of an app': [issuer.token({ iss: oauthIssuer }), '401 issuer_mismatch iss'],
        'a person with the audience of an app': [issuer.token({ aud: RESOURCE }), '401 audience_mismatch aud'],
        'a person with that issuer, and both audiences': [
          issuer.token({ iss: oauthIssuer, aud: both }), '401 issuer_mismatch iss'
        ]
      })
    })
  }
})

t.test('whom the token is for, and who issued it', async t => {
  const world = await createWorld(t, () => ({}))
  const { issuer, issuer: { authUrl } } = world
  const oauthIssuer = `${authUrl}/api/auth`
  const delegated = (claims: Claims) => issuer.accessToken({ ...GRANT, claims })

  await tryAll(t, world, Object.fromEntries([
    // The URL parser writes a slash.
    ...[[RESOURCE, OTHER], [OTHER, RESOURCE], [RESOURCE, RESOURCE], [RESOURCE], `${RESOURCE}/`]
      .map(aud => [`aud ${show(aud)}`, [delegated({ aud }), 'delegated']]),
    ...[
      undefined, '', [], [OTHER], OTHER, 'api.example.com', '//api.example.com', 'https://api.example.co',
      'https://api.example.com.evil.example', 'https://evil.example/https://api.example.com', `${RESOURCE}//`,
      `${RESOURCE}/orders`, `${RESOURCE}?`, `${RESOURCE}#`, `${RESOURCE}:443`, 'http://api.example.com',
      'HTTPS://api.example.com', 'https://API.example.com', ` ${RESOURCE}`, `${RESOURCE} `, `${RESOURCE} ${OTHER}`,
      `${RESOURCE},${OTHER}`, 'https://api.example.com\0', '*', 'https://*.example.com'
    ].map(aud => [`aud ${show(aud)}`, [delegated({ aud }), '401 audience_mismatch aud']]),
    ...[null, 5, true, {}, { 0: RESOURCE, length: 1 }, [[RESOURCE]], [RESOURCE, 5], [RESOURCE, null]]
      .map(aud => [`aud ${show(aud)}`, [delegated({ aud }), '401 claim_invalid aud']]),
    ...[
      undefined, '', authUrl, `${oauthIssuer}/`, `${oauthIssuer}//`, `${oauthIssuer}2`, `${authUrl}/api`,
      `${authUrl}/API/AUTH`, `${authUrl}//api/auth`, oauthIssuer.replace('http:', 'https:'),
      oauthIssuer.replace('http:', 'HTTP:'), oauthIssuer.replace('127.0.0.1', 'localhost'), ` ${oauthIssuer}`
    ].map(iss => [`iss ${show(iss)}`, [delegated({ iss }), '401 issuer_mismatch iss']]),
    ...[null, 5, true, {}, [oauthIssuer]]
      .map(iss => [`iss ${show(iss)}`, [delegated({ iss }), '401 claim_invalid iss']])
  ]))
})

t.test('what the token allows', async t => {
  const scopeIncludes = JSON.parse(`{
    "orders:write": ["orders:list"], "orders:list": ["orders:read", "orders:write"], "self": ["self"],
    "__proto__": ["toString"], "toString": ["__proto__"]
  }`) as Record<string, string[]>
  const ENOUGH: unknown[] = [
    'orders:read', ' orders:read ', 'orders:read  orders:x', 'orders:read orders:read', 'x orders:read y',
    '__proto__ orders:read constructor', '" orders:read \\'
  ]
  const TOO_LITTLE: unknown[] = [
    undefined, null, '', ' ', 5, true, {}, [], ['orders:read'], { 'orders:read': true }, 'orders', 'orders:', 'read',
    'orders:reads', 'xorders:read', 'ORDERS:READ', 'Orders:read', 'orders:read,orders:x', 'orders:read\torders:x',
    'orders:read\n', 'orders:read\0', 'orders:read\u00a0x', 'orders:read\u2028', '"orders:read"', 'orders:*', '*',
    '__proto__', 'constructor', 'toString', 'self', 'hasOwnProperty length', 'orders:read\\', 'ordеrs:read'
  ]
  for (const [name, resource, allowed, refused] of [
    ['without scopeIncludes', RESOURCE, ENOUGH, [...TOO_LITTLE, 'orders:write', 'orders:list']],
    ['with cycles in scopeIncludes', { url: RESOURCE, scopeIncludes }, [
      ...ENOUGH, 'orders:write', 'orders:list', 'orders:write orders:list orders:write', 'self orders:read'
    ], [...TOO_LITTLE, 'orders:writes', 'toString __proto__']]
  ] as const) {
    await t.test(name, async t => {
      const world = await createWorld(t, () => ({ resource }))
      const { issuer } = world
      for (const create of [issuer.accessToken, issuer.clientToken]) {
        const kind = create === issuer.accessToken ? 'delegated' : 'client'
        const tokenOf = (claims: Claims) => create({ ...GRANT, claims })
        await tryAll(t, world, Object.fromEntries([
          ...allowed.map(scope => [`${kind}, scope ${show(scope)}`, [tokenOf({ scope }), kind]]),
          ...refused.map(scope => {
            return [`${kind}, scope ${show(scope)}`, [tokenOf({ scope }), '403 scope_missing']]
          }),
          ['scp', [tokenOf({ scope: undefined, scp: ['orders:read'] }), kind]],
          ['scp beside scope', [tokenOf({ scope: '', scp: ['orders:read'] }), '403 scope_missing']],
          ['scp beside an unreadable scope', [tokenOf({ scope: null, scp: ['orders:read'] }), '403 scope_missing']],
          ['scp that is text', [tokenOf({ scope: undefined, scp: 'orders:read' }), '403 scope_missing']],
          ['scp with a number', [tokenOf({ scope: undefined, scp: ['orders:read', 5] }), '403 scope_missing']]
        ]))
      }
    })
  }

  await t.test('a guard that asks for __proto__ or constructor gets no scope that the token lacks', async t => {
    for (const resource of [RESOURCE, { url: RESOURCE, scopeIncludes: { 'orders:write': ['orders:read'] } }]) {
      const world = await createWorld(t, () => ({ resource }))
      const { issuer, app } = world
      const names = ['__proto__', 'constructor', 'toString']
      for (const name of names) {
        const guard = { delegated: [name], clients: [name] }
        app.get(`/${name}`, { onRequest: [app.authorize(guard)] }, async request => request.principal)
      }
      for (const create of [issuer.accessToken, issuer.clientToken]) {
        for (const name of names) {
          const others = names.filter(other => other !== name)
          const [with_, without] = [[name], others].map(scopes => create({ ...GRANT, scopes }))
          t.equal((await call(world, `/${name}`, with_!)).outcome, '200', name)
          t.equal((await call(world, `/${name}`, without!)).outcome, '403 scope_missing', `${name} is not granted`)
        }
      }
    }
  })
})
