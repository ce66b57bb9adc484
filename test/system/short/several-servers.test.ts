import fastifyAuth from '@fastify/auth'
import fastifySwagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, {
  AlreadyRegisteredError, betterAuthSecuritySchemes, UserSchema, type Authenticate, type BetterAuthOptions
} from '../../../lib/index.js'
import type { TestIssuer } from '../../../lib/testing/index.js'
import { bearer, captureLog, type LogCapture } from '../../fixtures/api.js'
import { startAuthServer, type AuthServer } from '../../fixtures/auth-server.js'
import { createClaims, createSigningKey, signJws } from '../../fixtures/signing.js'
import { startJwksServer } from '../../fixtures/jwks-server.js'
import { startIssuer } from '../../fixtures/test-issuer.js'

async function startAuth (t: Test): Promise<AuthServer> {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  return auth
}

function createApp (t: Test, log: LogCapture = captureLog()): FastifyInstance {
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  return app
}

/** Adds a scope with its own registration, and returns what it has. */
async function addScope (app: FastifyInstance, prefix: string, options: BetterAuthOptions): Promise<Scope> {
  let added: Scope | undefined
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, options)
    scope.get('/me', { onRequest: [scope.authenticate] }, async ({ user, claims }) => ({ user, claims }))
    scope.get('/maybe', { onRequest: [scope.authenticateOptional] }, async ({ user }) => ({ user }))
    scope.get('/guarded', { onRequest: scope.authorize({ check: () => true }) }, async ({ user }) => ({ user }))
    scope.get('/jwt', async request => request.jwtVerify())
    added = {
      betterAuth: scope.betterAuth, authenticate: scope.authenticate, hasSession: scope.hasRequestDecorator('session')
    }
  }, { prefix })
  return added!
}

interface Scope extends Pick<FastifyInstance, 'betterAuth' | 'authenticate'> { hasSession: boolean }

const ROUTES = ['/me', '/maybe', '/guarded', '/jwt']

async function statusOf (app: FastifyInstance, url: string, token: string): Promise<number> {
  return (await app.inject({ url, headers: bearer(token) })).statusCode
}

t.test('two real Better Auth servers in sibling scopes', async t => {
  const [a, b] = await Promise.all([startAuth(t), startAuth(t)])
  const log = captureLog()
  const app = createApp(t, log)
  const scopeA = await addScope(app, '/a', { authUrl: a.origin })
  const scopeB = await addScope(app, '/b', { authUrl: b.origin })
  await app.ready()
  const userOfA = await a.signUp({ name: 'Ada' })
  const userOfB = await b.signUp({ name: 'Bob' })

  t.test('each knows its own users', async t => {
    t.match((await app.inject({ url: '/a/me', headers: bearer(userOfA.token) })).json(), {
      user: { id: userOfA.user.id, name: 'Ada' }, claims: { iss: a.origin }
    })
    t.match((await app.inject({ url: '/b/me', headers: bearer(userOfB.token) })).json(), {
      user: { id: userOfB.user.id, name: 'Bob' }, claims: { iss: b.origin }
    })
    for (const route of ROUTES) {
      t.equal(await statusOf(app, `/a${route}`, userOfA.token), 200, `/a${route}`)
      t.equal(await statusOf(app, `/b${route}`, userOfB.token), 200, `/b${route}`)
    }
  })

  t.test('and refuses those of the other, remembered there or not', async t => {
    for (const round of [1, 2]) {
      for (const route of ROUTES) {
        for (const [url, token] of [[`/b${route}`, userOfA.token], [`/a${route}`, userOfB.token]] as const) {
          const response = await app.inject({ url, headers: bearer(token) })
          t.equal(response.statusCode, 401, `${url}, round ${round}`)
          t.equal(response.json().code, 'FST_BETTER_AUTH_TOKEN_INVALID')
          t.equal(response.headers['www-authenticate'], 'Bearer error="invalid_token"')
        }
      }
    }
    t.equal(log.refusals().length, 2 * 2 * ROUTES.length)
    t.ok(log.refusals().every(({ reason }) => reason === 'unknown_key'))
  })

  t.test('each has its own keys, URL and state', async t => {
    t.equal(scopeA.betterAuth.jwksUrl, `${a.origin}/api/auth/jwks`)
    t.equal(scopeB.betterAuth.jwksUrl, `${b.origin}/api/auth/jwks`)
    const [kidsA, kidsB] = [scopeA, scopeB].map(
      scope => scope.betterAuth.status().keys.map(({ kid }) => kid)
    ) as [string[], string[]]
    t.equal(kidsA.length, 1)
    t.equal(kidsB.length, 1)
    t.not(kidsA[0], kidsB[0])
    t.equal(JSON.parse(Buffer.from(userOfA.token.split('.')[0]!, 'base64url').toString()).kid, kidsA[0])
    t.not(scopeA.authenticate, scopeB.authenticate)
    t.not(scopeA.betterAuth, scopeB.betterAuth)
  })

  t.test('and outside of them there is nothing', async t => {
    t.notOk(app.hasDecorator('betterAuth'))
    t.notOk(app.hasDecorator('authenticate'))
    t.notOk(app.hasRequestDecorator('user'))
  })
})

t.test('an outage of one is none of the other\'s', async t => {
  const [a, b] = await Promise.all([startAuth(t), startAuthServer()])
  const userOfA = await a.signUp()
  const userOfB = await b.signUp()
  await b.close()
  const app = createApp(t)
  await addScope(app, '/a', { authUrl: a.origin })
  await addScope(app, '/b', { authUrl: b.origin })
  t.equal(await statusOf(app, '/b/me', userOfB.token), 503)
  t.equal(await statusOf(app, '/a/me', userOfA.token), 200)
})

t.test('two servers with the same key name, issuer and audience', async t => {
  const [keyA, keyB] = [createSigningKey('EdDSA', 'same'), createSigningKey('EdDSA', 'same')]
  const [a, b] = await Promise.all([startJwksServer([keyA.jwk]), startJwksServer([keyB.jwk])])
  t.teardown(async () => { await Promise.all([a.stop(), b.stop()]) })
  const log = captureLog()
  const app = createApp(t, log)
  const issuer = 'https://id.example.com'
  await addScope(app, '/a', { authUrl: a.origin, issuer, audience: issuer })
  await addScope(app, '/b', { authUrl: b.origin, issuer, audience: issuer })
  const tokenA = signJws(keyA, createClaims(issuer))
  const tokenB = signJws(keyB, createClaims(issuer))
  for (const round of ['first', 'again']) {
    t.equal(await statusOf(app, '/a/me', tokenA), 200, round)
    t.equal(await statusOf(app, '/b/me', tokenB), 200, round)
    t.equal(await statusOf(app, '/b/me', tokenA), 401, round)
    t.equal(await statusOf(app, '/a/me', tokenB), 401, round)
  }
  t.strictSame(log.refusals().map(({ reason }) => reason), Array(4).fill('signature_invalid'))
})

t.test('each scope has options of its own, even for the same server', async t => {
  const issuer = await startIssuer(t)
  const { authUrl } = issuer
  const app = createApp(t)
  const userSchema = Type.Object({ ...UserSchema.properties, team: Type.String() })
  const extractToken: BetterAuthOptions['extractToken'] = request => request.headers['x-token'] as string | undefined
  const a = await addScope(app, '/a', {
    authUrl, audience: ['a', 'both'], userSchema, isRevoked: ({ jti }) => jti === 'revoked'
  })
  const b = await addScope(app, '/b', { authUrl, audience: ['b', 'both'], sessionCookie: true, extractToken })
  const tokenFor = (aud: string, claims = {}) => issuer.token({ aud, team: 'red', ...claims })

  t.equal(await statusOf(app, '/a/me', tokenFor('a')), 200)
  t.equal(await statusOf(app, '/b/me', tokenFor('a')), 401)
  t.equal(await statusOf(app, '/a/me', tokenFor('b')), 401)
  t.equal(await statusOf(app, '/b/me', tokenFor('b')), 200)

  const both = tokenFor('both')
  for (const round of ['first', 'again']) {
    t.equal(
      (await app.inject({ url: '/a/me', headers: bearer(both) })).json().user.team,
      'red',
      `${round}: the user of A has a team`
    )
    t.notOk(
      'team' in (await app.inject({ url: '/b/me', headers: bearer(both) })).json().user,
      `${round}: the user of B has none`
    )
  }
  const revoked = tokenFor('both', { jti: 'revoked' })
  t.equal(await statusOf(app, '/a/me', revoked), 401)
  t.equal(await statusOf(app, '/b/me', revoked), 200)
  t.equal((await app.inject({ url: '/a/me', headers: { 'x-token': both } })).statusCode, 401)
  t.equal((await app.inject({ url: '/b/me', headers: { 'x-token': both } })).statusCode, 200)
  t.notOk(a.hasSession)
  t.ok(b.hasSession)
})

t.test('a second registration', async t => {
  const again = {
    code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
    message: /better-auth-fastify is already registered in this scope.+sibling scope/
  }
  const options = { authUrl: 'https://a.example.com' }
  const others = { authUrl: 'https://b.example.com' }

  t.test('in the same scope fails the boot', async t => {
    for (const second of [options, others]) {
      const app = createApp(t)
      await app.register(betterAuthPlugin, options)
      await t.rejects(async () => { await app.register(betterAuthPlugin, second) }, again)
    }
  })

  t.test('that nobody waited for fails it too', async t => {
    const app = createApp(t)
    app.register(betterAuthPlugin, options)
    app.register(betterAuthPlugin, others)
    const failure = await app.ready().then(() => undefined, (error: unknown) => error)
    t.ok(failure instanceof AlreadyRegisteredError)
    t.match(failure, again)
  })

  t.test('in a scope below fails it as well: what is there has the outer one', async t => {
    for (const depth of [1, 2]) {
      const app = createApp(t)
      app.register(betterAuthPlugin, options)
      app.register(async child => {
        t.ok(child.hasDecorator('betterAuth'))
        if (depth === 1) await child.register(betterAuthPlugin, others)
        else await child.register(async grandchild => { await grandchild.register(betterAuthPlugin, others) })
      })
      await t.rejects(async () => { await app.ready() }, again, `${depth} below`)
    }
  })

  t.test('in one of two sibling scopes fails it, and names nothing of the other', async t => {
    const app = createApp(t)
    app.register(async scope => { await scope.register(betterAuthPlugin, options) })
    app.register(async scope => {
      await scope.register(betterAuthPlugin, others)
      await scope.register(betterAuthPlugin, others)
    })
    await t.rejects(async () => { await app.ready() }, again)
  })

  t.test('around a scope that had its own first leaves each its own', async t => {
    const [inner, outer] = await Promise.all([startAuth(t), startAuth(t)])
    const app = createApp(t)
    const scope = await addScope(app, '/inner', { authUrl: inner.origin })
    await app.register(betterAuthPlugin, { authUrl: outer.origin })
    app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user)
    const { token: ofInner } = await inner.signUp()
    const { token: ofOuter } = await outer.signUp()
    t.equal(await statusOf(app, '/inner/me', ofInner), 200)
    t.equal(await statusOf(app, '/inner/me', ofOuter), 401)
    t.equal(await statusOf(app, '/me', ofOuter), 200)
    t.equal(await statusOf(app, '/me', ofInner), 401)
    t.not(scope.betterAuth, app.betterAuth)
  })
})

t.test('a guard of one registration does not take the word of another', async t => {
  const [a, b] = [await startIssuer(t), await startIssuer(t)]
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, { authUrl: a.authUrl })
    scope.addHook('onRequest', scope.authenticate)
    // Late, so that the guard of the outer registration exists.
    scope.get('/staff', {
      preHandler: async (request, reply) => app.authorize({ roles: ['admin'] })(request, reply)
    }, async () => 'served')
  })
  await app.register(betterAuthPlugin, { authUrl: b.authUrl })
  app.get('/outside', { onRequest: app.authorize({ roles: ['admin'] }) }, async () => 'served')
  const headers = bearer(a.token({ role: 'admin' }))
  t.equal((await app.inject({ url: '/staff', headers })).statusCode, 401)
  t.equal((await app.inject({ url: '/outside', headers })).statusCode, 401)
})

/** The issuer that a token names, as the guide reads it. */
function issuerOf ({ headers }: Pick<FastifyRequest, 'headers'>): unknown {
  try {
    return JSON.parse(Buffer.from(headers.authorization!.split('.')[1]!, 'base64url').toString()).iss
  } catch {
    return undefined
  }
}

interface Moving {
  readonly app: FastifyInstance
  readonly old: FastifyInstance
  readonly log: LogCapture
  /** A hook that leaves each request to one of two hooks, as in the guide. */
  either (ofOld: Authenticate, ofNew: Authenticate): Authenticate
}

/** An API between two auth servers, with routes as in docs/guides/several-auth-servers.md. */
async function startMoving (
  t: Test, authUrls: { leaving: string, staying: string }, options: BetterAuthOptions = {}
): Promise<Moving> {
  const log = captureLog()
  const app = createApp(t, log)
  await app.register(fastifyAuth)
  await app.register(fastifySwagger, { openapi: { components: { securitySchemes: betterAuthSecuritySchemes } } })
  let old = app
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, { authUrl: authUrls.leaving })
    old = scope
  })
  await app.register(betterAuthPlugin, { authUrl: authUrls.staying, ...options })
  function either (ofOld: Authenticate, ofNew: Authenticate): Authenticate {
    return app.betterAuth.markAsProtection(async (request, reply) => {
      await (issuerOf(request) === authUrls.leaving ? ofOld : ofNew)(request, reply)
    })
  }
  const guard = { roles: ['admin'] }
  app.get('/me', { onRequest: [either(old.authenticate, app.authenticate)] }, async request => {
    const { user, claims, principal } = request
    return { user, claims, principal }
  })
  app.get('/admin', { onRequest: [either(old.authorize(guard), app.authorize(guard))] }, async () => 'served')
  return { app, old, log, either }
}

t.test('two servers on one route', async t => {
  const [leaving, staying] = [await startIssuer(t), await startIssuer(t)]
  const authUrls = { leaving: leaving.authUrl, staying: staying.authUrl }
  const { app, old, log } = await startMoving(t, authUrls, { unprotected: 'error' })
  app.get('/chained', {
    onRequest: [app.betterAuth.markAsProtection(app.auth([old.authenticate, app.authenticate]))]
  }, async () => 'served')
  await app.ready()
  const get = async (token?: string, url = '/me') => {
    return await app.inject({ url, headers: token === undefined ? {} : bearer(token) })
  }

  t.test('accept a token only if one of them signed it, in its own name and for its own audience', async t => {
    const other = await startIssuer(t)
    const origins = [leaving.authUrl, staying.authUrl, other.authUrl]
    const issuers = [...origins, `${leaving.authUrl}/`, `${staying.authUrl}/`, undefined, origins, null]
    const audiences = [...origins, origins.slice(0, 2), [], undefined]
    const kids = [leaving.kid, staying.kid]
    let accepted = 0
    for (const signer of [leaving, staying, other]) {
      for (const iss of issuers) {
        for (const aud of audiences) {
          for (const kid of [signer.kid, ...kids.filter(kid => kid !== signer.kid)]) {
            const token = signer.token({ iss, aud }, { header: { kid } })
            const isValid = signer !== other && iss === signer.authUrl && kid === signer.kid &&
              [aud].flat().includes(signer.authUrl)
            if (isValid) accepted++
            for (const round of ['first', 'again']) {
              const { statusCode } = await get(token)
              t.equal(statusCode, isValid ? 200 : 401, JSON.stringify({ signer: signer.authUrl, iss, aud, kid, round }))
            }
          }
        }
      }
    }
    t.equal(accepted, 4)
  })

  t.test('give the request the identity of the one that accepted it, and guards follow', async t => {
    for (const { token, authUrl } of [leaving, staying]) {
      const response = await get(token({ id: `user of ${authUrl}` }))
      t.match(response.json(), {
        user: { id: `user of ${authUrl}` },
        claims: { iss: authUrl },
        principal: { kind: 'user', user: { id: `user of ${authUrl}` } }
      })
      t.equal((await get(token({ role: 'admin' }), '/admin')).statusCode, 200)
      t.equal((await get(token({ role: 'user' }), '/admin')).statusCode, 403)
      t.equal((await get(undefined, '/admin')).statusCode, 401)
    }
  })

  t.test('give the client the error of one of them, logged once', async t => {
    for (const [token, code, reason] of [
      [undefined, 'FST_BETTER_AUTH_TOKEN_MISSING', 'token_missing'],
      ['a.b.c', 'FST_BETTER_AUTH_TOKEN_INVALID', 'token_malformed'],
      [leaving.expired(), 'FST_BETTER_AUTH_TOKEN_EXPIRED', 'token_expired'],
      [staying.expired(), 'FST_BETTER_AUTH_TOKEN_EXPIRED', 'token_expired'],
      [leaving.wrongAudience(), 'FST_BETTER_AUTH_TOKEN_INVALID', 'audience_mismatch'],
      [staying.forged(), 'FST_BETTER_AUTH_TOKEN_INVALID', 'signature_invalid']
    ] as const) {
      log.lines.length = 0
      const response = await get(token)
      t.match(response.json(), { statusCode: 401, code })
      t.equal(response.headers['www-authenticate'], token === undefined ? 'Bearer' : 'Bearer error="invalid_token"')
      t.strictSame(log.refusals().map(line => line.reason), [reason])
    }
  })

  t.test('are seen by routes(), `unprotected` and OpenAPI', async t => {
    t.match(app.betterAuth.routes().filter(({ method }) => method === 'GET'), [
      { url: '/me', protection: 'required' },
      { url: '/admin', protection: 'required' },
      { url: '/chained', protection: 'required' }
    ])
    const { paths } = app.swagger() as { paths: Record<string, { get: { security: unknown } }> }
    for (const url of ['/me', '/admin']) t.strictSame(paths[url]!.get.security, [{ betterAuth: [] }], url)
    const unmarked = await startMoving(t, authUrls, { unprotected: 'error' })
    unmarked.app.get('/open', {
      onRequest: [async (request, reply) => unmarked.either(old.authenticate, app.authenticate)(request, reply)]
    }, async () => 'served')
    await t.rejects(async () => { await unmarked.app.ready() }, /GET, HEAD \/open|HEAD, GET \/open/)
  })

  t.test('verify() and onEnd() are of one of them', async t => {
    const token = leaving.token()
    const { principal } = await old.betterAuth.verify(token)
    await t.rejects(app.betterAuth.verify(token), { code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
    t.throws(() => app.betterAuth.onEnd(principal, () => {}), { code: 'FST_BETTER_AUTH_INVALID_OPTION' })
    old.betterAuth.onEnd(principal, () => {}).stop()
  })

  t.test('chained with @fastify/auth, a token of the new one is logged as refused by the old one', async t => {
    log.lines.length = 0
    t.equal((await get(staying.token(), '/chained')).statusCode, 200)
    t.strictSame(log.refusals().map(({ reason }) => reason), ['unknown_key'])
  })
})

t.test('while one of two servers on one route is down', async t => {
  async function startOutage (t: Test, down: 'leaving' | 'staying') {
    const issuers: Record<typeof down, TestIssuer> = { leaving: await startIssuer(t), staying: await startIssuer(t) }
    const { leaving: { authUrl: leaving }, staying: { authUrl: staying } } = issuers
    const { app, old } = await startMoving(t, { leaving, staying })
    app.get('/chained', { onRequest: [app.auth([old.authenticate, app.authenticate])] }, async () => 'served')
    issuers[down].fail('down')
    return { app, issuers }
  }

  for (const [down, up] of [['leaving', 'staying'], ['staying', 'leaving']] as const) {
    t.test(`its tokens get 503, and all others their usual status: ${down}`, async t => {
      const { app, issuers } = await startOutage(t, down)
      for (const round of ['first', 'again']) {
        t.equal(await statusOf(app, '/me', issuers[up].token()), 200, round)
        t.equal(await statusOf(app, '/me', issuers[down].token()), 503, round)
        t.equal(await statusOf(app, '/me', issuers[up].forged()), 401, round)
        t.equal(await statusOf(app, '/me', issuers[down].token({ iss: issuers[up].authUrl })), 401, round)
      }
    })
  }

  t.test('with @fastify/auth a client would get 401 instead', async t => {
    const { app, issuers } = await startOutage(t, 'leaving')
    t.equal(await statusOf(app, '/chained', issuers.leaving.token()), 401)
  })
})
