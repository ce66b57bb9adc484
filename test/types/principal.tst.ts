import Fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  type BetterAuthOptions, type ClientPrincipal, type CredentialKind, type DelegatedPrincipal, type Principal,
  type ResourceOptions, type User, type UserPrincipal
} from '../../lib/index.js'

const app = Fastify()
await app.register(betterAuthPlugin, { authUrl: 'https://id.example.com', resource: 'https://api.example.com' })

const guard = app.authorize({ delegated: ['orders:read'], clients: ['orders:sync'] })

describe('request.principal', () => {
  test('is one of three kinds, whatever types the route has', () => {
    expect<Principal>().type.toBe<UserPrincipal | DelegatedPrincipal | ClientPrincipal>()
    expect<Principal['kind']>().type.toBe<'user' | 'delegated' | 'client'>()
    expect<FastifyRequest['principal']>().type.toBe<Principal>()
    expect<FastifyRequest<{ Params: { id: string } }>['principal']>().type.toBe<Principal>()
    app.get('/', { onRequest: [guard] }, async request => {
      expect(request.principal).type.toBe<Principal>()
      expect(request.principal.sessionId).type.toBe<string | null>()
      expect(request.principal.expiresAt).type.toBe<number>()
      expect(request.principal.via).type.toBe<CredentialKind>()
      expect(request.principal).type.not.toHaveProperty('user')
      expect(request.principal).type.not.toHaveProperty('clientId')
      expect(request.principal).type.not.toHaveProperty('scopes')
    })
  })

  test('is narrowed by its kind in a switch, which can be exhaustive', () => {
    app.get('/orders', { onRequest: [guard] }, async ({ principal }) => {
      switch (principal.kind) {
        case 'user':
          expect(principal).type.toBe<UserPrincipal>()
          expect(principal.user).type.toBe<User>()
          expect(principal).type.not.toHaveProperty('clientId')
          return principal.user.id
        case 'delegated':
          expect(principal).type.toBe<DelegatedPrincipal>()
          expect(principal.user).type.toBe<User>()
          expect(principal.clientId).type.toBe<string>()
          expect(principal.scopes).type.toBe<readonly string[]>()
          return principal.user.id
        case 'client':
          expect(principal).type.toBe<ClientPrincipal>()
          expect(principal.clientId).type.toBe<string>()
          expect(principal.scopes).type.toBe<readonly string[]>()
          expect(principal).type.not.toHaveProperty('user')
          return principal.clientId
        default:
          expect(principal).type.toBe<never>()
      }
    })
  })

  test('is narrowed in place, as a member of the request', () => {
    app.get('/me', { onRequest: [guard] }, async request => {
      switch (request.principal.kind) {
        case 'user': return request.principal.user.id
        case 'delegated': return request.principal.user.id + request.principal.clientId
        case 'client': {
          expect(request.principal).type.toBe<ClientPrincipal>()
          return request.principal.scopes.length
        }
      }
    })
  })

  test('cannot be changed, except for its user', () => {
    expect<Readonly<UserPrincipal>>().type.toBe<UserPrincipal>()
    expect<Readonly<DelegatedPrincipal>>().type.toBe<DelegatedPrincipal>()
    expect<Readonly<ClientPrincipal>>().type.toBe<ClientPrincipal>()
  })
})

describe('a check', () => {
  test('gets the principal, and may ignore it', () => {
    app.authorize({
      clients: ['orders:sync'],
      check (user, _claims, request, principal) {
        expect(user).type.toBe<User>()
        expect(request).type.toBe<FastifyRequest>()
        expect(principal).type.toBe<Principal>()
        return principal.kind !== 'client' || principal.clientId === 'sync_1'
      }
    })
    expect(app.authorize).type.toBeCallableWith({ check: (user: User) => user.emailVerified })
  })
})

describe('the option "resource"', () => {
  test('is a URL, or an object with one', () => {
    expect<BetterAuthOptions['resource']>().type.toBe<string | ResourceOptions | undefined>()
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, {
      resource: {
        url: 'https://api.example.com',
        issuer: undefined,
        scopes: ['orders:read'] as const,
        scopeIncludes: { 'orders:write': ['orders:read'] } as const
      }
    })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { resource: {} })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { resource: ['https://api.example.com'] })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, {
      resource: { url: 'https://api.example.com', scopeIncludes: { 'orders:write': 'orders:read' } }
    })
  })
})
