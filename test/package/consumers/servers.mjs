// The same API over HTTP, TLS and HTTP/2, with one request of each kind over real sockets.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:http2'
import { request as secureRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import swagger from '@fastify/swagger'
import betterAuthPlugin, { betterAuthSecuritySchemes } from 'better-auth-fastify'
import Fastify from 'fastify'

const { AUTH_URL, TOKEN, FORGED, COOKIE } = process.env
const ca = readFileSync('cert.pem')
const tls = { key: readFileSync('key.pem'), cert: ca }

const SERVERS = { http: {}, https: { https: tls }, http2: { http2: true, https: tls } }
const REQUESTS = [
  ['/me', { authorization: `Bearer ${TOKEN}` }],
  ['/me', { cookie: COOKIE }],
  ['/me', {}],
  ['/me', { authorization: `Bearer ${FORGED}` }],
  ['/admin', { authorization: `Bearer ${TOKEN}` }],
  ['/hello', {}],
  ['/hand', { authorization: `Bearer ${FORGED}` }],
  ['/hand/stream', {}]
]

async function createApi (options) {
  const app = Fastify(options)
  await app.register(swagger, {
    openapi: { info: { title: 'API', version: '1.0.0' }, components: { securitySchemes: betterAuthSecuritySchemes } }
  })
  await app.register(betterAuthPlugin, { authUrl: AUTH_URL, sessionCookie: true })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user.id)
  app.get('/admin', { onRequest: [app.authorize({ roles: ['admin'] })] }, async () => 'welcome')
  app.get('/hello', { onRequest: [app.authenticateOptional] }, async request => request.user?.id ?? 'stranger')
  const refusal = (request, reply) => app.authenticate(request, reply).catch(error => error)
  app.get('/hand', async (request, reply) => {
    const { statusCode, code } = await refusal(request, reply)
    return reply.code(statusCode).send(code)
  })
  app.get('/hand/stream', async (request, reply) => {
    const { statusCode, code } = await refusal(request, reply)
    return reply.code(statusCode).send(new Blob([code]).stream())
  })
  return app
}

async function ask (origin, path, headers) {
  const send = origin.startsWith('https:') ? secureRequest : request
  const call = send(`${origin}${path}`, { headers, ca, agent: false }).end()
  const [response] = await once(call, 'response')
  return [response.statusCode, response.headers['www-authenticate'] ?? null, await text(response)]
}

async function askHttp2 (session, path, headers) {
  const stream = session.request({ ':path': path, ...headers })
  const [response] = await once(stream, 'response')
  return [response[':status'], response['www-authenticate'] ?? null, await text(stream)]
}

const results = {}
for (const [name, options] of Object.entries(SERVERS)) {
  const app = await createApi(options)
  const origin = (await app.listen({ host: 'localhost', port: 0 })).replace(/127\.0\.0\.1|\[::1\]/, 'localhost')
  const session = name === 'http2' ? connect(origin, { ca }) : undefined
  results[name] = []
  for (const [path, headers] of REQUESTS) {
    const [status, challenge, body] = await (session ? askHttp2(session, path, headers) : ask(origin, path, headers))
    results[name].push([status, challenge, body.startsWith('{') ? JSON.parse(body).code : body])
  }
  results.security = app.swagger().paths['/me'].get.security
  session?.close()
  await app.close()
}
console.log(JSON.stringify(results))
