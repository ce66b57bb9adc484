import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import { CHANNELS } from '../../lib/contract/channels.js'
import { assertIsNoRequest } from '../../lib/guards/guard.js'
import betterAuthPlugin, { InvalidOptionError, type Claims, type Guard } from '../../lib/index.js'
import { bearer, startApi, TRANSPORTS } from '../fixtures/api.js'
import { createClock, useClock } from '../fixtures/clock.js'
import { isForbidden } from '../fixtures/expected.js'
import { startJwks } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const KEY = createSigningKey()
const ALL_CLAUSES =
  /must be given "roles", "permissions", "organization", "scopes", "check", "delegated", "clients" or "users"/
const POSITIONS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

t.test('in every position, alone and after something else', async t => {
  const jwks = await startJwks(t, KEY)
  const dead = await startJwks(t, KEY)
  await dead.stop()

  async function createGuarded (authUrl: string): Promise<FastifyInstance> {
    const app = await startApi(t, { authUrl })
    await app.register(fastifyAuth)
    const guard = app.authorize({ roles: ['admin'] })
    const handler = async ({ user, claims }: FastifyRequest) => ({ id: user.id, role: claims.role })
    for (const position of POSITIONS) {
      app.get(`/alone/${position}`, { [position]: guard }, handler)
      app.get(`/listed/${position}`, { [position]: [app.authenticate, guard] }, handler)
      app.get(`/optional/${position}`, { [position]: [app.authenticateOptional, guard] }, handler)
      app.get(`/twice/${position}`, {
        [position]: [guard, app.authorize({ check: user => user.id === 'u_1' })]
      }, handler)
      app.get(`/after/${position}`, {
        onRequest: app.authenticate, preHandler: guard, ...position !== 'onRequest' && { [position]: guard }
      }, handler)
      // @fastify/auth itself does not work as preParsing.
      if (position === 'preParsing') continue
      app.get(`/auth/${position}`, { [position]: app.auth([guard]) }, handler)
      app.get(`/auth-and/${position}`, {
        [position]: app.auth([app.authenticate, guard], { relation: 'and' })
      }, handler)
    }
    app.get('/by-hand', async (request, reply) => {
      t.equal(await guard(request, reply), undefined)
      return handler(request)
    })
    app.register(async scope => {
      scope.addHook('onRequest', guard)
      scope.get('/scope', handler)
    })
    return app
  }

  const app = await createGuarded(jwks.origin)
  const down = await createGuarded(dead.origin)
  const ways = ['alone', 'listed', 'optional', 'twice', 'after', 'auth', 'auth-and']
  const urls = [...ways.flatMap(way => POSITIONS.map(position => `/${way}/${position}`)), '/by-hand', '/scope'].filter(
    url => app.hasRoute({ method: 'GET', url })
  )
  t.equal(urls.length, 28)
  const token = (claims = {}, origin = jwks.origin) => bearer(signJws(KEY, createClaims(origin, claims)))
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(`by ${transport}`, async t => {
      for (const url of urls) {
        const answer = await call(app, { url, headers: token({ role: 'admin' }) })
        t.strictSame([answer.status, answer.body], [200, '{"id":"u_1","role":"admin"}'], `passes ${url}`)
        isForbidden(t, await call(app, { url, headers: token({ role: 'user' }) }), `forbids ${url}`)
        for (const { name, headers, status, code, challenge } of [
          { name: 'no token', headers: {}, status: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', challenge: 'Bearer' },
          {
            name: 'no header worth the name',
            headers: { authorization: 'Bearer' },
            status: 400,
            code: 'FST_BETTER_AUTH_REQUEST_INVALID',
            challenge: 'Bearer error="invalid_request"'
          },
          {
            name: 'a bad token',
            headers: bearer('abc'),
            status: 401,
            code: 'FST_BETTER_AUTH_TOKEN_INVALID',
            challenge: 'Bearer error="invalid_token"'
          },
          {
            name: 'an expired token',
            headers: token({ role: 'admin', iat: 1e9, exp: 1e9 }),
            status: 401,
            code: 'FST_BETTER_AUTH_TOKEN_EXPIRED',
            challenge: 'Bearer error="invalid_token"'
          }
        ]) {
          const { status: got, headers: { 'www-authenticate': gotChallenge }, body } = await call(app, { url, headers })
          t.strictSame([got, JSON.parse(body).code, gotChallenge], [status, code, challenge], `${url}: ${name}`)
        }
        const unavailable = await call(down, { url, headers: token({ role: 'admin' }, dead.origin) })
        t.strictSame(
          [unavailable.status, JSON.parse(unavailable.body).code],
          [503, 'FST_BETTER_AUTH_JWKS_UNAVAILABLE'],
          `${url}: no keys`
        )
      }
    })
  }
})

t.test('as one of several ways in, inside @fastify/auth', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  await app.register(fastifyAuth)
  const checkKey = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
    done(request.headers['x-api-key'] === 'right' ? undefined : new Error('wrong API key'))
  }
  const guard = app.authorize({ scopes: ['write'] })
  app.get('/or', { preHandler: app.auth([checkKey, guard]) }, async () => 'in')
  app.get('/and', { preHandler: app.auth([checkKey, guard], { relation: 'and' }) }, async () => 'in')
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { scope: 'read' })))
  const apiKey = { 'x-api-key': 'right' }
  isForbidden(t, await TRANSPORTS.inject(app, { url: '/or', headers }), 'neither way', 'write')
  isForbidden(
    t, await TRANSPORTS.inject(app, { url: '/and', headers: { ...headers, ...apiKey } }), 'one of both', 'write'
  )
  t.equal((await app.inject({ url: '/or', headers: { ...headers, ...apiKey } })).statusCode, 200, 'the other way')
})

t.test('a refusal that was caught by hand', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  const guard = app.authorize({ roles: ['admin'] })
  app.get('/', async (request, reply) => {
    const attempt = () => guard(request, reply).then(() => null, error => error.code)
    const codes = [await attempt(), await attempt()]
    return { codes, user: request.user, claims: request.claims ?? null }
  })
  const get = async (headers: Record<string, string>) => (await app.inject({ url: '/', headers })).json()
  for (const [name, headers, code] of [
    ['no token', {}, 'FST_BETTER_AUTH_TOKEN_MISSING'], ['a bad token', bearer('abc'), 'FST_BETTER_AUTH_TOKEN_INVALID'],
    [
      'banned',
      bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin', banned: true }))),
      'FST_BETTER_AUTH_FORBIDDEN'
    ]
  ] as const) {
    t.strictSame(await get(headers), {
      codes: [code, code], user: null, claims: null
    }, `leaves no user behind: ${name}`)
  }
  const { codes } = await get(bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user' }))))
  t.strictSame(
    codes, ['FST_BETTER_AUTH_FORBIDDEN', 'FST_BETTER_AUTH_FORBIDDEN'], 'is a refusal the second time as well'
  )
})

t.test('by hand, for a connection that outlives its token: refused when the token has expired', async t => {
  const jwks = await startJwks(t, KEY)
  const clock = createClock()
  useClock(t, clock)
  const app = await startApi(t, { authUrl: jwks.origin, clockTolerance: 0 })
  const guard = app.authorize({ roles: ['admin'] })
  let message: (() => Promise<void>) | undefined
  app.get('/socket', { onRequest: [app.authenticate] }, async (request, reply) => {
    message = () => guard(request, reply)
    return 'open'
  })
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, {
    role: 'admin', iat: clock.now() / 1000, exp: clock.now() / 1000 + 60
  })))
  t.equal((await app.inject({ url: '/socket', headers })).statusCode, 200)
  clock.advance(59_999)
  await message!()
  clock.advance(1)
  await t.rejects(message!(), { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
})

t.test('what hooks and handlers write into the request moves no guard', async t => {
  const jwks = await startJwks(t, KEY)
  const admin = { role: 'admin', roles: ['admin'], scope: 'write', scp: ['write'] }
  const WRITES: Record<string, (request: FastifyRequest) => void> = {
    'user-property': request => { Object.assign(request.user, admin) },
    'claims-property': request => { Object.assign(request.claims, admin) },
    'another-user': request => { request.user = { ...request.user, ...admin } },
    'other-claims': request => { request.claims = { ...request.claims, ...admin } }
  }
  const GUARDS: Record<string, Guard> = {
    roles: { roles: ['admin'] },
    scopes: { scopes: ['write'] },
    check: { check: (user, claims) => (user as { role?: string }).role === 'admin' || claims.role === 'admin' }
  }
  for (const [what, guard] of Object.entries(GUARDS)) {
    t.test(what, async t => {
      const app = await startApi(t, { authUrl: jwks.origin })
      for (const [name, write] of Object.entries(WRITES)) {
        app.get(`/${name}`, {
          onRequest: [app.authenticate, async request => { write(request) }],
          preHandler: app.authorize(guard)
        }, async () => 'in')
      }
      const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user', scope: 'read' })))
      for (const name of Object.keys(WRITES)) {
        for (const memory of ['cold', 'warm']) {
          isForbidden(
            t,
            await TRANSPORTS.inject(app, { url: `/${name}`, headers }),
            `${name}, ${memory}`,
            what === 'scopes' ? 'write' : ''
          )
        }
      }
    })
  }

  t.test('before anything authenticated, either', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    const forge = async (request: FastifyRequest) => {
      request.user = {
        id: 'u_1', email: null, name: null, emailVerified: true, image: null, ...admin
      } as FastifyRequest['user']
      request.claims = { exp: 1e12, ...admin }
    }
    app.get('/before', { onRequest: [forge, app.authorize({ roles: ['admin'] })] }, async () => 'in')
    t.equal((await app.inject('/before')).statusCode, 401)
    isForbidden(
      t,
      await TRANSPORTS.inject(app, { url: '/before', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }),
      'with a token'
    )
  })

  t.test('the next request with the same token sees nothing of it', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    app.get('/spoil', { onRequest: app.authenticate }, async request => {
      Object.assign(request.user, admin)
      Object.assign(request.claims, admin)
      return 'spoilt'
    })
    app.get('/next', { onRequest: app.authorize({ roles: ['admin'] }) }, async () => 'in')
    const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role: ['user'] })))
    t.equal((await app.inject({ url: '/spoil', headers })).statusCode, 200)
    isForbidden(t, await TRANSPORTS.inject(app, { url: '/next', headers }), 'refused')
  })

  t.test('a guard that is changed after it was given', async t => {
    const app = await startApi(t, { authUrl: jwks.origin })
    const roles = ['admin']
    const guard: Guard = { roles }
    app.get('/changed', { onRequest: app.authorize(guard) }, async () => 'in')
    roles.push('user')
    guard.roles = ['user']
    isForbidden(t, await TRANSPORTS.inject(app, {
      url: '/changed', headers: bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user' })))
    }), 'refused')
  })
})

t.test('an invalid guard fails at once', async t => {
  const app = await startApi(t, { authUrl: 'http://localhost:1' })
  const rows: Array<[name: string, guard: unknown, message: RegExp]> = [
    ['nothing', undefined, /authorize/],
    ['null', null, /authorize/],
    ['text', 'admin', /authorize/],
    ['a number', 7, /authorize/],
    ['a function', () => true, /authorize/],
    ['an array', ['admin'], /authorize/],
    ['an empty array', [], /authorize/],
    ['an empty guard', {}, ALL_CLAUSES],
    [
      'only undefined',
      { roles: undefined, scopes: undefined, check: undefined },
      ALL_CLAUSES
    ],
    ['a guard that inherits', Object.create({ scopes: [] }), /authorize/],
    [
      'a misspelt key',
      { role: ['admin'] },
      /Unknown option "authorize\.role". Known options: authorize\.roles, authorize\.permissions, /
    ],
    ['a misspelt key beside a right one', { roles: ['admin'], scope: ['write'] }, /Unknown option "authorize\.scope"/],
    ['a key in upper case', { Roles: ['admin'] }, /Unknown option "authorize\.Roles"/],
    [
      'the name of a prototype', { roles: ['admin'], constructor: ['admin'] }, /Unknown option "authorize\.constructor"/
    ],
    [
      'an own __proto__',
      JSON.parse('{"roles":["admin"],"__proto__":{"scopes":["write"]}}'),
      /Unknown option "authorize\.__proto__"/
    ],
    ['no roles', { roles: [] }, /"authorize\.roles" must be a non-empty array of roles, got \[\]/],
    ['roles that are null', { roles: null }, /"authorize\.roles".*got null/],
    ['roles as text', { roles: 'admin' }, /"authorize\.roles".*got 'admin'/],
    ['roles as a set', { roles: new Set(['admin']) }, /"authorize\.roles"/],
    ['an empty role', { roles: [''] }, /"authorize\.roles"/],
    ['a role with a comma', { roles: ['admin,user'] }, /"authorize\.roles".*got \[ 'admin,user' \]/],
    ['a role that begins with a space', { roles: [' admin'] }, /"authorize\.roles"/],
    ['a role that ends with a space', { roles: ['admin '] }, /"authorize\.roles"/],
    ['a role that ends with a line break', { roles: ['admin\n'] }, /"authorize\.roles"/],
    ['a role that begins with a tab', { roles: ['\tadmin'] }, /"authorize\.roles"/],
    ['a number among roles', { roles: ['admin', 7] }, /"authorize\.roles"/],
    ['null among roles', { roles: [null] }, /"authorize\.roles"/],
    ['undefined among roles', { roles: [undefined] }, /"authorize\.roles"/],
    ['an array among roles', { roles: [['admin']] }, /"authorize\.roles"/],
    ['an object among roles', { roles: [{}] }, /"authorize\.roles"/],
    [
      'no scopes',
      { scopes: [] },
      /"authorize\.scopes" must be a non-empty array of scopes \(RFC 6749 §3\.3\), got \[\]/
    ],
    ['scopes that are null', { scopes: null }, /"authorize\.scopes".*got null/],
    ['scopes as text', { scopes: 'read write' }, /"authorize\.scopes".*got 'read write'/],
    ['an empty scope', { scopes: [''] }, /"authorize\.scopes"/],
    ['a scope with a space', { scopes: ['read write'] }, /"authorize\.scopes".*got \[ 'read write' \]/],
    ['a scope with a quote', { scopes: ['read"'] }, /"authorize\.scopes"/],
    ['a scope with a back slash', { scopes: ['read\\'] }, /"authorize\.scopes"/],
    ['a scope with a line break', { scopes: ['read\r\nset-cookie:x'] }, /"authorize\.scopes"/],
    ['a scope that ends with a line break', { scopes: ['read\n'] }, /"authorize\.scopes"/],
    ['a scope beyond ASCII', { scopes: ['lé'] }, /"authorize\.scopes"/],
    ['a number among scopes', { scopes: [7] }, /"authorize\.scopes"/],
    ['null among scopes', { scopes: ['read', null] }, /"authorize\.scopes"/],
    ['a check that is no function', { check: true }, /"authorize\.check" must be a function, got true/],
    ['a check that is null', { check: null }, /"authorize\.check" must be a function, got null/],
    ['a check beside roles that is text', { roles: ['admin'], check: 'isAdmin' }, /"authorize\.check"/]
  ]
  for (const [name, guard, message] of rows) {
    t.test(name, async t => {
      let thrown: unknown
      try {
        app.authorize(guard as Guard)
      } catch (error) {
        thrown = error
      }
      t.type(thrown, InvalidOptionError)
      t.match((thrown as Error | undefined)?.message, message)
    })
  }

  t.test('and with it the boot of an API that declares it', async t => {
    const broken = Fastify()
    t.teardown(() => broken.close())
    broken.register(betterAuthPlugin, { authUrl: 'http://localhost:1' })
    broken.register(async scope => {
      scope.get('/', { onRequest: scope.authorize({ role: ['admin'] } as Guard) }, async () => 'in')
    })
    await t.rejects(
      async () => { await broken.ready() }, { code: 'FST_BETTER_AUTH_INVALID_OPTION' } as unknown as Error
    )
  })

  t.doesNotThrow(
    () => app.authorize({ roles: ['content editor', 'ops:admin', 'rôle'], scopes: undefined, check: undefined }),
    'roles that are odd and right'
  )
  t.doesNotThrow(
    () => app.authorize({ scopes: ['https://api.example.com/posts.read', '!#$%&\'()*+,-./'] }),
    'scopes that are odd and right'
  )
})

t.test('an error handler that changes the scopes of an error does not change the guard', async t => {
  const key = createSigningKey()
  const jwks = await startJwks(t, key)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.setErrorHandler((error: { scopes: string[] }, _request, reply) => {
    try {
      error.scopes.splice(0)
    } catch {
      // It is frozen.
    }
    return reply.code(403).send({})
  })
  app.get('/', { onRequest: [app.authorize({ scopes: ['admin:write'] })] }, async () => 'in')
  const headers = bearer(signJws(key, createClaims(jwks.origin, { scope: 'read' })))
  for (const round of [1, 2]) t.equal((await app.inject({ url: '/', headers })).statusCode, 403, `round ${round}`)
})

t.test('a guard may be an instance of a class, whose methods keep their `this`', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  class Tenant {
    readonly #tenant: string
    constructor (tenant: string) { this.#tenant = tenant }
    get roles () { return ['admin'] }
    check (_user: unknown, claims: Claims) { return this.isOwn(claims) }
    isOwn (claims: Claims) { return claims.tenant === this.#tenant }
  }
  class OnlyCheck { check () { return false } }
  app.get('/', { onRequest: [app.authorize(new Tenant('acme'))] }, async () => 'in')
  app.get('/check', { onRequest: [app.authorize(new OnlyCheck())] }, async () => 'in')
  const status = async (claims: Record<string, unknown>) =>
    (await app.inject({ url: '/', headers: bearer(signJws(KEY, createClaims(jwks.origin, claims))) })).statusCode
  t.equal(await status({ role: 'admin', tenant: 'acme' }), 200)
  t.equal(await status({ role: 'admin', tenant: 'other' }), 403, 'the method of the class is asked')
  t.equal(await status({ role: 'user', tenant: 'acme' }), 403, 'and so is the getter')

  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  t.equal((await app.inject({ url: '/check', headers })).statusCode, 403)

  for (const [name, guard] of Object.entries<unknown>({
    role: new class { check () { return true } get role () { return ['admin'] } }(),
    chek: new class { roles = ['admin']; chek () { return false } }()
  })) {
    t.throws(() => app.authorize(guard as Guard), { message: `Unknown option "authorize.${name}". ` }, name)
  }
  t.throws(() => app.authorize(new Map([['roles', ['admin']]]) as Guard), {
    message: 'Option "authorize" must be an object, got a Map'
  })
})

t.test('nothing that somebody adds to Object.prototype is a condition', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  const { prototype } = Object as unknown as { prototype: { check?: () => boolean } }
  t.teardown(() => { delete prototype.check })
  Object.defineProperty(prototype, 'check', { value: () => false, configurable: true, writable: true })
  t.throws(() => app.authorize({}), InvalidOptionError)
  app.get('/', { onRequest: [app.authorize({ roles: ['admin'] })] }, async () => 'in')
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin' })))
  t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
})

t.test('the challenge of a later guard has the scopes of the guards that a client has passed', async t => {
  const issuer = await startIssuer(t, { algorithm: 'HS256' })
  const resource = 'https://api.example.com'
  const app = await startApi(t, { authUrl: issuer.authUrl, secret: issuer.secret!, resource })
  app.get('/', {
    onRequest: [app.authorize({ clients: ['a'] }), app.authorize({ clients: ['b'], scopes: ['c'] })]
  }, async () => 'in')
  app.get('/users', {
    onRequest: [app.authorize({ roles: ['x'] }), app.authorize({ scopes: ['d'] })]
  }, async () => 'in')
  const challengeOf = async (url: string, token: string) => {
    const { headers } = await app.inject({ url, headers: bearer(token) })
    return /scope="(.*?)"/.exec(String(headers['www-authenticate']))?.[1]
  }
  t.equal(await challengeOf('/', issuer.clientToken({ clientId: 'app_1', resource, scopes: ['z'] })), 'a')
  t.equal(await challengeOf('/', issuer.clientToken({ clientId: 'app_1', resource, scopes: ['a'] })), 'a b c')
  t.equal(await challengeOf('/users', issuer.token({ role: 'x' })), 'd', 'a user has passed none')
})

t.test('a guard after another hook does not authenticate again', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  const guard = app.authorize({ roles: ['admin'] })
  app.get('/', { onRequest: [app.authenticate, guard, guard] }, async () => 'in')
  let verifications = 0
  const count = () => { verifications++ }
  subscribe(CHANNELS.verification, count)
  t.teardown(() => unsubscribe(CHANNELS.verification, count))
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin' })))
  t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
  t.equal(verifications, 1)
})

t.test('authorize as a hook, not called, is refused and logged; anything else is not a request', async t => {
  const lines: string[] = []
  const log = { error: (line: string) => { lines.push(line) } }
  for (const given of [undefined, null, 'routeOptions', 1, {}, { log }]) {
    t.doesNotThrow(() => { assertIsNoRequest(given) })
  }
  t.strictSame(lines, [])
  t.throws(() => { assertIsNoRequest({ routeOptions: {}, log }) }, { message: 'Internal Server Error' })
  t.strictSame(lines, ["A hook is app.authorize itself. Call it: onRequest: [app.authorize({ roles: ['admin'] })]"])
})
