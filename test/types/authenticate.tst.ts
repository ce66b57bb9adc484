import fastifyAuth from '@fastify/auth'
import Fastify, {
  type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyTypeProvider,
  type onRequestAsyncHookHandler, type onRequestHookHandler, type preHandlerAsyncHookHandler,
  type preHandlerHookHandler, type preParsingAsyncHookHandler, type preParsingHookHandler,
  type preValidationAsyncHookHandler, type preValidationHookHandler
} from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, { type Authenticate, type Guard, type RouteProtection } from '../../lib/index.js'

const app = Fastify()
await app.register(betterAuthPlugin)
await app.register(fastifyAuth)

interface Route {
  Params: { id: string }
  Body: { text: string }
  Querystring: { q?: string }
  Headers: { 'x-tenant': string }
  Reply: { 200: { ok: true }, 404: { error: string } }
}

describe('fastify.authenticate', () => {
  test('is typed', () => {
    expect(app.authenticate).type.toBe<Authenticate>()
    expect<FastifyInstance['authenticate']>().type.toBe<Authenticate>()
    expect<Authenticate>().type.toBeAssignableTo<(request: FastifyRequest, reply: FastifyReply) => Promise<void>>()
    expect<ReturnType<Authenticate>>().type.toBe<Promise<void>>()
  })

  test('is a hook of each kind', () => {
    expect(app.authenticate).type.toBeAssignableTo<onRequestHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<onRequestAsyncHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preParsingHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preParsingAsyncHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preValidationHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preValidationAsyncHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preHandlerHookHandler>()
    expect(app.authenticate).type.toBeAssignableTo<preHandlerAsyncHookHandler>()
  })

  test('is a hook of a whole scope', () => {
    app.addHook('onRequest', app.authenticate)
    app.addHook('preParsing', app.authenticate)
    app.addHook('preValidation', app.authenticate)
    app.addHook('preHandler', app.authenticate)
    app.addHook<Route>('onRequest', app.authenticate)
    app.addHook<Route>('preHandler', app.authenticate)
  })

  test('is a hook of a route, alone and in an array', () => {
    app.get('/a', { onRequest: app.authenticate }, async () => {})
    app.get('/b', { onRequest: [app.authenticate] }, async () => {})
    app.get('/c', { preParsing: app.authenticate }, async () => {})
    app.get('/d', { preParsing: [app.authenticate] }, async () => {})
    app.get('/e', { preValidation: app.authenticate }, async () => {})
    app.get('/f', { preValidation: [app.authenticate] }, async () => {})
    app.get('/g', { preHandler: app.authenticate }, async () => {})
    app.get('/h', { preHandler: [app.authenticate] }, async () => {})
    app.get(
      '/i',
      {
        onRequest: [
          app.authenticate,
          async request => { request.log.info('next') },
          (_request, _reply, done) => { done() }
        ]
      },
      async () => {}
    )
    app.route({ method: 'GET', url: '/j', onRequest: [app.authenticate], handler: async request => request.user })
  })

  test('is a hook of a route with its own types', () => {
    app.post<Route>('/:id/a', { onRequest: app.authenticate }, async request => {
      expect(request.params.id).type.toBe<string>()
    })
    app.post<Route>('/:id/b', { onRequest: [app.authenticate] }, async request => {
      expect(request.body.text).type.toBe<string>()
    })
    app.post<Route>('/:id/c', { preParsing: app.authenticate }, async request => {
      expect(request.query).type.toBe<{ q?: string }>()
    })
    app.post<Route>('/:id/d', { preParsing: [app.authenticate] }, async () => ({ ok: true as const }))
    app.post<Route>('/:id/e', { preValidation: app.authenticate }, async () => ({ ok: true as const }))
    app.post<Route>('/:id/f', { preValidation: [app.authenticate] }, async () => ({ ok: true as const }))
    app.post<Route>('/:id/g', { preHandler: app.authenticate }, async () => ({ ok: true as const }))
    app.post<Route>('/:id/h', { preHandler: [app.authenticate] }, async () => ({ ok: true as const }))
    app.post<{ Params: { id: string } }>(
      '/:id/i', { onRequest: [app.authenticate] }, async request => request.params.id
    )
    app.route<Route>({
      method: 'POST',
      url: '/:id/j',
      onRequest: [app.authenticate],
      handler: async () => ({ ok: true as const })
    })
  })

  test('is a hook of a route whose types come from a type provider', () => {
    interface Provider extends FastifyTypeProvider { validator: this['schema'], serializer: this['schema'] }
    const typed = app.withTypeProvider<Provider>()
    typed.get(
      '/typed',
      { schema: { querystring: { type: 'object' } }, onRequest: [typed.authenticate], preHandler: typed.authenticate },
      async request => request.user
    )
  })

  test('is a hook of an HTTPS server', () => {
    const https = Fastify({ https: {} })
    https.get('/', { onRequest: [https.authenticate], preParsing: https.authenticate }, async request => request.user)
  })

  test('is a hook of an HTTP/2 server', () => {
    const http2 = Fastify({ http2: true })
    http2.get('/', { onRequest: [http2.authenticate], preParsing: http2.authenticate }, async request => request.user)
  })

  test('can be called by hand', () => {
    app.get('/hand', async (request, reply) => {
      expect(app.authenticate(request, reply)).type.toBe<Promise<void>>()
      expect(await app.authenticate(request, reply)).type.toBe<void>()
      expect(app.authenticate).type.not.toBeCallableWith()
      expect(app.authenticate).type.not.toBeCallableWith(request)
    })
    app.post<Route>('/:id/hand', async (request, reply) => {
      expect(app.authenticate(request, reply)).type.toBe<Promise<void>>()
      return { ok: true as const }
    })
  })

  test('works in @fastify/auth', () => {
    expect(app.auth).type.toBeCallableWith([app.authenticate])
    app.get('/auth', { onRequest: app.auth([app.authenticate]) }, async request => request.user)
    app.get(
      '/auth/or',
      { preHandler: app.auth([app.authenticate, (_request, _reply, done) => { done() }], { relation: 'or' }) },
      async request => request.user
    )
  })
})

describe('routes that are open by mistake', () => {
  test('are found with typed data, and public routes say so with a typed config', () => {
    expect(app.betterAuth.routes()).type.toBe<RouteProtection[]>()
    expect<RouteProtection['protection']>().type.toBe<'required' | 'optional' | 'public' | 'none'>()
    expect<RouteProtection['guards']>().type.toBe<readonly Guard[]>()
    expect(app.get).type.toBeCallableWith('/health', { config: { public: true } }, async () => {})
    expect(app.get).type.not.toBeCallableWith('/health', { config: { public: 'yes' } }, async () => {})
  })

  test('markAsProtection() returns what it is given', () => {
    const hook = async (request: FastifyRequest) => { request.log.info('next') }
    expect(app.betterAuth.markAsProtection(hook)).type.toBe<typeof hook>()
    app.addHook('onRequest', app.betterAuth.markAsProtection(app.auth([app.authenticate])))
  })
})
