import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import { jwt } from 'better-auth/plugins'
import betterAuthPlugin, { UserSchema } from 'better-auth-fastify'
import Fastify from 'fastify'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const authUrl = `http://localhost:${authPort}`
const apiUrl = `http://localhost:${apiPort}`

// Better Auth's side: people sign up there, and it signs their tokens. Its tables are in memory and gone with the process.
const auth = betterAuth({
  baseURL: authUrl,
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  plugins: [jwt()]
})
const authServer = createServer(toNodeHandler(auth))

// Our side: an API that knows nothing of passwords and sessions, only the address of the server that it trusts.
const api = Fastify({ logger: true, forceCloseConnections: true })

await api.register(betterAuthPlugin, { authUrl })

api.get('/me', {
  onRequest: [api.authenticate],
  schema: { response: { 200: UserSchema } }
}, async request => request.user)

api.get('/protected-resource', { onRequest: [api.authenticate] }, async ({ user }) => ({
  message: `Hello ${user.name ?? user.email ?? user.id}!`,
  secret_data: 'Only those who are signed in can read this.',
  user_id: user.id
}))

await listen('AUTH_PORT', authPort, async () => {
  authServer.listen(authPort, 'localhost')
  await once(authServer, 'listening')
})
await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

// A Ctrl-C may arrive more than once: from the terminal, and from each program that started this one.
let stopping = false
process.on('SIGINT', stop)
process.on('SIGTERM', stop)

console.log(`
Better Auth is at ${authUrl}, the API at ${apiUrl}. Stop both with Ctrl-C.

Paste into another terminal, to sign up, fetch a token, and call the API:

curl -sS -w '\\n' -b cookies.txt -c cookies.txt ${authUrl}/api/auth/sign-up/email -H 'Origin: ${authUrl}' -H 'Content-Type: application/json' -d '{"name":"Ada","email":"ada@example.com","password":"correct horse battery staple"}'
TOKEN=$(curl -sS -b cookies.txt ${authUrl}/api/auth/token | cut -d '"' -f 4)
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/protected-resource -H "Authorization: Bearer $TOKEN"

Without a token the answer is 401, and the log below says why:

curl -sS -w '\\n' -i ${apiUrl}/me
`)

async function stop (): Promise<void> {
  if (stopping) return
  stopping = true
  authServer.closeAllConnections()
  authServer.close()
  await api.close()
}

function readPort (name: string, byDefault: number): number {
  const text = process.env[name] || String(byDefault)
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) fail(`${name} must be a port from 1 to 65535, got ${JSON.stringify(text)}`)
  return port
}

async function listen (name: string, port: number, start: () => Promise<unknown>): Promise<void> {
  try {
    await start()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    fail(`Port ${port} ${code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${code})`}: set ${name} to another one`)
  }
}

function fail (message: string): never {
  console.error(message)
  process.exit(1)
}
