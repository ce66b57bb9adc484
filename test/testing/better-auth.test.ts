import { jwt } from 'better-auth/plugins'
import t, { type Test } from 'tap'
import { fetchToken, startAuthServer, type AuthServer } from '../fixtures/auth-server.js'
import { startCookieServer } from '../fixtures/cookie-server.js'
import { RESOURCE, startOAuthServer } from '../fixtures/oauth-server.js'
import { describeToken, issueEveryKind, OTHER_RESOURCE } from '../fixtures/oauth-tokens.js'
import { segment, startIssuer } from '../fixtures/test-issuer.js'

/** Compares the test issuer with real Better Auth servers: it is useful only while it is like them. */

interface Payload {
  iat: number
  exp: number
  iss?: string
  aud?: string
  sub?: string
  sid?: string
  id?: string
  user?: { id: string }
  session?: { userId: string, token: string, expiresAt: string }
}

async function startAuth (t: Test, options?: Parameters<typeof startAuthServer>[0]): Promise<AuthServer> {
  const auth = await startAuthServer(options)
  t.teardown(() => auth.close())
  return auth
}

/** Everything by its name, with its type, or the kind of text or number that it is. */
function shapeOf (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, shapeOf(one)])
    )
  }
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return 'ISO 8601'
  if (typeof value === 'number') return value > 1e12 ? 'milliseconds' : 'seconds'
  return value === null ? 'null' : typeof value
}

/** All that can be said of a token without knowing whose it is. */
function describe (token: string, origin: string): Record<string, unknown> {
  const header = segment(token, 0)
  const payload = segment(token, 1) as unknown as Payload
  const { iss, aud, sub, sid, iat, exp, session, user = { id: payload.id } } = payload
  return {
    header: { ...header, kid: typeof header.kid },
    payload: shapeOf(payload),
    iss: iss === origin ? 'the origin' : iss,
    aud: aud === origin ? 'the origin' : aud,
    subIsTheUser: sub === user.id,
    sessionIsTheUsers: session?.userId === user.id,
    sidIsTheSession: sid === session?.token,
    lifetime: exp - iat,
    sessionDays: session && Math.round((Date.parse(session.expiresAt) / 1000 - iat) / 86_400),
    isFresh: Math.abs(iat - Date.now() / 1000) < 10
  }
}

for (const alg of ['EdDSA', 'ES256', 'ES512', 'RS256', 'PS256'] as const) {
  t.test(`a token and the JWKS of ${alg} are as Better Auth makes them`, async t => {
    const [issuer, auth] = await Promise.all(
      [startIssuer(t, { algorithm: alg }), startAuth(t, { jwt: { jwks: { keyPairConfig: { alg } } } })]
    )
    const { cookie } = await auth.signUp()
    // A table in memory has nothing where a database says null.
    auth.db.user![0]!.image = null
    const theirs = describe(await fetchToken(auth.origin, cookie), auth.origin)
    t.strictSame(describe(issuer.token(), issuer.authUrl), theirs)
    t.match(theirs, {
      header: { alg }, iss: 'the origin', aud: 'the origin', subIsTheUser: true, lifetime: 900, isFresh: true
    })

    const answers = await Promise.all([issuer.authUrl, auth.origin].map(async origin => {
      const response = await fetch(`${origin}/api/auth/jwks`)
      const { keys } = await response.json() as { keys: Array<{ alg: string }> }
      return { headers: headersOf(response), alg: keys[0]!.alg, keys: shapeOf(keys) }
    }))
    t.strictSame(answers[0], answers[1])
    t.match(answers[0], { headers: [['content-type', 'application/json']], alg })
  })
}

/** What is said of the body, and of how long it may be kept. */
function headersOf ({ headers }: Response): Array<[name: string, value: string]> {
  const ofTheConnection = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']
  return [...headers].filter(([name]) => !ofTheConnection.includes(name))
}

t.test('any other request gets the response of Better Auth', async t => {
  const [issuer, auth] = await Promise.all([startIssuer(t), startAuth(t)])
  for (const asked of [
    'GET /', 'GET /.well-known/jwks.json', 'GET /api/auth/.well-known/jwks.json', 'GET /api/auth/jwks/x',
    'POST /api/auth/jwks'
  ]) {
    const [method, path] = asked.split(' ') as [string, string]
    const answers = await Promise.all([issuer.authUrl, auth.origin].map(async origin => {
      const response = await fetch(origin + path, { method })
      return { status: response.status, headers: headersOf(response), body: await response.text() }
    }))
    t.strictSame(answers, [{ status: 404, headers: [], body: '' }, { status: 404, headers: [], body: '' }], asked)
  }
})

for (const [name, options, plugins] of [
  ['a key of the JWKS', {}, [jwt({ sessionCookieCache: true })]],
  ['HS256', { algorithm: 'HS256' }, []]
] as const) {
  t.test(`a session cookie that is signed with ${name} is as Better Auth makes it`, async t => {
    const issuer = await startIssuer(t, options)
    const server = await startCookieServer({ plugins: [...plugins] })
    t.teardown(() => server.close())
    const image = 'https://example.com/ada.png'
    const { cookies } = await server.signUp({ image })
    const [cookieName, ours] = issuer.sessionCookie({ image }).split('=') as [string, string]
    t.ok(cookies.has(cookieName), cookieName)
    const theirs = describe(cookies.get(cookieName)!, server.origin)
    t.strictSame(describe(ours, issuer.authUrl), theirs)
    t.match(theirs, { lifetime: 300, sessionDays: 7, sessionIsTheUsers: true, isFresh: true })
  })
}

t.test('access tokens of OAuth clients are as the OAuth provider of Better Auth 1.7 makes them', async t => {
  const server = await startOAuthServer(t, { resources: [RESOURCE, OTHER_RESOURCE] })
  const { tokens, person, client: { clientId }, machine } = await issueEveryKind(server)
  const issuer = await startIssuer(t)
  const delegated = { clientId, user: person.user.id, scopes: ['orders:read'], resource: RESOURCE }

  for (const [kind, ours] of Object.entries({
    delegated: issuer.accessToken(delegated),
    refreshed: issuer.accessToken({ ...delegated, scopes: ['orders:read', 'offline_access'] }),
    signedOut: issuer.accessToken({ ...delegated, scopes: ['orders:read', 'offline_access'], claims: { sid: null } }),
    openid: issuer.accessToken({ ...delegated, scopes: ['openid', 'orders:read'] }),
    twoResources: issuer.accessToken({ ...delegated, resource: [RESOURCE, OTHER_RESOURCE] }),
    machine: issuer.clientToken({ clientId: machine.clientId, scopes: ['orders:sync'], resource: RESOURCE })
  })) {
    const theirs = tokens[kind as keyof typeof tokens]
    t.strictSame(shapeOf(segment(ours, 1)), shapeOf(segment(theirs, 1)), `${kind}: names and shapes`)
    t.strictSame(describeOAuth(ours, issuer.authUrl), describeOAuth(theirs, server.origin), kind)
  }
})

/** What a token of an OAuth client says, its server called by the same name. `sid` differs from session to session. */
function describeOAuth (token: string, origin: string): unknown {
  const described = describeToken(token)
  const { sid } = described.claims
  const isFresh = Math.abs(Number(segment(token, 1).iat) - Date.now() / 1000) < 60
  const claims = { ...described.claims, ...typeof sid === 'string' && { sid: 'text' } }
  return JSON.parse(JSON.stringify({ ...described, claims, isFresh }).replaceAll(origin, 'https://id.example.com'))
}
