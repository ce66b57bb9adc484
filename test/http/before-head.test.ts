import { Readable } from 'node:stream'
import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import betterAuthPlugin, { CsrfError, isBetterAuthError, type BetterAuthError } from '../../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS, type ApiResponse } from '../fixtures/api.js'
import { deadOrigin, startJwks } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

/** The error of a call by hand. */
async function caught (call: Promise<void>): Promise<BetterAuthError> {
  const error: unknown = await call.then(() => undefined, error => error)
  if (isBetterAuthError(error)) return error
  throw error
}

type Answer = (error: BetterAuthError, request: FastifyRequest, reply: FastifyReply) => unknown

/** What writes the response after a call by hand was refused. */
const ANSWERS: Record<string, Answer> = {
  'the handler, in a body of its own': ({ statusCode, code }, _, reply) => reply.code(statusCode).send({ code }),
  'the handler, as a stream': ({ statusCode }, _, reply) => reply.code(statusCode).send(Readable.from(['refused'])),
  'the handler, as a Response': ({ statusCode }) => new Response('refused', { status: statusCode }),
  'the handler, by the raw response': ({ statusCode }, _, reply) => {
    reply.hijack()
    reply.raw.writeHead(statusCode, { 'content-type': 'text/plain' }).end('refused')
  },
  'the handler, by the raw response without a call of writeHead': ({ statusCode }, _, reply) => {
    reply.hijack()
    reply.raw.statusCode = statusCode
    reply.raw.end('refused')
  },
  'Fastify, for another error': ({ statusCode }) => { throw Object.assign(new Error('refused'), { statusCode }) },
  'Fastify, for this error': error => { throw error },
  'Fastify, because it is sent': (error, _, reply) => reply.send(error)
}

/** Both headers that a refusal may have. */
const headersOf = ({ headers }: ApiResponse) => [headers['www-authenticate'], headers['retry-after']]

t.test('after a call by hand, the response has the headers, whoever writes it', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await deadOrigin()
  const token = bearer(signJws(KEY, createClaims(jwks.origin)))
  const cases = [
    { url: '/authenticate', headers: {}, status: 401, expected: ['Bearer', undefined] },
    {
      url: '/authenticate', headers: bearer('abc'), status: 401, expected: ['Bearer error="invalid_token"', undefined]
    },
    { url: '/authorize', headers: token, status: 403, expected: ['Bearer error="insufficient_scope"', undefined] },
    { url: '/down', headers: bearer(signJws(KEY, createClaims(dead))), status: 503, expected: [undefined, /^\d+$/] }
  ]
  for (const [name, answer] of Object.entries(ANSWERS)) {
    t.test(name, async t => {
      const [app, down] = [await startApi(t, { authUrl: jwks.origin }), await startApi(t, { authUrl: dead })]
      for (const [url, hook] of Object.entries({
        '/authenticate': app.authenticate,
        '/authorize': app.authorize({ roles: ['admin'] }),
        // A route outside of the scope with the plugin, too.
        '/down': down.authenticate
      })) {
        app.get(url, async (request, reply) => answer(await caught(hook(request, reply)), request, reply))
      }
      for (const { url, headers, status, expected } of cases) {
        for (const [transport, call] of Object.entries(TRANSPORTS)) {
          const response = await call(app, { url, headers })
          t.equal(response.status, status, `${url}, by ${transport}`)
          t.match(headersOf(response), expected, `${url}, by ${transport}`)
        }
      }
    })
  }
})

t.test('a response of another kind has no header of a refusal', async t => {
  const [jwks, other] = [await startJwks(t, KEY), await startJwks(t, KEY)]
  const app = await startApi(t, { authUrl: jwks.origin })
  await app.register(fastifyAuth)
  const sibling = Fastify()
  t.teardown(() => sibling.close())
  await sibling.register(betterAuthPlugin, { authUrl: other.origin })
  const admin = app.authorize({ roles: ['admin'] })
  const byHand = async (request: FastifyRequest, reply: FastifyReply) => { await app.authenticate(request, reply) }
  const authenticateOther = sibling.authenticate

  const routes: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    '/200': async (request, reply) => { await caught(app.authenticate(request, reply)); return 'anonymous' },
    '/404': async (request, reply) => { await caught(app.authenticate(request, reply)); reply.callNotFound() },
    '/500': async (request, reply) => { await caught(app.authenticate(request, reply)); throw new Error('mine') },
    '/other-status': async (request, reply) => {
      await caught(app.authenticate(request, reply))
      return reply.code(403).send('mine')
    },
    '/later-success': async (request, reply) => {
      await caught(app.authenticate(request, reply))
      await authenticateOther(request, reply)
      return reply.code(401).send('mine')
    },
    '/later-refusal': async (request, reply) => {
      await caught(admin(request, reply))
      throw new CsrfError()
    }
  }
  for (const [url, handler] of Object.entries(routes)) app.get(url, handler)
  // A hook that succeeds later counts as well, at once and after a wait.
  const caughtHook = async (request: FastifyRequest, reply: FastifyReply) => {
    await caught(app.authenticate(request, reply))
  }
  for (const url of ['/hook-that-waits', '/hook-at-once']) {
    app.get(url, { onRequest: [caughtHook, authenticateOther] }, async (_, reply) => reply.code(401).send('mine'))
  }
  app.get('/alternatives', { onRequest: app.auth([byHand, authenticateOther]) }, async () => 'handled')

  const headers = bearer(signJws(KEY, createClaims(other.origin)))
  const statuses: Array<[url: string, status: number]> = [
    ['/hook-that-waits', 401], ['/hook-at-once', 401], ['/200', 200], ['/404', 404], ['/500', 500],
    ['/other-status', 403], ['/later-success', 401], ['/alternatives', 200]
  ]
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const [url, status] of statuses) {
      const response = await call(app, { url, headers })
      t.equal(response.status, status, `${url}, by ${transport}`)
      t.strictSame(headersOf(response), [undefined, undefined], `${url}, by ${transport}`)
    }
    const user = bearer(signJws(KEY, createClaims(jwks.origin)))
    const response = await call(app, { url: '/later-refusal', headers: user })
    t.match(response, { status: 403, body: 'FST_BETTER_AUTH_CSRF' })
    t.strictSame(headersOf(response), [undefined, undefined], 'the later refusal has no challenge')
  }
})

t.test('a header that the response has already stays', async t => {
  const dead = await deadOrigin()
  const app = await startApi(t, { authUrl: dead })
  const own: Record<string, (reply: FastifyReply) => void> = {
    reply: reply => { reply.headers({ 'www-authenticate': 'Basic', 'retry-after': '120' }) },
    raw: ({ raw }) => { raw.setHeader('WWW-Authenticate', 'Basic').setHeader('Retry-After', '120') }
  }
  for (const [name, set] of Object.entries(own)) {
    app.get(`/${name}`, async (request, reply) => {
      set(reply)
      const { statusCode } = await caught(app.authenticate(request, reply))
      return reply.code(statusCode).send(name === 'raw' ? Readable.from(['refused']) : 'refused')
    })
  }
  for (const name of Object.keys(own)) {
    for (const call of Object.values(TRANSPORTS)) {
      const missing = await call(app, { url: `/${name}` })
      t.match(missing, { status: 401, headers: { 'www-authenticate': 'Basic' } })
      const unavailable = await call(app, { url: `/${name}`, headers: bearer(signJws(KEY, createClaims(dead))) })
      t.match(unavailable, { status: 503, headers: { 'retry-after': '120' } })
    }
  }
})

t.test('the challenge is that of the registration that refused', async t => {
  const issuers = { plain: await startJwks(t, KEY), dpop: await startJwks(t, KEY) }
  const app = Fastify()
  t.teardown(() => app.close())
  const scopes: Record<string, FastifyInstance> = {}
  const METADATA = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"'
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, { authUrl: issuers.plain.origin })
    scopes.plain = scope
  })
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, {
      authUrl: issuers.dpop.origin, resource: 'https://api.example.com', dpop: true
    })
    scopes.dpop = scope
  })
  const challenges: Record<string, RegExp> = {
    plain: /^Bearer error="invalid_token"$/,
    dpop: new RegExp(`^Bearer error="invalid_token", ${METADATA}, DPoP algs="[\\w ]+", ${METADATA}$`)
  }
  const urls: Array<[url: string, challenge: RegExp]> = []
  // Each hook on a route of each scope, and on one outside of both.
  for (const [place, scope] of Object.entries({ ...scopes, outside: app })) {
    for (const [name, challenge] of Object.entries(challenges)) {
      const { authenticate } = scopes[name]!
      const url = `/${place}/${name}`
      scope.get(`${url}/hook`, { onRequest: [authenticate] }, async () => 'handled')
      scope.get(`${url}/hand`, { onRequest: [async (request, reply) => authenticate(request, reply)] }, async () => '')
      scope.get(`${url}/caught`, async (request, reply) => {
        // The latest of several refusals is the one.
        for (const { authenticate } of Object.values(scopes)) await caught(authenticate(request, reply))
        const { statusCode } = await caught(authenticate(request, reply))
        return reply.code(statusCode).send('refused')
      })
      urls.push(...['hook', 'hand', 'caught'].map((way): [string, RegExp] => [`${url}/${way}`, challenge]))
    }
  }
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const [url, challenge] of urls) {
      const { status, headers } = await call(app, { url, headers: bearer('abc') })
      t.equal(status, 401)
      t.match([headers['www-authenticate']].flat().join(', '), challenge, `${url}, by ${transport}`)
    }
  }
})

t.test('many refusals of a request, as by the fields of a GraphQL query, are prepared for once', async t => {
  const app = await startApi(t, { authUrl: 'https://id.example.com' })
  app.get('/', async (request, reply) => {
    const methods = new Set()
    for (let count = 0; count < 3; count++) {
      await caught(app.authenticate(request, reply))
      methods.add(reply.raw.writeHead)
    }
    return methods.size
  })
  t.match(await TRANSPORTS.inject(app, { url: '/' }), { status: 200, body: '1' })
})

t.test('a call by hand without the reply is refused as well', async t => {
  const log = captureLog()
  const app = await startApi(t, { authUrl: 'https://id.example.com' }, log)
  app.get('/', async (request, reply) => {
    const authenticate = app.authenticate as (request: FastifyRequest) => Promise<void>
    const { statusCode } = await caught(authenticate(request))
    return reply.code(statusCode).send('refused')
  })
  t.match(await TRANSPORTS.socket(app, { url: '/' }), { status: 401, headers: { 'www-authenticate': undefined } })
  t.match(log.refusals(), [{ reason: 'token_missing' }])
})

t.test('an error handler may remove the challenge of a hook', async t => {
  const app = await startApi(t, { authUrl: 'https://id.example.com' })
  app.setErrorHandler((_error, _request, reply) => reply.removeHeader('www-authenticate').code(401).send('mine'))
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  for (const call of Object.values(TRANSPORTS)) {
    t.match(await call(app, { url: '/' }), { status: 401, body: 'mine', headers: { 'www-authenticate': undefined } })
  }
})
