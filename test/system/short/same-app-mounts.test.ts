import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type AuthInstance } from '../../../lib/index.js'
import { captureLog, type LogCapture } from '../../fixtures/api.js'
import { PLAIN_PASSWORDS } from '../../fixtures/auth-server.js'
import { loadPackages, type Fields } from '../../fixtures/oauth-packages.js'
import { folderOf } from '../../fixtures/packages.js'
import { ROOT } from '../../fixtures/program.js'

// The table of docs/guides/same-app.md: the same requests to Better Auth, mounted by this plugin and by another one.

const { betterAuth, memoryAdapter, jwt } = await loadPackages('1.7') as unknown as {
  betterAuth (options: Fields): AuthInstance
  memoryAdapter (db: object): unknown
  jwt (): object
}
const { fastifyBetterAuth } = await import('../../fixtures/better-auth-1.7/mounts.js' as string) as {
  fastifyBetterAuth: FastifyPluginAsync<{ auth: AuthInstance }>
}

interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Received { readonly status: number, readonly headers: IncomingMessage['headers'], readonly body: string }

interface World {
  readonly app: FastifyInstance
  readonly log: LogCapture
  readonly port: number
  send (sent: Sent): Promise<Received>
  /** The same, with JSON. */
  post (path: string, body: object | string, headers?: Record<string, string>): Promise<Received>
}

interface Settings {
  /** Whether a hook at the root requires a session: that of the README. */
  readonly isProtected?: boolean
  readonly server?: FastifyServerOptions
  readonly auth?: Fields
  /** What stands before `auth.handler`. */
  readonly handler?: (request: Request, auth: AuthInstance) => Promise<Response>
  /** What the application does before it registers the plugin, and after. */
  readonly before?: (app: FastifyInstance) => unknown
  readonly after?: (app: FastifyInstance) => unknown
}

type Mount = (t: Test, settings?: Settings) => Promise<World>

const ORIGIN = 'https://app.example.com'
const PERSON = { name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' }

interface Plugin {
  register (app: FastifyInstance, auth: AuthInstance): unknown
  protect (app: FastifyInstance, auth: AuthInstance): unknown
}

function mountBy ({ register, protect }: Plugin): Mount {
  return async (t, { isProtected = false, server = {}, auth: options = {}, handler, before, after } = {}) => {
    const log = captureLog()
    const created = betterAuth({
      baseURL: ORIGIN,
      secret: randomBytes(32).toString('hex'),
      database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
      emailAndPassword: { enabled: true, password: PLAIN_PASSWORDS },
      // The second cookie.
      session: { cookieCache: { enabled: true } },
      socialProviders: { github: { clientId: 'id', clientSecret: 'secret' } },
      telemetry: { enabled: false },
      rateLimit: { enabled: false },
      logger: { disabled: true },
      plugins: [jwt()],
      ...options
    })
    const auth: AuthInstance = handler === undefined
      ? created
      : { ...created, handler: request => handler(request, created) }
    const app = Fastify({ logger: log.logger, forceCloseConnections: true, ...server })
    t.teardown(() => app.close())
    await before?.(app)
    if (isProtected) await protect(app, auth)
    await register(app, auth)
    await after?.(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const send = async ({ method = 'GET', path = '/api/auth/ok', headers = {}, body }: Sent): Promise<Received> => {
      const request = httpRequest({
        host: '127.0.0.1', port, method, path, headers: { origin: ORIGIN, ...headers }, timeout: 2000
      })
      request.on('timeout', () => { request.destroy(new Error('no response')) })
      request.end(body)
      const [response] = await once(request, 'response') as [IncomingMessage]
      let text = ''
      response.setEncoding('utf8')
      for await (const chunk of response) text += chunk
      return { status: response.statusCode!, headers: response.headers, body: text }
    }
    return {
      app,
      log,
      port,
      send,
      post: (path, body, headers = {}) => send({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body)
      })
    }
  }
}

const MOUNTS: Record<string, Mount> = {
  'better-auth-fastify': mountBy({
    register: (app, auth) => app.register(betterAuthPlugin, { auth }),
    protect: app => app.addHook('onRequest', (request, reply) => app.authenticate(request, reply))
  }),
  'fastify-better-auth': mountBy({
    register: (app, auth) => app.register(fastifyBetterAuth, { auth }),
    protect: (app, auth) => app.addHook('onRequest', async ({ headers }, reply) => {
      const { getSession } = auth.api as { getSession (call: object): Promise<{ user?: object } | null> }
      const session = await getSession({ headers: new Headers(headers as Record<string, string>) })
      if (!session?.user) return reply.code(401).send()
    })
  })
}

const SIGN_UP = '/api/auth/sign-up/email'
const SIGN_IN = '/api/auth/sign-in/email'
const FORM = 'application/x-www-form-urlencoded'
/** As in the link of an email. */
const LINK_TOKEN = 'kJ7sQ2pX9vLm4tRz8wYb1c'

const status = ({ status }: Received) => String(status)
const withCookies = ({ status, headers }: Received) => {
  const { length } = headers['set-cookie'] ?? []
  return `${status}, ${length} cookie${length === 1 ? '' : 's'}`
}

/** The status of each sign-in, with a wrong password, where three are allowed. */
async function signIns ({ post }: World, forwardedFor: readonly string[]): Promise<string> {
  const statuses: string[] = []
  for (const address of forwardedFor) {
    statuses.push(status(await post(SIGN_IN, PERSON, { 'x-forwarded-for': address })))
  }
  return statuses.join(', ')
}

/** Better Auth keeps its counts in memory for all instances of the process. */
let clients = 0
const limited = { rateLimit: { enabled: true, window: 60, max: 3 } }

/** What each request comes to, by the words of the table. */
const ROWS: Record<string, (t: Test, mount: Mount) => Promise<string>> = {
  'a sign-up': async (t, mount) => withCookies(await (await mount(t)).post(SIGN_UP, PERSON)),

  async 'a sign-up, and a hook of the app has set a cookie' (t, mount) {
    const { post } = await mount(t, {
      before: app => app.addHook('onRequest', async (_request, reply) => { reply.header('set-cookie', 'lang=en') })
    })
    return withCookies(await post(SIGN_UP, PERSON))
  },
  async 'a sign-up by a page of another origin, with `@fastify/cors`' (t, mount) {
    const origin = 'https://web.example.com'
    const { post } = await mount(t, {
      auth: { trustedOrigins: [origin] }, before: app => app.register(cors, { origin: [origin], credentials: true })
    })
    const response = await post(SIGN_UP, PERSON, { origin })
    return `${response.status}, ${response.headers['access-control-allow-origin'] === origin ? '' : 'not '}allowed`
  },
  async 'a sign-up through `app.inject()`' (t, mount) {
    const { app } = await mount(t)
    const request = { method: 'POST', url: SIGN_UP, headers: { origin: ORIGIN }, payload: PERSON } as const
    const { statusCode, headers } = await app.inject(request)
    return `${statusCode}, ${[headers['set-cookie']].flat().length} cookies`
  },
  async 'a sign-up, where a hook at the root requires a session' (t, mount) {
    return status(await (await mount(t, { isProtected: true })).post(SIGN_UP, PERSON))
  },
  async 'the start of a social sign-in' (t, mount) {
    const response = await (await mount(t)).post('/api/auth/sign-in/social', { provider: 'github' })
    const { origin, searchParams } = new URL((JSON.parse(response.body) as { url: string }).url)
    t.equal(origin, 'https://github.com')
    t.equal(searchParams.get('redirect_uri'), `${ORIGIN}/api/auth/callback/github`)
    return `${withCookies(response)}, the URL of the provider`
  },
  async 'the redirect at its end' (t, mount) {
    const { status, headers } = await (await mount(t)).send({ path: '/api/auth/callback/github?error=denied&state=x' })
    return `${status} to \`${new URL(headers.location!).pathname}\``
  },
  async 'the same as a form, as Apple sends it' (t, mount) {
    return status(await (await mount(t)).send({
      method: 'POST', path: '/api/auth/callback/github', headers: { 'content-type': FORM }, body: 'error=denied&state=x'
    }))
  },
  async 'JSON that says it is `text/plain`' (t, mount) {
    return status(await (await mount(t)).post(SIGN_UP, PERSON, { 'content-type': 'text/plain' }))
  },
  'invalid JSON': async (t, mount) => status(await (await mount(t)).post(SIGN_UP, '{')),

  async 'a body above the `bodyLimit` of the app' (t, mount) {
    const { post } = await mount(t, { server: { bodyLimit: 1000 } })
    return status(await post(SIGN_UP, { ...PERSON, image: 'x'.repeat(1000) }))
  },
  async 'HEAD of a route for GET' (t, mount) {
    return status(await (await mount(t)).send({ method: 'HEAD' }))
  },
  async 'a path with `..` to a route that the app has closed' (t, mount) {
    const { post } = await mount(t, {
      after: app => app.post(SIGN_UP, async (_request, reply) => reply.code(403).send())
    })
    t.equal((await post(SIGN_UP, PERSON)).status, 403)
    return status(await post('/api/auth/x/../sign-up/email', PERSON))
  },
  async 'the client leaves before the response' (t, mount) {
    const requests: Request[] = []
    let end!: (response: Response) => void
    const { app, port } = await mount(t, {
      async handler (request, auth) {
        if (!request.url.endsWith('/slow')) return auth.handler(request)
        requests.push(request)
        return new Promise(resolve => { end = resolve })
      }
    })
    const connected = once(app.server, 'connection')
    const client = httpRequest({ host: '127.0.0.1', port, path: '/api/auth/slow' }).end()
    client.on('error', () => {})
    const [socket] = await connected
    while (requests.length === 0) await turn()
    const closed = once(socket, 'close')
    client.destroy()
    await closed
    await turn()
    end(new Response('x'))
    return requests[0]!.signal.aborted ? '`request.signal` aborts' : 'Better Auth does not learn of it'
  },
  async '`auth.handler` throws' (t, mount) {
    const { send, log } = await mount(t, { async handler () { throw new Error('secret') } })
    const { status, body } = await send({})
    const words = [body.includes('secret') && 'the response', JSON.stringify(log.lines).includes('secret') && 'the log']
    const told = words.filter(word => word !== false)
    return `${status}, ${told.length === 0 ? 'its message is kept back' : `its message is in ${told.join(' and ')}`}`
  },
  async 'the link to reset a password, in the log' (t, mount) {
    const { send, log } = await mount(t)
    await send({ path: `/api/auth/reset-password/${LINK_TOKEN}?callbackURL=%2F` })
    return JSON.stringify(log.lines).includes(LINK_TOKEN) ? 'with its token' : 'without its token'
  },
  async 'a header that an `onSend` hook sets' (t, mount) {
    const { send } = await mount(t, {
      before: app => app.addHook('onSend', async (_request, reply) => { reply.header('x-frame-options', 'DENY') })
    })
    return (await send({})).headers['x-frame-options'] === 'DENY' ? 'sent' : 'not sent'
  },
  async '4 sign-ins where 3 are allowed, each with another forged `X-Forwarded-For`' (t, mount) {
    return signIns(await mount(t, { auth: limited }), ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'])
  },
  async 'the same behind a proxy, whose address is in `trustProxy`' (t, mount) {
    const world = await mount(t, { auth: limited, server: { trustProxy: '127.0.0.1' } })
    const client = `203.0.113.${++clients}`
    return signIns(world, [1, 2, 3, 4].map(i => `1.1.1.${i}, ${client}`))
  },
  async 'behind a proxy, a `baseURL` with `allowedHosts`' (t, mount) {
    const isTheClients = async (trustedProxyHeaders: boolean) => {
      const { post } = await mount(t, {
        server: { trustProxy: '127.0.0.1' },
        auth: {
          baseURL: { allowedHosts: ['*.example.com'], fallback: ORIGIN }, advanced: { trustedProxyHeaders }
        }
      })
      const { body } = await post('/api/auth/sign-in/social', { provider: 'github' }, {
        host: 'internal:3000', 'x-forwarded-host': 'shop.example.com', 'x-forwarded-proto': 'https'
      })
      const { searchParams } = new URL((JSON.parse(body) as { url: string }).url)
      return new URL(searchParams.get('redirect_uri')!).host === 'shop.example.com'
    }
    t.ok(await isTheClients(true))
    return await isTheClients(false)
      ? 'the host that the client used'
      : 'the `fallback`, unless `advanced.trustedProxyHeaders` is on'
  },
  async '`basePath: \'/v1/auth\'`' (t, mount) {
    return status(await (await mount(t, { auth: { basePath: '/v1/auth' } })).send({ path: '/v1/auth/ok' }))
  },
  async '`baseURL` with the path `/v1/auth`' (t, mount) {
    return status(await (await mount(t, { auth: { baseURL: `${ORIGIN}/v1/auth` } })).send({ path: '/v1/auth/ok' }))
  }
}

const PAGE = readFileSync(join(ROOT, 'docs/guides/same-app.md'), 'utf8')

function versionOf (name: string): string {
  const path = join(folderOf('better-auth-1.7'), 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

t.test('the page names the versions', async t => {
  t.match(PAGE, `| request | this plugin | fastify-better-auth ${versionOf('fastify-better-auth')} |`)
  t.match(PAGE, `Better Auth ${versionOf('better-auth')}`)
})

for (const [title, run] of Object.entries(ROWS)) {
  t.test(title, async t => {
    const cells: string[] = []
    for (const mount of Object.values(MOUNTS)) cells.push(await run(t, mount))
    t.ok(PAGE.includes(`| ${title} | ${cells.join(' | ')} |\n`), `| ${title} | ${cells.join(' | ')} |`)
  })
}
