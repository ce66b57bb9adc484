import fastifyCors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { ForbiddenError, type BetterAuthOptions } from '../../lib/index.js'
import { bearer } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

type Headers = Record<string, string>

async function createApi (
  t: Test, options: BetterAuthOptions = { sessionCookie: true }, prepare?: (app: FastifyInstance) => Promise<void>
) {
  const issuer = await startIssuer(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await prepare?.(app)
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, ...options })
  app.get('/open', async () => 'open')
  app.get('/me', { onRequest: [app.authenticate] }, async () => 'me')
  app.get('/maybe', { onRequest: [app.authenticateOptional] }, async () => 'maybe')
  app.get('/admin', { onRequest: [app.authorize({ roles: ['admin'] })] }, async () => 'admin')
  app.get('/refused', { onRequest: [app.authenticate] }, async () => { throw new ForbiddenError() })
  app.get('/hand', async (request, reply) => {
    await app.authenticate(request, reply)
    return 'by hand'
  })
  app.get('/own', { onRequest: [app.authenticate] }, async (request, reply) => {
    reply.headers(request.query as Headers)
    return 'own'
  })
  return {
    app,
    cookie: { cookie: issuer.sessionCookie() },
    /** The cookie that is exchanged. */
    exchanged: { cookie: issuer.session().cookie },
    token: bearer(issuer.token()),
    /** `Cache-Control` and `Vary` of a response. */
    async cachingOf (url: string, headers: Headers = {}) {
      const { headers: { 'cache-control': cacheControl, vary } } = await app.inject({ url, headers })
      return [cacheControl, vary]
    }
  }
}

const PRIVATE = ['private', 'Cookie']
const UNTOUCHED = [undefined, undefined]

t.test('a response that a cookie authenticated is private, and varies by the cookie', async t => {
  const { cachingOf, cookie } = await createApi(t)
  for (const url of ['/me', '/maybe', '/admin', '/refused', '/hand']) {
    t.strictSame(await cachingOf(url, cookie), PRIVATE, url)
  }
})

t.test('so is one that a cookie authenticated which was exchanged', async t => {
  const { cachingOf, exchanged, token } = await createApi(t, { exchange: true })
  t.strictSame(await cachingOf('/me', exchanged), PRIVATE)
  t.strictSame(await cachingOf('/me', token), UNTOUCHED)
})

t.test('no other response is touched', async t => {
  const { cachingOf, cookie, token } = await createApi(t)
  t.strictSame(await cachingOf('/open', cookie), UNTOUCHED)
  t.strictSame(await cachingOf('/maybe'), UNTOUCHED)
  t.strictSame(await cachingOf('/me'), UNTOUCHED)
  t.strictSame(await cachingOf('/nowhere', cookie), UNTOUCHED)
  for (const url of ['/me', '/maybe', '/admin', '/hand']) {
    t.strictSame(await cachingOf(url, token), UNTOUCHED, url)
    t.strictSame(await cachingOf(url, { ...token, ...cookie }), UNTOUCHED, `${url} with both`)
  }
})

t.test('what the route has set stays', async t => {
  const { cachingOf, cookie } = await createApi(t)
  for (const [query, expected] of [
    ['cache-control=no-store', ['no-store', 'Cookie']],
    ['Cache-Control=public,+max-age=60', ['public, max-age=60', 'Cookie']],
    ['vary=Accept', ['private', 'Accept, Cookie']],
    ['vary=Accept,+Origin', ['private', 'Accept, Origin, Cookie']],
    ['vary=Accept-Cookie', ['private', 'Accept-Cookie, Cookie']],
    ['vary=Cookie', ['private', 'Cookie']],
    ['vary=accept,cookie', ['private', 'accept,cookie']],
    ['vary=Accept,+Cookie', ['private', 'Accept, Cookie']],
    ['vary=*', ['private', '*']],
    ['vary=', ['private', 'Cookie']],
    ['vary=Accept&vary=Origin', ['private', 'Accept, Origin, Cookie']]
  ] as const) {
    t.strictSame(await cachingOf(`/own?${query}`, cookie), expected, query)
  }
})

t.test('so does what @fastify/cors and earlier hooks have set', async t => {
  const { cachingOf, cookie } = await createApi(t, { sessionCookie: true }, async app => {
    await app.register(fastifyCors, { origin: ['https://app.example.com'], credentials: true })
    app.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-cache') })
  })
  t.strictSame(await cachingOf('/me', { ...cookie, origin: 'https://app.example.com' }), ['no-cache', 'Origin, Cookie'])
})

t.test('without the option there is no hook', async t => {
  const { app, cachingOf, cookie } = await createApi(t, {})
  t.strictSame(await cachingOf('/me', cookie), UNTOUCHED)
  const counted = Fastify()
  t.teardown(() => counted.close())
  const hooks: string[] = []
  const { addHook } = counted
  counted.addHook = function (this: FastifyInstance, name: string, ...rest: unknown[]) {
    hooks.push(name)
    return Reflect.apply(addHook, this, [name, ...rest]) as FastifyInstance
  } as FastifyInstance['addHook']
  await counted.register(betterAuthPlugin)
  t.notOk(hooks.includes('onSend'))
  t.ok(app.hasDecorator('authenticate'))
})
