import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import fastifyAuth from '@fastify/auth'
import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteShorthandOptions } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  ALGORITHMS, ForbiddenError, UserSchema, type BetterAuthOptions
} from '../../lib/index.js'
import { bearer, captureLog, TRANSPORTS, type ApiResponse, type LogCapture } from '../fixtures/api.js'
import {
  createClaims, createSigningKey, encode, signBytes, signHmac, signJws, type SigningKey
} from '../fixtures/signing.js'
import { JWKS_PATH, startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey()
const USER = { id: 'u_1', email: 'ada@example.com', name: 'Ada', emailVerified: true, image: null }

async function startJwks (t: Test, ...keys: SigningKey[]): Promise<JwksServer> {
  const jwks = await startJwksServer((keys.length === 0 ? [KEY] : keys).map(({ jwk }) => jwk))
  t.teardown(() => jwks.stop())
  return jwks
}

/** An address at which nobody listens any more. */
async function deadOrigin (): Promise<string> {
  const jwks = await startJwksServer()
  await jwks.stop()
  return jwks.origin
}

async function createApi (t: Test, options: BetterAuthOptions, log: LogCapture = captureLog()): Promise<FastifyInstance> {
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, options)
  return app
}

/** The answers table: what a client sees, to the letter. */
interface Refusal {
  body: { statusCode: number, code: string, error: string, message: string }
  wwwAuthenticate?: string
  retryAfter?: string
}

const MISSING: Refusal = {
  body: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', error: 'Unauthorized', message: 'Missing bearer token' },
  wwwAuthenticate: 'Bearer'
}
const MALFORMED: Refusal = {
  body: { statusCode: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID', error: 'Bad Request', message: 'Malformed Authorization header' },
  wwwAuthenticate: 'Bearer error="invalid_request"'
}
const EXPIRED: Refusal = {
  body: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_EXPIRED', error: 'Unauthorized', message: 'Token expired' },
  wwwAuthenticate: 'Bearer error="invalid_token"'
}
const INVALID: Refusal = {
  body: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID', error: 'Unauthorized', message: 'Invalid authentication credentials' },
  wwwAuthenticate: 'Bearer error="invalid_token"'
}
const FORBIDDEN: Refusal = {
  body: { statusCode: 403, code: 'FST_BETTER_AUTH_FORBIDDEN', error: 'Forbidden', message: 'Insufficient permissions' },
  wwwAuthenticate: 'Bearer error="insufficient_scope"'
}
const UNAVAILABLE: Refusal = {
  body: { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', error: 'Service Unavailable', message: 'Auth service unreachable' },
  retryAfter: '1'
}

function isRefusal (t: Test, answer: ApiResponse, { body, wwwAuthenticate, retryAfter }: Refusal, name = body.code): void {
  t.strictSame({ status: answer.status, ...headersOf(answer), body: JSON.parse(answer.body) }, {
    status: body.statusCode, type: 'application/json; charset=utf-8', wwwAuthenticate, retryAfter, body
  }, name)
}

function headersOf ({ headers }: ApiResponse): Record<string, unknown> {
  return { type: headers['content-type'], wwwAuthenticate: headers['www-authenticate'], retryAfter: headers['retry-after'] }
}

/** A success that looks like one that was never anything else. */
function isSuccess (t: Test, answer: ApiResponse, body: unknown, name = 'answered 200'): void {
  t.strictSame({ status: answer.status, ...headersOf(answer), body: JSON.parse(answer.body) }, {
    status: 200, type: 'application/json; charset=utf-8', wwwAuthenticate: undefined, retryAfter: undefined, body
  }, name)
}

interface Row {
  name: string
  authorization?: string
  refusal: Refusal
  /** What the log says, beside what stands for itself. */
  reason: string
  log?: Record<string, unknown>
}

function rowsFor (origin: string): Row[] {
  const now = Math.floor(Date.now() / 1000)
  const token = (claims: Record<string, unknown> = {}, header = {}, key = KEY) => `Bearer ${signJws(key, createClaims(origin, claims), header)}`
  const unsigned = `${encode({ alg: 'none', kid: KEY.kid })}.${encode(createClaims(origin))}.`
  const evil = 'https://evil.example.com'
  return [
    { name: 'no Authorization header', refusal: MISSING, reason: 'token_missing' },
    { name: 'an empty header', authorization: '', refusal: MISSING, reason: 'token_missing' },
    { name: 'another scheme', authorization: 'Basic YWRhOmxvdmVsYWNl', refusal: MISSING, reason: 'token_missing' },
    { name: 'Bearer with nothing', authorization: 'Bearer', refusal: MALFORMED, reason: 'authorization_malformed' },
    { name: 'Bearer with two words', authorization: 'Bearer a b', refusal: MALFORMED, reason: 'authorization_malformed' },
    { name: 'Bearer with a token and a word', authorization: `${token()} b`, refusal: MALFORMED, reason: 'authorization_malformed' },
    { name: 'an expired token', authorization: token({ exp: now - 60 }), refusal: EXPIRED, reason: 'token_expired' },
    { name: 'a malformed token', authorization: 'Bearer abc', refusal: INVALID, reason: 'token_malformed' },
    { name: 'a payload that is no object', authorization: `Bearer ${signJws(KEY, '"ada"')}`, refusal: INVALID, reason: 'token_malformed' },
    { name: 'alg none', authorization: `Bearer ${unsigned}`, refusal: INVALID, reason: 'algorithm_not_allowed' },
    { name: 'an HMAC token', authorization: `Bearer ${signHmac('x'.repeat(32), createClaims(origin))}`, refusal: INVALID, reason: 'algorithm_not_allowed' },
    { name: 'a token without kid', authorization: token({}, { kid: undefined }), refusal: INVALID, reason: 'kid_invalid' },
    { name: 'a token of another kind', authorization: token({}, { typ: 'logout+jwt' }), refusal: INVALID, reason: 'typ_not_allowed' },
    { name: 'a foreign key', authorization: token({}, {}, FOREIGN_KEY), refusal: INVALID, reason: 'unknown_key' },
    { name: 'a foreign key under our kid', authorization: token({}, { kid: KEY.kid }, FOREIGN_KEY), refusal: INVALID, reason: 'signature_invalid' },
    { name: 'no exp', authorization: token({ exp: undefined }), refusal: INVALID, reason: 'claim_missing', log: { claim: 'exp' } },
    { name: 'a claim of the wrong type', authorization: token({ email: 7 }), refusal: INVALID, reason: 'claim_invalid', log: { claim: 'email' } },
    { name: 'a token from the future', authorization: token({ nbf: now + 60 }), refusal: INVALID, reason: 'token_not_active' },
    {
      name: 'a foreign issuer',
      authorization: token({ iss: evil }),
      refusal: INVALID,
      reason: 'issuer_mismatch',
      log: { claim: 'iss', expected: [origin], received: evil }
    },
    {
      name: 'no issuer',
      authorization: token({ iss: undefined }),
      refusal: INVALID,
      reason: 'issuer_mismatch',
      log: { claim: 'iss', expected: [origin], received: null }
    },
    {
      name: 'a foreign audience',
      authorization: token({ aud: [evil, `${origin}/`] }),
      refusal: INVALID,
      reason: 'audience_mismatch',
      log: { claim: 'aud', expected: [origin], received: [evil, `${origin}/`] }
    }
  ]
}

function headersFor (authorization: string | undefined): Record<string, string> {
  return authorization === undefined ? {} : { authorization }
}

/** Whether a token, or its signature alone, is in what was logged. */
function isLeaked (log: LogCapture, authorization = ''): boolean {
  const text = JSON.stringify(log.lines)
  const parts = authorization.split(/[ .]/).filter(part => part.length > 40)
  return parts.some(part => text.includes(part))
}

t.test('each refusal is answered to the letter and logged once with its reason', async t => {
  const jwks = await startJwks(t)
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    for (const { name, authorization, refusal, reason, log: details = {} } of rowsFor(jwks.origin)) {
      t.test(`${name}, by ${channel}`, async t => {
        const log = captureLog()
        const app = await createApi(t, { authUrl: jwks.origin }, log)
        let handled = 0
        app.get('/hook', { onRequest: [app.authenticate] }, async () => { handled++ })
        app.get('/hand', async (request, reply) => {
          await app.authenticate(request, reply)
          handled++
        })
        for (const url of ['/hook', '/hand']) {
          log.lines.length = 0
          isRefusal(t, await call(app, { url, headers: headersFor(authorization) }), refusal)
          t.match(log.refusals(), [{ level: 30, reason, reqId: /^req-/, msg: 'authentication refused', ...details }])
          t.equal(log.refusals().length, 1)
          if (details.expected === undefined) t.notOk('expected' in log.refusals()[0]! || 'received' in log.refusals()[0]!)
          t.notOk(isLeaked(log, authorization))
        }
        t.equal(handled, 0)
      })
    }
  }
})

t.test('expected and received are not logged for a token with a wrong signature', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const claims = createClaims('https://evil.example.com')
  isRefusal(t, await TRANSPORTS.inject(app, { url: '/', headers: bearer(signJws(FOREIGN_KEY, claims, { kid: KEY.kid })) }), INVALID)
  t.notMatch(JSON.stringify(log.lines), /evil/)
})

t.test('two Authorization headers are malformed, even if both are good', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const { authorization } = bearer(signJws(KEY, createClaims(jwks.origin)))
  isRefusal(t, await TRANSPORTS.socket(app, { url: '/', headers: { Authorization: [authorization, authorization] } }), MALFORMED)
})

t.test('the scheme is compared without case, and space around the token does not matter', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user)
  const token = signJws(KEY, createClaims(jwks.origin))
  for (const call of Object.values(TRANSPORTS)) {
    for (const authorization of [`bearer ${token}`, `BEARER ${token}`, `Bearer   ${token}`, `Bearer  ${token} `]) {
      isSuccess(t, await call(app, { url: '/', headers: { authorization } }), USER)
    }
  }
})

t.test('503 while the keys cannot be had, logged as a warning', async t => {
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    t.test(channel, async t => {
      const log = captureLog()
      const authUrl = await deadOrigin()
      const app = await createApi(t, { authUrl }, log)
      app.get('/hook', { onRequest: [app.authenticate] }, async () => 'handled')
      app.get('/hand', async (request, reply) => { await app.authenticate(request, reply) })
      const { authorization } = bearer(signJws(KEY, createClaims(authUrl)))
      // The second comes during the pause after the first.
      for (const url of ['/hook', '/hook', '/hand']) {
        log.lines.length = 0
        isRefusal(t, await call(app, { url, headers: { authorization } }), UNAVAILABLE)
        t.match(log.refusals(), [{ level: 40, reason: 'jwks_unavailable' }])
        t.equal(log.refusals().length, 1)
        t.notOk(isLeaked(log, authorization))
      }
      isRefusal(t, await call(app, { url: '/hook' }), MISSING)
    })
  }
})

t.test('403 when a handler throws ForbiddenError', async t => {
  const jwks = await startJwks(t)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    t.test(channel, async t => {
      const log = captureLog()
      const app = await createApi(t, { authUrl: jwks.origin }, log)
      app.get('/', { onRequest: [app.authenticate] }, async () => { throw new ForbiddenError() })
      isRefusal(t, await call(app, { url: '/', headers }), FORBIDDEN)
      t.match(log.refusals(), [{ reason: 'forbidden' }], 'logged with its reason')
      t.equal(log.refusals().length, 1)
    })
  }
})

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
    route: app => ({ preParsing: (request, reply, payload, done) => { afterPayload(app)(request, reply, payload, done) } }),
    scope: app => { app.addHook('preParsing', (request, reply, payload, done) => { afterPayload(app)(request, reply, payload, done) }) }
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

function afterPayload (app: FastifyInstance): (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done) => void {
  return app.authenticate
}

t.test('authenticate in each hook position, on a route and on a scope', async t => {
  const jwks = await startJwks(t)
  const dead = await deadOrigin()
  const payload = { text: 'a body that is still parsed' }
  for (const [position, { route, scope }] of Object.entries(POSITIONS)) {
    for (const [place, prepare] of Object.entries({ route, scope: (app: FastifyInstance) => { scope(app); return {} } })) {
      for (const [channel, call] of Object.entries(TRANSPORTS)) {
        t.test(`${position}, on a ${place}, by ${channel}`, async t => {
          const up = await createApi(t, { authUrl: jwks.origin })
          const down = await createApi(t, { authUrl: dead })
          for (const app of [up, down]) {
            app.post('/', prepare(app), async ({ user, claims, body }) => ({ user, sub: claims.sub, body }))
          }
          const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
          // The first waits for the key, the second has it at hand.
          for (const key of ['cold', 'warm']) {
            isSuccess(t, await call(up, { method: 'POST', url: '/', headers, payload }), { user: USER, sub: 'u_1', body: payload }, key)
          }
          isRefusal(t, await call(up, { method: 'POST', url: '/', payload }), MISSING)
          isRefusal(t, await call(up, { method: 'POST', url: '/', headers: { authorization: 'Bearer' }, payload }), MALFORMED)
          isRefusal(t, await call(up, { method: 'POST', url: '/', headers: bearer('abc'), payload }), INVALID)
          isRefusal(t, await call(up, { method: 'POST', url: '/', headers: bearer(signJws(FOREIGN_KEY, createClaims(jwks.origin))), payload }), INVALID)
          isRefusal(t, await call(down, { method: 'POST', url: '/', headers, payload }), UNAVAILABLE)
        })
      }
    }
  }
})

t.test('a hook on the root guards unknown routes as well', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.addHook('onRequest', app.authenticate)
  // Fastify makes its own answer to unknown routes before the hook is there.
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ found: false }))
  isRefusal(t, await TRANSPORTS.inject(app, { url: '/nowhere' }), MISSING)
  t.match(await TRANSPORTS.inject(app, { url: '/nowhere', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), { status: 404 })
})

t.test('awaited by hand', async t => {
  const jwks = await startJwks(t)
  const dead = await deadOrigin()
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    t.test(`fills in the request, by ${channel}`, async t => {
      const app = await createApi(t, { authUrl: jwks.origin })
      app.get('/', async (request, reply) => {
        t.equal(await app.authenticate(request, reply), undefined)
        return { user: request.user, claims: request.claims }
      })
      const claims = createClaims(jwks.origin)
      for (const key of ['cold', 'warm']) {
        isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, claims)) }), { user: USER, claims }, key)
      }
    })

    t.test(`caught, the answer is a normal one, by ${channel}`, async t => {
      const log = captureLog()
      for (const { authUrl, authorization, code } of [
        { authUrl: jwks.origin, code: 'FST_BETTER_AUTH_TOKEN_MISSING' },
        { authUrl: jwks.origin, authorization: 'Bearer', code: 'FST_BETTER_AUTH_REQUEST_INVALID' },
        { authUrl: jwks.origin, authorization: 'Bearer abc', code: 'FST_BETTER_AUTH_TOKEN_INVALID' },
        { authUrl: dead, authorization: `Bearer ${signJws(KEY, createClaims(dead))}`, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' }
      ]) {
        const app = await createApi(t, { authUrl }, log)
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
        isSuccess(t, await call(app, { url: '/', headers: headersFor(authorization) }), { signedIn: false, user: null, claims: null, code })
        t.equal(log.refusals().length, 1)
      }
    })
  }
})

t.test('inside @fastify/auth', async t => {
  const jwks = await startJwks(t)
  const dead = await deadOrigin()
  const good = bearer(signJws(KEY, createClaims(jwks.origin)))
  const apiKey = { 'x-api-key': 'right' }
  const refusedKey = { statusCode: 401, error: 'Unauthorized', message: 'wrong API key' }

  async function createGuarded (t: Test, authUrl: string): Promise<FastifyInstance> {
    const app = await createApi(t, { authUrl })
    await app.register(fastifyAuth)
    const checkKey = (request: FastifyRequest, _reply: FastifyReply, done: Done) => {
      done(request.headers['x-api-key'] === 'right' ? undefined : new Error('wrong API key'))
    }
    const wrapped = (request: FastifyRequest, reply: FastifyReply, done: Done) => { withCallback(app)(request, reply, done) }
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

  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    for (const early of ['', '/early']) {
      t.test(`by ${channel}${early}`, async t => {
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
            isSuccess(t, await call(app, { url: `/token-or-key${early}`, headers: { ...headers, ...apiKey } }), { user: null })
          }
          isSuccess(t, await call(down, { url: `/token-or-key${early}`, headers: { ...good, ...apiKey } }), { user: null })
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
            t.strictSame({ status: answer.status, body: JSON.parse(answer.body) }, { status: 401, body: refusedKey }, name)
          }
        })
      })
    }
  }
})

t.test('a custom error handler finds the headers set, and in hooks the status', async t => {
  const jwks = await startJwks(t)
  const dead = await deadOrigin()
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    t.test(channel, async t => {
      for (const { authUrl, authorization, refusal } of [
        { authUrl: jwks.origin, refusal: MISSING },
        { authUrl: jwks.origin, authorization: 'Bearer', refusal: MALFORMED },
        { authUrl: jwks.origin, authorization: 'Bearer abc', refusal: INVALID },
        { authUrl: dead, authorization: `Bearer ${signJws(KEY, createClaims(dead))}`, refusal: UNAVAILABLE }
      ]) {
        const app = await createApi(t, { authUrl })
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
            { type: 'application/json; charset=utf-8', wwwAuthenticate: refusal.wwwAuthenticate, retryAfter: refusal.retryAfter },
            { failed: refusal.body.code }
          ], url)
        }
      }
    })
  }
})

t.test('a handler that throws after a cold verification is answered 500, as anywhere', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, () => { throw new Error('of the handler') })
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const key of ['cold', 'warm']) {
    t.match(await TRANSPORTS.socket(app, { url: '/', headers }), { status: 500, headers: { 'www-authenticate': undefined } }, key)
  }
})

t.test('a response schema of UserSchema serialises request.user', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate], schema: { response: { 200: UserSchema } } }, async request => request.user)
  for (const call of Object.values(TRANSPORTS)) {
    isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), USER)
    const bare = { name: undefined, email: undefined, emailVerified: undefined, image: undefined, id: undefined, sub: 'u_2' }
    isSuccess(t, await call(app, { url: '/', headers: bearer(signJws(KEY, createClaims(jwks.origin, bare))) }), {
      id: 'u_2', email: null, name: null, emailVerified: false, image: null
    })
    isRefusal(t, await call(app, { url: '/' }), MISSING)
  }
})

t.test('without authenticate a route knows no user, whatever the client sends', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  app.get('/me', { onRequest: [app.authenticate] }, async () => 'me')
  app.get('/', async ({ user, claims }) => ({ user, claims: claims ?? null }))
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const call of Object.values(TRANSPORTS)) {
    t.match(await call(app, { url: '/me', headers }), { status: 200 })
    isSuccess(t, await call(app, { url: '/', headers }), { user: null, claims: null })
    isSuccess(t, await call(app, { url: '/', headers: bearer('abc') }), { user: null, claims: null })
  }
})

t.test('HEAD and OPTIONS are guarded like any method', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user)
  app.options('/', { onRequest: [app.authenticate] }, async request => request.user)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    isSuccess(t, await call(app, { method: 'OPTIONS', url: '/', headers }), USER)
    isRefusal(t, await call(app, { method: 'OPTIONS', url: '/' }), MISSING)
    t.match(await call(app, { method: 'HEAD', url: '/', headers }), { status: 200, headers: { 'www-authenticate': undefined } })
    log.lines.length = 0
    const refused = await call(app, { method: 'HEAD', url: '/', headers: bearer('abc') })
    t.match(refused, { status: 401, headers: { 'www-authenticate': INVALID.wwwAuthenticate } })
    if (channel === 'socket') t.equal(refused.body, '')
    t.strictSame(log.refusals().map(({ reason }) => reason), ['token_malformed'])
  }
})

t.test('request.jwtVerify()', async t => {
  const SECRET = randomBytes(32).toString('hex')
  const edwards448 = generateKeyPairSync('ed448')
  const kid = randomUUID()
  const ed448: SigningKey = {
    ...edwards448, kid, alg: 'EdDSA', jwk: { ...edwards448.publicKey.export({ format: 'jwk' }), alg: 'EdDSA', kid }
  }
  const keys = [...ALGORITHMS.map(alg => createSigningKey(alg)), ed448]
  const jwks = await startJwks(t, KEY, ...keys)

  async function createBoth (t: Test, options: BetterAuthOptions): Promise<FastifyInstance> {
    const app = await createApi(t, options)
    app.get('/authenticate', { onRequest: [app.authenticate] }, async ({ user, claims }) => ({ user, claims }))
    app.get('/jwtVerify', async request => {
      const verified = await request.jwtVerify()
      t.equal(verified, request.user)
      return { user: request.user, claims: request.claims }
    })
    app.get('/callback', (request, reply) => {
      request.jwtVerify(error => { reply.send(error ?? { user: request.user, claims: request.claims }) })
    })
    return app
  }
  const URLS = ['/authenticate', '/jwtVerify', '/callback']

  t.test('accepts what authenticate accepts, and sets user and claims', async t => {
    const app = await createBoth(t, {
      authUrl: jwks.origin,
      secret: SECRET,
      issuer: ['https://old.example.com', jwks.origin],
      // Each of the many keys is looked up once, all within a second.
      jwks: { requestsPerMinute: 60_000 }
    })
    const now = Math.floor(Date.now() / 1000)
    const claims = createClaims(jwks.origin)
    for (const [name, token] of [
      ...keys.map(key => [`${key.alg} ${String(key.jwk.crv ?? '')}`, signJws(key, claims)] as const),
      ['HS256', signHmac(SECRET, claims)],
      ['typ JWT', signJws(KEY, claims, { typ: 'JWT' })],
      ['typ at+jwt', signJws(KEY, claims, { typ: 'at+jwt' })],
      ['typ application/AT+JWT', signJws(KEY, claims, { typ: 'application/AT+JWT' })],
      ['several audiences', signJws(KEY, { ...claims, aud: ['https://other.example.com', jwks.origin] })],
      ['expired within the tolerance', signJws(KEY, { ...claims, exp: now - 1 })],
      ['not yet active within the tolerance', signJws(KEY, { ...claims, nbf: now + 3, iat: now + 3 })],
      ['fractions of seconds', signJws(KEY, { ...claims, exp: now + 60.5, iat: now - 0.5 })],
      ['no iat', signJws(KEY, { ...claims, iat: undefined })],
      ['a foreign jku', signJws(KEY, claims, { jku: 'https://evil.example.com/jwks' })]
    ] as const) {
      const expected = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
      for (const call of Object.values(TRANSPORTS)) {
        for (const url of URLS) {
          t.test(`${name} at ${url}`, async t => isSuccess(t, await call(app, { url, headers: bearer(token) }), { user: USER, claims: expected }))
        }
      }
    }
  })

  t.test('accepts any issuer and audience where they are not checked', async t => {
    const app = await createBoth(t, { authUrl: jwks.origin, issuer: false, audience: false })
    const claims = createClaims('https://any.example.com', { aud: undefined, iss: undefined })
    const { iss, aud, ...received } = claims
    for (const url of URLS) isSuccess(t, await TRANSPORTS.inject(app, { url, headers: bearer(signJws(KEY, claims)) }), { user: USER, claims: received })
  })

  t.test('refuses what authenticate refuses, with the same answer', async t => {
    const app = await createBoth(t, { authUrl: jwks.origin })
    const token = (payload: unknown, header = {}) => `Bearer ${signJws(KEY, payload, header)}`
    const claims = createClaims(jwks.origin)
    const pem = KEY.publicKey.export({ type: 'spki', format: 'pem' })
    const rs256 = keys.find(({ alg }) => alg === 'RS256')!
    for (const row of [
      ...rowsFor(jwks.origin),
      { name: 'a payload that is an array', authorization: token([]), refusal: INVALID },
      { name: 'a payload that is null', authorization: token('null'), refusal: INVALID },
      { name: 'a payload that is no JSON', authorization: token('{'), refusal: INVALID },
      { name: 'a session cookie', authorization: token(claims, { typ: 'better-auth.session-cache+jwt' }), refusal: INVALID },
      { name: 'a DPoP-bound token', authorization: token({ ...claims, cnf: { jkt: 'x' } }), refusal: INVALID },
      { name: 'a critical extension', authorization: token(claims, { crit: ['exp'] }), refusal: INVALID },
      { name: 'HMAC with the public key', authorization: `Bearer ${signHmac(pem, claims, { kid: KEY.kid })}`, refusal: INVALID },
      { name: 'another algorithm of the same key', authorization: `Bearer ${pss(rs256, jwks.origin)}`, refusal: INVALID }
    ]) {
      for (const [channel, call] of Object.entries(TRANSPORTS)) {
        for (const url of URLS) {
          t.test(`${row.name} at ${url}, by ${channel}`, async t => {
            isRefusal(t, await call(app, { url, headers: headersFor(row.authorization) }), row.refusal)
          })
        }
      }
    }
  })

  t.test('503 while the keys cannot be had', async t => {
    for (const [channel, call] of Object.entries(TRANSPORTS)) {
      for (const url of URLS) {
        t.test(`${url}, by ${channel}`, async t => {
          const authUrl = await deadOrigin()
          const app = await createBoth(t, { authUrl })
          for (const time of ['cold', 'during the pause']) {
            isRefusal(t, await call(app, { url, headers: bearer(signJws(KEY, createClaims(authUrl))) }), UNAVAILABLE, time)
          }
        })
      }
    }
  })

  t.test('leaves user and claims alone when it refuses', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/', async request => {
      await t.rejects(request.jwtVerify(), { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
      return { user: request.user, claims: request.claims ?? null }
    })
    for (const token of ['abc', signJws(KEY, createClaims('https://evil.example.com')), signJws(KEY, createClaims(jwks.origin, { email: 7 }))]) {
      isSuccess(t, await TRANSPORTS.inject(app, { url: '/', headers: bearer(token) }), { user: null, claims: null })
    }
  })

  t.test('options of a call open no way around the rules', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/', async request => {
      const query = request.query as { token: string }
      const loose = { extractToken: () => query.token, ignoreExpiration: true, allowedIss: [jwks.origin, 'https://evil.example.com'] }
      await request.jwtVerify(loose)
      return request.user
    })
    const ask = async (token: string) => TRANSPORTS.inject(app, { url: `/?token=${token}` })
    isSuccess(t, await ask(signJws(KEY, createClaims(jwks.origin))), USER)
    isRefusal(t, await ask(signJws(KEY, createClaims(jwks.origin, { exp: 1 }))), EXPIRED)
    isRefusal(t, await ask(signJws(KEY, createClaims('https://evil.example.com'))), INVALID)
    isRefusal(t, await ask(signJws(FOREIGN_KEY, createClaims(jwks.origin), { kid: KEY.kid })), INVALID)
  })

  t.test('fastify.jwt signs nothing, and verifies nothing without a request', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    const claims = createClaims(jwks.origin)
    t.throws(() => app.jwt.sign({ exp: 2 ** 31 }), /unable to sign/)
    await t.rejects(async () => app.jwt.verify(signJws(KEY, claims)))
    await t.rejects(async () => app.jwt.verify(signJws(FOREIGN_KEY, claims)))
  })
})

/** A token whose header says PS256 where the JWK says RS256, with a signature that fits the header. */
function pss (key: SigningKey, origin: string): string {
  const input = `${encode({ alg: 'PS256', kid: key.kid })}.${encode(createClaims(origin))}`
  return `${input}.${encode(signBytes({ ...key, alg: 'PS256' }, Buffer.from(input)))}`
}

t.test('registration', async t => {
  const jwks = await startJwks(t)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))

  t.test('twice in one scope fails the boot', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(betterAuthPlugin, { authUrl: jwks.origin })
    app.register(betterAuthPlugin, { authUrl: jwks.origin })
    await t.rejects(async () => { await app.ready() }, {
      code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
      message: 'better-auth-fastify is already registered in this scope; for a second auth server register it in a sibling scope'
    })
  })

  t.test('below a scope that has it fails the boot', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    app.register(async child => { await child.register(betterAuthPlugin, { authUrl: jwks.origin }) })
    await t.rejects(async () => { await app.ready() }, { code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: /already registered in this scope.*sibling scope/ })
  })

  t.test('beside @fastify/jwt fails the boot', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fastifyJwt, { secret: 'x'.repeat(32) })
    app.register(betterAuthPlugin, { authUrl: jwks.origin })
    await t.rejects(async () => { await app.ready() }, {
      code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
      message: '@fastify/jwt is already registered in this scope; better-auth-fastify registers it itself'
    })
  })

  t.test('in sibling scopes, each trusts its own server alone', async t => {
    const otherKey = createSigningKey('ES256')
    const other = await startJwks(t, otherKey)
    const app = Fastify()
    t.teardown(() => app.close())
    for (const [prefix, { origin }] of Object.entries({ '/one': jwks, '/other': other })) {
      app.register(async scope => {
        await scope.register(betterAuthPlugin, { authUrl: origin })
        scope.get('/me', { onRequest: [scope.authenticate] }, async request => request.user)
        scope.get('/jwt', async request => request.jwtVerify())
        scope.get('/status', async () => scope.betterAuth.status())
      }, { prefix })
    }
    await app.ready()
    t.notOk(app.hasDecorator('authenticate'), 'nothing leaves the scopes')
    const otherHeaders = bearer(signJws(otherKey, createClaims(other.origin)))
    for (const call of Object.values(TRANSPORTS)) {
      for (const path of ['/me', '/jwt']) {
        isSuccess(t, await call(app, { url: `/one${path}`, headers }), USER)
        isSuccess(t, await call(app, { url: `/other${path}`, headers: otherHeaders }), USER)
        isRefusal(t, await call(app, { url: `/one${path}`, headers: otherHeaders }), INVALID)
        isRefusal(t, await call(app, { url: `/other${path}`, headers }), INVALID)
      }
    }
    for (const [prefix, { origin, key }] of Object.entries({ '/one': { ...jwks, key: KEY }, '/other': { ...other, key: otherKey } })) {
      const { url, keys } = JSON.parse((await TRANSPORTS.inject(app, { url: `${prefix}/status` })).body)
      t.equal(url, origin + JWKS_PATH)
      t.match(keys, [{ kid: key.kid, alg: key.alg }])
      t.equal(keys.length, 1)
    }
  })

  t.test('reaches encapsulated children, with a prefix or without', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    app.register(async child => {
      child.get('/me', { onRequest: [child.authenticate] }, async request => request.user)
      child.register(async grandchild => {
        grandchild.addHook('preHandler', grandchild.authenticate)
        grandchild.get('/deep', async request => request.user)
      })
    }, { prefix: '/child' })
    for (const call of Object.values(TRANSPORTS)) {
      for (const url of ['/child/me', '/child/deep']) {
        isSuccess(t, await call(app, { url, headers }), USER)
        isRefusal(t, await call(app, { url }), MISSING)
      }
    }
  })

  t.test('tolerates what Fastify itself reads from the options', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(betterAuthPlugin, { authUrl: jwks.origin, prefix: '/v1', logLevel: 'warn', logSerializers: {} })
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
    isSuccess(t, await TRANSPORTS.inject(app, { url: '/me', headers }), USER)
  })

  t.test('takes BETTER_AUTH_URL from the environment, unless authUrl is set', async t => {
    const before = process.env.BETTER_AUTH_URL
    t.teardown(() => {
      if (before === undefined) delete process.env.BETTER_AUTH_URL
      else process.env.BETTER_AUTH_URL = before
    })
    process.env.BETTER_AUTH_URL = jwks.origin
    const fromEnv = await createApi(t, {})
    process.env.BETTER_AUTH_URL = await deadOrigin()
    const fromOption = await createApi(t, { authUrl: jwks.origin })
    for (const app of [fromEnv, fromOption]) {
      app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
      isSuccess(t, await TRANSPORTS.inject(app, { url: '/me', headers }), USER)
    }
    process.env.BETTER_AUTH_URL = 'localhost:3000'
    await t.rejects(createApi(t, {}), { code: 'FST_BETTER_AUTH_INVALID_OPTION', message: /"authUrl".*BETTER_AUTH_URL.*'localhost:3000'/ })
  })
})

t.test('the check when the server listens', async t => {
  const UNREACHABLE = /JWKS of the auth server is unreachable/

  t.test('a dead auth server does not keep an API from starting, and is logged once', async t => {
    const log = captureLog()
    const authUrl = await deadOrigin()
    const app = await createApi(t, { authUrl }, log)
    app.get('/', async () => ({ open: true }))
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.match(await log.written(UNREACHABLE), { level: 40, code: 'ECONNREFUSED' })
    isSuccess(t, await TRANSPORTS.socket(app, { url: '/' }), { open: true })
    for (const request of ['first', 'second']) {
      isRefusal(t, await TRANSPORTS.socket(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(authUrl))) }), UNAVAILABLE, request)
    }
    t.equal(log.lines.filter(({ msg }) => UNREACHABLE.test(msg)).length, 1)
  })

  t.test('a hanging auth server does not either', async t => {
    const log = captureLog()
    const jwks = await startJwks(t)
    const asked = new Promise<void>(resolve => { jwks.respond = () => resolve() })
    const app = await createApi(t, { authUrl: jwks.origin, jwks: { timeout: 100 } }, log)
    await app.listen({ host: '127.0.0.1', port: 0 })
    await asked
    t.match(await log.written(UNREACHABLE), { level: 40, code: 'timeout' })
  })

  t.test('finds the keys of one that is up', async t => {
    const log = captureLog()
    const jwks = await startJwks(t)
    const app = await createApi(t, { authUrl: jwks.origin }, log)
    t.equal(app.betterAuth.jwksUrl, null)
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.match(await log.written(/found the JWKS/), { level: 30, jwksUrl: jwks.origin + JWKS_PATH })
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
    t.equal(jwks.hits, 1)
  })

  t.test('is not made under inject', async t => {
    const jwks = await startJwks(t)
    const asked: string[] = []
    jwks.respond = (request, response) => {
      asked.push(request.url!)
      response.writeHead(404).end()
    }
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/', async () => ({ open: true }))
    await app.ready()
    isSuccess(t, await TRANSPORTS.inject(app, { url: '/' }), { open: true })
    await app.close()
    // Whatever had been sent before this would have come before this.
    await fetch(`${jwks.origin}/last`)
    t.strictSame(asked, ['/last'])
  })
})

t.test('fastify.betterAuth', async t => {
  t.test('jwksUrl is known at once where jwksPath says it', async t => {
    const jwks = await startJwks(t)
    const app = await createApi(t, { authUrl: jwks.origin, jwksPath: JWKS_PATH })
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
    t.equal(jwks.hits, 0)
  })

  t.test('status() is plain data, before and after the first key', async t => {
    const jwks = await startJwks(t)
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
    app.get('/health', async () => app.betterAuth.status())
    t.strictSame(app.betterAuth.status(), { url: null, keys: [], lastError: null, nextTryAt: null })
    const before = Date.now()
    isSuccess(t, await TRANSPORTS.inject(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), USER)
    const status = app.betterAuth.status()
    const confirmedAt = status.keys[0]!.confirmedAt
    t.strictSame(status, { url: jwks.origin + JWKS_PATH, keys: [{ kid: KEY.kid, alg: 'EdDSA', confirmedAt }], lastError: null, nextTryAt: null })
    t.equal(new Date(confirmedAt).toISOString(), confirmedAt)
    t.ok(Date.parse(confirmedAt) >= before && Date.parse(confirmedAt) <= Date.now())
    isSuccess(t, await TRANSPORTS.inject(app, { url: '/health' }), status)
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
  })

  t.test('ready() resolves while the JWKS can be had, and rejects with the 503 while it cannot', async t => {
    const jwks = await startJwks(t)
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/ready', async () => {
      await app.betterAuth.ready()
      return { ready: true }
    })
    t.equal(await app.betterAuth.ready(), undefined)
    for (const call of Object.values(TRANSPORTS)) isSuccess(t, await call(app, { url: '/ready' }), { ready: true })
    await jwks.stop()
    await t.rejects(app.betterAuth.ready(), { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
    // A connection that was kept alive is found closed, a new one is refused.
    t.match(app.betterAuth.status(), { keys: [], lastError: /^(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET)$/, nextTryAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
    for (const call of Object.values(TRANSPORTS)) isRefusal(t, await call(app, { url: '/ready' }), UNAVAILABLE)
  })
})

t.test('closing the API lets a request that waits for its key finish', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin, jwksPath: JWKS_PATH })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  await app.listen({ host: '127.0.0.1', port: 0 })
  await app.betterAuth.ready()
  const held: Array<() => void> = []
  const asked = new Promise<void>(resolve => {
    jwks.respond = (_request, response) => {
      held.push(() => { response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: jwks.keys })) })
      resolve()
    }
  })
  const answer = TRANSPORTS.socket(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin))) })
  await asked
  const closed = app.close()
  for (const release of held) release()
  isSuccess(t, await answer, USER)
  await closed
})
