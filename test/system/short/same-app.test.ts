import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createAccessControl } from 'better-auth/plugins/access'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type AuthInstance, type BetterAuthOptions } from '../../../lib/index.js'
import { close, listen, PLAIN_PASSWORDS } from '../../fixtures/auth-server.js'
import { captureLog } from '../../fixtures/api.js'
import { loadPackages, VERSIONS, type Database, type Version } from '../../fixtures/oauth-packages.js'

interface Packages {
  betterAuth (options: object): AuthInstance
  memoryAdapter (db: Database): unknown
  toNodeHandler (auth: unknown): Parameters<typeof createServer>[1]
  admin (options?: object): object
  bearer (): object
  jwt (options?: object): object
}

interface World {
  readonly app: FastifyInstance
  readonly db: Database
  readonly base: string
  readonly log: ReturnType<typeof captureLog>
  /** A request to Better Auth, as a browser makes it. */
  call (path: string, body?: object, headers?: Record<string, string>): Promise<Response>
  me (headers: Record<string, string>): Promise<number>
}

interface Settings {
  options?: BetterAuthOptions
  rateLimit?: object
  jwt?: object
  server?: object
  /** Options of Better Auth beyond those that all tests have. */
  own?: object
  admin?: object
  secret?: string
}

const PASSWORD = 'correct horse battery staple'

/** The same Better Auth server, mounted in the API or in a server of its own. */
const TRANSPORTS: Record<string, (t: Test, version: Version, settings?: Settings) => Promise<World>> = {
  'in process': (t, version, settings) => startWorld(t, version, true, settings),
  'over HTTP': (t, version, settings) => startWorld(t, version, false, settings)
}

async function startWorld (
  t: Test, version: Version, isLocal: boolean,
  { options = {}, rateLimit, jwt, server = {}, own, admin, secret }: Settings = {}
): Promise<World> {
  const packages = await loadPackages(version) as unknown as Packages
  const db: Database = { user: [], session: [], account: [], verification: [], jwks: [] }
  const handlers: Array<NonNullable<Parameters<typeof createServer>[1]>> = []
  const remote = createServer((request, response) => { handlers[0]!(request as never, response as never) })
  t.teardown(() => close(remote))
  const origin = isLocal ? 'http://localhost:3000' : `http://localhost:${await listen(remote)}`
  const auth = packages.betterAuth({
    baseURL: origin,
    secret: secret ?? randomBytes(32).toString('hex'),
    database: packages.memoryAdapter(db),
    emailAndPassword: { enabled: true, password: PLAIN_PASSWORDS },
    telemetry: { enabled: false },
    rateLimit: rateLimit ?? { enabled: false },
    logger: { disabled: true },
    plugins: [packages.jwt(jwt), packages.admin(admin), packages.bearer()],
    ...own
  })
  if (!isLocal) handlers.push(packages.toNodeHandler(auth)!)
  const log = captureLog()
  const app = Fastify({ logger: log.logger, ...server })
  t.teardown(() => app.close())
  const where = isLocal ? { auth } : { authUrl: origin, exchange: { maxAge: 0, ...options.exchange as object } }
  await app.register(betterAuthPlugin, { ...options, ...where })
  app.addHook('onRequest', app.authenticate)
  app.get('/me', async ({ user }) => user)
  const base = `${origin}/api/auth`
  return {
    app,
    db,
    base,
    log,
    async call (path, body, headers = {}) {
      const method = body === undefined ? 'GET' : 'POST'
      const sent = { origin, ...headers, ...body && { 'content-type': 'application/json' } }
      const text = body && JSON.stringify(body)
      if (!isLocal) return fetch(base + path, { method, headers: sent, ...text && { body: text }, redirect: 'manual' })
      const url = `/api/auth${path}`
      const response = await app.inject({ method, url, headers: sent, ...text && { payload: text } })
      const received = new Headers()
      for (const [name, value] of Object.entries(response.headers)) {
        for (const one of [value ?? []].flat()) received.append(name, String(one))
      }
      const { statusCode: status, body: responded } = response
      return new Response(responded === '' ? null : responded, { status, headers: received })
    },
    me: async headers => (await app.inject({ url: '/me', headers })).statusCode
  }
}

async function signUp ({ call }: World, fields: object = {}) {
  const email = `${randomBytes(6).toString('hex')}@example.com`
  const response = await call('/sign-up/email', { name: 'Ada', email, password: PASSWORD, ...fields })
  const { token, user } = await response.json() as { token: string, user: { id: string } }
  const cookies = response.headers.getSetCookie().map(cookie => cookie.split(';')[0]!)
  const cookieOf = (name: string) => cookies.find(text => text.startsWith(`better-auth.${name}=`))!
  return { id: user.id, email, token, cookie: cookieOf('session_token'), data: cookieOf('session_data') }
}

for (const version of VERSIONS.filter(version => version !== '1.5')) {
  for (const [transport, start] of Object.entries(TRANSPORTS)) {
    t.test(`Better Auth ${version} ${transport}`, async t => {
      const world = await start(t, version)

      t.test('accepts the cookie, the session token and the JWT of a user', async t => {
        const ada = await signUp(world)
        const response = await world.call('/token', undefined, { cookie: ada.cookie })
        const { token } = await response.json() as { token: string }
        for (const headers of [
          { cookie: ada.cookie }, { authorization: `Bearer ${ada.token}` }, { authorization: `Bearer ${token}` }
        ]) {
          const response = await world.app.inject({ url: '/me', headers })
          t.match(response.json(), { id: ada.id, email: ada.email }, Object.keys(headers).join())
        }
        t.equal(await world.me({}), 401)
        t.equal(await world.me({ cookie: `better-auth.session_token=${'x'.repeat(32)}.${'y'.repeat(43)}%3D` }), 401)
      })

      t.test('a session that was signed out ends at once', async t => {
        const [ada, eve] = [await signUp(world), await signUp(world)]
        for (let i = 0; i < 3; i++) t.equal(await world.me({ cookie: ada.cookie }), 200)
        t.equal((await world.call('/sign-out', {}, { cookie: ada.cookie })).status, 200)
        t.equal(await world.me({ cookie: ada.cookie }), 401)
        t.equal(await world.me({ authorization: `Bearer ${ada.token}` }), 401)
        t.equal(await world.me({ cookie: eve.cookie }), 200)
      })

      t.test('a request during a sign-out does not take the verdict of an earlier one', async t => {
        const ada = await signUp(world)
        const before = world.me({ cookie: ada.cookie })
        await world.call('/sign-out', {}, { cookie: ada.cookie })
        t.equal(await world.me({ cookie: ada.cookie }), 401)
        await before
        t.equal(await world.me({ cookie: ada.cookie }), 401)
      })

      t.test('a banned user is refused at once', async t => {
        const ada = await signUp(world)
        t.equal(await world.me({ cookie: ada.cookie }), 200)
        Object.assign(world.db.user!.find(({ id }) => id === ada.id)!, { banned: true })
        t.equal(await world.me({ cookie: ada.cookie }), 403)
      })
    })
  }
}

for (const [transport, start] of Object.entries(TRANSPORTS)) {
  t.test(`a new signing key is accepted, ${transport}`, async t => {
    const world = await start(t, '1.7')
    const ada = await signUp(world)
    t.equal(await world.me({ cookie: ada.cookie }), 200)
    const kids = () => world.app.betterAuth.status().keys.map(({ kid }) => kid)
    const [first] = kids()
    Object.assign(world.db.jwks![0]!, { expiresAt: new Date(Date.now() - 1000) })
    t.equal(await world.me({ cookie: ada.cookie }), 200)
    t.equal(kids().length, 2)
    t.ok(kids().includes(first!), 'the old one is published for its grace period')
  })

  t.test(`while the tables fail, unknown sessions get 503, and known ones work, ${transport}`, async t => {
    const world = await start(t, '1.7')
    const [ada, eve] = [await signUp(world), await signUp(world)]
    t.equal(await world.me({ cookie: ada.cookie }), 200)
    const { session } = world.db
    const fail = () => { throw new Error('secret-token') }
    Object.defineProperty(world.db, 'session', { get: fail, configurable: true })
    t.equal(await world.me({ cookie: ada.cookie }), 200)
    t.equal(await world.me({ cookie: eve.cookie }), 503)
    Object.defineProperty(world.db, 'session', { value: session, configurable: true })
    t.match(world.app.betterAuth.status().exchange, { lastError: 'http_5xx' })
    t.notMatch(JSON.stringify(world.log.lines), 'secret-token')
  })
}

t.test('the rate limiter counts clients, and not the plugin', async t => {
  const rateLimit = { enabled: true, window: 60, max: 4 }
  const world = await startWorld(t, '1.7', true, { rateLimit })
  const ada = await signUp(world)
  for (let i = 0; i < 10; i++) t.equal(await world.me({ cookie: ada.cookie }), 200)
  t.match(world.app.betterAuth.status().exchange, { lastFailureAt: null }, 'without help of an earlier exchange')
  const ask = async (remoteAddress: string, forged: string) => {
    const headers = { 'x-forwarded-for': forged, cookie: ada.cookie }
    return (await world.app.inject({ url: '/api/auth/token', headers, remoteAddress })).statusCode
  }
  const statuses = []
  for (let i = 0; i < 6; i++) statuses.push(await ask('203.0.113.7', `198.51.100.${i}`))
  t.strictSame(statuses, [200, 200, 200, 200, 429, 429], 'a forged address changes nothing')
  t.equal(await ask('203.0.113.8', '203.0.113.7'), 200, 'each client has its own limit')
  t.equal(await world.me({ cookie: ada.cookie }), 200, 'and the API still works')
})

const FIELDS = {
  plan: { type: ['free', 'pro'], defaultValue: 'free' },
  tenant: { type: 'string', required: false },
  seats: { type: 'number' },
  isBeta: { type: 'boolean', required: false },
  bornAt: { type: 'date', required: false },
  tags: { type: 'string[]', required: false },
  settings: { type: 'json', required: false },
  secretNote: { type: 'string', required: false, returned: false }
}
const BORN_AT = '1815-12-10T00:00:00.000Z'

for (const version of ['1.7', '1.6'] as const) {
  t.test(`request.user and request.session have what the options of Better Auth ${version} add`, async t => {
    const secret = randomBytes(32).toString('hex')
    const world = await startWorld(t, version, true, {
      secret,
      options: { sessionCookie: { secret } },
      own: {
        user: { additionalFields: FIELDS },
        session: {
          additionalFields: { device: { type: 'string', defaultValue: 'phone' } }, cookieCache: { enabled: true }
        }
      }
    })
    world.app.get('/session', async request => (request as unknown as { session: object | null }).session)
    const given = { plan: 'pro', seats: 3, isBeta: true, bornAt: BORN_AT, tags: ['x'], settings: { a: 1 } }
    const ada = await signUp(world, { ...given, secretNote: 'psst' })
    t.match(world.db.user![0], { secretNote: 'psst', bornAt: new Date(BORN_AT) })
    const response = await world.call('/token', undefined, { cookie: ada.cookie })
    const { token } = await response.json() as { token: string }
    const base = { id: ada.id, email: ada.email, name: 'Ada', emailVerified: false, image: null }
    const user = {
      ...base, ...given, tenant: null, role: 'user', banned: false, banReason: null, banExpires: null
    }
    for (const [what, headers] of Object.entries({
      'the session token': { authorization: `Bearer ${ada.token}` },
      'the JWT': { authorization: `Bearer ${token}` },
      'the session cookie': { cookie: ada.cookie },
      'its cache': { cookie: ada.data }
    })) {
      t.strictSame((await world.app.inject({ url: '/me', headers })).json(), user, what)
    }
    const session = (await world.app.inject({ url: '/session', headers: { cookie: ada.data } })).json()
    t.match(session, { userId: ada.id, device: 'phone', impersonatedBy: null })

    Object.assign(world.db.user![0]!, { seats: 'many' })
    t.equal(await world.me({ cookie: ada.cookie }), 401)
    t.ok(world.log.refusals().some(line => line.reason === 'claim_invalid' && line.claim === 'seats'))
  })

  t.test(`guards ask for the permissions of admin({ roles }) of Better Auth ${version}`, async t => {
    const ac = createAccessControl({ project: ['create', 'delete'] })
    const roles = { admin: ac.newRole({ project: ['create', 'delete'] }), user: ac.newRole({ project: ['create'] }) }
    const world = await startWorld(t, version, true, { admin: { ac, roles } })
    const { app } = world
    app.get('/create', { onRequest: app.authorize({ permissions: { project: ['create'] } }) }, async () => 'ok')
    app.get('/delete', { onRequest: app.authorize({ permissions: { project: ['delete'] } }) }, async () => 'ok')
    t.throws(() => app.authorize({ permissions: { project: ['remove'] } }), { message: /the action "remove"/ })
    const ada = await signUp(world)
    const ask = async (url: string) => (await app.inject({ url, headers: { cookie: ada.cookie } })).statusCode
    t.strictSame([await ask('/create'), await ask('/delete')], [200, 403])
    Object.assign(world.db.user![0]!, { role: 'user,admin' })
    t.equal(await ask('/delete'), 200)
  })
}
