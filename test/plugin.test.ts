import { mock } from 'node:test'
import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin from '../lib/index.js'
import { bearer, captureLog, startApi, TRANSPORTS } from './fixtures/api.js'
import { INVALID, isRefusal, isSuccess, MISSING, UNAVAILABLE, USER } from './fixtures/expected.js'
import { deadOrigin, JWKS_PATH, startJwks } from './fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from './fixtures/signing.js'

const KEY = createSigningKey()

t.test('registration', async t => {
  const jwks = await startJwks(t, KEY)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))

  t.test('twice in one scope fails the boot', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(betterAuthPlugin, { authUrl: jwks.origin })
    app.register(betterAuthPlugin, { authUrl: jwks.origin })
    await t.rejects(async () => { await app.ready() }, {
      code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
      message: 'better-auth-fastify is already registered in this scope; ' +
        'for a second auth server register it in a sibling scope'
    })
  })

  t.test('below a scope that has it fails the boot', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    app.register(async child => { await child.register(betterAuthPlugin, { authUrl: jwks.origin }) })
    await t.rejects(async () => { await app.ready() }, {
      code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: /already registered in this scope.*sibling scope/
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
    for (const [prefix, { origin, key }] of Object.entries({
      '/one': { ...jwks, key: KEY }, '/other': { ...other, key: otherKey }
    })) {
      const { url, keys } = JSON.parse((await TRANSPORTS.inject(app, { url: `${prefix}/status` })).body)
      t.equal(url, origin + JWKS_PATH)
      t.match(keys, [{ kid: key.kid, alg: key.alg }])
      t.equal(keys.length, 1)
    }
  })

  t.test('reaches encapsulated children, with a prefix or without', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
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
    const fromEnv = await startApi(t, {})
    process.env.BETTER_AUTH_URL = await deadOrigin()
    const fromOption = await startApi(t, { authUrl: jwks.origin })
    for (const app of [fromEnv, fromOption]) {
      app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
      isSuccess(t, await TRANSPORTS.inject(app, { url: '/me', headers }), USER)
    }
    process.env.BETTER_AUTH_URL = 'localhost:3000'
    await t.rejects(startApi(t, {}), {
      code: 'FST_BETTER_AUTH_INVALID_OPTION', message: /"authUrl".*BETTER_AUTH_URL.*'localhost:3000'/
    })
  })
})

t.test('the check when the server listens', async t => {
  const UNREACHABLE = /the JWKS has been unreachable since /

  t.test('a dead auth server does not keep an API from starting, and is logged once', async t => {
    const log = captureLog()
    const authUrl = await deadOrigin()
    const app = await startApi(t, { authUrl }, log)
    app.get('/', async () => ({ open: true }))
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.match(await log.written(UNREACHABLE), { level: 40, code: 'connection_refused', systemCode: 'ECONNREFUSED' })
    isSuccess(t, await TRANSPORTS.socket(app, { url: '/' }), { open: true })
    for (const request of ['first', 'second']) {
      isRefusal(
        t,
        await TRANSPORTS.socket(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(authUrl))) }),
        UNAVAILABLE,
        request
      )
    }
    t.equal(log.lines.filter(({ msg }) => UNREACHABLE.test(msg)).length, 1)
  })

  t.test('a hanging auth server does not either', async t => {
    const log = captureLog()
    const jwks = await startJwks(t, KEY)
    const asked = new Promise<void>(resolve => { jwks.respond = () => resolve() })
    const app = await startApi(t, { authUrl: jwks.origin, jwks: { timeout: 100 } }, log)
    await app.listen({ host: '127.0.0.1', port: 0 })
    await asked
    t.match(await log.written(UNREACHABLE), { level: 40, code: 'timeout' })
  })

  t.test('finds the keys of one that is up', async t => {
    const log = captureLog()
    const jwks = await startJwks(t, KEY)
    const app = await startApi(t, { authUrl: jwks.origin }, log)
    t.equal(app.betterAuth.jwksUrl, null)
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.match(await log.written(/found the JWKS/), { level: 30, jwksUrl: jwks.origin + JWKS_PATH })
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
    t.match(await log.written(/found a key/), { level: 30, kid: KEY.kid })
    t.match(app.betterAuth.status().keys, [{ kid: KEY.kid, alg: KEY.alg }])
    t.equal(jwks.hits, 1)
  })

  t.test('is not made under inject', async t => {
    const jwks = await startJwks(t, KEY)
    const asked: string[] = []
    jwks.respond = (request, response) => {
      asked.push(request.url!)
      response.writeHead(404).end()
    }
    const app = await startApi(t, { authUrl: jwks.origin })
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
    const jwks = await startJwks(t, KEY)
    const app = await startApi(t, { authUrl: jwks.origin, jwksPath: JWKS_PATH })
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
    t.equal(jwks.hits, 0)
  })

  t.test('status() is plain data, before and after the first fetch', async t => {
    const jwks = await startJwks(t, KEY)
    const app = await startApi(t, { authUrl: jwks.origin })
    app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
    app.get('/health', async () => app.betterAuth.status())
    t.strictSame(app.betterAuth.status(), { url: null, keys: [], lastError: null, nextTryAt: null })
    const before = Date.now()
    isSuccess(
      t, await TRANSPORTS.inject(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), USER
    )
    const status = app.betterAuth.status()
    const confirmedAt = status.keys[0]!.confirmedAt
    t.strictSame(status, {
      url: jwks.origin + JWKS_PATH,
      keys: [{ kid: KEY.kid, alg: 'EdDSA', confirmedAt }],
      lastError: null,
      nextTryAt: null
    })
    t.equal(new Date(confirmedAt).toISOString(), confirmedAt)
    t.ok(Date.parse(confirmedAt) >= before && Date.parse(confirmedAt) <= Date.now())
    isSuccess(t, await TRANSPORTS.inject(app, { url: '/health' }), status)
    t.equal(app.betterAuth.jwksUrl, jwks.origin + JWKS_PATH)
  })

  t.test('ready() resolves while the JWKS can be fetched, and rejects with the 503 while it cannot', async t => {
    const jwks = await startJwks(t, KEY)
    const app = await startApi(t, { authUrl: jwks.origin })
    app.get('/ready', async () => {
      await app.betterAuth.ready()
      return { ready: true }
    })
    t.equal(await app.betterAuth.ready(), undefined)
    for (const call of Object.values(TRANSPORTS)) isSuccess(t, await call(app, { url: '/ready' }), { ready: true })
    await jwks.stop()
    t.teardown(() => { mock.timers.reset() })
    // A success is reused for 5 seconds.
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 5000 })
    await t.rejects(app.betterAuth.ready(), { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
    t.match(app.betterAuth.status(), {
      keys: [{ kid: KEY.kid }],
      lastError: /^connection_(?:refused|reset)$/,
      nextTryAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/
    })
    for (const call of Object.values(TRANSPORTS)) isRefusal(t, await call(app, { url: '/ready' }), UNAVAILABLE)
  })
})

t.test('ready() costs one fetch in 5 seconds, whoever calls it', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  t.teardown(() => { mock.timers.reset() })
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  for (let i = 0; i < 5; i++) await app.betterAuth.ready()
  t.equal(jwks.hits, 1)
  mock.timers.tick(4999)
  await app.betterAuth.ready()
  t.equal(jwks.hits, 1)
  mock.timers.tick(1)
  await app.betterAuth.ready()
  t.equal(jwks.hits, 2)
  mock.timers.setTime(Date.now() - 60_000)
  await app.betterAuth.ready()
  t.equal(jwks.hits, 3, 'a clock that was set back')
})

t.test('a boot that may be a mistake is one line in the log', async t => {
  const warnings = async (options: object) => {
    const log = captureLog()
    await startApi(t, options, log)
    return log.lines.filter(({ level }) => level === 40).map(({ msg }) => msg)
  }
  const OPEN = 'the keys are fetched over http: anyone on the network path can replace them'
  t.same(await warnings({ authUrl: 'http://id.example.com' }), [OPEN])
  t.same(await warnings({ authUrl: undefined }), [
    'the option "authUrl" is given, but undefined: is the variable misspelt?'
  ])
  for (const authUrl of ['https://id.example.com', 'http://localhost:3000', 'http://auth:3000', 'http://10.1.2.3']) {
    t.same(await warnings({ authUrl }), [], authUrl)
  }
  t.same(await warnings({}), [])
})

t.test('closing the API lets a request that waits for its key finish', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin, jwksPath: JWKS_PATH })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  const held: Array<() => void> = []
  const asked = new Promise<void>(resolve => {
    jwks.respond = (_request, response) => {
      held.push(
        () => { response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: jwks.keys })) }
      )
      resolve()
    }
  })
  let arrived = () => {}
  const arrival = new Promise<void>(resolve => { arrived = resolve })
  app.addHook('onRequest', async () => { arrived() })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const answer = TRANSPORTS.socket(app, { url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin))) })
  await Promise.all([asked, arrival])
  const closed = app.close()
  for (const release of held) release()
  isSuccess(t, await answer, USER)
  await closed
  t.equal(jwks.hits, 1, 'it waited for the fetch that began when the API started to listen')
})
