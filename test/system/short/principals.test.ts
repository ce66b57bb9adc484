import t, { type Test } from 'tap'
import {
  getUser, type BetterAuthOptions, type Claims, type Guard, type Principal, type User
} from '../../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type ApiResponse } from '../../fixtures/api.js'
import { OAUTH_VERSIONS, type Fields, type OAuthVersion } from '../../fixtures/oauth-packages.js'
import { RESOURCE, startOAuthServer, type OAuthServer } from '../../fixtures/oauth-server.js'
import { issueEveryKind, OTHER_RESOURCE, segment, type EveryKind, type Kind } from '../../fixtures/oauth-tokens.js'

// Who comes in where: every kind of token of real servers, at every kind of route.

/** A session cookie that is a JWT, and a token for another API, beside the kinds of the fixture. */
type Credential = Kind | 'cookie' | 'elsewhere'

const GUARDS = {
  roles: { roles: ['user'] },
  scopes: { scopes: ['orders:read'] },
  delegated: { delegated: ['orders:read'] },
  clients: { clients: ['orders:sync'] },
  both: { delegated: ['orders:read'], clients: ['orders:sync'] },
  appsOnly: { users: false, delegated: ['orders:read'] },
  combined: { delegated: ['orders:read'], clients: ['orders:sync'], scopes: ['orders:read'] },
  anotherScope: { delegated: ['orders:write'], clients: ['orders:write'] }
} satisfies Record<string, Guard>
const ROUTES = ['plain', 'optional', ...Object.keys(GUARDS)] as ReadonlyArray<Route>
type Route = 'plain' | 'optional' | keyof typeof GUARDS

const NOT_ALLOWED = '403 principal_not_allowed'
const NO_SCOPE = '403 scope_missing'

/** What each kind of caller gets. */
const CALLERS = {
  user: {
    plain: '200',
    optional: '200',
    roles: '200',
    scopes: NO_SCOPE,
    delegated: '200',
    clients: '200',
    both: '200',
    appsOnly: NOT_ALLOWED,
    combined: NO_SCOPE,
    anotherScope: '200'
  },
  delegated: {
    plain: NOT_ALLOWED,
    optional: NOT_ALLOWED,
    roles: NOT_ALLOWED,
    scopes: NOT_ALLOWED,
    delegated: '200',
    clients: NOT_ALLOWED,
    both: '200',
    appsOnly: '200',
    combined: '200',
    anotherScope: NO_SCOPE
  },
  client: {
    plain: NOT_ALLOWED,
    optional: NOT_ALLOWED,
    roles: NOT_ALLOWED,
    scopes: NOT_ALLOWED,
    delegated: NOT_ALLOWED,
    clients: '200',
    both: '200',
    appsOnly: NOT_ALLOWED,
    combined: NO_SCOPE,
    anotherScope: NO_SCOPE
  }
} satisfies Record<Principal['kind'], Record<Route, string>>

type Verdict = Principal['kind'] | `401 ${string}`

/** Who each token stands for, or why it is refused on every route. */
function expectedOf (version: OAuthVersion): ReadonlyMap<Credential, Verdict> {
  const is17 = version === '1.7'
  const verdicts: Partial<Record<Credential, Verdict>> = {
    firstParty: 'user',
    // Before 1.7, no key of the JWKS signs it.
    ...is17 && { cookie: 'user' },
    delegated: 'delegated',
    openid: 'delegated',
    refreshed: 'delegated',
    signedOut: 'delegated',
    // 1.6 reads the last `resource` of a request only.
    twoResources: is17 ? 'delegated' : '401 audience_mismatch',
    machine: 'client',
    opaque: '401 token_malformed',
    machineOpaque: '401 token_malformed',
    id: '401 token_kind',
    userinfo: '401 audience_mismatch',
    elsewhere: '401 audience_mismatch',
    // 1.6 ignores the proof, and issues a bearer token.
    bound: is17 ? '401 token_kind' : 'delegated',
    machineBound: is17 ? '401 token_kind' : 'client'
  }
  return new Map(Object.entries(verdicts) as Array<[Credential, Verdict]>)
}

interface World {
  readonly server: OAuthServer
  readonly issued: EveryKind
  readonly tokens: Readonly<Record<Credential, string>>
}

/** A server that keeps its sessions in a cookie as well, and a credential of every kind. */
async function createWorld (t: Test, version: OAuthVersion): Promise<World> {
  const server = await startOAuthServer(t, {
    version,
    resources: [RESOURCE, OTHER_RESOURCE],
    jwt: { sessionCookieCache: true },
    session: { cookieCache: { enabled: true, strategy: 'jwt' } }
  })
  const issued = await issueEveryKind(server)
  const { person, client, tokens } = issued
  const again = await server.signIn(person.user.email)
  const request = { scopes: ['orders:read'], resource: OTHER_RESOURCE }
  const { access_token: elsewhere } = await server.delegate(again, client, request)
  const cookie = person.cookie.split('; ').find(one => one.startsWith(COOKIE))!.slice(COOKIE.length)
  return { server, issued, tokens: { ...tokens, elsewhere, cookie } }
}

const COOKIE = 'better-auth.session_data='

function headersOf ({ tokens }: World, credential: Credential): Record<string, string> {
  const token = tokens[credential]
  return credential === 'cookie' ? { cookie: COOKIE + token } : bearer(token)
}

type Call = (url: string, headers: Record<string, string>) => Promise<{ outcome: string, body: Fields }>

/** An API with all those routes. A route says whom it saw. */
async function startGuardedApi (
  t: Test, options: BetterAuthOptions, guards: Readonly<Record<string, Guard>> = GUARDS
): Promise<Call> {
  const log = captureLog()
  const app = await startApi(t, options, log)
  const hooks = { plain: app.authenticate, optional: app.authenticateOptional }
  const guarded = Object.entries(guards).map(([name, guard]) => [name, app.authorize(guard)] as const)
  for (const [name, hook] of [...Object.entries(hooks), ...guarded]) {
    app.get(`/${name}`, { onRequest: [hook] }, async request => {
      return { principal: request.principal, user: request.user, getUser: getUser(request) }
    })
  }
  return async (url, headers) => {
    const before = log.refusals().length
    const response = await TRANSPORTS.socket(app, { url: `/${url}`, headers })
    const refusals = log.refusals().slice(before)
    if (refusals.length > 1) throw new Error(`${url}: ${refusals.length} refusals`)
    return { outcome: outcomeOf(response, refusals[0]?.reason), body: JSON.parse(response.body) as Fields }
  }
}

function outcomeOf ({ status }: ApiResponse, reason: unknown): string {
  return reason === undefined ? String(status) : `${status} ${String(reason)}`
}

function isRefused (verdict: Verdict): verdict is `401 ${string}` {
  return verdict.startsWith('401')
}

/** What handlers see of whom is let in. */
function principalOf (credential: Credential, kind: Principal['kind'], { issued, tokens }: World): Principal {
  const { person: { user: { id, email, name } }, client, machine, sessionId } = issued
  const claims = segment(tokens[credential], 1)
  const expiresAt = Number(claims.exp) * 1000
  const row = { id, email, name, emailVerified: false, image: null }
  const scopes = String(claims.scope).split(' ')
  const via = credential === 'cookie' ? 'cookie' : 'bearer'
  const rest = { via, expiresAt, organization: null } as const
  if (kind === 'user') return { kind, user: row, sessionId: via === 'cookie' ? sessionId : null, ...rest }
  if (kind === 'client') return { kind, clientId: machine.clientId, scopes, sessionId: null, ...rest }
  const user: User = { id, email: null, name: null, emailVerified: false, image: null }
  const session = credential === 'signedOut' ? null : sessionId
  return { kind, user, clientId: client.clientId, scopes, sessionId: session, ...rest }
}

for (const version of OAUTH_VERSIONS) {
  t.test(`Better Auth ${version}`, async t => {
    const world = await createWorld(t, version)
    const { server } = world
    const verdicts = expectedOf(version)
    const options = { authUrl: server.origin, sessionCookie: true, resource: RESOURCE }

    t.test('who comes in where, and as whom', async t => {
      const call = await startGuardedApi(t, options)
      for (const [credential, kind] of verdicts) {
        for (const route of ROUTES) {
          const answer = isRefused(kind) ? kind : CALLERS[kind][route]
          const { outcome, body } = await call(route, headersOf(world, credential))
          t.equal(outcome, answer, `${credential} at ${route}: ${answer}`)
          if (isRefused(kind) || answer !== '200') continue
          const principal = principalOf(credential, kind, world)
          const user = principal.kind === 'client' ? null : principal.user
          t.strictSame(body, { principal, user, getUser: user }, `${credential} at ${route}: as a ${principal.kind}`)
        }
      }
      const { outcome, body } = await call('optional', {})
      t.strictSame({ outcome, ...body }, { outcome: '200', principal: null, user: null, getUser: null }, 'nobody')
    })

    t.test('without the option "resource", no token of an OAuth client is accepted anywhere', async t => {
      const call = await startGuardedApi(t, { authUrl: server.origin, sessionCookie: true }, {
        roles: GUARDS.roles, scopes: GUARDS.scopes
      })
      for (const [credential, kind] of verdicts) {
        const isOfClient = ['delegated', 'client', '401 audience_mismatch'].includes(kind)
        for (const route of ['plain', 'optional', 'roles', 'scopes'] as const) {
          const answer = isOfClient ? '401 oauth_token_not_accepted' : kind === 'user' ? CALLERS.user[route] : kind
          const { outcome } = await call(route, headersOf(world, credential))
          t.equal(outcome, answer, `${credential} at ${route}: ${answer}`)
        }
      }
    })

    t.test('a check gets the principal, and no user of a machine', async t => {
      const seen: Array<{ user: User | null, claims: Claims, principal: Principal }> = []
      const call = await startGuardedApi(t, options, {
        checked: {
          ...GUARDS.both,
          check (user, claims, _request, principal) {
            seen.push({ user, claims, principal })
            return principal.kind !== 'client' || principal.scopes.includes('orders:sync')
          }
        },
        machinesOnly: { ...GUARDS.both, check: (_user, _claims, _request, { kind }) => kind === 'client' }
      })
      for (const [credential, kind] of verdicts) {
        if (isRefused(kind)) continue
        const principal = principalOf(credential, kind, world)
        const headers = headersOf(world, credential)
        t.match(await call('checked', headers), { outcome: '200', body: { principal } }, credential)
        t.strictSame(seen.pop(), {
          user: principal.kind === 'client' ? null : principal.user,
          claims: segment(world.tokens[credential], 1) as Claims,
          principal
        }, credential)
        const answer = principal.kind === 'client' ? '200' : '403 check_failed'
        t.equal((await call('machinesOnly', headers)).outcome, answer, `${credential} at machinesOnly`)
      }
    })
  })

  t.test(`${version}: the refreshed token of a banned user is refused, if the token says so`, async t => {
    const provider = {
      customAccessTokenClaims: ({ user }: { user?: Fields }) => {
        return { banned: user?.banned, banExpires: user?.banExpires, role: user?.role }
      }
    }
    const server = await startOAuthServer(t, { version, provider })
    const person = await server.signUp()
    const [client, machine] = [await server.registerClient(), await server.createClient(person, ['orders:sync'])]
    const request = { scopes: ['orders:read', 'offline_access'], resource: RESOURCE }
    const before = await server.delegate(person, client, request)
    await server.ban(person)
    const after = await server.refresh(client, before, request)
    const ofMachine = await server.clientCredentials(machine, { resource: RESOURCE })

    const call = await startGuardedApi(t, { authUrl: server.origin, resource: RESOURCE }, {
      ...GUARDS,
      userRole: { ...GUARDS.both, roles: ['user'] },
      adminRole: { ...GUARDS.both, roles: ['admin'] }
    })
    for (const [route, ofBefore, ofAfter, ofItself] of [
      ['both', '200', '403 banned', '200'],
      ['userRole', '200', '403 banned', '403 role_missing'],
      ['adminRole', '403 role_missing', '403 banned', '403 role_missing'],
      ['plain', NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED]
    ] as const) {
      t.equal((await call(route, bearer(before.access_token))).outcome, ofBefore, `${route}: before the ban`)
      t.equal((await call(route, bearer(after.access_token))).outcome, ofAfter, `${route}: refreshed after the ban`)
      t.equal((await call(route, bearer(ofMachine.access_token))).outcome, ofItself, `${route}: a machine`)
    }
  })

  t.test(`${version}: a scope includes others, as the option says`, async t => {
    const server = await startOAuthServer(t, { version })
    const person = await server.signUp()
    const client = await server.registerClient()
    const tokenOf = async (...scopes: string[]) =>
      bearer((await server.delegate(person, client, { scopes, resource: RESOURCE })).access_token)
    const [read, write] = [await tokenOf('orders:read'), await tokenOf('orders:write')]
    const { clientId } = client

    const scopeIncludes = { 'orders:write': ['orders:read'] }
    const guards = { delegated: GUARDS.delegated, combined: GUARDS.combined, anotherScope: GUARDS.anotherScope }
    for (const [resource, writerReads] of [
      [{ url: RESOURCE, scopeIncludes }, '200'], [{ url: RESOURCE }, NO_SCOPE]
    ] as const) {
      const call = await startGuardedApi(t, { authUrl: server.origin, resource }, guards)
      for (const [route, ofReader, ofWriter] of [
        ['delegated', '200', writerReads],
        ['combined', '200', writerReads],
        ['anotherScope', NO_SCOPE, '200']
      ] as const) {
        t.equal((await call(route, read)).outcome, ofReader, `${route}: orders:read`)
        t.equal((await call(route, write)).outcome, ofWriter, `${route}: orders:write`)
      }
      const { body } = await call('anotherScope', write)
      t.match(body, { principal: { clientId, scopes: ['orders:write'] } }, 'the principal has what was granted')
      t.equal((body.principal as { scopes: string[] }).scopes.length, 1)
    }
  })
}
