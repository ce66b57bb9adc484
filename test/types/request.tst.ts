import type { Static } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, { UserSchema, type Claims, type User } from '../../lib/index.js'

const app = Fastify()
await app.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })

describe('request.user', () => {
  test('is a User in a handler, and none of its members is any', () => {
    app.get('/', { onRequest: [app.authenticate] }, async request => {
      expect(request.user).type.toBe<User>()
      expect(request.user.id).type.toBe<string>()
      expect(request.user.email).type.toBe<string | null>()
      expect(request.user.name).type.toBe<string | null>()
      expect(request.user.emailVerified).type.toBe<boolean>()
      expect(request.user.image).type.toBe<string | null>()
      expect(request.user).type.not.toHaveProperty('role')
    })
  })

  test('is a User whatever types the route has', () => {
    expect<FastifyRequest['user']>().type.toBe<User>()
    expect<FastifyRequest<{ Params: { id: string } }>['user']>().type.toBe<User>()
    app.post<{ Params: { id: string }, Body: { text: string }, Querystring: { q?: string } }>('/:id', async request => {
      expect(request.user).type.toBe<User>()
      expect(request.params).type.toBe<{ id: string }>()
      expect(request.body).type.toBe<{ text: string }>()
      expect(request.query).type.toBe<{ q?: string }>()
    })
    app.addHook('preHandler', async request => { expect(request.user).type.toBe<User>() })
    app.setErrorHandler((_error, request) => { expect(request.user).type.toBe<User>() })
  })
})

describe('request.claims', () => {
  test('are Claims in a handler, and none of their members is any', () => {
    app.get('/claims', { onRequest: [app.authenticate] }, async request => {
      expect(request.claims).type.toBe<Claims>()
      expect(request.claims.iss).type.toBe<string | undefined>()
      expect(request.claims.sub).type.toBe<string | undefined>()
      expect(request.claims.aud).type.toBe<string | string[] | undefined>()
      expect(request.claims.exp).type.toBe<number>()
      expect(request.claims.nbf).type.toBe<number | undefined>()
      expect(request.claims.iat).type.toBe<number | undefined>()
      expect(request.claims.jti).type.toBe<string | undefined>()
    })
    expect<FastifyRequest<{ Params: { id: string } }>['claims']>().type.toBe<Claims>()
  })

  test('that are not registered have the type unknown', () => {
    expect<Claims['role']>().type.toBe<unknown>()
    expect<Claims['email']>().type.toBe<unknown>()
    expect<Claims['emailVerified']>().type.toBe<unknown>()
    expect<Claims[string]>().type.toBe<unknown>()
    expect<Claims>().type.not.toBeAssignableTo<{ role: string }>()
  })
})

describe('request.session', () => {
  test('is not declared unless Register asks for it, so that other plugins may declare it', () => {
    expect<FastifyRequest>().type.not.toHaveProperty('session')
  })
})

describe('UserSchema', () => {
  test('describes the type User', () => {
    expect<Static<typeof UserSchema>>().type.toBe<User>()
    expect<User>().type.toBe<{
      id: string
      email: string | null
      name: string | null
      emailVerified: boolean
      image: string | null
    }>()
  })

  test('works as a response schema', () => {
    expect(app.get).type.toBeCallableWith(
      '/me', { schema: { response: { 200: UserSchema } } }, async (request: FastifyRequest) => request.user
    )
  })
})

describe('@fastify/jwt', () => {
  test('keeps its own types, and accepts Claims', () => {
    app.get('/jwt', async request => {
      expect(await request.jwtVerify()).type.toBeAssignableTo<object | string>()
      expect(request.jwtVerify<Claims>()).type.toBe<Promise<Claims>>()
    })
    expect<FastifyInstance>().type.toHaveProperty('jwt')
  })
})
