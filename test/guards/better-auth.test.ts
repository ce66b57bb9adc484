import { admin, organization } from 'better-auth/plugins'
import { createAccessControl } from 'better-auth/plugins/access'
import { defaultStatements as ORGANIZATION_STATEMENTS } from 'better-auth/plugins/organization/access'
import t from 'tap'
import type { Permissions } from '../../lib/index.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { fetchToken, startAuthServer, type AuthServer, type SignedUp } from '../fixtures/auth-server.js'

t.test('a real Better Auth server with the admin plugin', async t => {
  const auth = await startAuthServer({ plugins: [admin()] })
  t.teardown(() => auth.close())
  const app = await startApi(t, { authUrl: auth.origin })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => ({ id: user.id }))
  app.get('/optional', { onRequest: app.authenticateOptional }, async () => 'in')
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ id: user.id }))
  app.get('/staff', { onRequest: app.authorize({ roles: ['editor', 'admin'] }) }, async () => 'in')
  const statuses = async (token: string) => Promise.all(['/me', '/optional', '/admin', '/staff'].map(
    async url => (await app.inject({ url, headers: bearer(token) })).statusCode
  ))

  const rowOf = ({ user }: SignedUp) => auth.db.user!.find(({ id }) => id === user.id)!
  const newToken = ({ cookie }: SignedUp) => fetchToken(auth.origin, cookie)

  t.test('roles', async t => {
    const ada = await auth.signUp()
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'a new user is no admin')
    rowOf(ada).role = 'admin'
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'an old token says what it said')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200], 'a new token says what is so now')
    t.equal((await app.inject({ url: '/admin', headers: bearer(await newToken(ada)) })).json().id, ada.user.id)
    rowOf(ada).role = 'user,editor'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 200])
    rowOf(ada).role = 'user,editor,admin'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
    rowOf(ada).role = null
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 403])
  })

  t.test('several roles as the plugin itself writes them', async t => {
    const boss = await auth.signUp()
    const ada = await auth.signUp()
    rowOf(boss).role = 'admin'
    await callAdmin(auth, boss, 'set-role', { userId: ada.user.id, role: ['user', 'admin'] })
    t.equal(rowOf(ada).role, 'user,admin')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
  })

  t.test('bans', async t => {
    const boss = await auth.signUp()
    rowOf(boss).role = 'admin'
    for (const [name, expiry] of [['without an end', {}], ['for an hour', { banExpiresIn: 3600 }]] as const) {
      const mallory = await auth.signUp()
      const session = { ...auth.db.session!.find(({ userId }) => userId === mallory.user.id)! }
      await callAdmin(auth, boss, 'ban-user', { userId: mallory.user.id, banReason: 'spam', ...expiry })
      t.equal(rowOf(mallory).banned, true)
      t.equal(await newToken(mallory).catch(() => undefined), undefined, `${name}: Better Auth ends the session`)
      // As if the session had outlived the ban: what the token then says is Better Auth's own wording of it.
      auth.db.session!.push(session)
      const token = await newToken(mallory)
      t.strictSame(await statuses(token), [403, 403, 403, 403], name)
      t.strictSame(await statuses(token), [403, 403, 403, 403], `${name}, cached`)
      if (name === 'for an hour') {
        rowOf(mallory).banExpires = new Date(Date.now() - 1000)
        t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], 'the hour is over')
      }
      await callAdmin(auth, boss, 'unban-user', { userId: mallory.user.id })
      t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], `${name}: the ban is lifted`)
    }
  })
})

t.test('permissions, beside the verdicts of `auth.api.userHasPermission`', async t => {
  const ac = createAccessControl({
    project: ['create', 'read', 'update', 'delete'], invoice: ['read', 'pay', 'refund'], user: ['list', 'ban']
  })
  const roles = {
    admin: ac.newRole({
      project: ['create', 'read', 'update', 'delete'], invoice: ['read', 'pay', 'refund'], user: ['list', 'ban']
    }),
    editor: ac.newRole({ project: ['create', 'read', 'update'] }),
    accountant: ac.newRole({ project: ['read'], invoice: ['read', 'pay'] }),
    user: ac.newRole({ project: ['read'] })
  }
  const auth = await startAuthServer({ plugins: [admin({ ac, roles })] })
  t.teardown(() => auth.close())
  const ada = await auth.signUp()
  const row = auth.db.user!.find(({ id }) => id === ada.user.id)!
  const hasPermission = (auth.api as {
    userHasPermission (input: { body: object }): Promise<{ success: boolean }>
  }).userHasPermission

  const REQUESTS: Permissions[] = [
    ...Object.entries(ac.statements).flatMap(([resource, actions]) => {
      return actions.map(action => ({ [resource]: [action] }))
    }),
    { project: ['create', 'update'] },
    { project: ['read', 'delete'] },
    { project: ['create', 'read', 'update', 'delete'] },
    { project: ['read'], invoice: ['read'] },
    { project: ['create'], invoice: ['read'] },
    { project: ['read'], invoice: ['read', 'pay'], user: ['list'] },
    { project: { actions: ['create', 'delete'], connector: 'AND' } },
    { project: { actions: ['create', 'delete'], connector: 'OR' } },
    { invoice: { actions: ['refund', 'pay'], connector: 'OR' } },
    {
      project: { actions: ['update', 'read'], connector: 'OR' },
      invoice: { actions: ['read', 'refund'], connector: 'OR' }
    },
    { project: { actions: ['delete', 'create'], connector: 'OR' }, invoice: ['read'] }
  ]

  async function serverSays (role: string, request: Permissions): Promise<boolean> {
    const entries = Object.entries(request)
    if (entries.every(([, actions]) => Array.isArray(actions))) {
      return (await hasPermission({ body: { role, permissions: request } })).success
    }
    // The API takes arrays only. So it is asked about each role and each action alone, by the same rules.
    const permits = async (role: string, resource: string, actions: Permissions[string] & object) => {
      const { actions: list, connector } = 'actions' in actions ? actions : { actions, connector: 'AND' }
      const verdicts = await Promise.all(list.map(action => serverSays(role, { [resource]: [action] })))
      return connector === 'OR' ? verdicts.includes(true) : !verdicts.includes(false)
    }
    for (const one of role.split(',')) {
      const verdicts = await Promise.all(entries.map(([resource, actions]) => permits(one, resource, actions!)))
      if (!verdicts.includes(false)) return true
    }
    return false
  }

  const app = await startApi(t, { authUrl: auth.origin, roles })
  for (const [index, permissions] of REQUESTS.entries()) {
    app.get(`/${index}`, { onRequest: app.authorize({ permissions }) }, async () => 'in')
  }
  const statusOf = async (url: string) => {
    return (await app.inject({ url, headers: bearer(await fetchToken(auth.origin, ada.cookie)) })).statusCode
  }

  let [count, granted] = [0, 0]
  for (const role of [
    'admin', 'editor', 'accountant', 'user', 'editor,accountant', 'accountant,editor', 'user,admin', 'user,editor',
    'ghost', 'ghost,editor', 'editor, accountant', 'Admin', 'admin ', 'admin,'
  ]) {
    row.role = role
    const headers = bearer(await fetchToken(auth.origin, ada.cookie))
    for (const [index, request] of REQUESTS.entries()) {
      const expected = await serverSays(role, request)
      const { statusCode } = await app.inject({ url: `/${index}`, headers })
      t.equal(statusCode === 200, expected, `${role}: ${JSON.stringify(request)}`)
      count++
      if (expected) granted++
    }
  }
  t.ok(count >= 250 && granted > 80 && granted < count - 80, `${granted} of ${count} are granted`)

  t.test('what a token cannot know', async t => {
    const readsProjects = REQUESTS.findIndex(request => Array.isArray(request.project) && request.project[0] === 'read')
    row.role = null
    t.equal((await hasPermission({ body: { userId: ada.user.id, permissions: { project: ['read'] } } })).success, true)
    t.equal(await statusOf(`/${readsProjects}`), 403, 'the server has a default role for users without a role')
    const own = await startApi(t, { authUrl: auth.origin, roles, rolesFrom: ({ role }) => role as string ?? 'user' })
    own.get('/', { onRequest: own.authorize({ permissions: { project: ['read'] } }) }, async () => 'in')
    const headers = bearer(await fetchToken(auth.origin, ada.cookie))
    t.equal((await own.inject({ url: '/', headers })).statusCode, 200, '`rolesFrom` can have it as well')
  })
})

t.test('a real Better Auth server with the organization plugin', async t => {
  const ac = createAccessControl({ ...ORGANIZATION_STATEMENTS, project: ['create', 'delete'] })
  const roles = {
    owner: ac.newRole({ project: ['create', 'delete'], member: ['create', 'delete'] }),
    admin: ac.newRole({ project: ['create'] }),
    member: ac.newRole({ project: [] })
  }
  const auth = await startAuthServer({
    jwt: {
      sessionCookieCache: true,
      jwt: {
        // As Better Auth's docs say how to put more into the token.
        definePayload: ({ user, session }) => {
          const member = auth.db.member!.find(({ userId, organizationId }) => {
            return userId === user.id && organizationId === session.activeOrganizationId
          })
          return { ...user, ...member && { o: { id: member.organizationId, slug: 'acme', role: member.role } } }
        }
      }
    },
    session: { cookieCache: { enabled: true, strategy: 'jwt' } },
    plugins: [organization({ ac, roles, creatorRole: 'owner' })]
  })
  t.teardown(() => auth.close())
  const log = captureLog()
  const app = await startApi(t, {
    authUrl: auth.origin,
    sessionCookie: true,
    roles,
    rolesFrom: ({ o }) => (o as { role?: string } | undefined)?.role
  }, log)
  const onRequest = [app.authorize({ organization: true })]
  app.get('/active', { onRequest }, async ({ principal }) => principal.organization)
  app.get('/orgs/:orgId', {
    onRequest: [app.authorize({ organization: request => request.params.orgId })]
  }, async () => 'in')
  app.get('/orgs/:orgId/projects', {
    onRequest: [app.authorize({ organization: request => request.params.orgId, permissions: { project: ['create'] } })]
  }, async () => 'in')
  app.get('/me', { onRequest: [app.authenticate] }, async ({ principal }) => principal.organization ?? 'none')

  const [ada, bob] = [await auth.signUp(), await auth.signUp()]
  const post = async (path: string, body: object, { cookie } = ada) => {
    const response = await fetch(`${auth.origin}/api/auth/organization/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: auth.origin, cookie },
      body: JSON.stringify(body)
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    // A browser keeps the new cookie instead of the old one.
    const renewed = response.headers.getSetCookie().map(line => line.split(';', 1)[0]!)
    return { body: await response.json() as { id: string }, cookie: renewed.join('; ') || cookie }
  }
  const get = async (url: string, headers: Record<string, string>) => {
    log.lines.length = 0
    const { statusCode, body } = await app.inject({ url, headers })
    return statusCode === 200 ? body : log.refusals()[0]!.reason
  }
  const tokenOf = async (cookie: string) => bearer(await fetchToken(auth.origin, cookie))

  t.equal(await get('/me', { cookie: ada.cookie }), 'none')
  t.equal(await get('/active', { cookie: ada.cookie }), 'organization_missing')
  t.equal(await get('/active', bearer(ada.token)), 'organization_missing')

  const acme = await post('create', { name: 'Acme', slug: 'acme' })
  const other = await post('create', { name: 'Other', slug: 'other', keepCurrentActiveOrganization: true })
  const [id, otherId] = [acme.body.id, other.body.id]
  const { cookie } = await post('set-active', { organizationId: id })

  t.test('the session cookie says which organization is active', async t => {
    t.strictSame(JSON.parse(await get('/active', { cookie }) as string), { id })
    t.equal(await get(`/orgs/${id}`, { cookie }), 'in')
    t.equal(await get(`/orgs/${otherId}`, { cookie }), 'organization_mismatch', 'also of an owner of both')
    t.equal(await get('/orgs/acme', { cookie }), 'organization_mismatch')
    t.equal(await get(`/orgs/${id}/projects`, { cookie }), 'permission_missing', 'it does not say the role')
  })

  t.test('a token says what `definePayload` puts into it', async t => {
    const headers = await tokenOf(cookie)
    t.strictSame(JSON.parse(await get('/active', headers) as string), { id, slug: 'acme', role: 'owner' })
    t.equal(await get(`/orgs/${id}/projects`, headers), 'in')
    t.equal(await get(`/orgs/${otherId}/projects`, headers), 'organization_mismatch')
    auth.db.member!.find(({ organizationId }) => organizationId === id)!.role = 'member'
    t.equal(await get(`/orgs/${id}/projects`, await tokenOf(cookie)), 'permission_missing')
    t.equal(await get(`/orgs/${id}/projects`, headers), 'in', 'an old token says what it said')
    auth.db.member!.find(({ organizationId }) => organizationId === id)!.role = 'owner'
  })

  t.test('a removed member keeps the active organization: the plugin does not know the membership', async t => {
    auth.db.member!.push({
      id: 'm_bob', organizationId: id, userId: bob.user.id, role: 'member', createdAt: new Date()
    })
    const active = await post('set-active', { organizationId: id }, bob)
    t.equal(await get(`/orgs/${id}`, { cookie: active.cookie }), 'in')
    await post('remove-member', { memberIdOrEmail: 'm_bob', organizationId: id }, { ...ada, cookie })
    t.notOk(auth.db.member!.some(({ userId }) => userId === bob.user.id))
    const session = auth.db.session!.find(({ userId }) => userId === bob.user.id)!
    t.equal(session.activeOrganizationId, id, 'Better Auth leaves it in the session')
    t.equal(await get(`/orgs/${id}`, { cookie: active.cookie }), 'in')
    t.equal(await get('/active', await tokenOf(active.cookie)), 'organization_missing', 'a new token looks it up')
  })
})

async function callAdmin (auth: AuthServer, { cookie }: SignedUp, path: string, body: object): Promise<void> {
  const response = await fetch(`${auth.origin}/api/auth/admin/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: auth.origin, cookie },
    body: JSON.stringify(body)
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
}
