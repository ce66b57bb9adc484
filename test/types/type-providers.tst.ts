import type {
  FastifyPluginAsyncTypebox as Plugin6, TypeBoxTypeProvider as Provider6
} from '@fastify/type-provider-typebox'
import { Type as Type034 } from '@sinclair/typebox'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { describe, expect, test } from 'tstyche'
import type { FastifyPluginAsyncTypebox as Plugin5, TypeBoxTypeProvider as Provider5 } from 'type-provider-typebox-5'
import { Type as Type1 } from 'typebox'
import betterAuthPlugin, { UserSchema, type Authenticate, type BetterAuthOptions, type User } from '../../lib/index.js'

declare function accept (options: BetterAuthOptions): void

const userOf = async (request: { user: User }): Promise<User> => request.user

describe('@fastify/type-provider-typebox 5, with @sinclair/typebox 0.34', () => {
  const typed = Fastify().withTypeProvider<Provider5>()
  typed.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })

  test('leaves the hooks unchanged', () => {
    expect(typed.authenticate).type.toBe<Authenticate>()
    typed.addHook('onRequest', typed.authenticate)
    typed.post('/', {
      onRequest: [typed.authenticate],
      preParsing: typed.authenticateOptional,
      preHandler: [typed.authorize({ roles: ['admin'] })],
      schema: {
        body: Type034.Object({ text: Type034.String() }),
        querystring: Type034.Object({ page: Type034.Optional(Type034.Integer()) })
      }
    }, async (request, reply) => {
      expect(typed.authenticate(request, reply)).type.toBe<Promise<void>>()
      expect(request.body).type.toBe<{ text: string }>()
      expect(request.query).type.toBe<{ page?: number }>()
      expect(request.user).type.toBe<User>()
    })
  })

  test('infers UserSchema in a request and enforces it in a response', () => {
    typed.post('/', {
      schema: { body: UserSchema, querystring: Type034.Object({ owner: UserSchema }) }
    }, async request => {
      expect(request.body).type.toBe<User>()
      expect(request.query).type.toBe<{ owner: User }>()
    })
    expect(typed.get).type.toBeCallableWith('/', { schema: { response: { 200: UserSchema } } }, userOf)
    expect(typed.get).type.not.toBeCallableWith(
      '/', { schema: { response: { 200: UserSchema } } }, async () => ({ id: 'u_1' })
    )
  })

  test('knows the decorators in a typed plugin', () => {
    const plugin: Plugin5 = async scope => {
      await scope.register(betterAuthPlugin)
      scope.get('/', {
        onRequest: scope.authenticate,
        schema: { querystring: Type034.Object({ q: Type034.String() }) }
      }, async request => {
        expect(request.query).type.toBe<{ q: string }>()
        expect(request.user).type.toBe<User>()
      })
    }
    expect(Fastify().register).type.toBeCallableWith(plugin)
  })
})

describe('@fastify/type-provider-typebox 6, with typebox 1', () => {
  const typed = Fastify().withTypeProvider<Provider6>()
  typed.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })

  test('leaves the hooks unchanged', () => {
    expect(typed.authenticate).type.toBe<Authenticate>()
    typed.addHook('onRequest', typed.authenticate)
    typed.post('/', {
      onRequest: [typed.authenticate],
      preParsing: typed.authenticateOptional,
      preHandler: [typed.authorize({ roles: ['admin'] })],
      schema: {
        body: Type1.Object({ text: Type1.String() }),
        querystring: Type1.Object({ page: Type1.Optional(Type1.Integer()) })
      }
    }, async (request, reply) => {
      expect(typed.authenticate(request, reply)).type.toBe<Promise<void>>()
      expect(request.body).type.toBe<{ text: string }>()
      expect(request.query).type.toBe<{ page?: number }>()
      expect(request.user).type.toBe<User>()
    })
  })

  test('infers UserSchema in a request and enforces it in a response, although the other TypeBox made it', () => {
    typed.post('/', {
      schema: { body: UserSchema, querystring: Type1.Object({ owner: UserSchema }) }
    }, async request => {
      expect(request.body).type.toBe<User>()
      expect(request.query).type.toBe<{ owner: User }>()
    })
    expect(typed.get).type.toBeCallableWith('/', { schema: { response: { 200: UserSchema } } }, userOf)
    expect(typed.get).type.not.toBeCallableWith(
      '/', { schema: { response: { 200: UserSchema } } }, async () => ({ id: 'u_1' })
    )
  })

  test('infers most schemas of @sinclair/typebox, but no enum, date or transform', () => {
    const body = Type034.Object({
      text: Type034.Optional(Type034.String()),
      choice: Type034.Union([Type034.Literal('a'), Type034.Literal('b')]),
      list: Type034.Array(Type034.Integer()),
      record: Type034.Record(Type034.String(), Type034.Boolean())
    })
    enum Plan { Free = 'free' }
    const querystring = Type034.Object({
      plan: Type034.Enum(Plan),
      since: Type034.Date(),
      length: Type034.Transform(Type034.String()).Decode(text => text.length).Encode(String)
    })
    typed.post('/', { schema: { body, querystring } }, async request => {
      expect(request.body).type.toBe<{
        text?: string
        choice: 'a' | 'b'
        list: number[]
        record: { [name: string]: boolean }
      }>()
      expect(request.query).type.toBe<{ plan: never, since: unknown, length: unknown }>()
    })
  })

  test('knows the decorators in a typed plugin', () => {
    const plugin: Plugin6 = async scope => {
      await scope.register(betterAuthPlugin)
      scope.get('/', {
        onRequest: scope.authenticate,
        schema: { querystring: Type1.Object({ q: Type1.String() }) }
      }, async request => {
        expect(request.query).type.toBe<{ q: string }>()
        expect(request.user).type.toBe<User>()
      })
    }
    expect(Fastify().register).type.toBeCallableWith(plugin)
  })

  test('makes no schema for the option userSchema, which needs one of @sinclair/typebox', () => {
    expect(accept).type.toBeCallableWith({
      userSchema: Type034.Object({ ...UserSchema.properties, plan: Type034.String() })
    })
    expect(accept).type.not.toBeCallableWith({
      userSchema: Type1.Object({ ...UserSchema.properties, plan: Type1.String() })
    })
  })
})

describe('a server of another kind', () => {
  const key = Buffer.alloc(0)
  const loggerInstance = {} as FastifyBaseLogger & { audit: (text: string) => void }

  test('accepts the plugin and its hooks on HTTP/2, with and without TLS', async () => {
    const plain = Fastify({ http2: true })
    await plain.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })
    plain.addHook('onRequest', plain.authenticate)
    plain.get('/', { onRequest: [plain.authenticate], preHandler: plain.authorize({ roles: ['admin'] }) }, userOf)
    plain.get('/hand', async (request, reply) => { await plain.authenticate(request, reply) })

    const secure = Fastify({ http2: true, https: { key } })
    await secure.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })
    secure.addHook('onRequest', secure.authenticate)
    secure.get('/', { onRequest: [secure.authenticate], preHandler: secure.authorize({ roles: ['admin'] }) }, userOf)
    secure.get('/hand', async (request, reply) => { await secure.authenticate(request, reply) })
  })

  test('accepts the plugin and its hooks with a custom logger, and with a type provider in addition', async () => {
    const logged = Fastify({ loggerInstance })
    await logged.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })
    logged.get('/', { onRequest: [logged.authenticate] }, async request => {
      request.log.audit(request.user.id)
      return request.user
    })

    const all = Fastify({ http2: true, loggerInstance }).withTypeProvider<Provider6>()
    await all.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })
    all.get('/', { onRequest: [all.authenticate], schema: { response: { 200: UserSchema } } }, async request => {
      request.log.audit(request.user.id)
      return request.user
    })
  })
})
