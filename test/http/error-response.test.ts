import fastifyAuth from '@fastify/auth'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { ERRORS, type ErrorCode } from '../../lib/contract/error-codes.js'
import {
  BetterAuthError, ForbiddenError, JwksUnavailableError, TokenInvalidError, TokenMissingError
} from '../../lib/contract/errors.js'
import { ALGORITHMS } from '../../lib/contract/options.js'
import { REASONS } from '../../lib/contract/reasons.js'
import type { Guard } from '../../lib/guards/clauses.js'
import { responseHeaders } from '../../lib/http/error-response.js'
import { createHook } from '../../lib/http/hook.js'
import {
  bearer, captureLog, headersFor, startApi, TRANSPORTS, type ApiResponse, type LogCapture
} from '../fixtures/api.js'
import {
  FORBIDDEN, INVALID, isForbidden, isRefusal, isSuccess, MALFORMED, MISSING, UNAVAILABLE, USER
} from '../fixtures/expected.js'
import { deadOrigin, startJwks } from '../fixtures/jwks-server.js'
import { refusedRequests } from '../fixtures/refused-requests.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey()

/** Whether a token, or its signature alone, is in what was logged. */
function isLeaked (log: LogCapture, authorization = ''): boolean {
  const text = JSON.stringify(log.lines)
  const parts = authorization.split(/[ .]/).filter(part => part.length > 40)
  return parts.some(part => text.includes(part))
}

t.test('each refusal has exactly its response and is logged once with its reason', async t => {
  const jwks = await startJwks(t, KEY)
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const { name, authorization, refusal, reason, log: details = {} } of refusedRequests(
      jwks.origin, KEY, FOREIGN_KEY
    )) {
      t.test(`${name}, by ${transport}`, async t => {
        const log = captureLog()
        const app = await startApi(t, { authUrl: jwks.origin }, log)
        let handled = 0
        app.get('/hook', { onRequest: [app.authenticate] }, async () => { handled++ })
        app.get('/hand', async (request, reply) => {
          await app.authenticate(request, reply)
          handled++
        })
        for (const url of ['/hook', '/hand']) {
          log.lines.length = 0
          isRefusal(t, await call(app, { url, headers: headersFor(authorization) }), refusal)
          t.match(log.refusals(), [{ level: 30, reason, reqId: /^req-/, msg: 'request refused', ...details }])
          t.equal(log.refusals().length, 1)
          if (details.expected === undefined) {
            t.notOk(
              'expected' in log.refusals()[0]! || 'received' in log.refusals()[0]!
            )
          }
          t.notOk(isLeaked(log, authorization))
        }
        t.equal(handled, 0)
      })
    }
  }
})

t.test('expected and received are not logged for a token with a wrong signature', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const claims = createClaims('https://evil.example.com')
  isRefusal(
    t,
    await TRANSPORTS.inject(app, { url: '/', headers: bearer(signJws(FOREIGN_KEY, claims, { kid: KEY.kid })) }),
    INVALID
  )
  t.notMatch(JSON.stringify(log.lines), /evil/)
})

t.test('two Authorization headers are malformed, even if both are good', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const { authorization } = bearer(signJws(KEY, createClaims(jwks.origin)))
  isRefusal(
    t, await TRANSPORTS.socket(app, { url: '/', headers: { Authorization: [authorization, authorization] } }), MALFORMED
  )
})

t.test('the scheme is compared without case, and space around the token does not matter', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user)
  const token = signJws(KEY, createClaims(jwks.origin))
  for (const call of Object.values(TRANSPORTS)) {
    for (const authorization of [`bearer ${token}`, `BEARER ${token}`, `Bearer   ${token}`, `Bearer  ${token} `]) {
      isSuccess(t, await call(app, { url: '/', headers: { authorization } }), USER)
    }
  }
})

t.test('503 while the keys cannot be fetched, logged as a warning', async t => {
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(transport, async t => {
      const log = captureLog()
      const authUrl = await deadOrigin()
      const app = await startApi(t, { authUrl }, log)
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
  const jwks = await startJwks(t, KEY)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(transport, async t => {
      const log = captureLog()
      const app = await startApi(t, { authUrl: jwks.origin }, log)
      app.get('/', { onRequest: [app.authenticate] }, async () => { throw new ForbiddenError() })
      isRefusal(t, await call(app, { url: '/', headers }), FORBIDDEN)
      t.match(log.refusals(), [{ reason: 'forbidden' }], 'logged with its reason')
      t.equal(log.refusals().length, 1)
    })
  }
})

/** Calls an API whose handler throws this. */
async function callThrowing (t: Test, error: Error): Promise<{ response: ApiResponse, log: LogCapture }> {
  const log = captureLog()
  const app = await startApi(t, { authUrl: 'https://id.example.com' }, log)
  app.get('/', async () => { throw error })
  return { response: await TRANSPORTS.inject(app, { url: '/' }), log }
}

t.test('the log line of a refusal has its details, its cause, and the fix for its reason', async t => {
  const { log } = await callThrowing(t, new TokenInvalidError('claim_missing', { claim: 'exp' }))
  const [line] = log.refusals()
  t.match(line, { reason: 'claim_missing', claim: 'exp', hint: REASONS.claim_missing.fix })
  t.notOk('err' in line!)
  const failed = await callThrowing(t, new ForbiddenError('check_failed', [], new Error('no database')))
  t.match(failed.log.refusals(), [{ hint: REASONS.check_failed.fix, err: { message: 'no database' } }])
})

t.test('a reason word of the application is logged without a hint, and answered 403', async t => {
  const { response, log } = await callThrowing(t, new ForbiddenError('mine' as never))
  isRefusal(t, response, FORBIDDEN)
  t.match(log.refusals(), [{ level: 30, reason: 'mine', msg: 'request refused' }])
  t.notOk('hint' in log.refusals()[0]!)
})

t.test('the scopes that are needed are in the challenge', async t => {
  const { response } = await callThrowing(t, new ForbiddenError('scope_missing', ['read', 'write']))
  isForbidden(t, response, 'two scopes', 'read write')
})

t.test('an error of another installed copy gets its headers and its log line', async t => {
  const url: string = '../../lib/contract/errors.js?copy'
  const copy = await import(url) as typeof import('../../lib/contract/errors.js')
  const { response, log } = await callThrowing(t, new copy.TokenInvalidError('unknown_key'))
  isRefusal(t, response, INVALID)
  t.match(log.refusals(), [{ reason: 'unknown_key', hint: REASONS.unknown_key.fix }])
  t.equal(log.refusals().length, 1)
})

t.test('any other error gets neither', async t => {
  const error = Object.assign(new Error('mine'), { statusCode: 401, challenge: 'none' })
  const { response, log } = await callThrowing(t, error)
  t.equal(response.status, 401)
  t.notOk('www-authenticate' in response.headers)
  t.strictSame(log.refusals(), [])
})

t.test('an invalid scope is left out of the challenge', async t => {
  const challengeOf = (...scopes: string[]) => {
    return responseHeaders(new ForbiddenError('forbidden', scopes))['WWW-Authenticate']
  }
  t.equal(challengeOf('read', 'a" error="x', 'write'), 'Bearer error="insufficient_scope", scope="read write"')
  for (const scope of ['', ' ', 'a b', 'a\\b', 'a\r\nSet-Cookie: x=1', 'é', '\u0000']) {
    t.equal(challengeOf(scope), 'Bearer error="insufficient_scope"', JSON.stringify(scope))
  }
})

t.test('each code has the challenge of RFC 6750 §3.1', async t => {
  const challenges: Record<ErrorCode, string | undefined> = {
    FST_BETTER_AUTH_TOKEN_MISSING: 'Bearer',
    FST_BETTER_AUTH_REQUEST_INVALID: 'Bearer error="invalid_request"',
    FST_BETTER_AUTH_TOKEN_EXPIRED: 'Bearer error="invalid_token"',
    FST_BETTER_AUTH_TOKEN_INVALID: 'Bearer error="invalid_token"',
    FST_BETTER_AUTH_TOKEN_REVOKED: 'Bearer error="invalid_token"',
    // Only where the option `dpop` is set, and there in a challenge of its own.
    FST_BETTER_AUTH_DPOP_PROOF_INVALID: 'Bearer error="invalid_dpop_proof"',
    FST_BETTER_AUTH_FORBIDDEN: 'Bearer error="insufficient_scope"',
    FST_BETTER_AUTH_CSRF: undefined,
    FST_BETTER_AUTH_REVOCATION_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_CHECK_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_JWKS_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_DPOP_UNAVAILABLE: undefined
  }
  class AnyError extends BetterAuthError {}
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const challenge = challenges[code]
    t.strictSame(responseHeaders(new AnyError(code, 'forbidden')), {
      ...challenge !== undefined && { 'WWW-Authenticate': challenge }
    }, code)
  }
})

/** This API as a resource, and the URL of its metadata. */
const RESOURCE = 'https://api.example.com/v1'
const METADATA_URL = 'https://api.example.com/.well-known/oauth-protected-resource/v1'
const METADATA = `resource_metadata="${METADATA_URL}"`

/** A token of an OAuth client that acts for a user, or with `sub: undefined` for itself. */
function oauthToken (authUrl: string, scope: string, claims: Record<string, unknown> = {}): string {
  const { iat, exp } = createClaims(authUrl)
  return signJws(KEY, {
    iat, exp, iss: `${authUrl}/api/auth`, aud: RESOURCE, client_id: 'c_1', sub: 'u_1', scope, ...claims
  })
}

/** Calls an API with the option `resource`, and returns the status and the challenge. */
async function challengeOf (
  app: FastifyInstance, url: string, token?: string, call = TRANSPORTS.inject
): Promise<[number, unknown]> {
  const { status, headers } = await call(app, { url, headers: token === undefined ? {} : bearer(token) })
  return [status, headers['www-authenticate']]
}

t.test('with the option resource, each challenge names its metadata and what OAuth clients need', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin, resource: RESOURCE })
  await app.register(fastifyAuth)
  const handler = async () => 'handled'
  const guards: Record<string, { guard: Guard, scope?: string }> = {
    delegated: { guard: { delegated: ['a', 'b'] }, scope: 'a b' },
    both: { guard: { delegated: ['a'], clients: ['c'] }, scope: 'a' },
    clients: { guard: { clients: ['c', 'd'] }, scope: 'c d' },
    more: { guard: { delegated: ['a', 'b'], scopes: ['b', 'x'] }, scope: 'a b x' },
    users: { guard: { scopes: ['x'], roles: ['admin'] } }
  }
  const routes: Array<{ url: string, scope?: string | undefined }> = [{ url: '/plain' }, { url: '/auth' }]
  app.get('/plain', { onRequest: [app.authenticate] }, handler)
  app.get('/auth', { onRequest: [app.auth([app.authenticate])] }, handler)
  for (const [name, { guard, scope }] of Object.entries(guards)) {
    const hook = app.authorize(guard)
    app.get(`/${name}`, { onRequest: [hook] }, handler)
    app.get(`/${name}/auth`, { preHandler: [app.auth([hook])] }, handler)
    app.get(`/${name}/hand`, async (request, reply) => { await hook(request, reply) })
    app.get(`/${name}/hook`, {
      onRequest: [async (request: FastifyRequest, reply: FastifyReply) => { await hook(request, reply) }]
    }, handler)
    routes.push(...['', '/auth', '/hand', '/hook'].map(way => ({ url: `/${name}${way}`, scope })))
  }
  app.get('/jwt', async request => { await request.jwtVerify() })
  routes.push({ url: '/jwt' })

  const expired = oauthToken(jwks.origin, 'a', { exp: 1 })
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(`401, by ${transport}`, async t => {
      for (const { url, scope } of routes) {
        const needed = scope === undefined ? '' : `scope="${scope}", `
        t.strictSame(await challengeOf(app, url, undefined, call), [401, `Bearer ${needed}${METADATA}`], url)
        for (const token of [expired, signJws(FOREIGN_KEY, createClaims(jwks.origin))]) {
          t.strictSame(
            await challengeOf(app, url, token, call), [401, `Bearer error="invalid_token", ${needed}${METADATA}`], url
          )
        }
      }
    })
    t.test(`403, by ${transport}`, async t => {
      const machine = { sub: undefined }
      const rows: Array<[url: string, token: string, scope?: string]> = [
        ['/plain', oauthToken(jwks.origin, 'a')],
        ['/auth', oauthToken(jwks.origin, 'a')],
        ['/jwt', oauthToken(jwks.origin, 'a')],
        ['/delegated', oauthToken(jwks.origin, 'a'), 'a b'],
        ['/delegated/auth', oauthToken(jwks.origin, 'a'), 'a b'],
        ['/delegated/hand', oauthToken(jwks.origin, 'a'), 'a b'],
        // No scope lets a machine in there.
        ['/delegated', oauthToken(jwks.origin, 'a b', machine)],
        ['/both', oauthToken(jwks.origin, ''), 'a'],
        ['/both', oauthToken(jwks.origin, 'a', machine), 'c'],
        ['/more', oauthToken(jwks.origin, 'a'), 'a b x'],
        ['/users', signJws(KEY, createClaims(jwks.origin, { role: 'admin' })), 'x'],
        ['/users', signJws(KEY, createClaims(jwks.origin, { scope: 'x' }))]
      ]
      for (const [url, token, scope] of rows) {
        const needed = scope === undefined ? '' : `scope="${scope}", `
        const challenge = `Bearer error="insufficient_scope", ${needed}${METADATA}`
        t.strictSame(await challengeOf(app, url, token, call), [403, challenge], url)
      }
    })
  }
  t.strictSame(
    await TRANSPORTS.inject(app, { url: '/plain', headers: { authorization: 'Bearer' } })
      .then(({ status, headers }) => [status, headers['www-authenticate']]),
    [400, `Bearer error="invalid_request", ${METADATA}`]
  )
  t.strictSame(await challengeOf(app, '/delegated', oauthToken(jwks.origin, 'b a')), [200, undefined])
})

t.test('a 403 names the scopes of the guards before, which a new token needs too', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin, resource: RESOURCE })
  app.addHook('onRequest', app.authorize({ delegated: ['api'], clients: ['sync'] }))
  app.get('/', { onRequest: [app.authorize({ delegated: ['read', 'api'], clients: ['all'] })] }, async request => {
    if (request.principal.kind === 'user') throw new ForbiddenError('scope_missing', ['admin'])
    const { scopes } = request.principal
    throw scopes.includes('admin') ? new ForbiddenError() : new ForbiddenError('scope_missing', ['admin'])
  })
  const rows: Array<[scope: string, needed: string, claims?: object]> = [
    ['', 'scope="api", '],
    ['api', 'scope="api read", '],
    ['api read', 'scope="api read admin", '],
    ['api read admin', ''],
    ['sync', 'scope="sync all", ', { sub: undefined }]
  ]
  for (const [scope, needed, claims] of rows) {
    t.strictSame(
      await challengeOf(app, '/', oauthToken(jwks.origin, scope, { ...claims })),
      [403, `Bearer error="insufficient_scope", ${needed}${METADATA}`],
      scope
    )
  }
  t.strictSame(
    await challengeOf(app, '/', signJws(KEY, createClaims(jwks.origin))),
    [403, `Bearer error="insufficient_scope", scope="admin", ${METADATA}`],
    'a user was not asked for scopes before'
  )
})

t.test('the URL of the metadata is that of the resource, whatever the request says', async t => {
  const options = { authUrl: 'https://id.example.com', resource: RESOURCE }
  const app = await startApi(t, options, captureLog(), { trustProxy: true })
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  for (const call of Object.values(TRANSPORTS)) {
    const headers = { host: 'evil.example.com', 'x-forwarded-host': 'evil.example.com', 'x-forwarded-proto': 'http' }
    t.equal((await call(app, { url: '/', headers })).headers['www-authenticate'], `Bearer ${METADATA}`)
  }
})

t.test('no identifier of a resource ends the quoted string', async t => {
  for (const path of ['/a"b', '/a\u00E9', "/a'b", '/a,b=c', '/{a}', '/a%22b', '/a\u0001b\u007F']) {
    const app = await startApi(t, { authUrl: 'https://id.example.com', resource: `https://api.example.com${path}` })
    app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
    const [, challenge] = await challengeOf(app, '/')
    const [, url] = /^Bearer resource_metadata="([^"]+)"$/.exec(String(challenge)) ?? []
    t.match(url, /^https:\/\/api\.example\.com\/\.well-known\/[\x21\x23-\x5B\x5D-\x7E]+$/)
  }
})

t.test('an error handler sees the headers, and an error of many requests stays as it is', async t => {
  const shared = new TokenInvalidError('unknown_key')
  const app = await startApi(t, { authUrl: 'https://id.example.com', resource: RESOURCE })
  const settings = { metadata: METADATA_URL, withDpop: false }
  let thrown: unknown
  app.setErrorHandler((error, _request, reply) => {
    thrown = error
    return reply.code(418).send({ challenge: reply.getHeader('www-authenticate') })
  })
  for (const scope of ['a', 'b']) {
    app.get(`/${scope}`, { onRequest: [createHook(() => { throw shared }, settings, [scope])] }, async () => 'handled')
  }
  for (const scope of ['a', 'b', 'a']) {
    const challenge = `Bearer error="invalid_token", scope="${scope}", ${METADATA}`
    t.strictSame((await app.inject(`/${scope}`)).json(), { challenge })
    t.equal(thrown, shared)
    t.strictSame(shared.scopes, [])
  }
})

t.test('of two refusals, the one that becomes the response has its scopes, and neither is logged twice', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin, resource: RESOURCE }, log)
  const [first, second] = [app.authorize({ delegated: ['a'] }), app.authorize({ delegated: ['b'] })]
  app.get('/', async (request, reply) => {
    await first(request, reply).catch(async (error: unknown) => {
      await second(request, reply).catch(() => {})
      throw error
    })
  })
  t.strictSame(await challengeOf(app, '/'), [401, `Bearer scope="a", ${METADATA}`])
  t.equal(log.refusals().length, 2)
})

t.test('Retry-After has whole seconds, and at least one', async t => {
  for (const [retryAfter, seconds] of [[0, '1'], [1000, '1'], [1001, '2'], [90_000, '90']] as const) {
    t.strictSame(responseHeaders(new JwksUnavailableError(retryAfter)), { 'Retry-After': seconds })
  }
})

t.test('with the option dpop, each scheme has a challenge, and the error is in that of the request', async t => {
  const [metadata, algs] = [METADATA, `algs="${ALGORITHMS.join(' ')}"`]
  const challengesOf = (error: BetterAuthError, used: 'Bearer' | 'DPoP') => {
    return responseHeaders(error, ['a'], METADATA_URL, used)['WWW-Authenticate']
  }
  for (const used of ['Bearer', 'DPoP'] as const) {
    t.strictSame(challengesOf(new TokenMissingError(), used), [
      `Bearer scope="a", ${metadata}`, `DPoP ${algs}, scope="a", ${metadata}`
    ])
  }
  const error = 'error="invalid_token"'
  t.strictSame(challengesOf(new TokenInvalidError('unknown_key'), 'Bearer'), [
    `Bearer ${error}, scope="a", ${metadata}`, `DPoP ${algs}, scope="a", ${metadata}`
  ])
  t.strictSame(challengesOf(new TokenInvalidError('unknown_key'), 'DPoP'), [
    `Bearer scope="a", ${metadata}`, `DPoP ${error}, ${algs}, scope="a", ${metadata}`
  ])
  const scope = 'error="insufficient_scope"'
  t.strictSame(challengesOf(new ForbiddenError(), 'Bearer'), [`Bearer ${scope}, scope="a", ${metadata}`])
  t.strictSame(challengesOf(new ForbiddenError(), 'DPoP'), [`DPoP ${scope}, ${algs}, scope="a", ${metadata}`])

  const app = await startApi(t, { authUrl: 'https://id.example.com', resource: RESOURCE, dpop: true })
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  for (const [scheme, expected] of Object.entries({
    Bearer: `Bearer ${error}, ${metadata}, DPoP ${algs}, ${metadata}`,
    DPoP: `Bearer ${metadata}, DPoP error="invalid_dpop_proof", ${algs}, ${metadata}`
  })) {
    for (const call of Object.values(TRANSPORTS)) {
      const { headers } = await call(app, { url: '/', headers: { authorization: `${scheme} abc` } })
      t.equal([headers['www-authenticate']].flat().join(', '), expected)
    }
  }
})
