import { randomUUID } from 'node:crypto'
import betterAuthPlugin, { type Claims } from 'better-auth-fastify'
import Fastify from 'fastify'
import { createClient } from 'redis'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const apiUrl = `http://localhost:${apiPort}`
const redisUrl = process.env.REDIS_URL || 'redis://localhost:6379'

// Better Auth gives its tokens no name by itself. `sid: session.id` would name all tokens of a session alike.
const auth = await startAuthServer('AUTH_PORT', authPort, {
  jwt: { definePayload: ({ user }) => ({ ...user, jti: randomUUID() }) }
})
const api = Fastify({ logger: true, forceCloseConnections: true })

// Without Redis the answer is 503 at once, not a request that waits in a queue.
const redis = createClient({ url: redisUrl, disableOfflineQueue: true, commandOptions: { timeout: 1000 } })
redis.on('error', error => { api.log.error(error) })

/** The longest life of a token, Better Auth's default, and this plugin's `clockTolerance`: seconds. */
const LONGEST_LIFE = 15 * 60
const CLOCK_TOLERANCE = 5

/** What a token is called on the list; `undefined` for one that could never be revoked. */
function nameOf ({ jti, sid }: Claims): string | undefined {
  if (jti !== undefined) return `revoked:jti:${jti}`
  return typeof sid === 'string' ? `revoked:sid:${sid}` : undefined
}

/** An entry is not needed for longer than the token; a `sid` stands for tokens that may be younger than this one. */
function endOf ({ jti, exp }: Claims): number {
  return Math.ceil(jti === undefined ? Date.now() / 1000 + LONGEST_LIFE : exp) + CLOCK_TOLERANCE
}

async function isRevoked (claims: Claims): Promise<boolean> {
  const name = nameOf(claims)
  return name === undefined || await redis.exists(name) === 1
}

await api.register(betterAuthPlugin, { authUrl: auth.url, isRevoked })

api.get('/me', { onRequest: api.authenticate }, async request => request.user)

api.post('/logout', { onRequest: api.authenticate }, async ({ claims }, reply) => {
  await redis.set(nameOf(claims)!, '1', { expiration: { type: 'EXAT', value: endOf(claims) } })
  return reply.code(204).send()
})

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))
// Not awaited: the client goes on trying until Redis is there.
redis.connect().catch(() => {})

stopOnSignal(async () => {
  auth.close()
  await api.close()
  redis.destroy()
})

console.log(`
Better Auth is at ${auth.url}, the API at ${apiUrl}, Redis at ${redisUrl}. Stop the first two with Ctrl-C.

Paste into another terminal, to sign up, fetch a token, use it, and revoke it:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '%{http_code}\\n' -X POST ${apiUrl}/logout -H "Authorization: Bearer $TOKEN"

The token has not expired, but from now on the answer to it is 401:

curl -sS -w '\\n' -i ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
`)
