// In a clone, after `npm install && npm run build`: npx tsx examples/revocation.ts
import { randomUUID } from 'node:crypto'
import betterAuthPlugin, { type Claims } from 'better-auth-fastify'
import Fastify from 'fastify'
import { createClient } from 'redis'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const apiUrl = `http://localhost:${apiPort}`
const redisUrl = process.env.REDIS_URL || 'redis://localhost:6379'

// By default, Better Auth's tokens have no `jti`. With `sid: session.id` instead, a logout would revoke all tokens of
// the session.
const auth = await startAuthServer('AUTH_PORT', authPort, {
  jwt: { definePayload: ({ user }) => ({ ...user, jti: randomUUID() }) }
})
const api = Fastify({ logger: true, forceCloseConnections: true })

// Without Redis, the API responds with 503 at once. The client must not queue the command.
const redis = createClient({ url: redisUrl, disableOfflineQueue: true, commandOptions: { timeout: 1000 } })
redis.on('error', error => { api.log.error(error) })

/** The lifetime of Better Auth's tokens, in seconds: its default. */
const TOKEN_LIFETIME = 15 * 60
/** The default of the plugin's `clockTolerance`, in seconds. */
const CLOCK_TOLERANCE = 5

/** The token's key in Redis, or `undefined` for a token without an identifier. */
function keyOf ({ jti, sid }: Claims): string | undefined {
  if (jti !== undefined) return `revoked:jti:${jti}`
  return typeof sid === 'string' ? `revoked:sid:${sid}` : undefined
}

/**
 * When the entry expires, in seconds since the epoch: it is not needed for longer than the token. A `sid` covers newer
 * tokens of the session too, so its entry lasts for a whole lifetime from now.
 */
function expiryOf ({ jti, exp }: Claims): number {
  return Math.ceil(jti === undefined ? Date.now() / 1000 + TOKEN_LIFETIME : exp) + CLOCK_TOLERANCE
}

/** A token without an identifier could never be revoked, so it counts as revoked. */
async function isRevoked (claims: Claims): Promise<boolean> {
  const key = keyOf(claims)
  return key === undefined || await redis.exists(key) === 1
}

await api.register(betterAuthPlugin, { authUrl: auth.url, isRevoked })

api.get('/me', { onRequest: [api.authenticate] }, async request => request.user)

api.post('/logout', { onRequest: [api.authenticate] }, async ({ claims }, reply) => {
  await redis.set(keyOf(claims)!, '1', { expiration: { type: 'EXAT', value: expiryOf(claims) } })
  return reply.code(204).send()
})

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))
// Not awaited: the client keeps trying until Redis is up.
redis.connect().catch(() => {})

stopOnSignal(async () => {
  auth.close()
  await api.close()
  redis.destroy()
})

console.log(`
Better Auth runs at ${auth.url}, the API at ${apiUrl}. Ctrl-C stops both. Redis is expected at ${redisUrl}.

To sign up, fetch a token, use it and revoke it, paste this into another terminal:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '%{http_code}\\n' -X POST ${apiUrl}/logout -H "Authorization: Bearer $TOKEN"

The token has not expired, but the API now responds with 401:

curl -sS -w '\\n' -i ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
`)
