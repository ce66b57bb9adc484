import fastifyAuth from '@fastify/auth'
import Fastify, {
  type FastifyInstance, type FastifyRequest, type onRequestAsyncHookHandler, type onRequestHookHandler,
  type preHandlerAsyncHookHandler, type preHandlerHookHandler, type preParsingAsyncHookHandler,
  type preParsingHookHandler, type preValidationAsyncHookHandler, type preValidationHookHandler
} from 'fastify'
import { createAccessControl, type Role } from 'better-auth/plugins/access'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  getUser, type AccessRole, type Actions, type Authenticate, type BetterAuthOptions, type Claims, type Guard,
  type Organization, type Permissions, type Principal, type Session, type SessionCookieOptions, type SessionCookieUser,
  type User
} from '../../lib/index.js'

const app = Fastify()
await app.register(betterAuthPlugin)
await app.register(fastifyAuth)

interface Route {
  Params: { id: string }
  Body: { text: string }
  Reply: { 200: { ok: true }, 404: { error: string } }
}

const admin = app.authorize({ roles: ['admin'] })

describe('fastify.authenticateOptional and fastify.authorize()', () => {
  test('are typed', () => {
    expect<FastifyInstance['authenticateOptional']>().type.toBe<Authenticate>()
    expect<FastifyInstance['authorize']>().type.toBe<(guard: Guard) => Authenticate>()
    expect(admin).type.toBe<Authenticate>()
  })

  test('are hooks of each kind', () => {
    expect(app.authenticateOptional).type.toBeAssignableTo<onRequestHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<onRequestAsyncHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preParsingHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preParsingAsyncHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preValidationHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preValidationAsyncHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preHandlerHookHandler>()
    expect(app.authenticateOptional).type.toBeAssignableTo<preHandlerAsyncHookHandler>()
    expect(admin).type.toBeAssignableTo<onRequestHookHandler>()
    expect(admin).type.toBeAssignableTo<onRequestAsyncHookHandler>()
    expect(admin).type.toBeAssignableTo<preParsingHookHandler>()
    expect(admin).type.toBeAssignableTo<preParsingAsyncHookHandler>()
    expect(admin).type.toBeAssignableTo<preValidationHookHandler>()
    expect(admin).type.toBeAssignableTo<preValidationAsyncHookHandler>()
    expect(admin).type.toBeAssignableTo<preHandlerHookHandler>()
    expect(admin).type.toBeAssignableTo<preHandlerAsyncHookHandler>()
  })

  test('are hooks of a scope, and of a route', () => {
    for (const hook of [app.authenticateOptional, admin]) {
      app.addHook('onRequest', hook)
      app.addHook('preParsing', hook)
      app.addHook('preValidation', hook)
      app.addHook('preHandler', hook)
      app.addHook<Route>('onRequest', hook)
      app.get(
        '/a',
        { onRequest: hook, preParsing: hook, preValidation: hook, preHandler: hook },
        async request => request.user
      )
      app.get(
        '/b', { onRequest: [hook], preParsing: [hook], preValidation: [hook], preHandler: [hook] }, async () => {}
      )
      app.post<Route>('/:id', {
        onRequest: hook,
        preParsing: [hook],
        preValidation: hook,
        preHandler: [hook]
      }, async request => {
        expect(request.params.id).type.toBe<string>()
        return { ok: true as const }
      })
      app.route<Route>({
        method: 'POST',
        url: '/:id/c',
        onRequest: [hook],
        handler: async () => ({ ok: true as const })
      })
    }
  })

  test('work in @fastify/auth and when called by hand', () => {
    app.get('/auth', { onRequest: app.auth([admin, app.authenticateOptional]) }, async (request, reply) => {
      expect(admin(request, reply)).type.toBe<Promise<void>>()
      expect(app.authenticateOptional(request, reply)).type.toBe<Promise<void>>()
    })
  })
})

describe('a guard', () => {
  test('has clients of both kinds, users, roles, scopes and a check', () => {
    expect<keyof Guard>().type.toBe<
      'delegated' | 'clients' | 'users' | 'roles' | 'permissions' | 'organization' | 'scopes' | 'check'
    >()
    expect<Guard['delegated']>().type.toBe<readonly string[] | undefined>()
    expect<Guard['clients']>().type.toBe<readonly string[] | undefined>()
    expect<Guard['users']>().type.toBe<boolean | undefined>()
    expect<Guard['roles']>().type.toBe<readonly string[] | undefined>()
    expect<Guard['scopes']>().type.toBe<readonly string[] | undefined>()
    expect<NonNullable<Guard['check']>>().type.toBe<
      (user: User, claims: Claims, request: FastifyRequest, principal: Principal) => boolean | Promise<boolean>
    >()
    expect(app.authorize).type.toBeCallableWith({
      delegated: ['orders:read'] as const, clients: ['orders:sync'] as const, users: false
    })
    expect(app.authorize).type.toBeCallableWith({
      roles: ['admin'] as const, scopes: ['read:orders'], check: async () => true
    })
    expect(app.authorize).type.toBeCallableWith({ check: (user: User) => user.emailVerified })
  })

  test('with a misspelt name or a wrong type is refused', () => {
    expect(app.authorize).type.not.toBeCallableWith()
    expect(app.authorize).type.not.toBeCallableWith({ role: ['admin'] })
    expect(app.authorize).type.not.toBeCallableWith({ roles: 'admin' })
    expect(app.authorize).type.not.toBeCallableWith({ scopes: 'read:orders' })
    expect(app.authorize).type.not.toBeCallableWith({ delegated: true })
    expect(app.authorize).type.not.toBeCallableWith({ client: ['orders:sync'] })
    expect(app.authorize).type.not.toBeCallableWith({ delegated: ['orders:read'], users: 'no' })
    expect(app.authorize).type.not.toBeCallableWith({ check: () => 'yes' })
    expect(app.authorize).type.not.toBeCallableWith({ check: () => undefined })
    expect(app.authorize).type.not.toBeCallableWith({ check: async () => 1 })
  })
})

describe('permissions', () => {
  test('may have any names, unless the application declares its roles', () => {
    expect<Guard['permissions']>().type.toBe<Permissions | undefined>()
    expect<Permissions>().type.toBe<{ readonly [resource: string]: Actions | undefined }>()
    expect<Actions>().type.toBe<
      readonly string[] | { readonly actions: readonly string[], readonly connector?: 'AND' | 'OR' | undefined }
    >()
    expect(app.authorize).type.toBeCallableWith({ permissions: { project: ['create'] } })
    expect(app.authorize).type.toBeCallableWith({ permissions: { project: ['create'] as const } })
    expect(app.authorize).type.toBeCallableWith({
      permissions: { project: { actions: ['create'], connector: 'OR' }, member: { actions: ['update'] } }
    })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: ['create'] })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: 'create' } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: { actions: 'create' } } })
    expect(app.authorize).type.not.toBeCallableWith({
      permissions: { project: { actions: ['create'], connector: 'XOR' } }
    })
  })

  test('roles are objects with authorize(), such as those of Better Auth', () => {
    const ac = createAccessControl({ project: ['create', 'delete'] })
    const roles = { admin: ac.newRole({ project: ['create', 'delete'] }), user: ac.newRole({}) }
    expect(roles).type.toBeAssignableTo<NonNullable<BetterAuthOptions['roles']>>()
    expect<Role>().type.toBeAssignableTo<AccessRole>()
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, { roles })
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, {
      roles: { all: { authorize: (_request: Permissions) => ({ success: true }) } }
    })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { roles: { admin: { project: ['create'] } } })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { roles: { admin: { authorize: () => true } } })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, {
      roles: { admin: { authorize: async () => ({ success: true }) } }
    })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { roles: ['admin'] })
  })

  test('rolesFrom and organizationFrom get the claims and the session, and return at once', () => {
    expect<Parameters<NonNullable<BetterAuthOptions['rolesFrom']>>>().type.toBe<
      [claims: Claims, session: Session | null]
    >()
    expect<Parameters<NonNullable<BetterAuthOptions['organizationFrom']>>>().type.toBe<
      [claims: Claims, session: Session | null]
    >()
    expect<ReturnType<NonNullable<BetterAuthOptions['organizationFrom']>>>().type.toBe<
      Organization | null | undefined
    >()
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, {
      rolesFrom: (claims: Claims) => (claims.o as { role?: string } | undefined)?.role
    })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { rolesFrom: (claims: Claims) => claims.role })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { rolesFrom: async () => 'admin' })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { organizationFrom: () => 'org_1' })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { organizationFrom: async () => null })
  })
})

describe('an organization', () => {
  test('is asked for by true, or by a function that reads its id from the request', () => {
    app.authorize({ organization: true })
    app.authorize({
      organization (request) {
        expect(request).type.toBeAssignableTo<FastifyRequest>()
        expect(request.params.orgId).type.toBe<string | undefined>()
        return request.params.orgId
      }
    })
    app.authorize({ organization: request => (request.params as { orgId: string }).orgId })
    app.authorize({ organization: (request: FastifyRequest) => request.hostname })
    app.authorize({ organization: (request: FastifyRequest<{ Params: { orgId: string } }>) => request.params.orgId })
    expect(app.authorize).type.not.toBeCallableWith({ organization: false })
    expect(app.authorize).type.not.toBeCallableWith({ organization: 'org_1' })
    expect(app.authorize).type.not.toBeCallableWith({ organization: async () => 'org_1' })
    expect(app.authorize).type.not.toBeCallableWith({ organization: () => true })
  })

  test('is part of every principal, or null', () => {
    expect<Principal['organization']>().type.toBe<Organization | null>()
    expect<Organization>().type.toBe<{
      readonly id: string, readonly slug?: string | undefined, readonly role?: string | undefined
    }>()
  })
})

describe('getUser() and request.session', () => {
  test('getUser() returns a User or null', () => {
    expect(getUser).type.toBe<(request: FastifyRequest) => User | null>()
    app.get('/visitors', { onRequest: app.authenticateOptional }, async request => {
      expect(getUser(request)).type.toBe<User | null>()
    })
    app.post<Route>('/:id/visitors', async request => {
      expect(getUser).type.toBeCallableWith(request)
      return { ok: true as const }
    })
  })

  test('request.session is not typed unless the application declares it; a Session has its fields', () => {
    expect<FastifyRequest>().type.not.toHaveProperty('session')
    expect<Session['userId']>().type.toBe<string>()
    expect<Session['token']>().type.toBe<string>()
    expect<Session['expiresAt']>().type.toBe<string>()
    expect<Session['ipAddress']>().type.toBe<unknown>()
  })
})

describe('the options', () => {
  test('are typed', () => {
    expect<BetterAuthOptions['sessionCookie']>().type.toBe<boolean | SessionCookieOptions | undefined>()
    expect<SessionCookieOptions>().type.toBe<{
      prefix?: string | undefined
      name?: string | undefined
      secure?: boolean | undefined
      secret?: string | undefined
      version?: string | ((session: Session, user: SessionCookieUser) => string | Promise<string>) | undefined
      trustedOrigins?: readonly string[] |
        ((origin: string | undefined, request: FastifyRequest) => boolean) | undefined
    }>()
    expect<NonNullable<BetterAuthOptions['extractToken']>>().type
      .toBe<(request: FastifyRequest) => string | undefined>()
    expect<NonNullable<BetterAuthOptions['isRevoked']>>().type
      .toBe<(claims: Claims, request: FastifyRequest | undefined) => boolean | Promise<boolean>>()
  })

  test('of the wrong type are refused', () => {
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { extractToken: async () => 'token' })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { isRevoked: () => undefined })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { userSchema: { type: 'object' } })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, {
      sessionCookie: { trustedOrigin: 'https://app.example.com' }
    })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, {
      sessionCookie: { trustedOrigins: async () => true }
    })
  })
})
