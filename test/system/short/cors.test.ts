import cors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import betterAuthPlugin from '../../../lib/index.js'
import { TRANSPORTS } from '../../fixtures/api.js'
import { startIssuer } from '../../fixtures/test-issuer.js'

const ORIGIN = 'https://app.example.com'
const PREFLIGHT = {
  method: 'OPTIONS',
  url: '/orders',
  headers: {
    origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization'
  }
} as const
const issuer = await startIssuer(t)
const handler = async () => 'in'

const addCors = (app: FastifyInstance) => app.register(cors, { origin: [ORIGIN], methods: ['GET', 'POST'] })
const addPlugin = (app: FastifyInstance) => app.register(betterAuthPlugin, { authUrl: issuer.authUrl })

/** How routes are protected, in each order of registration that docs/guides/other-plugins.md allows. */
const CASES: Record<string, (app: FastifyInstance) => Promise<void>> = {
  async 'a global hook' (app) {
    await addCors(app)
    await addPlugin(app)
    app.addHook('onRequest', app.authenticate)
    app.post('/orders', handler)
  },
  async 'a global hook, the plugin before @fastify/cors' (app) {
    await addPlugin(app)
    await addCors(app)
    app.addHook('onRequest', app.authenticate)
    app.post('/orders', handler)
  },
  async 'a guard on a scope' (app) {
    await addCors(app)
    await addPlugin(app)
    app.register(async scope => {
      scope.addHook('onRequest', scope.authorize({ check: () => true }))
      scope.post('/orders', handler)
    })
  },
  async 'a hook of a route, @fastify/cors last' (app) {
    await addPlugin(app)
    app.post('/orders', { onRequest: [app.authenticate] }, handler)
    await addCors(app)
  },
  async 'a global hook on all methods of a route' (app) {
    await addCors(app)
    await addPlugin(app)
    app.addHook('onRequest', app.authenticate)
    app.all('/orders', handler)
  }
}

for (const [title, prepare] of Object.entries(CASES)) {
  t.test(`pages of another origin and ${title}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await prepare(app)
    for (const call of Object.values(TRANSPORTS)) {
      t.match(await call(app, PREFLIGHT), {
        status: 204,
        headers: {
          'access-control-allow-origin': ORIGIN,
          'access-control-allow-headers': 'authorization',
          'www-authenticate': undefined
        }
      }, 'a preflight is answered without a credential')
      const headers = { origin: ORIGIN }
      t.match(await call(app, { method: 'POST', url: '/orders', headers }), {
        status: 401, headers: { 'access-control-allow-origin': ORIGIN, 'www-authenticate': 'Bearer' }
      }, 'the page can read the 401')
      const authorization = `Bearer ${issuer.token()}`
      t.match(await call(app, { method: 'POST', url: '/orders', headers: { ...headers, authorization } }), {
        status: 200, headers: { 'access-control-allow-origin': ORIGIN }
      })
      t.match(await call(app, { method: 'POST', url: '/orders', headers: { origin: 'https://evil.example.com' } }), {
        status: 401, headers: { 'access-control-allow-origin': undefined }
      })
    }
  })
}

t.test('an order that docs do not allow: a global hook before @fastify/cors refuses a preflight', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await addPlugin(app)
  app.addHook('onRequest', app.authenticate)
  await addCors(app)
  app.post('/orders', handler)
  t.equal((await app.inject(PREFLIGHT)).statusCode, 401)
})
