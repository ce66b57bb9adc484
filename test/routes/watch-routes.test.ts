import { fileURLToPath } from 'node:url'
import fastifyAuth from '@fastify/auth'
import cors from '@fastify/cors'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  InvalidOptionError, UnprotectedRouteError, type BetterAuthOptions
} from '../../lib/index.js'
import { captureLog, TRANSPORTS } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const issuer = await startIssuer(t)
const handler = async () => 'secret'
const ADVICE = 'Protect each route, for example with onRequest: [app.authenticate], ' +
  'or declare it with config: { public: true }.'
const UNDEFINED = 'A hook is undefined if it is misspelt, or if the plugin is not loaded yet: await its registration.'

function createApp (t: Test, log = captureLog()): FastifyInstance {
  const app = Fastify({ logger: log.logger, exposeHeadRoutes: false })
  t.teardown(() => app.close())
  return app
}

/** An application with the plugin. Those without its types may misspell a hook. */
async function createApi (t: Test, options: BetterAuthOptions = {}, log = captureLog()): Promise<
  FastifyInstance & Record<'authentciate', never>
> {
  const app = createApp(t, log)
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, ...options })
  return app as never
}

const protectionsOf = (app: FastifyInstance) => Object.fromEntries(
  app.betterAuth.routes().map(({ method, url, protection }) => [`${method} ${url}`, protection])
)

/** How the boot of an application fails whose routes have to be protected. */
async function isRefused (t: Test, app: FastifyInstance, list: string): Promise<void> {
  await t.rejects(async () => { await app.ready() }, {
    code: 'FST_BETTER_AUTH_UNPROTECTED_ROUTE', message: `Open to everyone: ${list}. ${ADVICE}`
  })
}

t.test('a registration that is not awaited leaves hooks undefined: refused', async t => {
  const app = createApp(t)
  app.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
  app.get('/secret', { onRequest: app.authenticate }, handler)
  app.get('/health', { config: { public: true } }, handler)
  await isRefused(t, app, 'GET /secret')
})

t.test('a route of an earlier plugin: refused', async t => {
  const app = createApp(t)
  await app.register(fp(async scope => { scope.post('/early', { onRequest: scope.authenticate }, handler) }))
  await app.register(async scope => { scope.get('/child', { onRequest: scope.authenticate }, handler) })
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
  await isRefused(t, app, 'POST /early; GET /child')
})

t.test('a misspelt hook: a warning by default, with the route and the reason', async t => {
  const log = captureLog()
  const app = await createApi(t, {}, log)
  app.get('/secret', { onRequest: app.authentciate }, handler)
  app.get('/other', { preHandler: app.authentciate, config: { public: true } }, handler)
  app.get('/open', handler)
  app.register(async scope => {
    scope.addHook('preHandler', scope.authenticate)
    scope.get('/protected', { onRequest: app.authentciate }, handler)
  })
  t.equal((await app.inject('/secret')).statusCode, 200, 'it is open')
  const warnings = log.lines.filter(({ level }) => level >= 40).map(({ level, msg }) => ({ level, msg }))
  t.strictSame(warnings, [{
    level: 40, msg: `Open to everyone: GET /secret (its onRequest is undefined). ${ADVICE} ${UNDEFINED}`
  }])
})

t.test('a misspelt hook is found however the router spells the URL', async t => {
  const log = captureLog()
  const app = Fastify({
    logger: log.logger,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false }
  })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl })
  const { authentciate } = app as unknown as Record<'authentciate', never>
  const urls = ['/slash/', '//double', '/Case', '/optional/:id?']
  for (const url of urls) app.get(url, { onRequest: authentciate }, handler)
  app.register(async scope => { scope.get('/', { preHandler: authentciate }, handler) }, { prefix: '/prefix' })
  await app.ready()
  const names = ['/slash', '/double', '/Case', '/optional', '/optional/:id', '/prefix']
  const [warning, ...others] = log.lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)
  for (const name of names) t.match(warning, new RegExp(`GET ${name} \\(its \\w+ is undefined\\)`))
  t.strictSame(others, [])
})

t.test('a misspelt hook is found under both URLs of a prefix', async t => {
  const log = captureLog()
  const app = await createApi(t, {}, log)
  app.register(async scope => { scope.get('/', { onRequest: app.authentciate }, handler) }, { prefix: '/p' })
  await app.ready()
  t.match(log.lines.map(({ msg }) => msg), [
    'Open to everyone: GET /p (its onRequest is undefined); GET /p/ (its onRequest is undefined).'
  ])
})

t.test('unprotected: each value', async t => {
  async function start (unprotected?: BetterAuthOptions['unprotected']): Promise<string[]> {
    const log = captureLog()
    const app = await createApi(t, { unprotected }, log)
    app.route({ method: ['GET', 'PUT'], url: '/open', handler })
    app.get('/secret', { preValidation: app.authentciate }, handler)
    app.get('/me', { onRequest: [app.authenticate] }, handler)
    await app.ready()
    return log.lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)
  }
  const rest = `GET /secret (its preValidation is undefined). ${ADVICE} ${UNDEFINED}`
  t.strictSame(await start(), [`Open to everyone: ${rest}`])
  t.strictSame(await start('allow'), [])
  t.strictSame(await start('warn'), [`Open to everyone: GET, PUT /open; ${rest}`])
  await t.rejects(start('error'), new UnprotectedRouteError(`Open to everyone: GET, PUT /open; ${rest}`))
  await t.rejects(start('maybe' as never), {
    code: 'FST_BETTER_AUTH_INVALID_OPTION', message: /"unprotected" must be 'allow', 'warn' or 'error', got 'maybe'/
  })
})

t.test('nothing to report: no warning', async t => {
  const log = captureLog()
  const app = await createApi(t, { unprotected: 'warn' }, log)
  app.get('/me', { onRequest: [app.authenticate] }, handler)
  await app.ready()
  t.strictSame(log.lines.filter(({ level }) => level >= 40), [])
})

t.test('with no hook that is undefined, the default works also if routes cannot be listed', async t => {
  const app = await createApi(t)
  app.get('/open', handler)
  app.printRoutes = () => 'in another way'
  await app.ready()
  t.throws(() => app.betterAuth.routes(), /cannot list the routes/)
})

t.test('each way to protect a route counts', async t => {
  const app = createApp(t)
  app.get('/early', handler)
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
  app.addHook('onRequest', app.authenticateOptional)
  for (const position of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    app.get(`/alone/${position}`, { [position]: app.authenticate }, handler)
    app.get(`/list/${position}`, { [position]: [async () => {}, app.authorize({ roles: ['admin'] })] }, handler)
    app.register(async scope => {
      scope.get(`/before/${position}`, handler)
      scope.addHook(position, scope.authenticate)
      scope.register(async child => { child.get('/child', handler) }, { prefix: `/${position}` })
    })
  }
  app.get('/decorator', { onRequest: [app.getDecorator<typeof app.authenticate>('authenticate')] }, handler)
  app.get('/optional', handler)
  await app.ready()
  const { 'GET /early': early, 'GET /optional': optional, ...others } = protectionsOf(app)
  t.strictSame([early, optional], ['optional', 'optional'], 'a hook that is added later applies to earlier routes')
  t.equal(Object.keys(others).length, 17)
  for (const [name, protection] of Object.entries(others)) {
    t.equal(protection, 'required', name)
    t.equal((await app.inject(name.slice(4))).statusCode, 401)
  }
})

t.test('routes() before all routes are known is an error', async t => {
  const app = await createApi(t)
  t.throws(() => app.betterAuth.routes(), /await app\.ready\(\) first/)
})

t.test('routes() returns the guards of a route; who changes them changes no guard', async t => {
  const app = await createApi(t)
  const check = () => true
  app.delete('/users', { onRequest: [app.authorize({ roles: ['admin'] }), app.authorize({ check })] }, handler)
  await app.ready()
  const [route] = app.betterAuth.routes()
  // Functions of a guard are bound to it.
  t.match(route, {
    method: 'DELETE', url: '/users', protection: 'required', guards: [{ roles: ['admin'] }, { check: Function }]
  })
  const [guard] = route!.guards as [{ roles?: string[] }]
  t.throws(() => { guard.roles!.push('user') }, TypeError)
  delete guard.roles
  const headers = { authorization: `Bearer ${issuer.token({ role: 'user' })}` }
  t.equal((await app.inject({ method: 'DELETE', url: '/users', headers })).statusCode, 403)
  t.strictSame(app.betterAuth.routes()[0]!.guards[0], { roles: ['admin'] })
})

t.test('HEAD routes that Fastify adds have the protection of their GET routes', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
  app.get('/me', { onRequest: [app.authenticate] }, handler)
  app.get('/health', { config: { public: true } }, handler)
  const open = Fastify()
  t.teardown(() => open.close())
  await open.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
  open.get('/secret', handler)
  await app.ready()
  t.strictSame(protectionsOf(app), {
    'GET /me': 'required', 'HEAD /me': 'required', 'GET /health': 'public', 'HEAD /health': 'public'
  })
  for (const { guards } of app.betterAuth.routes()) t.strictSame(guards, [])
  await isRefused(t, open, 'GET, HEAD /secret')
})

t.test('both URLs of a prefix, and a wildcard, are judged', async t => {
  const app = await createApi(t, { unprotected: 'error' })
  app.register(async scope => { scope.get('/', handler) }, { prefix: '/p' })
  app.get('*', handler)
  await isRefused(t, app, 'GET /p; GET /p/; GET *')
})

t.test('a preflight has no credential: OPTIONS routes need no hook', async t => {
  const app = await createApi(t, { unprotected: 'error' })
  app.options('/x', handler)
  await app.register(cors)
  await app.ready()
  t.strictSame(protectionsOf(app), { 'OPTIONS /x': 'public', 'OPTIONS *': 'public' })
})

t.test('a registration judges its own scope only', async t => {
  const log = captureLog()
  const app = createApp(t, log)
  app.get('/outside', handler)
  const scopes: Record<string, FastifyInstance> = {}
  for (const [prefix, unprotected] of [['/staff', 'warn'], ['/shop', 'error']] as const) {
    app.register(async scope => {
      scopes[prefix] = scope
      await scope.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected })
      scope.get('/open', { config: { public: prefix === '/shop' } }, handler)
      scope.get('/me', { onRequest: [scope.authenticate] }, handler)
    }, { prefix })
  }
  await app.ready()
  t.strictSame(protectionsOf(scopes['/staff']!), { 'GET /staff/open': 'none', 'GET /staff/me': 'required' })
  t.strictSame(protectionsOf(scopes['/shop']!), { 'GET /shop/open': 'public', 'GET /shop/me': 'required' })
  t.strictSame(log.lines.map(({ msg }) => msg), [`Open to everyone: GET /staff/open. ${ADVICE}`])
})

t.test('a hook of one registration protects no route of another', async t => {
  const app = createApp(t)
  let foreign: FastifyInstance['authenticate']
  app.register(async scope => {
    await scope.register(betterAuthPlugin, { authUrl: issuer.authUrl })
    foreign = scope.authenticate
  })
  app.register(async scope => {
    await scope.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
    scope.get('/foreign', { onRequest: [foreign] }, handler)
  })
  await isRefused(t, app, 'GET /foreign')
})

t.test('routes of other plugins', async t => {
  const root = fileURLToPath(new URL('.', import.meta.url))

  async function addPlugins (app: FastifyInstance): Promise<void> {
    await app.register(swagger, { openapi: { info: { title: 'API', version: '1.0.0' } } })
    await app.register(swaggerUi, { routePrefix: '/docs' })
    await app.register(fastifyStatic, { root, prefix: '/files/' })
    await app.register(cors)
    await app.register(websocket)
  }

  for (const order of ['before', 'after'] as const) {
    t.test(`registered ${order} this one cause no warning by default`, async t => {
      const log = captureLog()
      const app = createApp(t, log)
      if (order === 'before') await addPlugins(app)
      await app.register(betterAuthPlugin, { authUrl: issuer.authUrl })
      if (order === 'after') await addPlugins(app)
      await app.ready()
      t.strictSame(log.lines.filter(({ level }) => level >= 40), [])
      t.match(protectionsOf(app), { 'GET /docs/json': 'none', 'GET /files/*': 'none', 'OPTIONS *': 'public' })
    })

    t.test(`registered ${order} this one can be declared public by an onRoute hook of their scope`, async t => {
      const app = createApp(t)
      const addPublic = async () => app.register(async scope => {
        scope.addHook('onRoute', route => { route.config = { ...route.config, public: true } })
        await addPlugins(scope)
      })
      if (order === 'before') await addPublic()
      await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, unprotected: 'error' })
      if (order === 'after') await addPublic()
      await app.ready()
      t.match(protectionsOf(app), { 'GET /docs/json': 'public', 'GET /files/*': 'public', 'OPTIONS *': 'public' })
    })
  }

  t.test('a WebSocket and static files are protected as any route is', async t => {
    const app = await createApi(t, { unprotected: 'error' })
    await app.register(websocket)
    app.get('/socket', { websocket: true, onRequest: [app.authenticate] }, () => {})
    app.register(async scope => {
      scope.addHook('onRequest', scope.authenticate)
      await scope.register(fastifyStatic, { root, prefix: '/files/' })
    })
    await app.ready()
    t.strictSame(protectionsOf(app), {
      'GET /socket': 'required', 'GET /files/*': 'required', 'HEAD /files/*': 'required'
    })
  })
})

t.test('hooks of the application that authenticate', async t => {
  const byHand = (app: FastifyInstance) => async (request: FastifyRequest) => {
    if (request.routeOptions.config.public !== true) await app.authenticate(request, null as never)
  }

  t.test('do not count by themselves', async t => {
    const app = await createApi(t, { unprotected: 'error' })
    await app.register(fastifyAuth)
    app.get('/auth', { onRequest: [app.auth([app.authenticate])] }, handler)
    app.get('/hand', { onRequest: [byHand(app)] }, handler)
    await isRefused(t, app, 'GET /auth; GET /hand')
  })

  t.test('count when they are marked, on a route and on a scope, but not on public routes', async t => {
    const app = await createApi(t, { unprotected: 'error' })
    await app.register(fastifyAuth)
    const either = app.auth([app.authenticate, async () => { throw new Error('no API key') }])
    t.equal(app.betterAuth.markAsProtection(either), either)
    app.get('/auth', { onRequest: [either] }, handler)
    app.register(async scope => {
      scope.addHook('onRequest', scope.betterAuth.markAsProtection(byHand(app)))
      scope.get('/hand', handler)
      scope.get('/health', { config: { public: true } }, handler)
      scope.get('/both', { config: { public: true }, onRequest: [scope.authenticate] }, handler)
    })
    await app.ready()
    t.strictSame(protectionsOf(app), {
      'GET /auth': 'required', 'GET /hand': 'required', 'GET /health': 'public', 'GET /both': 'required'
    })
    for (const [url, status] of Object.entries({ '/auth': 401, '/hand': 401, '/health': 200, '/both': 401 })) {
      t.equal((await app.inject(url)).statusCode, status, url)
    }
  })
})

t.test('authorize that is not called', async t => {
  const uncalled = (app: FastifyInstance) => app.authorize as never
  const asFunction = (app: FastifyInstance) => app.authorize as (request: FastifyRequest) => unknown
  const FIX = "is app.authorize itself. Call it: onRequest: [app.authorize({ roles: ['admin'] })]"

  t.test('as a hook of a route: the route is refused at once', async t => {
    for (const position of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
      for (const hooks of ['alone', 'listed'] as const) {
        const app = await createApi(t)
        const hook = hooks === 'alone' ? uncalled(app) : [app.authenticate, uncalled(app)]
        t.throws(() => app.get('/admin', { [position]: hook }, handler),
          new InvalidOptionError(`A hook of GET /admin ${FIX}`))
      }
    }
  })

  t.test('as a hook of a scope: the boot fails', async t => {
    const app = await createApi(t)
    app.register(async scope => {
      scope.addHook('preHandler', uncalled(app))
      scope.get('/admin', handler)
    })
    await t.rejects(async () => { await app.ready() }, new InvalidOptionError(`A hook of a scope ${FIX}`))
  })

  t.test('where the boot cannot see it: a 500 that says nothing to the client, and what to do to the log', async t => {
    const log = captureLog()
    const app = await createApi(t, {}, log)
    await app.register(fastifyAuth)
    app.get('/bound', { onRequest: app.getDecorator<() => never>('authorize') }, handler)
    app.get('/wrapped', { preHandler: async request => asFunction(app)(request) }, handler)
    app.get('/hand', async request => asFunction(app)(request))
    app.get('/and', { onRequest: app.auth([uncalled(app), app.authenticate], { relation: 'and' }) }, handler)
    const headers = { authorization: `Bearer ${issuer.token()}` }
    for (const url of ['/bound', '/wrapped', '/hand', '/and']) {
      for (const [transport, call] of Object.entries(TRANSPORTS)) {
        const { status, body } = await call(app, { url, headers })
        t.strictSame([status === 401, JSON.parse(body)], [url === '/and', {
          statusCode: status,
          error: status === 401 ? 'Unauthorized' : 'Internal Server Error',
          message: 'Internal Server Error'
        }], `${url} by ${transport}`)
      }
    }
    t.equal(log.lines.filter(({ level, msg }) => level === 50 && msg === `A hook ${FIX}`).length, 8)
  })
})
