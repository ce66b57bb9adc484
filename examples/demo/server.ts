import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import betterAuthPlugin, { betterAuthCookieSecuritySchemes, getUser, UserSchema } from 'better-auth-fastify'
import Fastify from 'fastify'
import { createAuthServer } from './auth-server.js'
import { demo } from './controls.js'
import { listen, readPort, signUpLines, stopOnSignal } from '../support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const apiUrl = `http://localhost:${apiPort}`
/** Pages whose scripts may call both servers: the one at the API's root, and one of yours, which Vite serves. */
const pages = [apiUrl, 'http://localhost:5173']

const auth = createAuthServer(authPort, pages)
await listen('AUTH_PORT', authPort, auth.up)

// Our side: an API that knows nothing of passwords and sessions, only the address of the server that it trusts.
const api = Fastify({ logger: true, forceCloseConnections: true })

await api.register(cors, { origin: pages, credentials: true, exposedHeaders: ['WWW-Authenticate', 'Retry-After'] })
await api.register(swagger, {
  openapi: {
    info: { title: 'An API that trusts a Better Auth server', version: '1.0.0' },
    components: { securitySchemes: betterAuthCookieSecuritySchemes }
  }
})
// Swagger UI writes styles into its page; its scripts are files.
await api.register(swaggerUi, { routePrefix: '/docs', staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'" })

await api.register(betterAuthPlugin, {
  authUrl: auth.url,
  sessionCookie: { trustedOrigins: pages },
  // Much shorter than the defaults, so that an outage and a rotation can be watched within a minute.
  jwks: { maxAge: 5000, staleWhileRevalidate: 5000, staleIfError: 60_000 }
})

api.get('/open', async () => ({ message: 'Anyone may read this.' }))

api.get('/hello', { onRequest: api.authenticateOptional }, async request => ({
  message: `Hello ${getUser(request)?.name ?? 'stranger'}!`
}))

api.get('/me', {
  onRequest: [api.authenticate],
  schema: { response: { 200: UserSchema } }
}, async request => request.user)

api.get('/protected-resource', { onRequest: [api.authenticate] }, async ({ user }) => ({
  message: `Hello ${user.name ?? user.email ?? user.id}!`,
  secret_data: 'Only those who are signed in can read this.',
  user_id: user.id
}))

api.get('/admin', { onRequest: api.authorize({ roles: ['admin'] }) }, async () => ({ message: 'Only admins may read this.' }))

api.post('/notes', { onRequest: api.authenticate }, async ({ user, session }, reply) => reply.code(201).send({
  owner: user.id,
  by: session === null ? 'token' : 'cookie'
}))

// The page at `/`.
await api.register(demo, { apiUrl, auth })

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  await auth.down()
  await api.close()
})

console.log(`
Better Auth is at ${auth.url}, the API at ${apiUrl}. Stop both with Ctrl-C.

To see it work, open ${apiUrl} in a browser; the API's docs are at ${apiUrl}/docs.

Or paste into another terminal, to sign up, fetch a token, and call the API:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/protected-resource -H "Authorization: Bearer $TOKEN"

Without a token the answer is 401, and the log below says why:

curl -sS -w '\\n' -i ${apiUrl}/me
`)
