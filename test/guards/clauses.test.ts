import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { CLAUSES } from '../../lib/guards/clauses.js'
import type { Guard } from '../../lib/index.js'
import { USER as USER_TOKEN } from '../../lib/tokens/principal.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import { bearer, captureLog, startApi, TRANSPORTS } from '../fixtures/api.js'
import { isForbidden } from '../fixtures/expected.js'
import { startJwks } from '../fixtures/jwks-server.js'
import { refusalOf } from '../fixtures/refusals.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

/** Asks one guard about many sets of claims, each twice: the second time the token is remembered. */
async function judgeAll (
  t: Test, guard: Guard, rows: Record<string, Record<string, unknown>>, expected: 'passes' | string, scope = ''
): Promise<void> {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: app.authorize(guard) }, async () => ({ passed: true }))
  for (const [name, claims] of Object.entries(rows)) {
    const headers = bearer(signJws(KEY, createClaims(jwks.origin, claims)))
    for (const memory of ['cold', 'warm']) {
      log.lines.length = 0
      const answer = await TRANSPORTS.inject(app, { url: '/', headers })
      if (expected === 'passes') {
        t.strictSame(
          [answer.status, answer.body], [200, '{"passed":true}'], `passes: ${name}, ${memory}`
        )
      } else {
        isForbidden(t, answer, `refuses: ${name}, ${memory}`, scope)
        t.strictSame(log.refusals().map(line => line.reason), [expected])
      }
    }
  }
}

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
    'other claims': {
      roles: ['admin'],
      Role: 'admin',
      ROLE: 'admin',
      groups: ['admin'],
      user: { role: 'admin' },
      scope: 'admin',
      permissions: ['admin']
    }
  }, 'role_missing'))

  const PROTOTYPE_NAMES = [
    'constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'length', 'includes', 'prototype'
  ]
  t.test('names of prototypes are names like others, and nobody has them', t => judgeAll(t, {
    roles: PROTOTYPE_NAMES
  }, {
    'no claim': {},
    'another role': { role: 'user' },
    'another role in an array': { role: ['user'] },
    'an empty array': { role: [] },
    object: { role: {} },
    'a claim with a prototype': { role: JSON.parse('{"__proto__": ["constructor"]}') }
  }, 'role_missing'))
  for (const name of PROTOTYPE_NAMES) {
    t.test(
      `a role may be called ${name}`,
      t => judgeAll(t, { roles: [name] }, { text: { role: `user,${name}` }, array: { role: [name] } }, 'passes')
    )
  }
  t.test('an own __proto__ in the payload brings no role', async t => {
    const jwks = await startJwks(t, KEY)
    const app = await startApi(t, { authUrl: jwks.origin })
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

  t.test('the header names all that are needed, and only these', t => judgeAll(t, {
    scopes: ['posts:read', 'posts:write']
  }, {
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
    'other claims': {
      scopes: ['posts:read', 'posts:write'], role: 'posts:read,posts:write', permissions: ['posts:read', 'posts:write']
    }
  }, 'scope_missing', 'posts:read posts:write'))

  t.test('names of prototypes', t => judgeAll(t, { scopes: ['constructor', '__proto__', 'toString'] }, {
    'no claim': {}, 'another scope': { scope: 'openid' }, array: { scp: [] }, object: { scp: {} }
  }, 'scope_missing', 'constructor __proto__ toString'))

  t.test('one scope', t => judgeAll(t, { scopes: ['read'] }, { none: {} }, 'scope_missing', 'read'))
})

t.test('check', async t => {
  const jwks = await startJwks(t, KEY)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { plan: 'pro' })))
  const untyped = (answer: unknown): Guard['check'] => () => answer as boolean
  const raise = (what: unknown): never => { throw what }
  const thenable = { then (resolve: (value: boolean) => void) { resolve(true) } }

  for (const [name, check] of Object.entries<NonNullable<Guard['check']>>({
    true: () => true,
    'a promise of true': async () => true,
    'something to wait for that becomes true': () => thenable as Promise<boolean>,
    'what it says of the user and of the claims': (user, claims) =>
      user.id === 'u_1' && user.email === 'ada@example.com' && claims.plan === 'pro',
    'what it says of the request': (_user, _claims, request) => request.url === '/' && request.method === 'GET'
  })) {
    t.test(`passes: ${name}`, async t => {
      const app = await startApi(t, { authUrl: jwks.origin })
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
      const app = await startApi(t, { authUrl: jwks.origin }, log)
      app.get('/', { preHandler: app.authorize({ check }) }, async () => 'in')
      for (const memory of ['cold', 'warm']) {
        log.lines.length = 0
        isForbidden(t, await TRANSPORTS.inject(app, { url: '/', headers }), memory)
        t.strictSame(log.refusals().map(line => line.reason), ['check_failed'])
      }
    })
  }

  t.test('one that does not settle in time is a 503, whatever it does later', async t => {
    const late: Array<(error: Error) => void> = []
    for (const [name, check] of Object.entries<NonNullable<Guard['check']>>({
      'a promise': () => new Promise((_resolve, reject) => { late.push(reject) }),
      'something to wait for': () => ({ then () {} }) as unknown as Promise<boolean>
    })) {
      const log = captureLog()
      const app = await startApi(t, { authUrl: jwks.origin, callbackTimeout: 20 }, log)
      app.get('/', { preHandler: app.authorize({ check }) }, async () => 'in')
      app.get('/listed', { onRequest: [app.authenticate, app.authorize({ check })] }, async () => 'in')
      for (const url of ['/', '/listed']) {
        for (const [transport, call] of Object.entries(TRANSPORTS)) {
          if (transport === 'socket' && name !== 'a promise') continue
          log.lines.length = 0
          const {
            status, headers: { 'www-authenticate': challenge, 'retry-after': retryAfter }, body
          } = await call(app, { url, headers })
          t.strictSame({ status, challenge, retryAfter, body: JSON.parse(body) }, {
            status: 503,
            challenge: undefined,
            retryAfter: '5',
            body: {
              statusCode: 503,
              code: 'FST_BETTER_AUTH_CHECK_UNAVAILABLE',
              error: 'Service Unavailable',
              message: 'Authorization check unavailable'
            }
          }, `${name}, ${url} by ${transport}`)
          t.match(log.refusals(), [{
            reason: 'check_unavailable', level: 40, err: { message: 'check did not settle within 20 ms' }
          }])
        }
      }
    }
    t.equal(late.length, 4)
    for (const reject of late) reject(new Error('too late'))
  })

  t.test('one that can tell at once is judged at once', async t => {
    const verified = {
      token: headers.authorization.slice(7),
      principal: USER_TOKEN,
      authorization: {},
      user: {},
      session: null,
      hasOnlyPrimitives: true
    } as unknown as VerifiedToken
    const judge = (check: () => boolean) => CLAUSES.check.judge!(check, verified, {} as FastifyRequest)
    t.equal(judge(() => true), undefined)
    t.throws(() => judge(() => false), { message: 'Insufficient permissions' })
  })

  t.test('what it threw is in the log and not in the response', async t => {
    const log = captureLog()
    const app = await startApi(t, { authUrl: jwks.origin }, log)
    app.get('/', {
      preHandler: app.authorize({ check () { throw new Error('db of checks is down') } })
    }, async () => 'in')
    const answer = await TRANSPORTS.inject(app, { url: '/', headers })
    t.notMatch(answer.body, /db of checks/)
    t.match(log.refusals(), [{ reason: 'check_failed', err: { message: 'db of checks is down' } }])
    t.notMatch(JSON.stringify(log.lines), headers.authorization.slice(7))
  })
})

t.test('all that is given must hold', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin }, log)
  let asked = 0
  app.get('/', {
    onRequest: app.authorize({
      roles: ['admin'], scopes: ['write'], check (_user, claims) { asked++; return claims.plan === 'pro' }
    })
  }, async () => 'in')
  for (const role of ['admin', 'user']) {
    for (const scope of ['write', 'read']) {
      for (const plan of ['pro', 'free']) {
        const headers = bearer(signJws(KEY, createClaims(jwks.origin, { role, scope, plan })))
        log.lines.length = 0
        asked = 0
        const answer = await TRANSPORTS.inject(app, { url: '/', headers })
        const name = `${role} ${scope} ${plan}`
        const reason = role === 'user'
          ? 'role_missing'
          : scope === 'read' ? 'scope_missing' : plan === 'free' ? 'check_failed' : undefined
        if (reason === undefined) t.equal(answer.status, 200, name)
        else isForbidden(t, answer, name, reason === 'scope_missing' ? 'write' : '')
        t.strictSame(log.refusals().map(line => line.reason), reason === undefined ? [] : [reason])
        t.equal(asked, role === 'admin' && scope === 'write' ? 1 : 0, 'check is only asked when the rest holds')
      }
    }
  }
})

t.test('each clause says what it requires', t => {
  const either = { actions: ['read', 'pay'], connector: 'OR' } as const
  const rows: Array<[name: keyof Guard, value: unknown, text: string]> = [
    ['roles', ['admin'], 'Needs the role admin'],
    ['roles', ['admin', 'support'], 'Needs one of the roles admin, support'],
    ['permissions', { project: ['create', 'update'], invoice: either },
      'Needs a role with the permissions project: create and update; invoice: read or pay'],
    ['permissions', { project: { ...either, connector: 'AND' } },
      'Needs a role with the permissions project: read and pay'],
    ['organization', true, 'Needs an active organization'],
    ['organization', () => 'org_1', 'Needs the organization of the request to be active'],
    ['scopes', ['read'], 'Needs the scope read'],
    ['scopes', ['read', 'write'], 'Needs the scopes read, write'],
    ['check', () => true, 'Needs to pass a check of the application'],
    ['delegated', ['read'], 'OAuth clients that act for a user need the scope read'],
    ['clients', ['read', 'write'], 'OAuth clients that act for themselves need the scopes read, write'],
    ['users', true, 'For users'],
    ['users', false, 'For OAuth clients only']
  ]
  for (const [name, value, text] of rows) t.equal(CLAUSES[name].describe(value as never), text)
  t.end()
})

t.test('a clause that cannot judge refuses, with the cause, and no scope would help', async t => {
  const cause = new Error('down')
  const raise = () => { throw cause }
  const brokenRole = (authorize: () => unknown) => ({ roles: new Map([['editor', { authorize }]]) })
  const organization = { id: 'org_1' }
  const rows: Array<[name: keyof Guard, value: unknown, verified: object, reason: string, cause: unknown]> = [
    ['roles', ['editor'], { authorization: { roles: [], rolesFailure: cause } }, 'roles_from_failed', cause],
    ['permissions', {}, { authorization: { roles: ['editor'], rolesFailure: cause } }, 'roles_from_failed', cause],
    ['permissions', {}, { options: brokenRole(raise) }, 'role_failed', cause],
    ['permissions', {}, { options: brokenRole(() => true) }, 'role_failed', { message: /must return/ }],
    ['organization', true, { authorization: { organization, organizationFailure: cause } },
      'organization_from_failed', cause],
    ['organization', raise, { authorization: { organization } }, 'organization_mismatch', cause],
    ['organization', () => 1, { authorization: { organization } }, 'organization_mismatch', { message: /got number/ }],
    ['check', raise, {}, 'check_failed', cause]
  ]
  for (const [name, value, verified, reason, expected] of rows) {
    const known = {
      principal: USER_TOKEN, user: {}, session: null, hasOnlyPrimitives: true, token: 'e30.e30.AA', options: {}
    }
    const all = { ...known, authorization: { roles: ['editor'] }, ...verified } as unknown as VerifiedToken
    const refusal = await refusalOf(() => CLAUSES[name].judge!(value as never, all, {} as FastifyRequest))
    t.match(refusal, { statusCode: 403, reason, cause: expected })
    t.strictSame(refusal.scopes, [], reason)
  }
})
