import fastifyAuth from '@fastify/auth'
import type {
  FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions
} from 'fastify'
import t, { type Test } from 'tap'
import { UserSchema } from '../../lib/index.js'
import { bearer, captureLog, headersFor, startApi, TRANSPORTS } from '../fixtures/api.js'
import {
  headersOf, INVALID, isRefusal, isSuccess, MALFORMED, MISSING, UNAVAILABLE, USER
} from '../fixtures/expected.js'
import { deadOrigin, startJwks } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey()

const POSITIONS: Record<string, {
  route (app: FastifyInstance): RouteShorthandOptions
  scope (app: FastifyInstance): void
}> = {
  onRequest: {
    route: app => ({ onRequest: [app.authenticate] }),
    scope: app => { app.addHook('onRequest', app.authenticate) }
  },
  preParsing: {
    route: app => ({ preParsing: [app.authenticate] }),
    scope: app => { app.addHook('preParsing', app.authenticate) }
  },
  preValidation: {
    route: app => ({ preValidation: [app.authenticate] }),
    scope: app => { app.addHook('preValidation', app.authenticate) }
  },
  preHandler: {
    route: app => ({ preHandler: [app.authenticate] }),
    scope: app => { app.addHook('preHandler', app.authenticate) }
  },
  'onRequest, as a wrapper with a callback': {
    route: app => ({ onRequest: (request, reply, done) => { withCallback(app)(request, reply, done) } }),
    scope: app => { app.addHook('onRequest', (request, reply, done) => { withCallback(app)(request, reply, done) }) }
  },
  'preParsing, as a wrapper with payload and callback': {
    route: app => ({
      preParsing: (request, reply, payload, done) => { afterPayload(app)(request, reply, payload, done) }
    }),
    scope: app => {
      app.addHook('preParsing', (request, reply, payload, done) => { afterPayload(app)(request, reply, payload, done) })
    }
  },
  'preHandler, as an async wrapper': {
    route: app => ({ preHandler: async (request, reply) => app.authenticate(request, reply) }),
    scope: app => { app.addHook('preHandler', async (request, reply) => app.authenticate(request, reply)) }
  }
}

type Done = (error?: Error) => void

function withCallback (app: FastifyInstance): (request: FastifyRequest, reply: FastifyReply, done: Done) => void {
  return app.authenticate
}

function afterPayload (
  app: FastifyInstance
): (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done) => void {
  return app.authenticate
}

t.test('authenticate in each hook position, on a route and on a scope', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await deadOrigin()
  const payload = { text: 'a body that is still parsed' }
  for (const [position, { route, scope }] of Object.entries(POSITIONS)) {
    for (const [place, prepare] of Object.entries({
      route, scope: (app: FastifyInstance) => { scope(app); return {} }
    })) {
      for (const [transport, call] of Object.entries(TRANSPORTS)) {
        t.test(`${position}, on a ${place}, by ${transport}`, async t => {
          const up = await startApi(t, { authUrl: jwks.origin })
          const down = await startApi(t, { authUrl: dead })
          for (const app of [up, down]) {
            app.post('/', prepare(app), async ({ user, claims, body }) => ({ user, sub: claims.sub, body }))
          }
          const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
          // The first waits for the key, the second has it at hand.
          for (const key of ['cold', 'warm']) {
            isSuccess(t, await call(up, { method: 'POST', url: '/', headers, payload }), {
              user: USER, sub: 'u_1', body: payload
            }, key)
          }
          isRefusal(t, await call(up, { method: 'POST', url: '/', payload }), MISSING)
          isRefusal(
            t, await call(up, { method: 'POST', url: '/', headers: { authorization: 'Bearer' }, payload }), MALFORMED
          )
          isRefusal(t, await call(up, { method: 'POST', url: '/', headers: bearer('abc'), payload }), INVALID)
          isRefusal(t, await call(up, {
            method: 'POST', url: '/', headers: bearer(signJws(FOREIGN_KEY, createClaims(jwks.origin))), payload
          }), INVALID)
          isRefusal(t, await call(down, { method: 'POST', url: '/', headers, payload }), UNAVAILABLE)
        })
      }
    }
  }
})

t.test('a hook on the root guards unknown routes as well', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.addHook('onRequest', app.authenticate)
  // Fastify prepares its own response to unknown routes before the hook exists.
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ found: false }))
  isRefusal(t, await TRANSPORTS.inject(app, { url: '/nowhere' }), MISSING)
  t.match(await TRANSPORTS.inject(app, { url: '/nowhere', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), {
    status: 404
  })
})

t.test('awaited by hand', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await deadOrigin()
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(`fills in the request, by ${transport}`, async t => {
      const app = await startApi(t, { authUrl: jwks.origin })
      app.get('/', async (request, reply) => {
        t.equal(await app.authenticate(request, reply), undefined)
        return { user: request.user, claims: request.claims }
      })
      const claims = createClaims(jwks.origin)
      for (const key of ['cold', 'warm']) {
        isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, claims)) }), { user: USER, claims }, key)
      }
    })

    t.test(`caught, the response is a normal one, by ${transport}`, async t => {
      const log = captureLog()
      for (const { authUrl, authorization, code } of [
        { authUrl: jwks.origin, code: 'FST_BETTER_AUTH_TOKEN_MISSING' },
        { authUrl: jwks.origin, authorization: 'Bearer', code: 'FST_BETTER_AUTH_REQUEST_INVALID' },
        { authUrl: jwks.origin, authorization: 'Bearer abc', code: 'FST_BETTER_AUTH_TOKEN_INVALID' },
        {
          authUrl: dead,
          authorization: `Bearer ${signJws(KEY, createClaims(dead))}`,
          code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE'
        }
      ]) {
        const app = await startApi(t, { authUrl }, log)
        app.get('/', async (request, reply) => {
          try {
            await app.authenticate(request, reply)
            return { signedIn: true }
          } catch (error) {
            const { user, claims } = request
            return { signedIn: false, user, claims: claims ?? null, code: (error as FastifyError).code }
          }
        })
        log.lines.length = 0
        isSuccess(t, await call(app, { url: '/', headers: headersFor(authorization) }), {
          signedIn: false, user: null, claims: null, code
        })
        t.equal(log.refusals().length, 1)
      }
    })
  }
})

t.test('by hand, an argument that is no callback, such as the payload of preParsing, changes nothing', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  const authenticate = app.authenticate as (...args: unknown[]) => Promise<void>
  app.post('/', {
    preParsing: async (request, reply, payload) => { await authenticate(request, reply, payload) }
  }, async ({ user }) => user)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  isSuccess(t, await TRANSPORTS.inject(app, { method: 'POST', url: '/', headers, payload: {} }), USER)
  isRefusal(t, await TRANSPORTS.inject(app, { method: 'POST', url: '/', payload: {} }), MISSING)
})

t.test('inside @fastify/auth', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await deadOrigin()
  const good = bearer(signJws(KEY, createClaims(jwks.origin)))
  const apiKey = { 'x-api-key': 'right' }
  const refusedKey = { statusCode: 401, error: 'Unauthorized', message: 'wrong API key' }

  async function createGuarded (t: Test, authUrl: string): Promise<FastifyInstance> {
    const app = await startApi(t, { authUrl })
    await app.register(fastifyAuth)
    const checkKey = (request: FastifyRequest, _reply: FastifyReply, done: Done) => {
      done(request.headers['x-api-key'] === 'right' ? undefined : new Error('wrong API key'))
    }
    const wrapped = (request: FastifyRequest, reply: FastifyReply, done: Done) => {
      withCallback(app)(request, reply, done)
    }
    const guards: Record<string, ReturnType<typeof app.auth>> = {
      alone: app.auth([app.authenticate]),
      wrapped: app.auth([wrapped]),
      'token-or-key': app.auth([app.authenticate, checkKey], { relation: 'or' }),
      'key-or-token': app.auth([checkKey, app.authenticate], { relation: 'or' }),
      'token-and-key': app.auth([app.authenticate, checkKey], { relation: 'and' }),
      'key-and-token': app.auth([checkKey, app.authenticate], { relation: 'and' }),
      all: app.auth([app.authenticate, checkKey], { relation: 'and', run: 'all' }),
      group: app.auth([[app.authenticate, checkKey]], { relation: 'or' })
    }
    for (const [name, guard] of Object.entries(guards)) {
      app.get(`/${name}`, { preHandler: guard }, async ({ user }) => ({ user }))
      app.get(`/${name}/early`, { onRequest: guard }, async ({ user }) => ({ user }))
    }
    return app
  }

  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const early of ['', '/early']) {
      t.test(`by ${transport}${early}`, async t => {
        const app = await createGuarded(t, jwks.origin)
        const down = await createGuarded(t, dead)

        t.test('lets pass who is allowed', async t => {
          for (const [name, headers] of Object.entries({
            alone: good,
            wrapped: good,
            'token-or-key': good,
            'key-or-token': good,
            'token-and-key': { ...good, ...apiKey },
            'key-and-token': { ...good, ...apiKey },
            all: { ...good, ...apiKey },
            group: { ...good, ...apiKey }
          })) isSuccess(t, await call(app, { url: `/${name}${early}`, headers }), { user: USER })
        })

        t.test('or: a refused token is forgotten when the other way in works', async t => {
          for (const headers of [{}, { authorization: 'Bearer' }, bearer('abc')]) {
            isSuccess(t, await call(app, { url: `/token-or-key${early}`, headers: { ...headers, ...apiKey } }), {
              user: null
            })
          }
          isSuccess(t, await call(down, { url: `/token-or-key${early}`, headers: { ...good, ...apiKey } }), {
            user: null
          })
        })

        t.test('keeps 400, 401 and 503 as they are', async t => {
          for (const name of ['alone', 'wrapped', 'key-or-token', 'token-and-key', 'group']) {
            const url = `/${name}${early}`
            isRefusal(t, await call(app, { url }), MISSING)
            isRefusal(t, await call(app, { url, headers: { authorization: 'Bearer a b' } }), MALFORMED)
            isRefusal(t, await call(app, { url, headers: bearer('abc') }), INVALID)
            isRefusal(t, await call(down, { url, headers: good }), UNAVAILABLE)
          }
          for (const name of ['key-and-token', 'all']) {
            const url = `/${name}${early}`
            isRefusal(t, await call(app, { url, headers: apiKey }), MISSING)
            isRefusal(t, await call(app, { url, headers: { ...apiKey, authorization: 'Bearer' } }), MALFORMED)
            isRefusal(t, await call(down, { url, headers: { ...apiKey, ...good } }), UNAVAILABLE)
          }
        })

        t.test('and: a good token alone is not enough', async t => {
          for (const name of ['token-and-key', 'key-and-token', 'all', 'group']) {
            const answer = await call(app, { url: `/${name}${early}`, headers: good })
            t.strictSame(
              { status: answer.status, body: JSON.parse(answer.body) }, { status: 401, body: refusedKey }, name
            )
          }
        })
      })
    }
  }
})

t.test('a custom error handler finds the headers set, and in hooks the status', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await deadOrigin()
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(transport, async t => {
      for (const { authUrl, authorization, refusal } of [
        { authUrl: jwks.origin, refusal: MISSING },
        { authUrl: jwks.origin, authorization: 'Bearer', refusal: MALFORMED },
        { authUrl: jwks.origin, authorization: 'Bearer abc', refusal: INVALID },
        { authUrl: dead, authorization: `Bearer ${signJws(KEY, createClaims(dead))}`, refusal: UNAVAILABLE }
      ]) {
        const app = await startApi(t, { authUrl })
        await app.register(fastifyAuth)
        app.setErrorHandler<FastifyError>((error, request, reply) => {
          // Fastify leaves the status of what a handler throws to its error handler; that of a hook is set.
          if (request.url === '/hand') reply.code(error.statusCode!)
          return reply.send({ failed: error.code })
        })
        app.get('/hook', { onRequest: [app.authenticate] }, async () => 'handled')
        app.get('/auth', { preHandler: app.auth([app.authenticate]) }, async () => 'handled')
        app.get('/hand', async (request, reply) => app.authenticate(request, reply))
        for (const url of ['/hook', '/auth', '/hand']) {
          const answer = await call(app, { url, headers: headersFor(authorization) })
          t.strictSame([answer.status, headersOf(answer), JSON.parse(answer.body)], [
            refusal.body.statusCode,
            {
              type: 'application/json; charset=utf-8',
              wwwAuthenticate: refusal.wwwAuthenticate,
              retryAfter: refusal.retryAfter
            },
            { failed: refusal.body.code }
          ], url)
        }
      }
    })
  }
})

t.test('a handler that throws after a cold verification gets 500, as anywhere', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, () => { throw new Error('of the handler') })
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const key of ['cold', 'warm']) {
    t.match(await TRANSPORTS.socket(app, { url: '/', headers }), {
      status: 500, headers: { 'www-authenticate': undefined }
    }, key)
  }
})

t.test('a response schema of UserSchema serialises request.user', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', {
    onRequest: [app.authenticate], schema: { response: { 200: UserSchema } }
  }, async request => request.user)
  for (const call of Object.values(TRANSPORTS)) {
    isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), USER)
    const bare = {
      name: undefined, email: undefined, emailVerified: undefined, image: undefined, id: undefined, sub: 'u_2'
    }
    isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, createClaims(jwks.origin, bare))) }), {
      id: 'u_2', email: null, name: null, emailVerified: false, image: null
    })
    isRefusal(t, await call(app, { url: '/' }), MISSING)
  }
})

t.test('without authenticate a route knows no user, whatever the client sends', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/me', { onRequest: [app.authenticate] }, async () => 'me')
  app.get('/', async ({ user, claims }) => ({ user, claims: claims ?? null }))
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const call of Object.values(TRANSPORTS)) {
    t.match(await call(app, { url: '/me', headers }), { status: 200 })
    isSuccess(t, await call(app, { url: '/', headers }), { user: null, claims: null })
    isSuccess(t, await call(app, { url: '/', headers: bearer('abc') }), { user: null, claims: null })
  }
})

t.test('called by hand without await, a refusal does not end the process, and is still logged', async t => {
  const unhandled: unknown[] = []
  const listener = (error: unknown) => { unhandled.push(error) }
  process.on('unhandledRejection', listener)
  t.teardown(() => { process.off('unhandledRejection', listener) })
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin, isRevoked: async () => true }, log)
  const forgetful = {
    authenticate: app.authenticate, optional: app.authenticateOptional, guard: app.authorize({ roles: ['admin'] })
  }
  for (const [name, hook] of Object.entries(forgetful)) {
    app.get(`/${name}`, async (request, reply) => {
      hook(request, reply)
      return 'open'
    })
  }
  app.get('/awaited', async (request, reply) => { await app.authenticate(request, reply) })
  const revoked = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const call of Object.values(TRANSPORTS)) {
    for (const headers of [bearer('abc'), revoked]) {
      for (const name of Object.keys(forgetful)) t.equal((await call(app, { url: `/${name}`, headers })).status, 200)
      t.equal((await call(app, { url: '/awaited', headers })).status, 401, 'whoever awaits gets the error')
    }
  }
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
  t.equal(log.refusals().length, 16)
})

t.test('HEAD and OPTIONS are guarded like any method', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user)
  app.options('/', { onRequest: [app.authenticate] }, async request => request.user)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    isSuccess(t, await call(app, { method: 'OPTIONS', url: '/', headers }), USER)
    isRefusal(t, await call(app, { method: 'OPTIONS', url: '/' }), MISSING)
    t.match(await call(app, { method: 'HEAD', url: '/', headers }), {
      status: 200, headers: { 'www-authenticate': undefined }
    })
    log.lines.length = 0
    const refused = await call(app, { method: 'HEAD', url: '/', headers: bearer('abc') })
    t.match(refused, { status: 401, headers: { 'www-authenticate': INVALID.wwwAuthenticate } })
    if (transport === 'socket') t.equal(refused.body, '')
    t.strictSame(log.refusals().map(({ reason }) => reason), ['token_malformed'])
  }
})
