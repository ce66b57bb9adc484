import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, constants, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import { captureLog, TRANSPORTS, type LogCapture } from '../fixtures/api.js'

type Handler = (request: Request) => Promise<Response>

interface World { readonly app: FastifyInstance, readonly requests: Request[], readonly log: LogCapture }

const BASE_URL = 'https://app.example.com'
const ok = async () => Response.json({ ok: true })

/** An API with an auth server of which only the handler exists: what the routes do with requests and responses. */
async function start (
  t: Pick<Test, 'teardown'>, handler: Handler = ok,
  { server = {}, auth = {}, ...options }: {
    server?: FastifyServerOptions, auth?: object
  } & Omit<BetterAuthOptions, 'auth'> = {},
  prepare: (app: FastifyInstance) => unknown = () => {}
): Promise<World> {
  const log = captureLog()
  const requests: Request[] = []
  const app = Fastify({ logger: log.logger, ...server })
  t.teardown(() => app.close())
  await prepare(app)
  await app.register(betterAuthPlugin, {
    ...options,
    auth: {
      handler (request) {
        // The plugin fetches the keys when the API listens.
        if (request.url.endsWith('/jwks')) return Promise.resolve(Response.json({ keys: [] }))
        requests.push(request)
        return handler(request)
      },
      options: { baseURL: BASE_URL, plugins: [{ id: 'jwt' }], ...auth }
    }
  })
  return { app, requests, log }
}

t.test('every method and path below the base path goes to Better Auth', async t => {
  const { app, requests } = await start(t)
  app.get('/api/other', async () => 'other')
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
    const response = await app.inject({ method, url: '/api/auth/a/b?x=%2F&x=2' })
    t.strictSame([response.statusCode, response.json()], [200, { ok: true }])
    t.match(requests.at(-1), { method, url: `${BASE_URL}/api/auth/a/b?x=%2F&x=2` })
  }
  const head = await app.inject({ method: 'HEAD', url: '/api/auth/ok' })
  t.equal(requests.at(-1)!.method, 'HEAD', 'HEAD is not GET')
  t.equal(head.body, '')
  const count = requests.length
  t.equal((await app.inject('/api/other')).body, 'other')
  t.equal((await app.inject('/api/authx/ok')).statusCode, 404)
  t.equal((await app.inject('/api/auth')).statusCode, 404)
  t.equal(requests.length, count)
})

t.test('bodies arrive as they are, up to the limit of the application', async t => {
  const bodies: Array<[string | null, string]> = []
  const { app } = await start(t, async request => {
    bodies.push([request.headers.get('content-type'), Buffer.from(await request.arrayBuffer()).toString('latin1')])
    return Response.json(null)
  }, { server: { bodyLimit: 100 } })
  app.post('/json', async ({ body }) => body)
  for (const [type, payload] of [
    ['application/json', '{ "a":  1 }'], ['application/json', '{'], ['application/x-www-form-urlencoded', 'a=1&a=2'],
    ['text/plain; charset=x', 'ü'], ['made/up', '\0\xff'], ['multipart/form-data; boundary=x', '--x--']
  ] as const) {
    const response = await app.inject({
      method: 'POST', url: '/api/auth/x', headers: { 'content-type': type }, payload: Buffer.from(payload, 'latin1')
    })
    t.equal(response.statusCode, 200)
    t.strictSame(bodies.at(-1), [type, payload])
  }
  await app.inject({ method: 'POST', url: '/api/auth/x' })
  t.strictSame(bodies.at(-1), [null, ''])
  const count = bodies.length
  const large = await app.inject({ method: 'POST', url: '/api/auth/x', payload: Buffer.alloc(101) })
  t.equal(large.statusCode, 413)
  t.equal(bodies.length, count)
  const own = await app.inject({ method: 'POST', url: '/json', payload: { a: 1 } })
  t.strictSame(own.json(), { a: 1 }, 'routes of the application have their own parsers')
})

t.test('responses arrive as they are', async t => {
  const { app, requests } = await start(t, async ({ url }) => {
    if (url.endsWith('/redirect')) return Response.redirect('https://x.example/?a=b', 302)
    if (url.endsWith('/empty')) return new Response(null, { status: 204 })
    const headers = new Headers({ 'content-type': 'text/plain', 'content-length': '99', connection: 'close' })
    headers.append('set-cookie', 'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/')
    headers.append('set-cookie', 'b=2, 3; HttpOnly')
    return new Response('text', { status: 418, headers })
  })
  for (const send of Object.values(TRANSPORTS)) {
    const response = await send(app, { url: '/api/auth/x' })
    t.notOk(requests.at(-1)!.signal.aborted, 'the client has waited')
    t.match(response, { status: 418, body: 'text', headers: { 'content-type': 'text/plain' } })
    t.strictSame(response.headers['set-cookie'], [
      'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/', 'b=2, 3; HttpOnly'
    ])
    t.match(await send(app, { url: '/api/auth/redirect' }), {
      status: 302, body: '', headers: { location: 'https://x.example/?a=b' }
    })
    t.match(await send(app, { url: '/api/auth/empty' }), { status: 204, body: '' })
    t.match(await send(app, { method: 'HEAD', url: '/api/auth/x' }), { status: 418, body: '' })
    t.match(await send(app, { method: 'HEAD', url: '/api/auth/empty' }), { status: 204, body: '' })
  }
})

t.test('headers that hooks of the application have set stay', async t => {
  const { app } = await start(t, async () => new Response('x', {
    headers: { vary: 'Cookie', 'access-control-expose-headers': 'set-auth-jwt', 'x-own': 'auth' }
  }), {}, app => app.register(cors, { origin: ['https://web.example'], exposedHeaders: ['x-total'] }))
  const headers = { origin: 'https://web.example' }
  t.match((await app.inject({ url: '/api/auth/x', headers })).headers, {
    vary: 'Origin, Cookie',
    'access-control-expose-headers': 'x-total, set-auth-jwt',
    'access-control-allow-origin': 'https://web.example',
    'x-own': 'auth'
  })
  const preflight = await app.inject({
    method: 'OPTIONS', url: '/api/auth/x', headers: { ...headers, 'access-control-request-method': 'POST' }
  })
  t.match(preflight, { statusCode: 204, headers: { 'access-control-allow-origin': 'https://web.example' } })
})

t.test('nobody reads the body of the response to HEAD, and its source learns that', async t => {
  const calls: string[] = []
  const { app } = await start(t, async () => new Response(new ReadableStream({
    start (controller) { controller.enqueue(Buffer.from('a')) },
    pull (controller) {
      calls.push('read')
      controller.close()
    },
    cancel () { calls.push('cancelled') }
  })))
  t.equal((await app.inject({ method: 'HEAD', url: '/api/auth/x' })).statusCode, 200)
  t.strictSame(calls, ['cancelled'])
})

t.test('a body streams, and ends when the client goes', async t => {
  let cancelled: () => void
  const cancel = new Promise<void>(resolve => { cancelled = resolve })
  const signals: AbortSignal[] = []
  const { app } = await start(t, async ({ signal }) => {
    signals.push(signal)
    return new Response(new ReadableStream({
      start (controller) { controller.enqueue(Buffer.from('data: 1\n\n')) },
      cancel () { cancelled() }
    }), { headers: { 'content-type': 'text/event-stream' } })
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const client = httpRequest({ host: '127.0.0.1', port, path: '/api/auth/events' }).end()
  const [response] = await once(client, 'response') as [NodeJS.ReadableStream]
  const [chunk] = await once(response, 'data') as [Buffer]
  t.equal(chunk.toString(), 'data: 1\n\n', 'before the end of the body')
  response.on('error', () => {})
  client.destroy()
  await cancel
  t.ok(signals[0]!.aborted)
})

t.test('a handler learns that its client has gone, and what it throws then is no error', async t => {
  let started: () => void
  const start1 = new Promise<void>(resolve => { started = resolve })
  let ended: () => void
  const end = new Promise<void>(resolve => { ended = resolve })
  const { app, log } = await start(t, async ({ signal }) => {
    started()
    await once(signal, 'abort')
    setImmediate(ended)
    throw new Error('aborted')
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = httpRequest({ port: (app.server.address() as AddressInfo).port, path: '/api/auth/x' }).end()
  client.on('error', () => {})
  await start1
  client.destroy()
  await end
  t.strictSame(log.lines.filter(({ msg }) => /Better Auth threw/.test(msg)), [])
})

t.test('what it throws is a 500 without detail, and the log has no message', async t => {
  for (const handler of [
    async () => { throw Object.assign(new Error('secret-token'), { name: 'QueryError', code: 'E1' }) },
    () => { throw new Error('secret-token') },
    async () => undefined as unknown as Response,
    async () => ({ status: 200, headers: [], body: null }) as unknown as Response
  ] as Handler[]) {
    const { app, log } = await start(t, handler)
    const response = await app.inject('/api/auth/x')
    t.equal(response.statusCode, 500)
    t.strictSame(response.json(), {
      statusCode: 500, error: 'Internal Server Error', message: 'Internal Server Error'
    })
    const [line] = log.lines.filter(({ level }) => level === 50)
    t.match(line, { msg: 'Better Auth threw an error', thrown: { name: /Error$/ } })
    t.notMatch(JSON.stringify(log.lines), 'secret-token')
  }
})

t.test('a client cannot say where it comes from', async t => {
  const forged = {
    host: 'evil.example',
    forwarded: 'for=6.6.6.6;host=evil.example;proto=http',
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-port': '1',
    'x-forwarded-proto': 'http',
    'cf-connecting-ip': '6.6.6.6',
    connection: 'keep-alive, x-a'
  }
  const advanced = { ipAddress: { ipAddressHeaders: ['CF-Connecting-IP'] } }
  const { app, requests } = await start(t, ok, { auth: { advanced } })
  await app.inject({ url: '/api/auth/x', headers: forged, remoteAddress: '203.0.113.7' })
  const [{ url, headers }] = requests as [Request]
  t.equal(url, `${BASE_URL}/api/auth/x`)
  t.equal(headers.get('x-forwarded-for'), '203.0.113.7')
  t.equal(headers.get('cf-connecting-ip'), '203.0.113.7')
  for (const name of ['forwarded', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto', 'connection']) {
    t.equal(headers.get(name), null, name)
  }
})

t.test('a proxy can, as trustProxy allows', async t => {
  const baseURL = { allowedHosts: ['*.example.com'], fallback: BASE_URL }
  const headers = {
    host: 'internal',
    'x-forwarded-for': '198.51.100.1',
    'x-forwarded-host': 'a.example.com',
    'x-forwarded-proto': 'https'
  }
  const ask = async (trustProxy: boolean, others = {}) => {
    const { app, requests } = await start(t, ok, { server: { trustProxy }, auth: { baseURL } })
    const { statusCode } = await app.inject({ url: '/api/auth/x', headers: { ...headers, ...others } })
    const [request] = requests
    return [statusCode, request?.url, request?.headers.get('x-forwarded-for'), request?.headers.get('host')]
  }
  t.strictSame(await ask(true), [200, 'https://a.example.com/api/auth/x', '198.51.100.1', 'a.example.com'])
  t.strictSame(await ask(false), [200, 'http://internal/api/auth/x', '127.0.0.1', 'internal'])
  for (const host of ['a/b', 'user@evil', 'a b', 'a?b', 'a#b', 'a\\b', '[', '']) {
    t.equal((await ask(false, { host }))[0], host === '' ? 200 : 400, host)
  }
})

t.test('the target of a request may be a whole URL', async t => {
  const { app, requests } = await start(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const client = httpRequest({ host: '127.0.0.1', port, path: 'http://evil.example/api/auth/x?y' }).end()
  const [response] = await once(client, 'response') as [NodeJS.ReadableStream]
  response.resume()
  t.strictSame(requests.map(({ url }) => url), [`${BASE_URL}/api/auth/x?y`])
})

t.test('HTTP/2, over a socket that has no IP address', async t => {
  const { app, requests } = await start(t, ok, { server: { http2: true } as object })
  app.addHook('onRequest', async request => { Object.defineProperty(request, 'ip', { value: undefined }) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.teardown(() => { session.close() })
  const stream = session.request({ ':path': '/api/auth/x', 'x-forwarded-for': '6.6.6.6' })
  const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
  stream.resume()
  await once(stream, 'end')
  t.equal(headers[constants.HTTP2_HEADER_STATUS as ':status'], 200)
  t.equal(requests[0]!.headers.get('x-forwarded-for'), null)
})

t.test('no hook of the plugin protects its routes, and no document shows them', async t => {
  const { app, requests } = await start(t, ok, { unprotected: 'error' }, app => app.register(swagger))
  app.addHook('onRequest', app.authenticate)
  app.addHook('onRequest', app.authenticateOptional)
  app.addHook('preHandler', app.authorize({ roles: ['admin'] }))
  app.addHook('preValidation', async (request, reply) => { await app.authenticate(request, reply) })
  app.get('/own', async () => 'own')
  const cookie = `__Secure-better-auth.session_token=${'x'.repeat(32)}.${'y'.repeat(43)}%3D`
  for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: 'nonsense' }, { cookie }]) {
    t.equal((await app.inject({ url: '/api/auth/x', headers })).statusCode, 200)
  }
  t.equal(requests.length, 4, 'and none asked Better Auth about a credential')
  t.equal((await app.inject('/own')).statusCode, 401)
  await app.inject({ url: '/own', headers: { cookie } })
  t.match(requests.at(-1)!.url, '/api/auth/token', 'as it does for other routes')
  t.match(app.betterAuth.routes().find(({ method, url }) => method === 'POST' && url === '/api/auth/*'), {
    protection: 'public', guards: []
  })
  t.strictSame(Object.keys(app.swagger().paths!), ['/own'])
})

t.test('a document shows them if asked', async t => {
  const { app } = await start(t, ok, { mount: { openapi: true } }, app => app.register(swagger, { openapi: {} }))
  await app.ready()
  t.strictSame(Object.keys(app.swagger().paths!), ['/api/auth/{*}'])
})

t.test('the log has no link that lets anybody in', async t => {
  const secret = 'kjvsq2pX9vLm4tRz8wYb1c'
  for (const server of [{}, {
    logger: { ...captureLog().logger, serializers: { req: ({ url }: { url: string }) => ({ url, mine: true }) } }
  }]) {
    const log = captureLog()
    const logger = 'logger' in server ? { ...server.logger, stream: log.logger.stream } : log.logger
    const { app } = await start(t, ok, { server: { logger } })
    await app.inject(`/api/auth/reset-password/${secret}?callbackURL=x`)
    await app.inject(`/api/auth/magic-link/verify?token=${secret}`)
    await app.inject('/api/auth/send-verification-email')
    const shown = log.lines.flatMap(({ req }) => (req as { url?: string } | undefined)?.url ?? [])
    t.strictSame(shown, [
      '/api/auth/reset-password/***?***', '/api/auth/magic-link/verify?***', '/api/auth/send-verification-email'
    ])
    const { req } = log.lines.find(({ req }) => req !== undefined)!
    t.match(req, 'logger' in server ? { mine: true } : { method: 'GET', remoteAddress: '127.0.0.1' })
    t.notMatch(JSON.stringify(log.lines), secret)
  }
})

t.test('a log without serializers, or with one that returns no URL', async t => {
  const lines: unknown[] = []
  const child = (_: object, options: { serializers?: { req: (request: unknown) => unknown } } = {}): object => ({
    ...Object.fromEntries(['fatal', 'error', 'warn', 'debug', 'trace'].map(level => [level, () => {}])),
    info (fields: { req?: unknown }) {
      if ('req' in fields && options.serializers !== undefined) lines.push(options.serializers.req(fields.req))
    },
    level: 'info',
    child
  })
  const loggerInstance = child({}) as NonNullable<FastifyServerOptions['loggerInstance']>
  const { app } = await start(t, ok, { server: { logger: undefined, loggerInstance } as object })
  await app.inject('/api/auth/x?token=secret')
  t.match(lines, [{ method: 'GET', url: '/api/auth/x?***', host: 'localhost:80', remoteAddress: '127.0.0.1' }])
  const silent = await start(t, ok, {
    server: { logger: { ...captureLog().logger, serializers: { req: () => 'hidden' } } as object }
  })
  t.equal((await silent.app.inject('/api/auth/x')).statusCode, 200)
})

t.test('mount: false leaves the routes to the application', async t => {
  const { app, requests } = await start(t, ok, { mount: false })
  t.equal((await app.inject('/api/auth/ok')).statusCode, 404)
  t.equal(requests.length, 0)
})

t.test('what cannot be mounted fails the boot', async t => {
  for (const method of [['GET'], ['GET', 'POST']]) {
    await t.rejects(
      start(t, ok, {}, app => { app.route({ method, url: '/api/auth/*', handler: async () => {} }) }),
      {
        code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
        message: /\/api\/auth\/\*, which exists already.*"mount" to false/
      }
    )
  }
  const below = async (prefix: string) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(async scope => {
      const auth = { handler: ok, options: { baseURL: BASE_URL, basePath: '/v1/auth', plugins: [{ id: 'jwt' }] } }
      await scope.register(betterAuthPlugin, { auth })
    }, { prefix })
    return (await app.inject('/v1/auth/x')).statusCode
  }
  t.equal(await below('/v1'), 200, 'below a prefix that the base path has')
  t.equal(await below('/v1/'), 200)
  await t.rejects(below('/v1//'), { code: 'FST_BETTER_AUTH_INVALID_OPTION' }, 'Fastify would expect both slashes')
  await t.rejects(below('/v2'), {
    code: 'FST_BETTER_AUTH_INVALID_OPTION',
    message: /base path "\/v1\/auth", and cannot be mounted below the prefix "\/v2"/
  })
})

t.test('Better Auth sees the path that the router saw', async t => {
  const { app, requests } = await start(t)
  // A route of the application in the place of one of Better Auth.
  app.post('/api/auth/sign-up/email', async () => 'closed')
  await app.listen()
  const { port } = app.server.address() as AddressInfo
  const post = async (path: string): Promise<number | undefined> => {
    const request = httpRequest({ port, path, method: 'POST' }).end()
    const [response] = await once(request, 'response')
    response.resume()
    return response.statusCode
  }
  for (const path of ['x/../sign-up/email', './sign-up/email', '%2e/sign-up/email', 'x/.%2E/sign-up/email',
    'x/%2e%2e/sign-up/email', 'x\\..\\sign-up/email', 'sign-up\\email', 'sign-up/email/.', 'sign-up/email/x/..?a']) {
    t.equal(await post(`/api/auth/${path}`), 400, path)
  }
  for (const path of ['sign-up/email/', 'sign-up/email/?a=/b', 'sign-up/email//']) {
    t.equal(await post(`/api/auth/${path}`), 404, path)
  }
  t.equal(await post('http://a.example/api/auth/sign-up/email/'), 404)
  t.equal(requests.length, 0)
  const paths = [
    'sign-in/email/', '.well-known/x', 'a..b/c.', '.../x', 'x?callbackURL=/../a\\b', 'x/%2E%2E%2E', '*'
  ]
  for (const path of paths) {
    t.equal(await post(`/api/auth/${path}`), 200, path)
  }
})

t.test('a response whose body was read is an error, without its headers', async t => {
  const reads: Array<(response: Response) => unknown> = [
    response => response.text(), response => response.body!.getReader()
  ]
  for (const read of reads) {
    const { app } = await start(t, async () => {
      const response = new Response('x', { headers: { 'Set-Cookie': 'session=secret' } })
      await read(response)
      return response
    })
    const response = await app.inject('/api/auth/x')
    t.equal(response.statusCode, 500)
    t.equal(response.headers['set-cookie'], undefined)
    t.strictSame(response.json(), { statusCode: 500, error: 'Internal Server Error', message: 'Internal Server Error' })
  }
})
