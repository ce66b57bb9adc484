import { createAccessControl } from 'better-auth/plugins/access'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  InvalidOptionError, type AccessRole, type BetterAuthOptions, type Guard, type Permissions
} from '../../lib/index.js'
import { bearer, captureLog, startApi, type LogCapture } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const ac = createAccessControl({ project: ['create', 'update', 'delete'], invoice: ['read', 'pay'] })
const ROLES = {
  admin: ac.newRole({ project: ['create', 'update', 'delete'], invoice: ['read', 'pay'] }),
  editor: ac.newRole({ project: ['create', 'update'] }),
  accountant: ac.newRole({ invoice: ['read'] })
}
const CREATE: Permissions = { project: ['create'] }

/** What `authorize()` throws for a guard, with these options. */
async function messageOf (t: Test, given: unknown, options: BetterAuthOptions = { roles: ROLES }): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  try {
    await app.register(betterAuthPlugin, { authUrl: 'https://id.example.com', ...options })
    app.authorize(given as Guard)
  } catch (error) {
    t.type(error, InvalidOptionError)
    return (error as Error).message
  }
  return 'accepted'
}

t.test('a guard with permissions that no role has fails at boot', async t => {
  const prefix = 'Option "authorize.permissions'
  const shape = " must be a non-empty object with actions by resource, such as { project: ['create'] }, got "
  const list = ".project\" must be a non-empty array of actions, or { actions: […], connector: 'AND' | 'OR' }, got "
  const resources = ', which none of the "roles" has. Known resources: project, invoice'
  const rows: Array<[permissions: unknown, message: string]> = [
    [{}, `"${shape}{}`],
    [null, `"${shape}null`],
    ['project', `"${shape}'project'`],
    [['project'], `"${shape}[ 'project' ]`],
    [() => CREATE, `"${shape}[Function (anonymous)]`],
    [new Map([['project', ['create']]]), `"${shape}Map(1) { 'project' => [ 'create' ] }`],
    [Object.create(CREATE), `"${shape}{}`],
    [{ project: [] }, `${list}[]`],
    [{ project: 'create' }, `${list}'create'`],
    [{ project: undefined }, `${list}undefined`],
    [{ project: null }, `${list}null`],
    [{ project: true }, `${list}true`],
    [{ project: [''] }, `${list}[ '' ]`],
    [{ project: ['create', 7] }, `${list}[ 'create', 7 ]`],
    [{ project: Array(1) }, `${list}[ <1 empty item> ]`],
    [{ project: {} }, `${list}{}`],
    [{ project: { actions: [] } }, `${list}{ actions: [] }`],
    [{ project: { actions: 'create' } }, `${list}{ actions: 'create' }`],
    [{ project: { actions: ['create'], connector: 'or' } }, `${list}{ actions: [ 'create' ], connector: 'or' }`],
    [{ project: { actions: ['create'], action: 'x' } }, `${list}{ actions: [ 'create' ], action: 'x' }`],
    [{ projects: ['create'] }, `" asks for the resource "projects"${resources}. Did you mean "project"?`],
    [{ project: ['create'], team: ['x'] }, `" asks for the resource "team"${resources}`],
    [{ constructor: ['create'] }, `" asks for the resource "constructor"${resources}`],
    [JSON.parse('{"__proto__":["create"]}'), `" asks for the resource "__proto__"${resources}`],
    [
      { project: ['update', 'Create'] },
      '.project" asks for the action "Create", which none of the "roles" has. Known actions: create, update, delete. ' +
        'Did you mean "create"?'
    ],
    [
      { invoice: { actions: ['read', 'print'], connector: 'OR' } },
      '.invoice" asks for the action "print", which none of the "roles" has. Known actions: read, pay'
    ]
  ]
  for (const [permissions, message] of rows) t.equal(await messageOf(t, { permissions }), prefix + message, message)
  t.equal(await messageOf(t, { permissions: { project: ['create', 'delete'], invoice: ['pay'] } }), 'accepted')
  t.equal(await messageOf(t, { permissions: { project: { actions: ['create'] } } }), 'accepted')
  t.equal(await messageOf(t, { permissions: CREATE }, {}), `${prefix}" needs the option "roles": the role objects of ` +
    'your Better Auth server, by name')
  t.match(await messageOf(t, { permission: CREATE }), /Did you mean "authorize\.permissions"\?$/)
})

t.test('misspelt names are found only if all roles say what they have', async t => {
  const authorize = (): { success: boolean } => ({ success: true })
  for (const statements of [undefined, null, 'project', { project: 'create' }]) {
    const roles = { admin: ROLES.admin, other: { authorize, statements } } as unknown as BetterAuthOptions['roles']
    t.equal(await messageOf(t, { permissions: { projcet: ['x'] } }, { roles }), 'accepted')
  }
})

t.test('roles that are not role objects fail at boot', async t => {
  const shape = 'Option "roles" must be an object with the role objects of Better Auth, by name, got '
  const empty = 'Option "roles" must be a non-empty object with role objects of Better Auth by name, such as ' +
    '{ editor: ac.newRole({ … }) }, got '
  const named = 'Option "roles" must be an object with names of roles, without commas or surrounding spaces, got '
  const role = 'Option "roles.admin" must be a role object of Better Auth, made with newRole(), got '
  for (const [roles, message] of [
    [null, `${shape}null`],
    [['admin'], `${shape}[ 'admin' ]`],
    ['admin', `${shape}'admin'`],
    [{}, `${empty}{}`],
    [Object.create(ROLES), `${empty}{}`],
    [{ 'admin,editor': ROLES.admin }, `${named}'admin,editor'`],
    [{ ' admin': ROLES.admin }, `${named}' admin'`],
    [{ '': ROLES.admin }, `${named}''`],
    [{ admin: undefined }, `${role}undefined`],
    [{ admin: null }, `${role}null`],
    [{ admin: 'all' }, `${role}'all'`],
    [{ admin: { project: ['create'] } }, `${role}{ project: [ 'create' ] }`],
    [{ admin: { authorize: true } }, `${role}{ authorize: true }`]
  ] as const) {
    t.equal(await messageOf(t, { permissions: CREATE }, { roles } as unknown as BetterAuthOptions), message)
  }
  t.match(await messageOf(t, {}, { ac } as unknown as BetterAuthOptions), /Did you mean "roles"\?$/)
})

const issuer = await startIssuer(t, { algorithm: 'HS256' })
const ISSUER: BetterAuthOptions = { authUrl: issuer.authUrl, secret: issuer.secret! }

/** The reason for which a guard refuses these claims, or `passes`; with a cold cache, and with a warm one. */
async function createJudge (
  t: Test, permissions: Permissions, options: BetterAuthOptions = { roles: ROLES }, log: LogCapture = captureLog()
): Promise<(claims: Record<string, unknown>) => Promise<unknown>> {
  const app = await startApi(t, { ...ISSUER, ...options }, log)
  app.get('/', { onRequest: app.authorize({ permissions }) }, async () => 'in')
  return async claims => {
    const headers = bearer(issuer.token(claims))
    const reasons = []
    for (const memory of ['cold', 'warm']) {
      log.lines.length = 0
      const { statusCode } = await app.inject({ url: '/', headers })
      const [refusal] = log.refusals()
      t.equal(statusCode, refusal === undefined ? 200 : 403, `${JSON.stringify(claims)}, ${memory}`)
      reasons.push(refusal?.reason ?? 'passes')
    }
    t.equal(reasons[0], reasons[1])
    return reasons[0]
  }
}

t.test('a single role must have all permissions; `constructor` and `__proto__` are not roles', async t => {
  const judge = await createJudge(t, { project: ['create', 'update'], invoice: { actions: ['read'], connector: 'OR' } })
  for (const role of ['admin', 'user,admin', 'admin,editor', ['x', 'admin']]) t.equal(await judge({ role }), 'passes')
  for (const role of [
    undefined, null, '', ',', 'editor', 'accountant', 'editor,accountant', ['editor', 'accountant'], 'user', 'Admin',
    ' admin', 'admin ', 'ad,min', ['user,admin'], '*', 'constructor', '__proto__', 'toString', 'hasOwnProperty', 'get',
    'size', true, 1, {}, { admin: true }, [['admin']], ['admin', 7]
  ]) t.equal(await judge({ role }), 'permission_missing', JSON.stringify(role))
  t.equal(await judge({ roles: 'admin', permissions: { project: ['create'] } }), 'permission_missing')
})

t.test('if `authorize` of a role throws or returns no verdict, the request is refused', async t => {
  const role = (authorize: () => unknown) => ({ authorize }) as AccessRole
  for (const [name, broken, message] of [
    ['a throw', role(() => { throw new Error('broken') }), 'broken'],
    ['a promise of success', role(async () => ({ success: true })), /must return/],
    ['a promise that is rejected', role(async () => { throw new Error('later') }), /must return/],
    ['true', role(() => true), /must return/],
    ['nothing', role(() => undefined), /undefined/],
    ['1 as success', role(() => ({ success: 1 })), /must return/],
    ['a request that it wants to change', role((...[request]: never[]) => {
      (request as unknown as { project: string[] }).project.push('delete')
      return { success: true }
    }), /not extensible/],
    ['another property of the request', role((...[request]: never[]) => {
      Object.assign(request!, { team: [] })
      return { success: true }
    }), /not extensible/]
  ] as const) {
    const log = captureLog()
    const judge = await createJudge(t, CREATE, { roles: { broken, admin: ROLES.admin } }, log)
    t.equal(await judge({ role: 'broken' }), 'role_failed', name)
    t.match(log.refusals(), [{ err: { message } }], name)
    t.equal(await judge({ role: 'broken,admin' }), 'role_failed', `${name}, before a role that has it`)
    t.equal(await judge({ role: 'admin,broken' }), 'passes', `${name}, after a role that has it`)
  }
  const refusing = await createJudge(t, CREATE, { roles: { no: role(() => ({ success: false })) } })
  t.equal(await refusing({ role: 'no' }), 'permission_missing')
})

t.test('changes to the roles or the guard after the boot have no effect', async t => {
  const roles: Record<string, AccessRole> = { ...ROLES }
  const actions = ['delete']
  const either = { actions: ['pay'], connector: 'OR' as 'OR' | 'AND' }
  const permissions = { project: actions, invoice: either }
  const app = await startApi(t, { ...ISSUER, roles })
  app.get('/', { onRequest: app.authorize({ permissions }) }, async () => 'in')
  await app.ready()
  roles.editor = ROLES.admin
  Object.assign(permissions, { project: ['create'], invoice: ['read'] })
  actions[0] = 'create'
  either.actions[0] = 'read'
  const get = async (role: string) => {
    return (await app.inject({ url: '/', headers: bearer(issuer.token({ role })) })).statusCode
  }
  t.strictSame([await get('editor'), await get('admin')], [403, 200])
  const guard = app.betterAuth.routes()[0]!.guards[0]!
  t.strictSame(guard, { permissions: { project: ['delete'], invoice: { actions: ['pay'], connector: 'OR' } } })
  t.throws(() => Object.assign(guard.permissions!, { project: ['create'] }), TypeError)
  t.throws(() => (guard.permissions!.project as string[]).push('x'), TypeError)
  t.throws(() => ((guard.permissions!.invoice as { actions: string[] }).actions.length = 0), TypeError)
  t.throws(() => Object.assign(guard.permissions!.invoice!, { connector: 'AND' }), TypeError)
})

t.test('a role object is called as a method, with a request in its own shape', async t => {
  const calls: unknown[] = []
  class Role {
    readonly allowed = true
    authorize (...args: unknown[]): { success: boolean } {
      calls.push(args)
      return { success: this.allowed }
    }
  }
  const judge = await createJudge(t, { a: ['x'], b: { actions: ['y', 'z'] } }, { roles: { some: new Role() } })
  t.equal(await judge({ role: 'some' }), 'passes')
  t.strictSame(calls[0], [{ a: ['x'], b: { actions: ['y', 'z'], connector: 'AND' } }])
})
