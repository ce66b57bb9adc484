import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import betterAuthPlugin, { type AuthInstance, type BetterAuthOptions } from 'better-auth-fastify'
import { fromNodeHeaders } from 'better-auth/node'
import Fastify from 'fastify'
import { listen, PLAIN_PASSWORDS } from '../test/fixtures/auth-server.js'
import { loadPackages, type Database, type Fields } from '../test/fixtures/oauth-packages.js'
import { openSqlite } from '../test/fixtures/sqlite.js'
import { answerParent, readConfig } from './child.js'

/** An app with Better Auth in it. */
export interface SameAppConfig {
  database: 'memory' | 'SQLite'
  /** The origin of another one, which is the auth server of the route `/second`. */
  second?: string | undefined
}

/** The cookies and the JWTs of users who are signed in. */
export interface SameAppHello { origin: string, cookies: string[], jwts: string[] }

/** CPU time in microseconds. */
export interface SameAppUsage { cpu: number }

/** More than connections: requests with one session at the same time could share an exchange. */
const USERS = 64
/** Each request with a session makes an exchange. */
const LIVE = { maxAge: 0, requestsPerMinute: 60_000 }

const { betterAuth, memoryAdapter, jwt } = await loadPackages('1.7') as unknown as {
  betterAuth (options: Fields): AuthInstance & {
    api: {
      signUpEmail (call: { body: object, asResponse: true }): Promise<Response>
      getToken (call: { headers: Headers }): Promise<{ token: string }>
      getSession (call: { headers: Headers }): Promise<{ user: { id: string } } | null>
    }
  }
  memoryAdapter (db: Database): unknown
  jwt (): object
}
const { database, second } = readConfig<SameAppConfig>()

// It listens first: the port is a part of the baseURL.
const server = createServer()
const origin = `http://localhost:${await listen(server)}`

const settings = {
  baseURL: origin,
  secret: randomBytes(32).toString('hex'),
  emailAndPassword: { enabled: true, password: PLAIN_PASSWORDS },
  telemetry: { enabled: false },
  rateLimit: { enabled: false },
  plugins: [jwt()]
}
const auth = betterAuth({ ...settings, database: await openDatabase() })

const app = Fastify({ logger: false, serverFactory: handler => server.on('request', handler) })
await protect({ auth, exchange: LIVE }, '/jwt', '/live')
await protect({ auth, mount: false, exchange: { ...LIVE, maxAge: 60_000 } }, '/known')
await protect({ authUrl: origin, exchange: LIVE }, '/own-port')
if (second !== undefined) await protect({ authUrl: second, exchange: LIVE }, '/second')
app.get('/get-session', async ({ headers }, reply) => {
  const session = await auth.api.getSession({ headers: fromNodeHeaders(headers) })
  return session === null ? reply.code(401).send() : { id: session.user.id }
})
app.get('/open', async () => ({ id: '0'.repeat(32) }))
await app.ready()

const cookies: string[] = []
const jwts: string[] = []
for (let i = 0; i < USERS; i++) {
  const body = { name: 'Ada Lovelace', email: `ada-${i}@example.com`, password: 'correct horse battery staple' }
  const { headers } = await auth.api.signUpEmail({ body, asResponse: true })
  const cookie = headers.getSetCookie()[0]!.split(';')[0]!
  cookies.push(cookie)
  jwts.push((await auth.api.getToken({ headers: new Headers({ cookie }) })).token)
}

answerParent({ origin, cookies, jwts } satisfies SameAppHello, () => {
  const { user, system } = process.cpuUsage()
  return { cpu: user + system } satisfies SameAppUsage
})

/** Adds routes with a registration of their own. */
async function protect (options: BetterAuthOptions, ...paths: string[]): Promise<void> {
  await app.register(async scope => {
    await scope.register(betterAuthPlugin, options)
    for (const path of paths) {
      scope.get(path, { onRequest: [scope.authenticate] }, async ({ user }) => ({ id: user.id }))
    }
  })
}

async function openDatabase (): Promise<unknown> {
  if (database === 'memory') {
    return memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] })
  }
  const folder = mkdtempSync(join(tmpdir(), 'better-auth-fastify-bench-'))
  process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const sqlite = await openSqlite(folder)
  await sqlite.migrate({ ...settings, database: sqlite.option })
  return sqlite.option
}
