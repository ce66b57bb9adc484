import { Type, type TObject } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { BetterAuthPlugin } from 'better-auth'
import { organization } from 'better-auth/plugins'
import betterAuthPlugin, { UserSchema, type BetterAuthOptions } from '../../lib/index.js'
import { loadUserReader } from '../../lib/tokens/user-reader.js'
import { bearer, captureLog, startApi, TRANSPORTS, type LogCapture } from '../fixtures/api.js'
import { fetchToken, startAuthServer } from '../fixtures/auth-server.js'
import { USER } from '../fixtures/expected.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startJwks } from '../fixtures/jwks-server.js'
import { withReason } from '../fixtures/refusals.js'

const KEY = createSigningKey()

const OWN = {
  plan: Type.Union([Type.Literal('free'), Type.Literal('pro')]),
  org: Type.Object({
    id: Type.String(),
    seats: Type.Integer({ default: 1 }),
    owner: Type.Object({ id: Type.String() })
  }),
  teams: Type.Array(Type.Object({ id: Type.String(), lead: Type.Boolean({ default: false }) }), {
    default: [{ id: 'all' }]
  }),
  settings: Type.Object({ theme: Type.String({ default: 'light' }) }, { default: {} }),
  locale: Type.String({ default: 'en' }),
  nickname: Type.Optional(Type.String())
}
const MySchema = Type.Object({ ...UserSchema.properties, ...OWN }, { additionalProperties: false })
const SCHEMAS: Record<string, TObject> = {
  'Type.Object()': MySchema,
  'Type.Object() that is open': Type.Object({ ...UserSchema.properties, ...OWN }, { additionalProperties: true }),
  'Type.Composite()': Type.Composite([UserSchema, Type.Object(OWN)])
}
const MINIMAL = { plan: 'pro', org: { id: 'o_1', owner: { id: 'u_2' } } }
const MINIMAL_USER = {
  ...USER,
  plan: 'pro',
  org: { id: 'o_1', owner: { id: 'u_2' }, seats: 1 },
  teams: [{ id: 'all', lead: false }],
  settings: { theme: 'light' },
  locale: 'en'
}

async function createApi (t: Test, options: BetterAuthOptions, log?: LogCapture): Promise<FastifyInstance> {
  const app = await startApi(t, options, log)
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  app.get('/claims', { onRequest: app.authenticate }, async ({ claims }) => claims)
  app.get('/optional', { onRequest: app.authenticateOptional }, async ({ user }) => ({ user }))
  app.get('/pro', {
    onRequest: app.authorize({ check: user => (user as { plan?: string }).plan === 'pro' })
  }, async ({ user }) => user)
  app.get('/jwt-verify', async request => {
    await request.jwtVerify()
    return { user: request.user, claims: request.claims }
  })
  return app
}

for (const [kind, userSchema] of Object.entries(SCHEMAS)) {
  t.test(`a user of ${kind}`, async t => {
    const jwks = await startJwks(t, KEY)
    const log = captureLog()
    const app = await createApi(t, { authUrl: jwks.origin, userSchema }, log)
    const token = (claims: Record<string, unknown>) => bearer(signJws(KEY, createClaims(jwks.origin, claims)))

    async function reads (t: Test, claims: Record<string, unknown>, user: unknown, name: string): Promise<void> {
      const headers = token(claims)
      for (const memory of ['cold', 'warm']) {
        const { status, body } = await TRANSPORTS.inject(app, { url: '/me', headers })
        t.strictSame([status, JSON.parse(body)], [200, user], `${name}, ${memory}`)
      }
    }

    t.test('has what the schema declares, over both channels', async t => {
      for (const [transport, call] of Object.entries(TRANSPORTS)) {
        const { status, body } = await call(app, { url: '/me', headers: token(MINIMAL) })
        t.strictSame([status, JSON.parse(body)], [200, MINIMAL_USER], transport)
      }
    })

    t.test('has defaults where there is no claim', async t => {
      await reads(t, MINIMAL, MINIMAL_USER, 'all of them')
      await reads(
        t, { ...MINIMAL, locale: 'de', settings: {} }, { ...MINIMAL_USER, locale: 'de' }, 'none where there is one'
      )
      await reads(
        t,
        { ...MINIMAL, settings: { theme: 'dark' } },
        { ...MINIMAL_USER, settings: { theme: 'dark' } },
        'nor within one'
      )
      await reads(
        t,
        { ...MINIMAL, org: { ...MINIMAL.org, seats: 9 } },
        { ...MINIMAL_USER, org: { ...MINIMAL.org, seats: 9 } },
        'nor deep within one'
      )
      await reads(t, { ...MINIMAL, teams: [{ id: 'a' }, { id: 'b', lead: true }] }, {
        ...MINIMAL_USER, teams: [{ id: 'a', lead: false }, { id: 'b', lead: true }]
      }, 'in each item of an array')
    })

    t.test('takes null for a claim that is missing, as databases do', async t => {
      await reads(t, { ...MINIMAL, locale: null, settings: null, teams: null }, MINIMAL_USER, 'with a default')
      await reads(t, { ...MINIMAL, nickname: null }, MINIMAL_USER, 'optional')
      await reads(t, {
        ...MINIMAL, org: { ...MINIMAL.org, seats: null }, teams: [{ id: 'a', lead: null }], settings: { theme: null }
      }, { ...MINIMAL_USER, teams: [{ id: 'a', lead: false }] }, 'at every depth')
    })

    t.test('has no default mixed into what a claim says', async t => {
      await reads(t, { ...MINIMAL, teams: [] }, { ...MINIMAL_USER, teams: [] }, 'no teams are none')
    })

    t.test('has an optional property when there is a claim', async t => {
      await reads(t, { ...MINIMAL, nickname: 'Countess' }, { ...MINIMAL_USER, nickname: 'Countess' }, 'with it')
      await reads(t, MINIMAL, MINIMAL_USER, 'without it')
    })

    t.test('has nothing that is not declared, at any depth', async t => {
      await reads(t, {
        ...MINIMAL,
        role: 'admin',
        isAdmin: true,
        constructor: 'x',
        toString: 'x',
        org: {
          ...MINIMAL.org, secret: 1, constructor: 'x', owner: { ...MINIMAL.org.owner, email: 'x', deep: { deeper: 1 } }
        },
        teams: [{ id: 'a', secret: 1 }, { id: 'b', members: [{ id: 'x' }] }],
        settings: { theme: 'dark', admin: true }
      }, {
        ...MINIMAL_USER, teams: [{ id: 'a', lead: false }, { id: 'b', lead: false }], settings: { theme: 'dark' }
      }, 'dropped')
      const payload = JSON.stringify(createClaims(jwks.origin, MINIMAL))
        .replace('{', '{"__proto__":{"role":"admin"},')
        .replace('"org":{', '"org":{"__proto__":{"role":"admin"},')
      const { statusCode, body } = await app.inject({ url: '/me', headers: bearer(signJws(KEY, payload)) })
      t.strictSame([statusCode, JSON.parse(body)], [200, MINIMAL_USER])
      t.notMatch(body, /__proto__|admin/, 'an own __proto__ neither')
    })

    t.test('the claims still have all of it', async t => {
      const claims = createClaims(jwks.origin, {
        ...MINIMAL, role: 'admin', org: { ...MINIMAL.org, extra: { more: 1 } }, teams: [{ id: 'a', extra: 1 }]
      })
      const headers = bearer(signJws(KEY, claims))
      for (const memory of ['cold', 'warm']) {
        t.strictSame((await app.inject({ url: '/claims', headers })).json(), claims, memory)
      }
    })

    t.test('a claim that does not fit is a 401, with its path in the log', async t => {
      const rows: Array<[name: string, claims: Record<string, unknown>, path: string]> = [
        ['a required one that is missing', { org: MINIMAL.org }, '/plan'],
        ['a required object that is missing', { plan: 'pro' }, '/org'],
        ['a required one within an object', { ...MINIMAL, org: { owner: { id: 'u_2' } } }, '/org/id'],
        ['a required object within an object', { ...MINIMAL, org: { id: 'o_1' } }, '/org/owner'],
        ['a required one deep within', { ...MINIMAL, org: { id: 'o_1', owner: {} } }, '/org/owner/id'],
        ['a literal that is another', { ...MINIMAL, plan: 'PRO' }, '/plan'],
        ['null for a literal', { ...MINIMAL, plan: null }, '/plan'],
        ['text for an object', { ...MINIMAL, org: 'o_1' }, '/org'],
        ['null for an object', { ...MINIMAL, org: null }, '/org'],
        ['an array for an object', { ...MINIMAL, org: [MINIMAL.org] }, '/org'],
        ['an array for an object with a default', { ...MINIMAL, settings: [] }, '/settings'],
        ['text for an integer', { ...MINIMAL, org: { ...MINIMAL.org, seats: '3' } }, '/org/seats'],
        ['a fraction for an integer', { ...MINIMAL, org: { ...MINIMAL.org, seats: 1.5 } }, '/org/seats'],
        ['a number deep within', { ...MINIMAL, org: { id: 'o_1', owner: { id: 7 } } }, '/org/owner/id'],
        ['text for an array', { ...MINIMAL, teams: 'all' }, '/teams'],
        ['an object for an array', { ...MINIMAL, teams: {} }, '/teams'],
        ['an object like an array', { ...MINIMAL, teams: { 0: { id: 'a' }, length: 1 } }, '/teams'],
        ['a number in an array', { ...MINIMAL, teams: [{ id: 'a' }, 7] }, '/teams/1'],
        ['a wrong type in an item', { ...MINIMAL, teams: [{ id: 'a' }, { id: 'b', lead: 'yes' }] }, '/teams/1/lead'],
        ['a number for text with a default', { ...MINIMAL, locale: 7 }, '/locale'],
        ['a number for an optional one', { ...MINIMAL, nickname: 7 }, '/nickname'],
        ['a base property', { ...MINIMAL, email: 7 }, 'email'],
        ['no user at all', { ...MINIMAL, sub: undefined, id: undefined }, 'sub']
      ]
      for (const [name, claims, path] of rows) {
        for (const url of ['/me', '/optional', '/pro']) {
          log.lines.length = 0
          const { statusCode, headers, body } = await app.inject({ url, headers: token(claims) })
          t.strictSame({ statusCode, challenge: headers['www-authenticate'], body: JSON.parse(body) }, {
            statusCode: 401,
            challenge: 'Bearer error="invalid_token"',
            body: {
              statusCode: 401,
              code: 'FST_BETTER_AUTH_TOKEN_INVALID',
              error: 'Unauthorized',
              message: 'Invalid authentication credentials'
            }
          }, `${name}, ${url}`)
          t.strictSame(
            log.refusals().map(({ reason, claim }) => ({ reason, claim })),
            [{ reason: path === 'sub' ? 'claim_missing' : 'claim_invalid', claim: path }]
          )
        }
      }
    })

    t.test('is what a guard and an optional route see', async t => {
      t.strictSame((await app.inject({ url: '/pro', headers: token(MINIMAL) })).json(), MINIMAL_USER)
      t.equal((await app.inject({ url: '/pro', headers: token({ ...MINIMAL, plan: 'free' }) })).statusCode, 403)
      t.strictSame((await app.inject({ url: '/optional', headers: token(MINIMAL) })).json(), { user: MINIMAL_USER })
      t.strictSame((await app.inject('/optional')).json(), { user: null })
    })

    t.test('is what request.jwtVerify() finds, and its claims stay whole', async t => {
      const claims = createClaims(jwks.origin, { ...MINIMAL, org: { ...MINIMAL.org, extra: 1 } })
      t.strictSame((await app.inject({ url: '/jwt-verify', headers: bearer(signJws(KEY, claims)) })).json(), {
        user: MINIMAL_USER, claims
      })
    })
  })
}

t.test('defaults never give more than a claim that says less', async t => {
  const jwks = await startJwks(t, KEY)
  const userSchema = Type.Object({
    ...UserSchema.properties, permissions: Type.Array(Type.String(), { default: ['read', 'comment'] })
  })
  const app = await createApi(t, { authUrl: jwks.origin, userSchema })
  for (const [permissions, expected] of [
    [undefined, ['read', 'comment']], [[], []], [['read'], ['read']], [['a', 'b', 'c'], ['a', 'b', 'c']]
  ]) {
    const { user } = (await app.inject({
      url: '/optional', headers: bearer(signJws(KEY, createClaims(jwks.origin, { permissions })))
    })).json()
    t.strictSame(user.permissions, expected, JSON.stringify(permissions))
  }
})

t.test('nothing in a user is shared between requests', async t => {
  const jwks = await startJwks(t, KEY)
  for (const tokenCache of [undefined, false] as const) {
    const app = await createApi(t, { authUrl: jwks.origin, tokenCache, userSchema: MySchema })
    app.get('/spoil', { onRequest: app.authenticate }, async ({ user, claims }) => {
      const before = structuredClone(user)
      const mine = user as unknown as typeof MINIMAL_USER
      mine.name = 'spoilt'
      mine.org.owner.id = 'spoilt'
      mine.teams.push({ id: 'spoilt', lead: true })
      mine.teams[0]!.lead = true
      mine.settings.theme = 'spoilt'
      return { before, claims }
    })
    const claims = createClaims(jwks.origin, MINIMAL)
    const other = createClaims(jwks.origin, { ...MINIMAL, jti: 'another' })
    for (const [name, payload] of [
      ['first', claims], ['cached', claims], ['cached again', claims], ['another token', other]
    ] as const) {
      t.strictSame((await app.inject({ url: '/spoil', headers: bearer(signJws(KEY, payload)) })).json(), {
        before: MINIMAL_USER, claims: payload
      }, name)
    }
    t.strictSame((await app.inject({ url: '/me', headers: bearer(signJws(KEY, claims)) })).json(), MINIMAL_USER)
  }
  t.strictSame(OWN.teams.default, [{ id: 'all' }], 'nor is the schema written to')
  t.strictSame(OWN.settings.default, {})
})

t.test('the schema serialises the response as well', async t => {
  const jwks = await startJwks(t, KEY)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: jwks.origin, userSchema: MySchema })
  app.get('/me', {
    onRequest: app.authenticate, schema: { response: { 200: MySchema } }
  }, async ({ user }) => ({ ...user, passwordHash: 'x' }))
  const headers = bearer(signJws(KEY, createClaims(jwks.origin, { ...MINIMAL, nickname: 'Countess' })))
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    const { status, body } = await call(app, { url: '/me', headers })
    t.strictSame([status, JSON.parse(body)], [200, { ...MINIMAL_USER, nickname: 'Countess' }], transport)
  }
})

t.test('a base property may be asked for more strictly', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const userSchema = Type.Object({ ...UserSchema.properties, email: Type.String(), emailVerified: Type.Literal(true) })
  const app = await createApi(t, { authUrl: jwks.origin, userSchema }, log)
  for (const [claims, status, claim] of [
    [{}, 200, undefined], [{ email: null }, 401, '/email'], [{ emailVerified: false }, 401, '/emailVerified'],
    [{ emailVerified: undefined }, 401, '/emailVerified']
  ] as const) {
    log.lines.length = 0
    t.equal(
      (await app.inject({ url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin, claims))) })).statusCode,
      status
    )
    t.equal(log.refusals()[0]?.claim, claim)
  }
})

t.test('UserSchema itself, and a schema without more, are as no option', async t => {
  const jwks = await startJwks(t, KEY)
  for (const userSchema of [undefined, UserSchema, Type.Object({ ...UserSchema.properties })]) {
    const app = await createApi(t, { authUrl: jwks.origin, userSchema })
    t.strictSame(
      (await app.inject({ url: '/me', headers: bearer(signJws(KEY, createClaims(jwks.origin, MINIMAL))) })).json(), USER
    )
  }
})

t.test('an invalid schema fails the boot', async t => {
  const rows: Array<[name: string, schema: unknown, message: RegExp]> = [
    ['null', null, /"userSchema" must be a TypeBox object/],
    ['true', true, /"userSchema" must be a TypeBox object/],
    ['a function', () => MySchema, /"userSchema" must be a TypeBox object/],
    ['an empty object', {}, /"userSchema" must be a TypeBox object/],
    ['text', Type.String(), /"userSchema" must be a TypeBox object/],
    ['an array', Type.Array(UserSchema), /"userSchema" must be a TypeBox object/],
    ['an intersection', Type.Intersect([UserSchema, Type.Object(OWN)]), /"userSchema" must be a TypeBox object/],
    ['a union', Type.Union([UserSchema, MySchema]), /"userSchema" must be a TypeBox object/],
    ['only what is added', Type.Object(OWN), /"userSchema" must have all properties of UserSchema, and lacks "id"/],
    [
      'plain JSON Schema',
      { type: 'object', properties: JSON.parse(JSON.stringify(MySchema.properties)) },
      /"userSchema" must be a TypeBox object/
    ],
    ...Object.keys(UserSchema.properties).map((name): [string, unknown, RegExp] => [
      `without ${name}`, Type.Omit(MySchema, [name as 'id']),
      new RegExp(`"userSchema" must have all properties of UserSchema, and lacks "${name}"`)
    ])
  ]
  for (const [name, userSchema, message] of rows) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => { await app.register(betterAuthPlugin, { userSchema: userSchema as TObject }) }, {
      code: 'FST_BETTER_AUTH_INVALID_OPTION', message
    } as unknown as Error, name)
  }
})

t.test('a real Better Auth server with definePayload and the organization plugin', async t => {
  const auth = await startAuthServer({
    plugins: [organization()],
    jwt: {
      jwt: {
        definePayload: ({ user, session }) => ({
          ...user,
          activeOrganizationId: (session as { activeOrganizationId?: string | null }).activeOrganizationId ?? null,
          org: { plan: 'pro', limits: { seats: 5, internal: true } }
        })
      }
    }
  })
  t.teardown(() => auth.close())
  const userSchema = Type.Object({
    ...UserSchema.properties,
    activeOrganizationId: Type.Union([Type.String(), Type.Null()]),
    org: Type.Object({ plan: Type.String(), limits: Type.Object({ seats: Type.Integer() }) }),
    createdAt: Type.String()
  })
  const app = await createApi(t, { authUrl: auth.origin, userSchema })
  const { token, cookie, user } = await auth.signUp()
  const me = async (token: string) => (await app.inject({ url: '/me', headers: bearer(token) })).json()

  const { createdAt, ...rest } = await me(token)
  t.strictSame(rest, {
    id: user.id,
    email: user.email,
    name: user.name,
    emailVerified: false,
    image: null,
    activeOrganizationId: null,
    org: { plan: 'pro', limits: { seats: 5 } }
  })
  t.match(createdAt, /^\d{4}-\d\d-\d\dT/, 'a date is text')

  const response = await fetch(`${auth.origin}/api/auth/organization/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: auth.origin, cookie },
    body: JSON.stringify({ name: 'Analytical Engines', slug: 'engines' })
  })
  const { id } = await response.json() as { id: string }
  t.type(id, 'string')
  t.equal(
    (await me(await fetchToken(auth.origin, cookie))).activeOrganizationId,
    id,
    'a new token names the organization that is active now'
  )
  t.equal((await me(token)).activeOrganizationId, null, 'the old one does not')

  const strict = await createApi(t, {
    authUrl: auth.origin, userSchema: Type.Object({ ...userSchema.properties, org: Type.Object({ id: Type.String() }) })
  })
  t.equal(
    (await strict.inject({ url: '/me', headers: bearer(token) })).statusCode,
    401,
    'what the server does not send cannot be asked for'
  )
})

t.test('a real Better Auth server with a column that is NULL for old users', async t => {
  const column: BetterAuthPlugin = {
    id: 'plan', schema: { user: { fields: { plan: { type: 'string', required: false, input: false } } } }
  }
  const auth = await startAuthServer({ plugins: [column] })
  t.teardown(() => auth.close())
  const plan = Type.Union([Type.Literal('free'), Type.Literal('pro')], { default: 'free' })
  const app = await createApi(t, {
    authUrl: auth.origin, userSchema: Type.Object({ ...UserSchema.properties, plan })
  })
  const { cookie, user } = await auth.signUp()
  const row = auth.db.user!.find(({ id }) => id === user.id)!
  for (const [value, expected] of [[null, 'free'], ['pro', 'pro'], ['free', 'free']]) {
    row.plan = value
    const token = await fetchToken(auth.origin, cookie)
    t.equal((JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { plan: unknown }).plan, value)
    t.equal((await app.inject({ url: '/me', headers: bearer(token) })).json().plan, expected)
  }
})

t.test('a record is taken as it is, and what it holds is checked', async t => {
  const userSchema = Type.Object({ ...UserSchema.properties, limits: Type.Record(Type.String(), Type.Number()) })
  const read = await loadUserReader({ userSchema, userId: 'either' })
  t.strictSame(read({ sub: 'u_1', limits: { cpu: 2, memory: 4 } }), {
    id: 'u_1', email: null, name: null, emailVerified: false, image: null, limits: { cpu: 2, memory: 4 }
  })
  t.throws(() => read({ sub: 'u_1', limits: { cpu: 'two' } }), withReason('claim_invalid'))
})

t.test('a tuple is taken as it is, an empty one too', async t => {
  const OWN = { pair: Type.Tuple([Type.String(), Type.Number()]), none: Type.Tuple([]) }
  const userSchema = Type.Object({ ...UserSchema.properties, ...OWN })
  const read = await loadUserReader({ userSchema, userId: 'either' })
  t.match(read({ sub: 'u_1', pair: ['a', 1], none: [] }), { pair: ['a', 1], none: [] })
  t.throws(() => read({ sub: 'u_1', pair: ['a'], none: [] }), withReason('claim_invalid'))
})
