import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { listRoutes } from '../../lib/routes/list-routes.js'

const handler = async () => 'ok'

function createApp (t: Test): FastifyInstance {
  const app = Fastify({ exposeHeadRoutes: false })
  t.teardown(() => app.close())
  return app
}

const namesOf = (scope: FastifyInstance) => listRoutes(scope).map(({ method, url }) => `${method} ${url}`).sort()

t.test('every method of every route is listed once, with what Fastify keeps of it', async t => {
  const app = createApp(t)
  app.get('/', handler)
  app.route({ method: ['GET', 'PUT'], url: '/two', handler })
  app.delete('/users/:id', { config: { public: true } }, handler)
  app.get('/files/*', handler)
  app.get('/optional/:name?', handler)
  app.get('/versions', { constraints: { version: '1.0.0' } }, handler)
  app.get('/versions', { constraints: { version: '2.0.0', host: 'example.com' } }, handler)
  await app.ready()
  t.strictSame(namesOf(app), [
    'DELETE /users/:id', 'GET /', 'GET /files/*', 'GET /optional', 'GET /optional/:name', 'GET /two', 'GET /versions',
    'GET /versions', 'PUT /two'
  ])
  const { context } = listRoutes(app).find(({ method }) => method === 'DELETE')!
  t.match(context, { server: app, config: { public: true } })
  t.match(listRoutes(app), listRoutes(app), 'the second list is the same')
})

t.test('app.all() is listed with all its methods, and so are methods that the application added', async t => {
  const app = createApp(t)
  app.addHttpMethod('REPORT')
  app.all('/any', handler)
  await app.ready()
  const names = namesOf(app)
  for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'TRACE', 'REPORT']) t.ok(names.includes(`${method} /any`))
})

t.test('a scope lists its own routes and those of its children, under both URLs of a prefix', async t => {
  const app = createApp(t)
  app.get('/parent', handler)
  app.register(async () => { app.get('/parent/later', handler) })
  app.register(async scope => { scope.get('/sibling', handler) })
  const scopes: FastifyInstance[] = []
  app.register(async scope => {
    scopes.push(scope)
    scope.get('/', handler)
    scope.register(async child => { child.get('/child', handler) }, { prefix: '/deep' })
  }, { prefix: '/own' })
  await app.ready()
  t.strictSame(namesOf(scopes[0]!), ['GET /own', 'GET /own/', 'GET /own/deep/child'])
  t.equal(namesOf(app).length, 6)
})

t.test('an application without routes has an empty list', async t => {
  const app = createApp(t)
  await app.ready()
  t.strictSame(listRoutes(app), [])
})

t.test('a Fastify that keeps routes in another way is an error, never an empty list', async t => {
  const app = createApp(t)
  app.get('/', handler)
  await app.ready()
  const error = { message: 'better-auth-fastify cannot list the routes of this version of Fastify' }
  app.printRoutes = () => '└── / (GET)\n'
  t.throws(() => listRoutes(app), error, 'which asks no function what to print')
  app.printRoutes = options => {
    const { buildPrettyMeta } = options as { buildPrettyMeta: (entry: object) => object }
    t.strictSame(buildPrettyMeta({ method: 'GET', path: '/', store: {} }), {})
    buildPrettyMeta({ method: 'PUT', path: '/', store: { server: app } })
    return '└── / (GET)\n'
  }
  t.throws(() => listRoutes(app), error, 'which keeps no scope with one of the routes')
})
