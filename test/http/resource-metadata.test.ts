import fastifyAuth from '@fastify/auth'
import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import Fastify, {
  type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions
} from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  ALGORITHMS, AlreadyRegisteredError, betterAuthSecuritySchemes, InvalidOptionError, type BetterAuthOptions,
  type ResourceOptions
} from '../../lib/index.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { createHook } from '../../lib/http/hook.js'
import { metadataUrl } from '../../lib/http/resource-metadata.js'
import { bearer, captureLog, TRANSPORTS } from '../fixtures/api.js'

const AUTH_URL = 'https://id.example.com'
const RESOURCE = 'https://api.example.com'
const URL_PATH = '/.well-known/oauth-protected-resource'
const METADATA = {
  resource: RESOURCE, authorization_servers: [`${AUTH_URL}/api/auth`], bearer_methods_supported: ['header']
}
const OPTIONS: BetterAuthOptions = { authUrl: AUTH_URL, resource: RESOURCE }
const handler = async () => 'handled'

function createApp (t: Pick<Test, 'teardown'>, options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify(options)
  t.teardown(() => app.close())
  return app
}

async function startApp (t: Pick<Test, 'teardown'>, resource: string | ResourceOptions): Promise<FastifyInstance> {
  const app = createApp(t)
  await app.register(betterAuthPlugin, { authUrl: AUTH_URL, resource })
  return app
}

async function isServed (t: Test, app: FastifyInstance, headers = {}, url = URL_PATH): Promise<void> {
  const response = await app.inject({ url, headers })
  t.equal(response.statusCode, 200, response.body)
  t.strictSame(response.json(), METADATA)
}

t.test('the metadata of RFC 9728: all of it, and nothing that is not set', async t => {
  const minimal = await startApp(t, RESOURCE)
  const full = await startApp(t, {
    url: RESOURCE,
    scopes: ['orders:read', 'openid', 'offline_access', 'orders:write', 'orders:read'],
    name: 'Orders "API"',
    documentation: 'https://docs.example.com',
    authorizationServers: ['https://a.example.com', 'https://b.example.com/auth']
  })
  for (const call of Object.values(TRANSPORTS)) {
    const response = await call(minimal, { url: URL_PATH })
    t.match(response, {
      status: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'public, max-age=3600',
        'access-control-allow-origin': '*'
      }
    })
    t.strictSame(JSON.parse(response.body), METADATA)
    t.strictSame(JSON.parse((await call(full, { url: URL_PATH })).body), {
      resource: RESOURCE,
      authorization_servers: ['https://a.example.com', 'https://b.example.com/auth'],
      scopes_supported: ['orders:read', 'orders:write'],
      bearer_methods_supported: ['header'],
      resource_name: 'Orders "API"',
      resource_documentation: 'https://docs.example.com'
    })
  }
  const onlyClientScopes = await startApp(t, { url: RESOURCE, scopes: ['openid', 'offline_access'] })
  await isServed(t, onlyClientScopes)
})

t.test('with the option dpop, it has the algorithms of proofs, and whether proofs are required', async t => {
  for (const [dpop, fields] of [
    [true, {}], [{ required: false }, {}], [{ required: true }, { dpop_bound_access_tokens_required: true }]
  ] as const) {
    const app = createApp(t)
    await app.register(betterAuthPlugin, { ...OPTIONS, dpop })
    t.strictSame((await app.inject(URL_PATH)).json(), {
      ...METADATA, dpop_signing_alg_values_supported: ALGORITHMS, ...fields
    })
  }
})

t.test('without the option there is no metadata', async t => {
  const app = createApp(t)
  await app.register(betterAuthPlugin, { authUrl: AUTH_URL })
  for (const method of ['GET', 'HEAD', 'OPTIONS'] as const) {
    t.equal((await app.inject({ method, url: URL_PATH })).statusCode, 404)
  }
})

t.test('where the metadata is, by the identifier (RFC 9728 §3.1)', async t => {
  const cases: Record<string, string> = {
    'https://api.example.com': '',
    'https://api.example.com/': '',
    'https://API.example.com:443': '',
    'https://api.example.com:8443/mcp': '/mcp',
    'https://api.example.com/mcp/': '/mcp/',
    'https://api.example.com/v1/orders': '/v1/orders',
    'https://api.example.com/a/../b': '/b',
    'https://api.example.com/:id': '/:id',
    'https://api.example.com/a::b(c)': '/a::b(c)',
    'https://api.example.com/caf\u00E9': '/caf%C3%A9',
    'https://api.example.com/caf%C3%A9': '/caf%C3%A9',
    'https://api.example.com/a"b': '/a%22b'
  }
  for (const [resource, suffix] of Object.entries(cases)) {
    const app = await startApp(t, resource)
    const url = metadataUrl(resolveOptions({ authUrl: AUTH_URL, resource }).resource!)
    const origin = resource.includes('8443') ? 'https://api.example.com:8443' : 'https://api.example.com'
    t.equal(url, origin + URL_PATH + suffix, 'the URL')
    for (const call of Object.values(TRANSPORTS)) {
      const response = await call(app, { url: URL_PATH + suffix })
      t.equal(response.status, 200, resource)
      t.equal(JSON.parse(response.body).resource, resource, 'the identifier is as given')
      t.equal((await call(app, { url: `${URL_PATH}${suffix}x` })).status, 404, 'and at no other path')
    }
  }
})

t.test('a path that no route can have fails the boot', async t => {
  for (const path of ['/a*', '/*/b', '/a%2Fb', '/100%25', '/%ff', '/%zz']) {
    await t.rejects(startApp(t, RESOURCE + path), new InvalidOptionError(
      'Option "resource" must not have "*", an encoded delimiter such as "%2F" or invalid UTF-8 in its path: no ' +
      `route can serve its metadata at '${URL_PATH}${path}'`
    ), path)
  }
})

t.test('HEAD, also without exposeHeadRoutes', async t => {
  for (const exposeHeadRoutes of [true, false]) {
    const app = createApp(t, { exposeHeadRoutes })
    await app.register(betterAuthPlugin, OPTIONS)
    const length = Buffer.byteLength(JSON.stringify(METADATA))
    for (const call of Object.values(TRANSPORTS)) {
      t.match(await call(app, { method: 'HEAD', url: URL_PATH }), {
        status: 200,
        headers: { 'content-length': String(length), 'cache-control': 'public, max-age=3600' },
        body: ''
      })
    }
  }
})

/** The preflight request of an MCP client in a browser. */
const PREFLIGHT = {
  method: 'OPTIONS',
  url: URL_PATH,
  headers: {
    origin: 'https://inspector.example.com',
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'mcp-protocol-version,authorization'
  }
} as const

const CORS_OPTIONS = { origin: ['https://app.example.com'], credentials: true, methods: ['POST'] }

t.test('pages of every origin can read it, also with a stricter @fastify/cors', async t => {
  const orders: Record<string, (app: FastifyInstance) => Promise<void>> = {
    async 'without @fastify/cors' (app) { await app.register(betterAuthPlugin, OPTIONS) },
    async '@fastify/cors first' (app) {
      await app.register(cors, CORS_OPTIONS)
      await app.register(betterAuthPlugin, OPTIONS)
    },
    async '@fastify/cors last' (app) {
      await app.register(betterAuthPlugin, OPTIONS)
      await app.register(cors, CORS_OPTIONS)
    }
  }
  for (const [title, prepare] of Object.entries(orders)) {
    const app = createApp(t)
    await prepare(app)
    app.addHook('onRequest', app.authenticate)
    for (const call of Object.values(TRANSPORTS)) {
      t.match(await call(app, PREFLIGHT), {
        status: 204,
        headers: {
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'GET, HEAD',
          'access-control-allow-headers': '*, Authorization',
          'access-control-max-age': '86400',
          'access-control-allow-credentials': undefined
        }
      }, title)
      t.match(await call(app, { url: URL_PATH, headers: { origin: PREFLIGHT.headers.origin } }), {
        status: 200,
        headers: { 'access-control-allow-origin': '*', 'access-control-allow-credentials': undefined }
      }, title)
    }
  }
})

/** Hooks that protect everything, and where they are added. */
const GLOBAL_HOOKS: Record<string, (app: FastifyInstance) => Promise<void>> = {
  async 'authenticate, after the plugin' (app) {
    await app.register(betterAuthPlugin, OPTIONS)
    app.addHook('onRequest', app.authenticate)
  },
  async 'a hand-written hook, before the plugin' (app) {
    app.addHook('onRequest', async (request, reply) => { await app.authenticate(request, reply) })
    await app.register(betterAuthPlugin, OPTIONS)
  },
  async 'a hand-written hook with a callback, before the plugin' (app) {
    app.addHook('onRequest', (request, reply, done) => {
      const hook = app.authenticate as unknown as (...args: unknown[]) => void
      hook(request, reply, done)
    })
    await app.register(betterAuthPlugin, OPTIONS)
  },
  async 'a hook of an outer scope' (app) {
    const inner: FastifyInstance[] = []
    app.addHook('onRequest', async (request, reply) => { await inner[0]!.authenticate(request, reply) })
    await app.register(async scope => {
      inner.push(scope)
      await scope.register(betterAuthPlugin, OPTIONS)
    }, { prefix: '/v1' })
  },
  async 'a guard in preHandler' (app) {
    await app.register(betterAuthPlugin, OPTIONS)
    app.addHook('preHandler', app.authorize({ roles: ['admin'] }))
  },
  async '@fastify/auth' (app) {
    await app.register(betterAuthPlugin, OPTIONS)
    await app.register(fastifyAuth)
    app.addHook('onRequest', app.auth([app.authenticate, app.authorize({ delegated: ['a'] })]))
  },
  async 'authenticateOptional' (app) {
    await app.register(betterAuthPlugin, OPTIONS)
    app.addHook('onRequest', app.authenticateOptional)
    app.addHook('preParsing', app.authenticate)
  }
}

t.test('it is never behind a hook that protects everything else', async t => {
  for (const [title, protect] of Object.entries(GLOBAL_HOOKS)) {
    t.test(title, async t => {
      const log = captureLog()
      const app = createApp(t, { logger: log.logger })
      await protect(app)
      app.get('/orders', handler)
      t.equal((await app.inject('/orders')).statusCode, 401, 'another route is protected')
      log.lines.length = 0
      for (const headers of [{}, bearer('no token'), bearer('a.b.c'), { authorization: 'Bearer' }]) {
        await isServed(t, app, headers)
        t.equal((await app.inject({ method: 'HEAD', url: URL_PATH, headers })).statusCode, 200)
        t.equal((await app.inject({ ...PREFLIGHT, headers })).statusCode, 204)
      }
      t.strictSame(log.refusals(), [], 'nothing is logged as refused')
      t.equal((await app.inject(`${URL_PATH}/orders`)).statusCode, 401, 'a path below it is protected')
    })
  }
})

t.test('an error that is no refusal is not hidden', async t => {
  const hook = createHook(() => { throw new Error('a mistake') }, { metadata: undefined, withDpop: false })
  const hooks = [hook, async (request: FastifyRequest, reply: FastifyReply) => { await hook(request, reply) }]
  for (const hook of hooks) {
    const app = await startApp(t, RESOURCE)
    app.addHook('onRequest', hook)
    t.match((await app.inject(URL_PATH)).json(), { statusCode: 500, message: 'a mistake' })
  }
})

t.test('it counts as public, also behind a global hook', async t => {
  const log = captureLog()
  const app = createApp(t, { logger: log.logger })
  await app.register(betterAuthPlugin, { ...OPTIONS, unprotected: 'error' })
  await app.ready()
  const isPublic = ['GET', 'HEAD', 'OPTIONS'].map(method => {
    return { method, url: URL_PATH, protection: 'public', guards: [] }
  })
  const byMethod = (routes: Array<{ method: string }>) => routes.sort((a, b) => a.method < b.method ? -1 : 1)
  t.strictSame(byMethod(app.betterAuth.routes()), isPublic)

  const behind = createApp(t)
  await behind.register(betterAuthPlugin, { ...OPTIONS, unprotected: 'error' })
  behind.addHook('onRequest', behind.authenticate)
  behind.addHook('onRequest', behind.betterAuth.markAsProtection(async () => {}))
  await behind.ready()
  t.strictSame(byMethod(behind.betterAuth.routes()), isPublic)
})

t.test('it is not in the OpenAPI document', async t => {
  const app = createApp(t)
  await app.register(swagger, { openapi: {} })
  await app.register(betterAuthPlugin, OPTIONS)
  app.addHook('onRequest', app.authenticate)
  app.get('/orders', handler)
  await app.ready()
  t.strictSame(Object.keys(app.swagger().paths!), ['/orders'])
})

t.test('a transform shows it in the OpenAPI document: the GET alone, as public', async t => {
  const app = createApp(t)
  await app.register(swagger, {
    openapi: { components: { securitySchemes: betterAuthSecuritySchemes }, security: [{ betterAuth: [] }] },
    transform ({ schema, url, route }) {
      const isMetadata = route.method === 'GET' && url.startsWith(URL_PATH)
      return { url, schema: isMetadata ? { ...schema, hide: false } : schema }
    }
  })
  await app.register(betterAuthPlugin, OPTIONS)
  app.addHook('onRequest', app.authenticate)
  app.get('/orders', handler)
  await app.ready()
  const { paths } = app.swagger()
  t.strictSame(Object.keys(paths!).sort(), [URL_PATH, '/orders'])
  t.strictSame(paths![URL_PATH], {
    get: {
      summary: 'Metadata of this API as a protected resource of OAuth',
      description: 'RFC 9728: its identifier, the servers that issue tokens for it, and its scopes.',
      security: [],
      responses: { 200: { description: 'Default Response' } }
    }
  })
  await isServed(t, app)
})

t.test('below a prefix, it is at the root all the same', async t => {
  const app = createApp(t)
  await app.register(async outer => {
    await outer.register(async inner => {
      await inner.register(betterAuthPlugin, OPTIONS)
      inner.get('/orders', { onRequest: [inner.authenticate] }, handler)
    }, { prefix: '/v1' })
  }, { prefix: '/api' })
  await isServed(t, app)
  t.equal((await app.inject(`/api/v1${URL_PATH}`)).statusCode, 404)
  t.match((await app.inject('/api/v1/orders')).headers, {
    'www-authenticate': `Bearer resource_metadata="${RESOURCE}${URL_PATH}"`
  })
})

t.test('two registrations have a path each', async t => {
  const app = createApp(t)
  for (const name of ['a', 'b']) {
    await app.register(async scope => {
      await scope.register(betterAuthPlugin, { authUrl: AUTH_URL, resource: `${RESOURCE}/${name}` })
      scope.get(`/${name}`, { onRequest: [scope.authenticate] }, handler)
    })
  }
  for (const name of ['a', 'b']) {
    t.equal((await app.inject(`${URL_PATH}/${name}`)).json().resource, `${RESOURCE}/${name}`)
    t.equal((await app.inject(`/${name}`)).headers['www-authenticate'],
      `Bearer resource_metadata="${RESOURCE}${URL_PATH}/${name}"`)
  }
})

t.test('two registrations with the same path fail the boot, as does a route of the application', async t => {
  const error = (resource: string, path = '') => new AlreadyRegisteredError(
    `The metadata of the resource "${resource}" needs the route GET ${URL_PATH}${path}, which exists already. Two ` +
    'registrations of better-auth-fastify need resources with different paths; a route of your own must give way'
  )
  const app = createApp(t)
  for (const resource of [RESOURCE, 'https://other.example.com/']) {
    app.register(async scope => { await scope.register(betterAuthPlugin, { authUrl: AUTH_URL, resource }) })
  }
  await t.rejects(async () => app.ready(), error('https://other.example.com/'))

  const own = createApp(t)
  own.get(`${URL_PATH}/::a`, handler)
  own.register(betterAuthPlugin, { authUrl: AUTH_URL, resource: `${RESOURCE}/:a` })
  await t.rejects(async () => own.ready(), error(`${RESOURCE}/:a`, '/:a'))
})

t.test('hooks and a serializer that change the objects of an API do not change the metadata', async t => {
  const app = createApp(t)
  app.addHook('preSerialization', async (_request, _reply, payload) => ({ data: payload }))
  app.setReplySerializer(payload => JSON.stringify({ serialized: payload }))
  await app.register(betterAuthPlugin, OPTIONS)
  await isServed(t, app)
})
