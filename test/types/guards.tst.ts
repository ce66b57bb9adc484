import fastifyAuth from '@fastify/auth'
import Fastify, {
  type FastifyInstance, type FastifyRequest, type onRequestAsyncHookHandler, type onRequestHookHandler,
  type preHandlerAsyncHookHandler, type preHandlerHookHandler, type preParsingAsyncHookHandler,
  type preParsingHookHandler, type preValidationAsyncHookHandler, type preValidationHookHandler
} from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  getUser, type Authenticate, type BetterAuthOptions, type Claims, type Guard, type Principal, type Session,
  type SessionCookieOptions, type SessionCookieUser, type User
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
      .toBe<(claims: Claims, request: FastifyRequest) => boolean | Promise<boolean>>()
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
