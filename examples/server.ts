import betterAuthPlugin, { UserSchema } from 'better-auth-fastify'
import Fastify from 'fastify'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './shared.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const apiUrl = `http://localhost:${apiPort}`

const auth = await startAuthServer('AUTH_PORT', authPort)

// Our side: an API that knows nothing of passwords and sessions, only the address of the server that it trusts.
const api = Fastify({ logger: true, forceCloseConnections: true })

await api.register(betterAuthPlugin, { authUrl: auth.url })

api.get('/me', {
  onRequest: [api.authenticate],
  schema: { response: { 200: UserSchema } }
}, async request => request.user)

api.get('/protected-resource', { onRequest: [api.authenticate] }, async ({ user }) => ({
  message: `Hello ${user.name ?? user.email ?? user.id}!`,
  secret_data: 'Only those who are signed in can read this.',
  user_id: user.id
}))

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  auth.close()
  await api.close()
})

console.log(`
Better Auth is at ${auth.url}, the API at ${apiUrl}. Stop both with Ctrl-C.

Paste into another terminal, to sign up, fetch a token, and call the API:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/protected-resource -H "Authorization: Bearer $TOKEN"

Without a token the answer is 401, and the log below says why:

curl -sS -w '\\n' -i ${apiUrl}/me
`)
