// In a clone, after `npm install && npm run build`: npx tsx examples/shared-exchange.ts
import { randomBytes } from 'node:crypto'
import betterAuthPlugin, { type ExchangeStore } from 'better-auth-fastify'
import Fastify from 'fastify'
import { createClient } from 'redis'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const ports = [readPort('PORT', 3001), readPort('SECOND_PORT', 3002)]
const redisUrl = process.env.REDIS_URL || 'redis://localhost:6379'

const auth = await startAuthServer('AUTH_PORT', authPort)

// Without Redis, each instance asks the auth server by itself. The client must not queue the commands.
const redis = createClient({ url: redisUrl, disableOfflineQueue: true, commandOptions: { timeout: 1000 } })

const store: ExchangeStore = {
  get: key => redis.get(key),
  set: (key, value, ttl) => redis.set(key, value, { expiration: { type: 'PX', value: ttl } }),
  add: async (key, value, ttl) =>
    await redis.set(key, value, { condition: 'NX', expiration: { type: 'PX', value: ttl } }) === 'OK',
  delete: key => redis.del(key)
}
/** In production: the same for all instances, from where your other secrets are. */
const secret = process.env.EXCHANGE_SECRET || randomBytes(32).toString('base64')

/** Two instances of one API. In production they are processes of their own. */
const apis = await Promise.all(ports.map(async () => {
  const api = Fastify({ logger: true, forceCloseConnections: true })
  await api.register(betterAuthPlugin, { authUrl: auth.url, exchange: { shared: { store, secret } } })
  api.get('/me', { onRequest: [api.authenticate] }, async request => request.user)
  // For a client that has just signed out at Better Auth: its sessions count no longer, and not for another minute.
  api.post('/signed-out', { onRequest: [api.authenticate] }, async ({ user }, reply) => {
    await api.betterAuth.revoke({ userId: user.id })
    return reply.code(204).send()
  })
  return api
}))
redis.on('error', error => { apis[0]!.log.error(error) })

await listen('PORT', ports[0]!, () => apis[0]!.listen({ port: ports[0]!, host: 'localhost' }))
await listen('SECOND_PORT', ports[1]!, () => apis[1]!.listen({ port: ports[1]!, host: 'localhost' }))
// Not awaited: the client keeps trying until Redis is up.
redis.connect().catch(() => {})

stopOnSignal(async () => {
  auth.close()
  await Promise.all(apis.map(api => api.close()))
  redis.destroy()
})

const [first, second] = ports.map(port => `http://localhost:${port}`)
console.log(`
Better Auth runs at ${auth.url}, the API at ${first} and ${second}. Ctrl-C stops all. Redis is expected at ${redisUrl}.

To sign up, and to call both instances with the session cookie, paste this into another terminal:

${signUpLines(auth.url).split('\n')[0]}
curl -sS -w '\\n' ${first}/me -b cookies.txt
curl -sS -w '\\n' ${second}/me -b cookies.txt

The auth server was asked once. What Redis holds shows neither the cookie nor the token:

redis-cli -u ${redisUrl} --scan --pattern 'better-auth-fastify:*'

To sign out, and to tell the API. Its response is 401 at once:

curl -sS -w '\\n' -X POST ${auth.url}/api/auth/sign-out -H 'Origin: ${auth.url}' -b cookies.txt
curl -sS -w '%{http_code}\\n' -X POST ${first}/signed-out -H 'Origin: ${first}' -b cookies.txt
curl -sS -w '\\n' -i ${first}/me -b cookies.txt
`)
