import fastifyAuth from '@fastify/auth'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify, {
  type FastifyInstance, type FastifyPluginAsync, type FastifySchema, type RouteOptions, type RouteShorthandOptions
} from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  betterAuthCookieSecuritySchemes, betterAuthDpopSecuritySchemes, betterAuthExchangeSecuritySchemes,
  betterAuthOAuthSecurityScheme, betterAuthSecuritySchemes, type BetterAuthOptions, type Guard
} from '../../lib/index.js'
import { captureLog, TRANSPORTS } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

interface Operation {
  security?: Array<Record<string, string[]>>
  responses: Record<string, { description: string, headers?: object, content?: object, schema?: object }>
  [key: string]: unknown
}
type Document = Record<string, unknown> & { paths: Record<string, Record<string, Operation>> }

const INFO = { title: 'API', version: '1.0.0' }
const HTTP = {
  openapi: { info: INFO, components: { securitySchemes: betterAuthSecuritySchemes } }
} satisfies FastifyDynamicSwaggerOptions
const WITH_COOKIE = {
  openapi: { info: INFO, components: { securitySchemes: betterAuthCookieSecuritySchemes } }
} satisfies FastifyDynamicSwaggerOptions
const V2 = {
  swagger: { info: INFO, securityDefinitions: { betterAuth: { type: 'apiKey', in: 'header', name: 'authorization' } } }
} satisfies FastifyDynamicSwaggerOptions
const BEARER = { betterAuth: [] }
const COOKIE = { betterAuthCookie: [] }
const OK = { 200: { description: 'Default Response' } }

const ERROR_CONTENT = {
  'application/json': {
    schema: {
      type: 'object',
      required: ['statusCode', 'code', 'error', 'message'],
      properties: {
        statusCode: { type: 'integer' },
        code: { type: 'string' },
        error: { type: 'string' },
        message: { type: 'string' }
      }
    }
  }
}
const CHALLENGE = {
  'WWW-Authenticate': { description: 'A Bearer challenge (RFC 6750 §3)', schema: { type: 'string' } }
}
const REFUSALS = {
  401: { description: 'No valid credentials', headers: CHALLENGE, content: described('No valid credentials') },
  503: {
    description: 'The auth server cannot be reached',
    headers: { 'Retry-After': { description: 'Seconds until the next try makes sense', schema: { type: 'integer' } } },
    content: described('The auth server cannot be reached')
  }
}

/** The error schema as @fastify/swagger shows it, with the description of its response. */
function described (description: string): object {
  return { 'application/json': { schema: { ...ERROR_CONTENT['application/json'].schema, description } } }
}

function forbidden (description: string): object {
  return { description, headers: CHALLENGE, content: described(description) }
}

const handler = async () => ({})

interface Setup {
  options?: BetterAuthOptions
  swagger?: FastifyDynamicSwaggerOptions | false
  app?: FastifyInstance
}

/** An app with swagger first and the plugin second, as most will have it. */
async function createApp (
  t: Test, { options = {}, swagger: swaggerOptions = HTTP, app = Fastify() }: Setup = {}
): Promise<FastifyInstance> {
  t.teardown(() => app.close())
  if (swaggerOptions !== false) await app.register(swagger, swaggerOptions)
  await app.register(betterAuthPlugin, { authUrl: 'http://localhost:3000', ...options })
  return app
}

/** The same without the plugin: hooks of its names that say nothing. */
async function createPlainApp (t: Test, swaggerOptions: FastifyDynamicSwaggerOptions = HTTP): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, swaggerOptions)
  app.decorate('authenticate', async () => {})
  app.decorate('authenticateOptional', async () => {})
  app.decorate('authorize', () => async () => {})
  return app
}

async function documentOf (app: FastifyInstance): Promise<Document> {
  await app.ready()
  return app.swagger() as unknown as Document
}

/** A small app of an open, an optional, a protected and a guarded route. */
function addRoutes (app: FastifyInstance): void {
  app.get('/open', handler)
  app.get('/news', { onRequest: app.authenticateOptional }, handler)
  app.get('/me', {
    onRequest: [app.authenticate], schema: { summary: 'Me', response: { 200: { type: 'object', description: 'Me' } } }
  }, handler)
  app.delete('/users/:id', {
    onRequest: app.authorize({ roles: ['admin', 'editor'], scopes: ['users:write'] })
  }, handler)
}

const SMALL_APP_PATHS = {
  '/open': { get: { responses: OK } },
  '/news': { get: { security: [BEARER, {}], responses: { ...OK, ...REFUSALS } } },
  '/me': {
    get: {
      summary: 'Me',
      security: [BEARER],
      responses: {
        200: { description: 'Me', content: { 'application/json': { schema: { type: 'object', description: 'Me' } } } },
        ...REFUSALS
      }
    }
  },
  '/users/{id}': {
    delete: {
      parameters: [{ schema: { type: 'string' }, in: 'path', name: 'id', required: true }],
      security: [BEARER],
      'x-better-auth-guards': [{ roles: ['admin', 'editor'], scopes: ['users:write'] }],
      responses: {
        ...OK,
        ...REFUSALS,
        403: forbidden('Insufficient permissions. Needs one of the roles admin, editor. Needs the scope users:write')
      }
    }
  }
}

for (const openapi of ['3.0.3', '3.1.0']) {
  t.test(`the document of a small app, in OpenAPI ${openapi}`, async t => {
    const app = await createApp(t, { swagger: { openapi: { ...HTTP.openapi, openapi } } })
    addRoutes(app)
    const document = await documentOf(app)
    t.strictSame(document, {
      openapi,
      info: INFO,
      components: {
        securitySchemes: {
          betterAuth: {
            type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A JWT of the Better Auth server'
          }
        },
        schemas: {}
      },
      paths: SMALL_APP_PATHS
    })
    t.strictSame(await new Validator().validate(structuredClone(document)), { valid: true }, 'is valid')
  })

  t.test(`with cookies, routes list both ways, in OpenAPI ${openapi}`, async t => {
    const app = await createApp(t, {
      options: { sessionCookie: true }, swagger: { openapi: { ...WITH_COOKIE.openapi, openapi } }
    })
    addRoutes(app)
    const document = await documentOf(app)
    const { paths } = document
    t.strictSame(paths['/me']!.get!.security, [BEARER, COOKIE])
    t.strictSame(paths['/news']!.get!.security, [BEARER, COOKIE, {}])
    t.match(document.components, {
      securitySchemes: { betterAuthCookie: { type: 'apiKey', in: 'cookie', name: 'better-auth.session_data' } }
    })
    t.strictSame(await new Validator().validate(structuredClone(document)), { valid: true }, 'is valid')
  })
}

t.test('a route is documented by its hook, wherever that is', async t => {
  const plain = (app: FastifyInstance, options: RouteShorthandOptions) => { app.get('/x', options, handler) }
  const inScope = (fill: FastifyPluginAsync, prefix = ''): FastifyPluginAsync =>
    async app => { await app.register(fill, { prefix }) }
  const cases: Record<string, { fill: FastifyPluginAsync, at?: [url: string, method: string] }> = {
    'the onRequest of its scope, added before it': {
      fill: async app => {
        app.addHook('onRequest', app.authenticate)
        app.get('/x', handler)
      }
    },
    'the onRequest of its scope, added after it': {
      fill: async app => {
        app.get('/x', handler)
        app.addHook('onRequest', app.authenticate)
      }
    },
    'the preHandler of its scope': {
      fill: async app => {
        app.get('/x', handler)
        app.addHook('preHandler', app.authenticate)
      }
    },
    'a hook of an outer scope': {
      fill: async app => {
        app.addHook('onRequest', app.authenticate)
        await app.register(async scope => { scope.get('/x', handler) })
      }
    },
    'a hook that an fp-plugin adds': {
      fill: async app => {
        await app.register(fp(async scope => { scope.addHook('onRequest', scope.authenticate) }))
        app.get('/x', handler)
      }
    },
    'a route of an fp-plugin': { fill: fp(async app => { plain(app, { onRequest: app.authenticate }) }) },
    'a scope with a prefix': {
      fill: inScope(async app => { plain(app, { onRequest: app.authenticate }) }, '/v1'), at: ['/v1/x', 'get']
    },
    'a hook that an onRoute hook adds': {
      fill: inScope(async app => {
        app.addHook('onRoute', route => { route.onRequest = app.authenticate })
        app.get('/x', handler)
      })
    },
    'fastify.route() with several methods': {
      fill: async app => { app.route({ method: ['POST', 'PUT'], url: '/x', onRequest: [app.authenticate], handler }) },
      at: ['/x', 'put']
    },
    'the HEAD of a GET': { fill: async app => { plain(app, { onRequest: app.authenticate }) }, at: ['/x', 'head'] },
    'a scope\'s hook that allows anonymous requests, and a route that does not': {
      fill: inScope(async app => {
        app.addHook('onRequest', app.authenticateOptional)
        plain(app, { preHandler: app.authenticate })
      })
    }
  }
  for (const position of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    cases[`${position}, a function`] = { fill: async app => { plain(app, { [position]: app.authenticate }) } }
    cases[`${position}, one of several`] = {
      fill: async app => { plain(app, { [position]: [async () => {}, app.authenticate] }) }
    }
  }
  for (const [name, { fill, at: [url, method] = ['/x', 'get'] }] of Object.entries(cases)) {
    const app = await createApp(t, { swagger: { ...HTTP, exposeHeadRoutes: true } })
    await app.register(fill)
    const operation = (await documentOf(app)).paths[url]![method]!
    t.strictSame(operation, { security: [BEARER], responses: { ...OK, ...REFUSALS } }, name)
  }
})

t.test('what is not among the hooks of a route does not document it', async t => {
  const app = await createApp(t)
  await app.register(fastifyAuth)
  await app.register(async scope => { scope.addHook('onRequest', scope.authenticate) })
  app.get('/sibling', handler)
  app.get('/by-hand', async (request, reply) => { await app.authenticate(request, reply) })
  app.get('/auth', { onRequest: app.auth([app.authenticate]), schema: { security: [{ betterAuth: [] }] } }, handler)
  const { paths } = await documentOf(app)
  t.strictSame(paths['/sibling'], { get: { responses: OK } }, 'a scope beside it')
  t.strictSame(paths['/by-hand'], { get: { responses: OK } }, 'its handler')
  t.strictSame(paths['/auth'], {
    get: { security: [BEARER], responses: OK }
  }, '@fastify/auth: what the route says of itself stands')
})

t.test('guards name what they ask for', async t => {
  const cases: Array<[guards: Guard[], description: string, named?: object[]]> = [
    [[{ roles: ['admin'] }], 'Needs the role admin'],
    [[{ roles: ['admin', 'editor'] }], 'Needs one of the roles admin, editor'],
    [[{ scopes: ['read'] }], 'Needs the scope read'],
    [[{ scopes: ['read', 'write'] }], 'Needs the scopes read, write'],
    [[{ check: () => true }], 'Needs to pass a check of the application', [{ check: true }]],
    [[{ roles: ['admin'] }, { scopes: ['read'] }], 'Needs the role admin. Needs the scope read']
  ]
  for (const [guards, description, named = guards] of cases) {
    const app = await createApp(t)
    app.get('/x', { onRequest: guards.map(app.authorize) }, handler)
    const { responses, security, 'x-better-auth-guards': found } = (await documentOf(app)).paths['/x']!.get!
    t.strictSame(responses[403], forbidden(`Insufficient permissions. ${description}`), description)
    t.strictSame(security, [BEARER])
    t.strictSame(found, named)
  }

  const app = await createApp(t)
  const roles = ['admin']
  app.get('/x', { onRequest: app.authorize({ roles }) }, handler)
  roles.push('everyone')
  t.strictSame(
    (await documentOf(app)).paths['/x']!.get!['x-better-auth-guards'],
    [{ roles: ['admin'] }],
    'as it was when they were made'
  )
})

t.test('it does not matter which of the two plugins comes first, and in which scope', async t => {
  const orders: Record<string, (app: FastifyInstance, routes: FastifyPluginAsync) => Promise<void>> = {
    'swagger, then ours': async (app, routes) => {
      await app.register(swagger, HTTP)
      await app.register(betterAuthPlugin)
      await app.register(routes)
    },
    'ours, then swagger': async (app, routes) => {
      await app.register(betterAuthPlugin)
      await app.register(swagger, HTTP)
      await app.register(routes)
    },
    'not awaited': async (app, routes) => {
      app.register(betterAuthPlugin)
      app.register(swagger, HTTP)
      app.register(routes)
    },
    'swagger in an outer scope': async (app, routes) => {
      await app.register(swagger, HTTP)
      await app.register(async scope => {
        await scope.register(betterAuthPlugin)
        await scope.register(routes)
      })
    }
  }
  for (const [name, register] of Object.entries(orders)) {
    const app = Fastify()
    t.teardown(() => app.close())
    await register(app, async scope => { addRoutes(scope) })
    t.strictSame((await documentOf(app)).paths, SMALL_APP_PATHS, name)
  }

  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin)
  app.get('/outside', { onRequest: app.authenticate }, handler)
  let inner: FastifyInstance | undefined
  await app.register(async scope => {
    inner = scope
    await scope.register(swagger, HTTP)
    addRoutes(scope)
  })
  await app.ready()
  t.strictSame((inner!.swagger() as unknown as Document).paths, SMALL_APP_PATHS, 'swagger in an inner scope')
})

t.test('what a route says of itself is left alone', async t => {
  const own = { description: 'My own', type: 'object', properties: { problem: { type: 'string' } } }
  const cases: Array<[schema: FastifySchema, expected: object]> = [
    [{ response: { 401: own } }, { 401: 'My own', 403: 'ours', 503: 'ours' }],
    [{ response: { 403: own, 503: own } }, { 401: 'ours', 403: 'My own', 503: 'My own' }],
    [{ response: { '4xx': own } }, { '4XX': 'My own', 503: 'ours' }],
    [{ response: { '4XX': own } }, { '4XX': 'My own', 503: 'ours' }],
    [{ response: { '5xx': own } }, { 401: 'ours', 403: 'ours', '5XX': 'My own' }],
    [{ response: { default: own } }, { default: 'My own' }],
    [{ response: { 200: own, 404: own } }, { 200: 'My own', 401: 'ours', 403: 'ours', 404: 'My own', 503: 'ours' }]
  ]
  for (const [schema, expected] of cases) {
    const app = await createApp(t)
    app.get('/x', { schema, onRequest: app.authorize({ roles: ['admin'] }) }, handler)
    const { responses } = (await documentOf(app)).paths['/x']!.get!
    const found = Object.entries(responses).map(
      ([status, { description }]) => [status, description === 'My own' ? description : 'ours']
    )
    t.strictSame(Object.fromEntries(found), expected, JSON.stringify(Object.keys(schema.response as object)))
  }

  const app = await createApp(t)
  app.get('/public', { schema: { security: [] }, onRequest: app.authenticate }, handler)
  app.get('/hidden', { schema: { hide: true }, onRequest: app.authenticate }, handler)
  app.get('/csv', { schema: { produces: ['text/csv'] }, onRequest: app.authenticate }, handler)
  const { paths } = await documentOf(app)
  t.strictSame(paths['/public']!.get!.security, [], 'its security')
  t.notOk('/hidden' in paths, 'a hidden route stays hidden')
  t.strictSame(paths['/csv']!.get!.responses[401]!.content, ERROR_CONTENT, 'errors are JSON, whatever else it produces')
})

t.test('what a route leaves undefined is said for it', async t => {
  const app = await createApp(t)
  const roles = ['admin']
  const onRequest = app.authorize({ roles })
  const undefinedSecurity: FastifySchema = {}
  Object.assign(undefinedSecurity, { security: undefined, 'x-better-auth-guards': undefined, response: undefined })
  const ownGuards: FastifySchema = {}
  Object.assign(ownGuards, { 'x-better-auth-guards': 'own' })
  app.get('/undefined', { schema: undefinedSecurity, onRequest }, handler)
  app.get('/absent', { onRequest }, handler)
  app.get('/own', { schema: ownGuards, onRequest }, handler)
  const { paths } = await documentOf(app)
  t.strictSame(paths['/undefined'], paths['/absent'])
  t.match(paths['/undefined'], { get: { security: [BEARER], 'x-better-auth-guards': [{ roles }] } })
  t.match(paths['/own'], { get: { security: [BEARER], 'x-better-auth-guards': 'own' } })
})

t.test('a route whose options cannot be changed costs the others nothing', async t => {
  const app = await createApp(t)
  const options: Record<string, RouteOptions> = {}
  app.addHook('onRoute', route => {
    options[route.url] = route
    if (route.url === '/frozen') Object.freeze(route)
  })
  const schema: FastifySchema = { summary: 'Me' }
  app.get('/me', { schema, exposeHeadRoute: false, onRequest: app.authenticate }, handler)
  app.get('/frozen', { exposeHeadRoute: false, onRequest: app.authenticate }, handler)
  app.get('/last', { exposeHeadRoute: false, onRequest: app.authenticate }, handler)
  await app.ready()
  const { schema: before } = options['/me']!
  const { paths } = await documentOf(app)
  for (const url of ['/me', '/last']) t.strictSame(paths[url]!.get!.security, [BEARER], url)
  t.strictSame(paths['/frozen'], { get: { responses: OK } })
  t.equal(options['/me']!.schema, before, 'and each has its schema back')
  t.strictSame(Object.keys(before as object), ['summary'])
})

t.test('a HEAD route with an operationId, which swagger copies, says what its schema says', async t => {
  const app = await createApp(t, { swagger: { ...HTTP, exposeHeadRoutes: true } })
  app.get('/x', { schema: { operationId: 'x', security: [BEARER] }, onRequest: app.authenticate }, handler)
  const { get, head } = (await documentOf(app)).paths['/x']!
  t.strictSame(get, { operationId: 'x', security: [BEARER], responses: { ...OK, ...REFUSALS } })
  t.strictSame(head, { operationId: 'x-head', security: [BEARER], responses: OK })
})

t.test('a schema that several routes use is not changed', async t => {
  const app = await createApp(t)
  app.addSchema({ $id: 'thing', type: 'object', properties: { id: { type: 'string' } } })
  const schema: FastifySchema = { response: { 200: { $ref: 'thing#' } } }
  app.get('/protected', { schema, onRequest: app.authenticate }, handler)
  app.get('/open', { schema }, handler)
  const { paths } = await documentOf(app)
  t.strictSame(Object.keys(schema), ['response'])
  t.strictSame(schema.response, { 200: { $ref: 'thing#' } })
  t.strictSame(Object.keys(paths['/protected']!.get!.responses), ['200', '401', '503'])
  t.strictSame(Object.keys(paths['/open']!.get!), ['responses'])
  t.strictSame(Object.keys(paths['/open']!.get!.responses), ['200'])
})

t.test('unprotected routes are documented as they are without the plugin', async t => {
  const fill = (app: FastifyInstance) => {
    app.addSchema({ $id: 'thing', type: 'object', properties: { id: { type: 'string' } } })
    app.get('/none', handler)
    app.get('/things/:id', {
      schema: { tags: ['things'], response: { 200: { $ref: 'thing#' }, 404: { type: 'null' } } }
    }, handler)
    app.post('/things', { schema: { body: { $ref: 'thing#' }, security: [{ betterAuth: [] }] } }, handler)
  }
  const [ours, plain] = [await createApp(t), await createPlainApp(t)]
  for (const app of [ours, plain]) fill(app)
  t.strictSame(await documentOf(ours), await documentOf(plain), 'in an app without protected routes')

  const [mixed, expected] = [await createApp(t), await createPlainApp(t)]
  for (const app of [mixed, expected]) {
    fill(app)
    addRoutes(app)
  }
  const [found, wanted] = [await documentOf(mixed), await documentOf(expected)]
  for (const url of ['/none', '/things/{id}', '/things', '/open']) {
    t.strictSame(found.paths[url], wanted.paths[url], url)
  }
  t.strictSame(found.components, wanted.components, 'and nothing is added to the components')
})

t.test('openapi: false says nothing of any route', async t => {
  const [off, plain] = [await createApp(t, { options: { openapi: false } }), await createPlainApp(t)]
  for (const app of [off, plain]) addRoutes(app)
  t.strictSame(await documentOf(off), await documentOf(plain))
})

t.test('where a scheme is not declared, the document stays whole and the log says what to do', async t => {
  const undeclared = { openapi: { info: INFO } }
  const v2 = { swagger: { info: INFO } }
  const cases: Array<[
    name: string,
    swagger: FastifyDynamicSwaggerOptions,
    sessionCookie: boolean,
    security: unknown,
    constant: RegExp
  ]> = [
    ['no scheme', undeclared, false, undefined, /Add betterAuthSecuritySchemes to/],
    ['no scheme, cookies on', undeclared, true, undefined, /Add betterAuthCookieSecuritySchemes to/],
    ['no cookie scheme', HTTP, true, [BEARER], /Add betterAuthCookieSecuritySchemes to/],
    ['Swagger 2.0', v2, false, undefined, /Add betterAuthSecuritySchemes to/]
  ]
  for (const [name, swagger, sessionCookie, security, constant] of cases) {
    const log = captureLog()
    const app = await createApp(t, { swagger, options: { sessionCookie }, app: Fastify({ logger: log.logger }) })
    const declared = await createApp(t, { swagger: swagger === v2 ? V2 : WITH_COOKIE })
    for (const one of [app, declared]) addRoutes(one)
    const { paths } = await documentOf(app)
    t.strictSame(paths['/me']!.get!.security, security, name)
    for (const [url, item] of Object.entries((await documentOf(declared)).paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const { security: _, ...expected } = operation
        const { security: __, ...found } = paths[url]![method]!
        t.strictSame(found, expected, `${name}: all else is said of ${method} ${url}`)
      }
    }
    app.swagger()
    const warnings = log.lines.filter(({ msg }) => msg.startsWith('OpenAPI'))
    t.equal(warnings.length, 1, `${name}: warns once`)
    t.match(warnings[0], { level: 40, msg: constant }, name)
  }

  const log = captureLog()
  const app = await createApp(t, { app: Fastify({ logger: log.logger }) })
  addRoutes(app)
  await documentOf(app)
  t.notOk(log.lines.some(({ msg }) => msg.startsWith('OpenAPI')), 'and nothing where all is declared')
})

t.test('with the option exchange, its credentials are alternatives', async t => {
  const securitySchemes = { ...betterAuthSecuritySchemes, ...betterAuthExchangeSecuritySchemes }
  const declared = { openapi: { info: INFO, components: { securitySchemes } } }
  const securityOf = async (swagger: FastifyDynamicSwaggerOptions, exchange: BetterAuthOptions['exchange']) => {
    const log = captureLog()
    const app = await createApp(t, { swagger, options: { exchange }, app: Fastify({ logger: log.logger }) })
    addRoutes(app)
    const { security } = (await documentOf(app)).paths['/me']!.get!
    return { security, warnings: log.lines.filter(({ msg }) => msg.startsWith('OpenAPI')).map(({ msg }) => msg) }
  }
  const [session, key] = [{ betterAuthSessionCookie: [] }, { betterAuthApiKey: [] }]
  t.strictSame(await securityOf(declared, true), { security: [BEARER, session, key], warnings: [] })
  t.strictSame(await securityOf(declared, { apiKey: false }), { security: [BEARER, session], warnings: [] })
  t.strictSame(await securityOf(declared, { sessionCookie: false }), { security: [BEARER, key], warnings: [] })
  t.strictSame(await securityOf(declared, false), { security: [BEARER], warnings: [] })
  t.match(await securityOf(HTTP, true), {
    security: [BEARER], warnings: [/Add betterAuthSecuritySchemes, betterAuthExchangeSecuritySchemes to/]
  })
})

t.test('Swagger 2.0 with a scheme of that name documents the routes too', async t => {
  const app = await createApp(t, { swagger: V2 })
  addRoutes(app)
  const { get } = (await documentOf(app)).paths['/me']!
  t.strictSame(get!.security, [BEARER])
  t.match(get!.responses[401], {
    description: 'No valid credentials', headers: { 'WWW-Authenticate': { type: 'string' } }, schema: { type: 'object' }
  })
  t.strictSame(await new Validator().validate(structuredClone(await documentOf(app))), { valid: true })
})

t.test('a transform sees what is documented', async t => {
  const seen = new Map<string, FastifySchema | undefined>()
  const app = await createApp(t, {
    swagger: {
      ...HTTP,
      transform ({ schema, url }) {
        seen.set(url, schema)
        return { schema: { ...schema, tags: ['all'] }, url: `/api${url}` }
      }
    }
  })
  addRoutes(app)
  const { paths } = await documentOf(app)
  t.strictSame(paths['/api/me']!.get, { ...SMALL_APP_PATHS['/me'].get, tags: ['all'] })
  t.equal(seen.get('/open'), undefined, 'and no schema where there is none')
})

t.test('with a transform that takes no JSON Schema routes still say how they are protected', async t => {
  const log = captureLog()
  const app = await createApp(t, {
    app: Fastify({ logger: log.logger }),
    swagger: {
      ...HTTP,
      // Like that of a type provider with schemas of its own.
      transform ({ schema, url }) {
        const { response, ...rest } = schema ?? {}
        if (response !== undefined) throw new Error('not a schema of mine')
        return { schema: rest, url }
      }
    }
  })
  app.get('/x', { onRequest: app.authorize({ roles: ['admin'] }) }, handler)
  t.strictSame((await documentOf(app)).paths['/x'], {
    get: { security: [BEARER], 'x-better-auth-guards': [{ roles: ['admin'] }], responses: OK }
  })
  t.notOk(log.lines.some(({ msg }) => msg.startsWith('OpenAPI')), 'without a warning')
})

t.test('a transform that rejects our schema leaves the document as without the plugin, and is logged', async t => {
  const log = captureLog()
  const swagger: FastifyDynamicSwaggerOptions = {
    ...HTTP,
    transform ({ schema, url }) {
      if (schema !== undefined) throw new Error('no schemas here')
      return { schema, url }
    }
  }
  const app = await createApp(t, { app: Fastify({ logger: log.logger }), swagger })
  const plain = await createPlainApp(t, swagger)
  for (const one of [app, plain]) one.get('/me', { onRequest: one.authenticate }, handler)
  t.strictSame(await documentOf(app), await documentOf(plain))
  t.match(log.lines.filter(({ msg }) => msg.startsWith('OpenAPI')), [
    { level: 40, msg: /appear as public, because the `transform` passed/ }
  ])
})

t.test('what cannot be documented at all throws what it throws without the plugin', async t => {
  const log = captureLog()
  const app = await createApp(t, {
    app: Fastify({ logger: log.logger }), swagger: { ...HTTP, transform () { throw new Error('mine') } }
  })
  addRoutes(app)
  await app.ready()
  t.throws(() => app.swagger(), new Error('mine'))
  t.notOk(log.lines.some(({ msg }) => msg.startsWith('OpenAPI')), 'and the scheme is not blamed')
})

t.test('the document is there as soon as swagger has it, in YAML too, and is made once', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, HTTP)
  let early: unknown
  app.addHook('onReady', async () => { early = structuredClone(app.swagger()) })
  await app.register(async scope => {
    await scope.register(betterAuthPlugin)
    addRoutes(scope)
  })
  await app.ready()
  t.match(early, { paths: SMALL_APP_PATHS }, 'in an onReady hook that was added before the plugin')
  t.equal(app.swagger(), app.swagger())
  t.match(app.swagger({ yaml: true }), /\/me:\n +get:\n(?: .*\n)*? +security:\n +- betterAuth: \[\]\n/)
})

t.test('@fastify/swagger-ui shows it, as JSON and as YAML', async t => {
  const app = await createApp(t)
  await app.register(swaggerUi, { routePrefix: '/docs' })
  addRoutes(app)
  const json = await TRANSPORTS.socket(app, { url: '/docs/json' })
  t.strictSame((JSON.parse(json.body) as Document).paths, JSON.parse(JSON.stringify(SMALL_APP_PATHS)))
  const yaml = await TRANSPORTS.socket(app, { url: '/docs/yaml' })
  t.match(yaml.body, 'WWW-Authenticate')
})

t.test('two registrations document their own routes only', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, WITH_COOKIE)
  for (const [prefix, sessionCookie] of [['/staff', false], ['/shop', true]] as const) {
    await app.register(async scope => {
      await scope.register(betterAuthPlugin, { sessionCookie })
      scope.get('/me', { onRequest: scope.authenticate }, handler)
      scope.get('/open', handler)
    }, { prefix })
  }
  const { paths } = await documentOf(app)
  t.strictSame(paths['/staff/me']!.get!.security, [BEARER])
  t.strictSame(paths['/shop/me']!.get!.security, [BEARER, COOKIE])
  for (const url of ['/staff/open', '/shop/open']) t.strictSame(paths[url], { get: { responses: OK } }, url)
})

t.test('responses are the same bytes, documented or not', async t => {
  const bodies: Array<Record<string, unknown>> = []
  for (const [openapi, withSwagger] of [[true, HTTP], [false, HTTP], [true, false]] as const) {
    const app = await createApp(t, { options: { openapi }, swagger: withSwagger })
    app.setErrorHandler((error, request, reply) => {
      // Answers that a schema of the documented responses would cut or refuse.
      return request.headers.plain === undefined
        ? reply.send({ problem: (error as Error).message, statusCode: 'none' })
        : reply.send(error)
    })
    const schema = { body: { type: 'object', required: ['a'], properties: { a: { type: 'integer' } } } }
    app.get('/x', { onRequest: app.authorize({ roles: ['admin'] }) }, handler)
    app.post('/y', { schema, preHandler: app.authenticate }, async request => request.body)
    if (withSwagger !== false) await documentOf(app)
    const found: Record<string, unknown> = {}
    for (const [channel, call] of Object.entries(TRANSPORTS)) {
      for (const plain of [undefined, '1']) {
        const headers = plain === undefined ? {} : { plain }
        for (const [name, answer] of Object.entries({
          get: await call(app, { url: '/x', headers }),
          head: await call(app, { url: '/x', method: 'HEAD', headers }),
          valid: await call(app, { url: '/y', method: 'POST', headers, payload: { a: '1' } }),
          invalid: await call(app, { url: '/y', method: 'POST', headers, payload: {} })
        })) {
          const { date, ...rest } = answer.headers
          found[`${channel} ${name} ${plain}`] = { ...answer, headers: rest }
        }
      }
    }
    bodies.push(found)
  }
  const [on, off, without] = bodies
  t.strictSame(on, off)
  t.strictSame(on, without)
  t.match(on!['socket get undefined'], { status: 401, body: '{"problem":"Missing bearer token","statusCode":"none"}' })
  t.match(on!['socket invalid undefined'], { body: /must have required property/ })
})

t.test('without swagger nothing is kept or changed', async t => {
  const app = await createApp(t, { swagger: false })
  app.decorate('swagger', () => 'not that of @fastify/swagger')
  const { swagger: decorator } = app
  addRoutes(app)
  await app.ready()
  t.equal(app.swagger, decorator)
})

t.test('a swagger under another name is left alone', async t => {
  const app = await createApp(t, { swagger: { ...HTTP, decorator: 'docs' } })
  addRoutes(app)
  await app.ready()
  const { docs } = app as unknown as { docs: () => Document }
  t.equal(docs().paths['/me']!.get!.security, undefined)
})

t.test('what the application itself calls swagger is left alone', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const own = { foo: 1 }
  app.decorate('swagger', own as unknown as FastifyInstance['swagger'])
  await app.register(swagger, { ...HTTP, decorator: 'docs' })
  await app.register(betterAuthPlugin)
  addRoutes(app)
  await app.ready()
  t.equal<unknown>(app.swagger, own)
})

t.test('should Fastify keep the hooks of scopes elsewhere one day, those of routes are still found', async t => {
  const app = await createApp(t)
  app.addHook('onRequest', app.authenticateOptional)
  app.get('/route', { onRequest: app.authenticate }, handler)
  app.get('/scope', handler)
  await app.ready()
  const store = app as unknown as Record<symbol, unknown>
  const key = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.hooks')!
  const hooks = store[key]
  delete store[key]
  const { paths } = await documentOf(app)
  store[key] = hooks
  t.strictSame(paths['/route']!.get!.security, [BEARER])
  t.strictSame(paths['/scope']!.get, { responses: OK })
})

t.test('whoever changes the document does not change what a guard asks for', async t => {
  const issuer = await startIssuer(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, HTTP)
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl })
  app.get('/', { onRequest: [app.authorize({ roles: ['admin'] })] }, async () => 'in')
  await app.ready()
  const document = app.swagger() as unknown as Document
  const [guard] = document.paths['/']!.get!['x-better-auth-guards'] as [{ roles: string[] }]
  guard.roles.push('user')
  const headers = { authorization: `Bearer ${issuer.token({ role: 'user' })}` }
  t.equal((await app.inject({ url: '/', headers })).statusCode, 403)
})

t.test('a hook of the application that is marked as protection is documented, except on public routes', async t => {
  const app = await createApp(t)
  await app.register(fastifyAuth)
  app.addHook('onRequest', app.betterAuth.markAsProtection(app.auth([app.authenticate])))
  app.get('/me', handler)
  app.get('/health', { config: { public: true } }, handler)
  const { paths } = await documentOf(app)
  t.strictSame(paths['/me']!.get!.security, [BEARER])
  t.strictSame(paths['/health']!.get, { responses: OK })
})

t.test('OAuth clients: the document names the scopes of each guard, and is valid', async t => {
  const securitySchemes = {
    ...betterAuthSecuritySchemes,
    ...betterAuthOAuthSecurityScheme('https://id.example.com/api/auth', { 'orders:read': 'Read orders' })
  }
  const app = await createApp(t, {
    options: { resource: 'https://api.example.com' },
    swagger: { openapi: { info: INFO, components: { securitySchemes } } }
  })
  app.get('/me', { onRequest: [app.authenticate] }, handler)
  app.get('/orders', { onRequest: [app.authorize({ delegated: ['orders:read'] })] }, handler)
  app.get('/sync', { onRequest: [app.authorize({ clients: ['orders:read'], users: false })] }, handler)
  const document = await documentOf(app)
  const oauth = { betterAuthOAuth: ['orders:read'] }
  t.strictSame(document.paths['/me']!.get!.security, [BEARER])
  t.strictSame(document.paths['/orders']!.get!.security, [BEARER, oauth])
  t.strictSame(document.paths['/sync']!.get!.security, [oauth])
  t.match(document.paths['/orders']!.get!.responses[403]!.description, /act for a user need the scope orders:read/)
  t.equal((await new Validator().validate(document)).valid, true)
})

t.test('OAuth clients: without their scheme, routes keep the others, and the log says what to add', async t => {
  const log = captureLog()
  const app = await createApp(t, {
    options: { resource: 'https://api.example.com' }, app: Fastify({ logger: log.logger })
  })
  app.get('/orders', { onRequest: [app.authorize({ delegated: ['orders:read'] })] }, handler)
  const document = await documentOf(app)
  t.strictSame(document.paths['/orders']!.get!.security, [BEARER])
  t.match(log.lines.find(({ msg }) => msg.startsWith('OpenAPI'))?.msg, /betterAuthOAuthSecurityScheme\(\)/)
})

t.test('with the option dpop, tokens that are bound to a key are an alternative for OAuth clients', async t => {
  const oauth = betterAuthOAuthSecurityScheme('https://id.example.com/api/auth', { 'orders:read': 'Read orders' })
  const securitySchemes = { ...betterAuthSecuritySchemes, ...oauth, ...betterAuthDpopSecuritySchemes }
  const documentFor = async (options: BetterAuthOptions, schemes: object, log = captureLog()) => {
    const openapi = { info: INFO, components: { securitySchemes: schemes } }
    const app = await createApp(t, {
      options: { resource: 'https://api.example.com', ...options },
      swagger: { openapi } as FastifyDynamicSwaggerOptions,
      app: Fastify({ logger: log.logger })
    })
    app.get('/me', { onRequest: [app.authenticate] }, handler)
    app.get('/orders', { onRequest: [app.authorize({ delegated: ['orders:read'] })] }, handler)
    const document = await documentOf(app)
    const [me, orders] = ['/me', '/orders'].map(url => document.paths[url]!.get!.security)
    const warnings = log.lines.filter(({ msg }) => msg.startsWith('OpenAPI')).map(({ msg }) => msg)
    return { document, me, orders, warnings }
  }
  const [bearer, bound] = [{ betterAuthOAuth: ['orders:read'] }, { betterAuthDpop: [] }]
  for (const [dpop, expected] of [
    [false, [BEARER, bearer]], [true, [BEARER, bearer, bound]], [{ required: true }, [BEARER, bound]]
  ] as const) {
    const { document, me, orders, warnings } = await documentFor({ dpop }, securitySchemes)
    t.strictSame([me, orders], [[BEARER], expected], JSON.stringify(dpop))
    t.strictSame(warnings, [])
    t.strictSame(await new Validator().validate(structuredClone(document)), { valid: true })
  }
  const rest = 'openapi.components.securitySchemes in the options of @fastify/swagger.'
  for (const [dpop, constants] of [
    [false, 'betterAuthSecuritySchemes'], [true, 'betterAuthSecuritySchemes, betterAuthDpopSecuritySchemes']
  ] as const) {
    const { me, orders, warnings } = await documentFor({ dpop }, {})
    t.strictSame([me, orders], [undefined, undefined])
    t.strictSame(warnings, ['OpenAPI: protected routes lack their security requirement. ' +
      `Add ${constants}, and what betterAuthOAuthSecurityScheme() returns, to ${rest}`])
  }
})
