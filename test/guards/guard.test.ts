import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { admin } from 'better-auth/plugins'
import betterAuthPlugin, { InvalidOptionError, type BetterAuthOptions, type Guard } from '../../lib/index.js'
import { bearer, captureLog, TRANSPORTS, type ApiResponse, type LogCapture } from '../fixtures/api.js'
import { fetchToken, startAuthServer, type AuthServer, type SignedUp } from '../fixtures/auth-server.js'
import { createClock, type Clock } from '../fixtures/clock.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startJwksServer, type JwksServer } from '../fixtures/jwks-server.js'

const KEY = createSigningKey()
const POSITIONS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
const FORBIDDEN = { statusCode: 403, code: 'FST_BETTER_AUTH_FORBIDDEN', error: 'Forbidden', message: 'Insufficient permissions' }

async function startJwks (t: Test): Promise<JwksServer> {
  const jwks = await startJwksServer([KEY.jwk])
  t.teardown(() => jwks.stop())
  return jwks
}

/** With a clock, the time that the plugin reads is the test's. */
async function createApi (t: Test, options: BetterAuthOptions, log: LogCapture = captureLog(), clock?: Clock): Promise<FastifyInstance> {
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  const { now } = Date
  try {
    if (clock) Date.now = clock.now
    await app.register(betterAuthPlugin, options)
  } finally {
    Date.now = now
  }
  return app
}

function isForbidden (t: Test, { status, headers, body }: ApiResponse, name: string, scope = ''): void {
  t.strictSame({ status, challenge: headers['www-authenticate'], body: status === 200 ? body : JSON.parse(body) }, {
    status: 403, challenge: `Bearer error="insufficient_scope"${scope && `, scope="${scope}"`}`, body: FORBIDDEN
  }, name)
}

/** Asks one guard about many sets of claims, each twice: the second time the token is remembered. */
async function judgeAll (t: Test, guard: Guard, rows: Record<string, Record<string, unknown>>, expected: 'passes' | string, scope = ''): Promise<void> {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: app.authorize(guard) }, async () => ({ passed: true }))
  for (const [name, claims] of Object.entries(rows)) {
    const headers = bearer(signJws(KEY, createClaims(jwks.origin, claims)))
    for (const memory of ['cold', 'warm']) {
      log.lines.length = 0
      const answer = await TRANSPORTS.inject(app, { url: '/', headers })
      if (expected === 'passes') t.strictSame([answer.status, answer.body], [200, '{"passed":true}'], `passes: ${name}, ${memory}`)
      else {
        isForbidden(t, answer, `refuses: ${name}, ${memory}`, scope)
        t.strictSame(log.refusals().map(line => line.reason), [expected])
      }
    }
  }
}

t.test('in every position, alone and after something else', async t => {
  const jwks = await startJwks(t)
  const dead = await startJwks(t)
  await dead.stop()

  async function createGuarded (authUrl: string): Promise<FastifyInstance> {
    const app = await createApi(t, { authUrl })
    await app.register(fastifyAuth)
    const guard = app.authorize({ roles: ['admin'] })
    const handler = async ({ user, claims }: FastifyRequest) => ({ id: user.id, role: claims.role })
    for (const position of POSITIONS) {
      app.get(`/alone/${position}`, { [position]: guard }, handler)
      app.get(`/listed/${position}`, { [position]: [app.authenticate, guard] }, handler)
      app.get(`/optional/${position}`, { [position]: [app.authenticateOptional, guard] }, handler)
      app.get(`/twice/${position}`, { [position]: [guard, app.authorize({ check: user => user.id === 'u_1' })] }, handler)
      app.get(`/after/${position}`, { onRequest: app.authenticate, preHandler: guard, ...position !== 'onRequest' && { [position]: guard } }, handler)
      // @fastify/auth itself does not work as preParsing.
      if (position === 'preParsing') continue
      app.get(`/auth/${position}`, { [position]: app.auth([guard]) }, handler)
      app.get(`/auth-and/${position}`, { [position]: app.auth([app.authenticate, guard], { relation: 'and' }) }, handler)
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
  const urls = [...ways.flatMap(way => POSITIONS.map(position => `/${way}/${position}`)), '/by-hand', '/scope'].filter(url => app.hasRoute({ method: 'GET', url }))
  t.equal(urls.length, 28)
  const token = (claims = {}, origin = jwks.origin) => bearer(signJws(KEY, createClaims(origin, claims)))
  for (const [channel, call] of Object.entries(TRANSPORTS)) {
    t.test(`by ${channel}`, async t => {
      for (const url of urls) {
        const answer = await call(app, { url, headers: token({ role: 'admin' }) })
        t.strictSame([answer.status, answer.body], [200, '{"id":"u_1","role":"admin"}'], `passes ${url}`)
        isForbidden(t, await call(app, { url, headers: token({ role: 'user' }) }), `forbids ${url}`)
        for (const { name, headers, status, code, challenge } of [
          { name: 'no token', headers: {}, status: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', challenge: 'Bearer' },
          { name: 'no header worth the name', headers: { authorization: 'Bearer' }, status: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID', challenge: 'Bearer error="invalid_request"' },
          { name: 'a bad token', headers: bearer('abc'), status: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID', challenge: 'Bearer error="invalid_token"' },
          { name: 'an expired token', headers: token({ role: 'admin', iat: 1e9, exp: 1e9 }), status: 401, code: 'FST_BETTER_AUTH_TOKEN_EXPIRED', challenge: 'Bearer error="invalid_token"' }
        ]) {
          const { status: got, headers: { 'www-authenticate': gotChallenge }, body } = await call(app, { url, headers })
          t.strictSame([got, JSON.parse(body).code, gotChallenge], [status, code, challenge], `${url}: ${name}`)
        }
        const unavailable = await call(down, { url, headers: token({ role: 'admin' }, dead.origin) })
        t.strictSame([unavailable.status, JSON.parse(unavailable.body).code], [503, 'FST_BETTER_AUTH_JWKS_UNAVAILABLE'], `${url}: no keys`)
      }
    })
  }
})

t.test('as one of several ways in, inside @fastify/auth', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
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
  isForbidden(t, await TRANSPORTS.inject(app, { url: '/and', headers: { ...headers, ...apiKey } }), 'one of both', 'write')
  t.equal((await app.inject({ url: '/or', headers: { ...headers, ...apiKey } })).statusCode, 200, 'the other way')
})

t.test('a refusal that was caught by hand', async t => {
  const jwks = await startJwks(t)
  const app = await createApi(t, { authUrl: jwks.origin })
  const guard = app.authorize({ roles: ['admin'] })
  app.get('/', async (request, reply) => {
    const attempt = () => guard(request, reply).then(() => null, error => error.code)
    const codes = [await attempt(), await attempt()]
    return { codes, user: request.user, claims: request.claims ?? null }
  })
  const get = async (headers: Record<string, string>) => (await app.inject({ url: '/', headers })).json()
  for (const [name, headers, code] of [
    ['no token', {}, 'FST_BETTER_AUTH_TOKEN_MISSING'],
    ['a bad token', bearer('abc'), 'FST_BETTER_AUTH_TOKEN_INVALID'],
    ['banned', bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin', banned: true }))), 'FST_BETTER_AUTH_FORBIDDEN']
  ] as const) t.strictSame(await get(headers), { codes: [code, code], user: null, claims: null }, `leaves no user behind: ${name}`)
  const { codes } = await get(bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user' }))))
  t.strictSame(codes, ['FST_BETTER_AUTH_FORBIDDEN', 'FST_BETTER_AUTH_FORBIDDEN'], 'is a refusal the second time as well')
})

t.test('roles', async t => {
  t.test('any of them is enough', t => judgeAll(t, { roles: ['admin', 'editor'] }, {
    text: { role: 'admin' },
    'the other': { role: 'editor' },
    'comma-separated, first': { role: 'admin,user' },
    'comma-separated, last': { role: 'user,editor' },
    'comma-separated, three': { role: 'user,editor,x' },
    'an array': { role: ['user', 'admin'] },
    both: { role: 'admin,editor' }
  }, 'passes'))

  t.test('a role is compared in full, and never as text within text', t => judgeAll(t, { roles: ['admin', 'editor'] }, {
    'no claim': {},
    null: { role: null },
    'empty text': { role: '' },
    'commas only': { role: ',,' },
    'upper case': { role: 'ADMIN' },
    'capital letter': { role: 'Admin' },
    prefix: { role: 'adm' },
    plural: { role: 'admins' },
    'name with a suffix': { role: 'admin-readonly' },
    'name with a prefix': { role: 'superadmin' },
    'space within': { role: 'ad min' },
    'separated by spaces': { role: 'user admin' },
    'separated by semicolons': { role: 'user;admin' },
    'separated by bars': { role: 'user|admin' },
    'line break within': { role: 'adm\nin' },
    'NUL at the end': { role: 'admin\0' },
    'zero-width space': { role: 'admin\u200b' },
    'a letter that looks alike': { role: '\u0430dmin' },
    'full-width letters': { role: '\uff41dmin' },
    quoted: { role: '"admin"' },
    'JSON in text': { role: '["admin"]' },
    'a star': { role: '*' },
    true: { role: true },
    number: { role: 1 },
    object: { role: { admin: true } },
    'object with a name': { role: { name: 'admin' } },
    'object like an array': { role: { 0: 'admin', length: 1 } },
    'empty array': { role: [] },
    'array in an array': { role: [['admin']] },
    'array with something else in it': { role: ['admin', 7] },
    'array with null in it': { role: ['admin', null] },
    'array with comma-separated text': { role: ['user,admin'] },
    'array with spaces': { role: [' admin'] },
    'array in upper case': { role: ['ADMIN'] },
    'other claims': { roles: ['admin'], Role: 'admin', ROLE: 'admin', groups: ['admin'], user: { role: 'admin' }, scope: 'admin', permissions: ['admin'] }
  }, 'role_missing'))

  const PROTOTYPE_NAMES = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'length', 'includes', 'prototype']
  t.test('names of prototypes are names like others, and nobody has them', t => judgeAll(t, { roles: PROTOTYPE_NAMES }, {
    'no claim': {},
    'another role': { role: 'user' },
    'another role in an array': { role: ['user'] },
    'an empty array': { role: [] },
    object: { role: {} },
    'a claim with a prototype': { role: JSON.parse('{"__proto__": ["constructor"]}') }
  }, 'role_missing'))
  for (const name of PROTOTYPE_NAMES) {
    t.test(`a role may be called ${name}`, t => judgeAll(t, { roles: [name] }, { text: { role: `user,${name}` }, array: { role: [name] } }, 'passes'))
  }
  t.test('an own __proto__ in the payload brings no role', async t => {
    const jwks = await startJwks(t)
    const app = await createApi(t, { authUrl: jwks.origin })
    app.get('/', { onRequest: app.authorize({ roles: ['admin'] }) }, async () => 'in')
    const payload = JSON.stringify(createClaims(jwks.origin)).replace('{', '{"__proto__":{"role":"admin"},')
    isForbidden(t, await TRANSPORTS.inject(app, { url: '/', headers: bearer(signJws(KEY, payload)) }), 'refused')
  })
})

t.test('scopes', async t => {
  t.test('all of them are there', t => judgeAll(t, { scopes: ['posts:read', 'posts:write'] }, {
    scope: { scope: 'posts:read posts:write' },
    'in another order, among others': { scope: 'openid posts:write email posts:read' },
    'more spaces': { scope: ' posts:read  posts:write ' },
    scp: { scp: ['posts:write', 'posts:read', 'openid'] }
  }, 'passes'))

  t.test('the header names all that are needed, and only these', t => judgeAll(t, { scopes: ['posts:read', 'posts:write'] }, {
    'no claim': {},
    'one of two': { scope: 'posts:read' },
    'the other of two': { scope: 'posts:write openid' },
    'one of two in scp': { scp: ['posts:read'] },
    'one in each': { scope: 'posts:read', scp: ['posts:write'] },
    'scope decides where there are both': { scope: 'openid', scp: ['posts:read', 'posts:write'] },
    'an empty scope decides as well': { scope: '', scp: ['posts:read', 'posts:write'] },
    'a scope that is null': { scope: null, scp: ['posts:read', 'posts:write'] },
    'a scope of the wrong type': { scope: ['posts:read', 'posts:write'] },
    'scp as text': { scp: 'posts:read posts:write' },
    'scp with something else in it': { scp: ['posts:read', 'posts:write', 7] },
    'scp with both in one text': { scp: ['posts:read posts:write'] },
    'scp in an array': { scp: [['posts:read', 'posts:write']] },
    'scp as an object': { scp: { 'posts:read': true, 'posts:write': true } },
    true: { scope: true },
    number: { scope: 7 },
    object: { scope: { 'posts:read': 1, 'posts:write': 1 } },
    commas: { scope: 'posts:read,posts:write' },
    tabs: { scope: 'posts:read\tposts:write' },
    'line breaks': { scope: 'posts:read\nposts:write' },
    'no-break spaces': { scope: 'posts:read\u00a0posts:write' },
    'upper case': { scope: 'POSTS:READ POSTS:WRITE' },
    prefix: { scope: 'posts posts:' },
    plural: { scope: 'posts:reads posts:writes' },
    'a star': { scope: '* posts:*' },
    'other claims': { scopes: ['posts:read', 'posts:write'], role: 'posts:read,posts:write', permissions: ['posts:read', 'posts:write'] }
  }, 'scope_missing', 'posts:read posts:write'))

  t.test('names of prototypes', t => judgeAll(t, { scopes: ['constructor', '__proto__', 'toString'] }, {
    'no claim': {}, 'another scope': { scope: 'openid' }, array: { scp: [] }, object: { scp: {} }
  }, 'scope_missing', 'constructor __proto__ toString'))

  t.test('one scope', t => judgeAll(t, { scopes: ['read'] }, { none: {} }, 'scope_missing', 'read'))
})

t.test('check', async t => {
  const jwks = await startJwks(t)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { plan: 'pro' })))
  const untyped = (answer: unknown): Guard['check'] => () => answer as boolean
  const raise = (what: unknown): never => { throw what }
  const thenable = { then (resolve: (value: boolean) => void) { resolve(true) } }

  for (const [name, check] of Object.entries<NonNullable<Guard['check']>>({
    true: () => true,
    'a promise of true': async () => true,
    'something to wait for that becomes true': () => thenable as Promise<boolean>,
    'what it says of the user and of the claims': (user, claims) => user.id === 'u_1' && user.email === 'ada@example.com' && claims.plan === 'pro',
    'what it says of the request': (_user, _claims, request) => request.url === '/' && request.method === 'GET'
  })) {
    t.test(`passes: ${name}`, async t => {
      const app = await createApi(t, { authUrl: jwks.origin })
      app.get('/', { preHandler: app.authorize({ check }) }, async () => 'in')
      for (const memory of ['cold', 'warm']) t.equal((await app.inject({ url: '/', headers })).statusCode, 200, memory)
    })
  }

  for (const [name, check] of Object.entries<Guard['check']>({
    false: () => false,
    'a promise of false': async () => false,
    undefined: untyped(undefined),
    null: untyped(null),
    'the number 1': untyped(1),
    'the text true': untyped('true'),
    'an object': untyped({}),
    'an array': untyped([true]),
    'a Boolean object': untyped(Object(true)),
    'a promise of 1': untyped(Promise.resolve(1)),
    'a promise of nothing': untyped(Promise.resolve()),
    'a function that says true': untyped(() => true),
    'a throw': () => { throw new Error('broken') },
    'a throw of nothing': () => raise(undefined),
    'a throw of true': () => raise(true),
    'a rejection': async () => { throw new Error('broken') },
    'a rejection with true': async () => raise(true),
    'a property of undefined': (_user, claims) => (claims.org as { admin: boolean }).admin
  })) {
    t.test(`refuses: ${name}`, async t => {
      const log = captureLog()
      const app = await createApi(t, { authUrl: jwks.origin }, log)
      app.get('/', { preHandler: app.authorize({ check }) }, async () => 'in')
      for (const memory of ['cold', 'warm']) {
        log.lines.length = 0
        isForbidden(t, await TRANSPORTS.inject(app, { url: '/', headers }), memory)
        t.strictSame(log.refusals().map(line => line.reason), ['check_failed'])
      }
    })
  }

  t.test('what it threw is in the log and not in the answer', async t => {
    const log = captureLog()
    const app = await createApi(t, { authUrl: jwks.origin }, log)
    app.get('/', { preHandler: app.authorize({ check () { throw new Error('db of checks is down') } }) }, async () => 'in')
    const answer = await TRANSPORTS.inject(app, { url: '/', headers })
    t.notMatch(answer.body, /db of checks/)
    t.match(log.refusals(), [{ reason: 'check_failed', err: { message: 'db of checks is down' } }])
    t.notMatch(JSON.stringify(log.lines), headers.authorization.slice(7))
  })
})

t.test('all that is given must hold', async t => {
  const jwks = await startJwks(t)
  const log = captureLog()
  const app = await createApi(t, { authUrl: jwks.origin }, log)
  let asked = 0
  app.get('/', { onRequest: app.authorize({ roles: ['admin'], scopes: ['write'], check (_user, claims) { asked++; return claims.plan === 'pro' } }) }, async () => 'in')
  for (const role of ['admin', 'user']) {
    for (const scope of ['write', 'read']) {
      for (const plan of ['pro', 'free']) {
        const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role, scope, plan })))
        log.lines.length = 0
        asked = 0
        const answer = await TRANSPORTS.inject(app, { url: '/', headers })
        const name = `${role} ${scope} ${plan}`
        const reason = role === 'user' ? 'role_missing' : scope === 'read' ? 'scope_missing' : plan === 'free' ? 'check_failed' : undefined
        if (reason === undefined) t.equal(answer.status, 200, name)
        else isForbidden(t, answer, name, reason === 'scope_missing' ? 'write' : '')
        t.strictSame(log.refusals().map(line => line.reason), reason === undefined ? [] : [reason])
        t.equal(asked, role === 'admin' && scope === 'write' ? 1 : 0, 'check is only asked when the rest holds')
      }
    }
  }
})

t.test('what hooks and handlers write into the request moves no guard', async t => {
  const jwks = await startJwks(t)
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
      const app = await createApi(t, { authUrl: jwks.origin })
      for (const [name, write] of Object.entries(WRITES)) {
        app.get(`/${name}`, {
          onRequest: [app.authenticate, async request => { write(request) }],
          preHandler: app.authorize(guard)
        }, async () => 'in')
      }
      const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user', scope: 'read' })))
      for (const name of Object.keys(WRITES)) {
        for (const memory of ['cold', 'warm']) {
          isForbidden(t, await TRANSPORTS.inject(app, { url: `/${name}`, headers }), `${name}, ${memory}`, what === 'scopes' ? 'write' : '')
        }
      }
    })
  }

  t.test('before anything authenticated, either', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
    const forge = async (request: FastifyRequest) => {
      request.user = { id: 'u_1', email: null, name: null, emailVerified: true, image: null, ...admin } as FastifyRequest['user']
      request.claims = { exp: 1e12, ...admin }
    }
    app.get('/before', { onRequest: [forge, app.authorize({ roles: ['admin'] })] }, async () => 'in')
    t.equal((await app.inject('/before')).statusCode, 401)
    isForbidden(t, await TRANSPORTS.inject(app, { url: '/before', headers: bearer(signJws(KEY, createClaims(jwks.origin))) }), 'with a token')
  })

  t.test('the next request with the same token sees nothing of it', async t => {
    const app = await createApi(t, { authUrl: jwks.origin })
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
    const app = await createApi(t, { authUrl: jwks.origin })
    const roles = ['admin']
    const guard: Guard = { roles }
    app.get('/changed', { onRequest: app.authorize(guard) }, async () => 'in')
    roles.push('user')
    guard.roles = ['user']
    isForbidden(t, await TRANSPORTS.inject(app, { url: '/changed', headers: bearer(signJws(KEY, createClaims(jwks.origin, { role: 'user' }))) }), 'refused')
  })
})

t.test('a guard of no use fails at once', async t => {
  const app = await createApi(t, { authUrl: 'http://localhost:1' })
  const rows: Array<[name: string, guard: unknown, message: RegExp]> = [
    ['nothing', undefined, /authorize/],
    ['null', null, /authorize/],
    ['text', 'admin', /authorize/],
    ['a number', 7, /authorize/],
    ['a function', () => true, /authorize/],
    ['an array', ['admin'], /authorize/],
    ['an empty array', [], /authorize/],
    ['an empty guard', {}, /must be given "roles", "scopes" or "check"/],
    ['only undefined', { roles: undefined, scopes: undefined, check: undefined }, /must be given "roles", "scopes" or "check"/],
    ['a guard that inherits', Object.create({ scopes: [] }), /authorize/],
    ['a misspelt key', { role: ['admin'] }, /Unknown option "authorize\.role"; the options are authorize\.roles, authorize\.scopes, authorize\.check/],
    ['a misspelt key beside a right one', { roles: ['admin'], scope: ['write'] }, /Unknown option "authorize\.scope"/],
    ['a key in upper case', { Roles: ['admin'] }, /Unknown option "authorize\.Roles"/],
    ['the name of a prototype', { roles: ['admin'], constructor: ['admin'] }, /Unknown option "authorize\.constructor"/],
    ['an own __proto__', JSON.parse('{"roles":["admin"],"__proto__":{"scopes":["write"]}}'), /Unknown option "authorize\.__proto__"/],
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
    ['no scopes', { scopes: [] }, /"authorize\.scopes" must be a non-empty array of scopes \(RFC 6749 §3\.3\), got \[\]/],
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
    await t.rejects(async () => { await broken.ready() }, { code: 'FST_BETTER_AUTH_INVALID_OPTION' } as unknown as Error)
  })

  t.doesNotThrow(() => app.authorize({ roles: ['content editor', 'ops:admin', 'rôle'], scopes: undefined, check: undefined }), 'roles that are odd and right')
  t.doesNotThrow(() => app.authorize({ scopes: ['https://api.example.com/posts.read', '!#$%&\'()*+,-./'] }), 'scopes that are odd and right')
})

t.test('banned users', async t => {
  const jwks = await startJwks(t)
  const start = Date.now()
  const DAY = 86_400_000
  const iso = (ms: number) => new Date(ms).toISOString()

  async function createGuarded (t: Test, log = captureLog(), clock?: Clock): Promise<FastifyInstance> {
    const app = await createApi(t, { authUrl: jwks.origin }, log, clock)
    app.get('/authenticate', { onRequest: app.authenticate }, async ({ user }) => ({ id: user.id }))
    app.get('/optional', { onRequest: app.authenticateOptional }, async ({ user }) => ({ id: user.id }))
    app.get('/authorize', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ id: user.id }))
    app.get('/jwt-verify', async request => {
      await request.jwtVerify()
      return { id: request.user.id }
    })
    app.get('/by-hand', async (request, reply) => {
      const code: unknown = await app.authenticate(request, reply).then(() => null, error => error.code)
      return { code, user: request.user, claims: request.claims ?? null }
    })
    return app
  }
  const URLS = ['/authenticate', '/optional', '/authorize']
  const token = (claims: Record<string, unknown>) => bearer(signJws(KEY, createClaims(jwks.origin, { role: 'admin', ...claims })))

  t.test('are refused, cached tokens included', async t => {
    const log = captureLog()
    const app = await createGuarded(t, log)
    for (const [name, claims] of Object.entries<Record<string, unknown>>({
      'for ever': {},
      'banExpires is null': { banExpires: null },
      'until tomorrow': { banExpires: iso(start + DAY) },
      'until the end of times': { banExpires: iso(8.64e15) },
      'banExpires is empty': { banExpires: '' },
      'banExpires is garbage': { banExpires: 'soon' },
      'banExpires is a word': { banExpires: 'never' },
      // Date.parse() finds a year in each of these.
      'banExpires is garbage with a number': { banExpires: 'permanent-1' },
      'banExpires is a number as text': { banExpires: '1' },
      'banExpires is zero as text': { banExpires: '0' },
      'banExpires is a sentence': { banExpires: 'since 2020' },
      'banExpires is a number': { banExpires: start - DAY },
      'banExpires is 0': { banExpires: 0 },
      'banExpires is true': { banExpires: true },
      'banExpires is an object': { banExpires: {} },
      'banExpires is an array': { banExpires: [iso(start - DAY)] },
      'banExpires is no date of the calendar': { banExpires: '2020-13-45T00:00:00.000Z' }
    })) {
      const headers = token({ banned: true, ...claims })
      for (const url of URLS) {
        for (const memory of ['cold', 'warm']) {
          log.lines.length = 0
          isForbidden(t, await TRANSPORTS.inject(app, { url, headers }), `${name}, ${url}, ${memory}`)
          t.strictSame(log.refusals().map(line => line.reason), ['banned'])
        }
      }
      t.strictSame((await app.inject({ url: '/by-hand', headers })).json(), {
        code: 'FST_BETTER_AUTH_FORBIDDEN', user: null, claims: null
      }, `${name}, by hand, leaves no user behind`)
    }
  })

  t.test('are refused by request.jwtVerify() too', async t => {
    const app = await createGuarded(t)
    t.equal((await app.inject({ url: '/jwt-verify', headers: token({}) })).statusCode, 200)
    t.equal((await app.inject({ url: '/jwt-verify', headers: token({ banned: true }) })).statusCode, 403)
  })

  t.test('are users like others when they are not, or not any longer', async t => {
    const app = await createGuarded(t)
    for (const [name, claims] of Object.entries<Record<string, unknown>>({
      'no claim': {},
      false: { banned: false },
      null: { banned: null },
      'false, whatever banExpires says': { banned: false, banExpires: iso(start + DAY) },
      'no claim, whatever banExpires says': { banExpires: iso(start + DAY) },
      'until yesterday': { banned: true, banExpires: iso(start - DAY) }
    })) {
      for (const url of URLS) {
        for (const memory of ['cold', 'warm']) t.equal((await app.inject({ url, headers: token(claims) })).statusCode, 200, `${name}, ${url}, ${memory}`)
      }
    }
  })

  t.test('a claim that is neither true nor false is an invalid token', async t => {
    const log = captureLog()
    const app = await createGuarded(t, log)
    for (const banned of ['true', 'false', '', 'no', 0, 1, {}, [], [true]]) {
      for (const url of URLS) {
        log.lines.length = 0
        const { statusCode, headers, body } = await app.inject({ url, headers: token({ banned, banExpires: iso(start - DAY) }) })
        t.strictSame([statusCode, JSON.parse(body).code, headers['www-authenticate']], [401, 'FST_BETTER_AUTH_TOKEN_INVALID', 'Bearer error="invalid_token"'],
          `${JSON.stringify(banned)}, ${url}`)
        t.match(log.refusals(), [{ reason: 'claim_invalid', claim: 'banned' }])
      }
    }
  })

  t.test('a ban ends while the token is remembered, at its very millisecond', async t => {
    const clock = createClock(start)
    const app = await createGuarded(t, captureLog(), clock)
    const headers = token({ banned: true, banExpires: iso(start + 60_000) })
    const status = async () => Promise.all(URLS.map(async url => (await app.inject({ url, headers })).statusCode))
    t.strictSame(await status(), [403, 403, 403])
    clock.set(start + 59_999)
    t.strictSame(await status(), [403, 403, 403], 'one millisecond before')
    clock.set(start + 60_000)
    t.strictSame(await status(), [200, 200, 200], 'at its end')
    clock.set(start + 59_999)
    t.strictSame(await status(), [403, 403, 403], 'nothing of it is remembered')
  })
})

t.test('a real Better Auth server with the admin plugin', async t => {
  const auth = await startAuthServer({ plugins: [admin()] })
  t.teardown(() => auth.close())
  const app = await createApi(t, { authUrl: auth.origin })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => ({ id: user.id }))
  app.get('/optional', { onRequest: app.authenticateOptional }, async () => 'in')
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ id: user.id }))
  app.get('/staff', { onRequest: app.authorize({ roles: ['editor', 'admin'] }) }, async () => 'in')
  const statuses = async (token: string) => Promise.all(['/me', '/optional', '/admin', '/staff'].map(async url => (await app.inject({ url, headers: bearer(token) })).statusCode))

  const rowOf = ({ user }: SignedUp) => auth.db.user!.find(({ id }) => id === user.id)!
  const newToken = ({ cookie }: SignedUp) => fetchToken(auth.origin, cookie)

  t.test('roles', async t => {
    const ada = await auth.signUp()
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'a new user is no admin')
    rowOf(ada).role = 'admin'
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'an old token says what it said')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200], 'a new token says what is so now')
    t.equal((await app.inject({ url: '/admin', headers: bearer(await newToken(ada)) })).json().id, ada.user.id)
    rowOf(ada).role = 'user,editor'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 200])
    rowOf(ada).role = 'user,editor,admin'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
    rowOf(ada).role = null
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 403])
  })

  t.test('several roles as the plugin itself writes them', async t => {
    const boss = await auth.signUp()
    const ada = await auth.signUp()
    rowOf(boss).role = 'admin'
    await callAdmin(auth, boss, 'set-role', { userId: ada.user.id, role: ['user', 'admin'] })
    t.equal(rowOf(ada).role, 'user,admin')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
  })

  t.test('bans', async t => {
    const boss = await auth.signUp()
    rowOf(boss).role = 'admin'
    for (const [name, expiry] of [['without an end', {}], ['for an hour', { banExpiresIn: 3600 }]] as const) {
      const mallory = await auth.signUp()
      const session = { ...auth.db.session!.find(({ userId }) => userId === mallory.user.id)! }
      await callAdmin(auth, boss, 'ban-user', { userId: mallory.user.id, banReason: 'spam', ...expiry })
      t.equal(rowOf(mallory).banned, true)
      t.equal(await newToken(mallory).catch(() => undefined), undefined, `${name}: Better Auth ends the session`)
      // As if the session had outlived the ban: what the token then says is Better Auth's own wording of it.
      auth.db.session!.push(session)
      const token = await newToken(mallory)
      t.strictSame(await statuses(token), [403, 403, 403, 403], name)
      t.strictSame(await statuses(token), [403, 403, 403, 403], `${name}, cached`)
      if (name === 'for an hour') {
        rowOf(mallory).banExpires = new Date(Date.now() - 1000)
        t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], 'the hour is over')
      }
      await callAdmin(auth, boss, 'unban-user', { userId: mallory.user.id })
      t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], `${name}: the ban is lifted`)
    }
  })
})

async function callAdmin (auth: AuthServer, { cookie }: SignedUp, path: string, body: object): Promise<void> {
  const response = await fetch(`${auth.origin}/api/auth/admin/${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json', origin: auth.origin, cookie }, body: JSON.stringify(body)
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
}
