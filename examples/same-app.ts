// In a clone, after `npm install && npm run build`: npx tsx examples/same-app.ts
import { randomBytes } from 'node:crypto'
import betterAuthPlugin from 'better-auth-fastify'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { bearer, jwt } from 'better-auth/plugins'
import Fastify from 'fastify'
import { listen, readPort, stopOnSignal } from './support.js'

const port = readPort('PORT', 3001)
const url = `http://localhost:${port}`

const auth = betterAuth({
  baseURL: url,
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  plugins: [jwt(), bearer()]
})

const app = Fastify({ logger: true, forceCloseConnections: true })

// One option: the routes of Better Auth are at /api/auth, and its sessions are asked for without HTTP.
await app.register(betterAuthPlugin, { auth })

app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)

await listen('PORT', port, () => app.listen({ port, host: 'localhost' }))

stopOnSignal(() => app.close())

const json = "-H 'Content-Type: application/json'"
const user = '{"name":"Ada","email":"ada@example.com","password":"correct horse battery staple"}'
console.log(`
Better Auth and the API run at ${url}. Ctrl-C stops them. Paste this into another terminal:

curl -sS -w '\\n' -c cookies.txt ${url}/api/auth/sign-up/email -H 'Origin: ${url}' ${json} -d '${user}'
curl -sS -w '\\n' -b cookies.txt ${url}/me
curl -sS -w '\\n' -b cookies.txt ${url}/api/auth/sign-out -H 'Origin: ${url}' ${json} -d '{}'
curl -sS -w '\\n' -b cookies.txt ${url}/me
`)
