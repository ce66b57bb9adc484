// In a clone, after `npm install && npm run build`: npx tsx examples/two-servers.ts
import betterAuthPlugin from 'better-auth-fastify'
import Fastify from 'fastify'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const staffPort = readPort('STAFF_AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const shopPort = readPort('SHOP_AUTH_PORT', 3002)
const apiUrl = `http://localhost:${apiPort}`

// Two servers, each with its own users and keys.
const staffAuth = await startAuthServer('STAFF_AUTH_PORT', staffPort)
const shopAuth = await startAuthServer('SHOP_AUTH_PORT', shopPort)

const api = Fastify({ logger: true, forceCloseConnections: true })

// One API with two scopes. Each scope trusts one of the servers and refuses the tokens of the other.
await api.register(async staff => {
  await staff.register(betterAuthPlugin, { authUrl: staffAuth.url })
  staff.get('/me', { onRequest: [staff.authenticate] }, async request => request.user)
}, { prefix: '/staff' })

await api.register(async shop => {
  await shop.register(betterAuthPlugin, { authUrl: shopAuth.url })
  shop.get('/me', { onRequest: [shop.authenticate] }, async request => request.user)
}, { prefix: '/shop' })

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  staffAuth.close()
  shopAuth.close()
  await api.close()
})

console.log(`
Staff sign in at ${staffAuth.url}, customers at ${shopAuth.url}. The API runs at ${apiUrl}. Ctrl-C stops all three.

To sign up at both and to use each token in its own scope, paste this into another terminal:

${signUpLines(staffAuth.url, 'STAFF', 'staff.txt')}
${signUpLines(shopAuth.url, 'SHOP', 'shop.txt')}
curl -sS -w '\\n' ${apiUrl}/staff/me -H "Authorization: Bearer $STAFF"
curl -sS -w '\\n' ${apiUrl}/shop/me -H "Authorization: Bearer $SHOP"

In the other scope, the API responds with 401:

curl -sS -w '\\n' -i ${apiUrl}/shop/me -H "Authorization: Bearer $STAFF"
curl -sS -w '\\n' -i ${apiUrl}/staff/me -H "Authorization: Bearer $SHOP"
`)
