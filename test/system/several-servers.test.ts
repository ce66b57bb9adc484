import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { AlreadyRegisteredError, UserSchema, type BetterAuthOptions } from '../../lib/index.js'
import { bearer, captureLog, type LogCapture } from '../fixtures/api.js'
import { startAuthServer, type AuthServer } from '../fixtures/auth-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startJwksServer } from '../fixtures/jwks-server.js'
import { startIssuer } from '../fixtures/test-issuer.js'

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
