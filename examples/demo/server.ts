// In a clone, after `npm install`: npm run example
// With Better Auth in the app of the API: npm run example -- --same-app
import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import betterAuthPlugin, {
  betterAuthCookieSecuritySchemes, betterAuthExchangeSecuritySchemes, getUser, isBetterAuthError, UserSchema
} from 'better-auth-fastify'
import Fastify from 'fastify'
import { createAuthServer } from './auth-server.js'
import { controls } from './controls.js'
import { listen, readPort, signUpLines, stopOnSignal } from '../support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const isSameApp = process.argv.includes('--same-app')
const apiUrl = `http://localhost:${apiPort}`
/** Origins of the pages that may call both servers: the demo page, and a page of your own from Vite's dev server. */
const pages = [apiUrl, 'http://localhost:5173']

const auth = createAuthServer(isSameApp ? apiPort : authPort, pages)
if (!isSameApp) await listen('AUTH_PORT', authPort, auth.up)

// With a server of its own, the API knows nothing of passwords and sessions, only the URL of the one that it trusts.
const api = Fastify({ logger: true, forceCloseConnections: true })

await api.register(cors, { origin: pages, credentials: true, exposedHeaders: ['WWW-Authenticate', 'Retry-After'] })
await api.register(swagger, {
  openapi: {
    info: { title: 'An API that trusts a Better Auth server', version: '1.0.0' },
    components: { securitySchemes: { ...betterAuthCookieSecuritySchemes, ...betterAuthExchangeSecuritySchemes } }
  }
})
// Swagger UI needs inline styles, but no inline scripts.
await api.register(swaggerUi, {
  routePrefix: '/docs',
  staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
})

await api.register(betterAuthPlugin, {
  // The difference between the two set-ups.
  ...isSameApp ? { auth: auth.auth } : { authUrl: auth.url },
  sessionCookie: { trustedOrigins: pages },
  // Session tokens, API keys and the plain session cookie, too.
  exchange: true,
  jwks: {
    // Much shorter than the defaults, to show an outage and a rotation within a minute.
    maxAge: 5000,
    staleWhileRevalidate: 5000,
    staleIfError: 60_000,
    // Almost no limit: a new key is accepted at once, even just after a withdrawn key was refused. An application keeps
    // the default of 20. Anyone can invent unknown keys, and the limit keeps them from flooding the auth server.
    requestsPerMinute: 60_000
  }
})

// Shows the page why a request was refused. A real API only logs the reason, as this plugin does: it would tell an
// attacker what to try next.
api.addHook('onError', async (_request, reply, error) => {
  if (isBetterAuthError(error)) reply.header('Demo-Reason', error.reason)
})

api.get('/open', async () => ({ message: 'Anyone may read this.' }))

api.get('/hello', { onRequest: [api.authenticateOptional] }, async request => ({
  message: `Hello ${getUser(request)?.name ?? 'stranger'}!`
}))

api.get('/me', {
  onRequest: [api.authenticate],
  schema: { response: { 200: UserSchema } }
}, async request => request.user)

api.get('/protected-resource', { onRequest: [api.authenticate] }, async ({ user }) => ({
  message: `Hello ${user.name ?? user.email ?? user.id}!`,
  secret_data: 'Only signed-in users may read this.',
  user_id: user.id
}))

api.get('/admin', { onRequest: [api.authorize({ roles: ['admin'] })] }, async () => ({
  message: 'Only admins may read this.'
}))

api.post('/notes', { onRequest: [api.authenticate] }, async ({ user, principal }, reply) => reply.code(201).send({
  owner: user.id,
  by: principal.via
}))

// The demo page, at `/`.
await api.register(controls, { apiUrl, auth, isSameApp })

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  await auth.down()
  await api.close()
})

console.log(`
Better Auth runs at ${auth.url}, the API at ${apiUrl}. Ctrl-C stops ${isSameApp ? 'the app' : 'both'}.

To see it work, open ${apiUrl} in a browser. The API docs are at ${apiUrl}/docs.

To sign up, fetch a token and call the API, paste this into another terminal:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/protected-resource -H "Authorization: Bearer $TOKEN"

Without a token, the API responds with 401, and its log gives the reason:

curl -sS -w '\\n' -i ${apiUrl}/me
`)
