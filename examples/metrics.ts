// In a clone, after `npm install && npm run build`: npx tsx examples/metrics.ts
import { subscribe } from 'node:diagnostics_channel'
import underPressure from '@fastify/under-pressure'
import betterAuthPlugin, {
  CHANNELS, type JwksFetchMessage, type KeyChangeMessage, type VerificationMessage
} from 'better-auth-fastify'
import Fastify from 'fastify'
import { Counter, Histogram, Registry } from 'prom-client'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)
const apiUrl = `http://localhost:${apiPort}`

const auth = await startAuthServer('AUTH_PORT', authPort)

// The plugin publishes messages on channels of node:diagnostics_channel. This turns them into metrics.
const registry = new Registry()
const registers = [registry]

const verifications = new Counter({
  name: 'auth_verifications_total',
  help: 'Requests that the plugin authenticated or refused',
  labelNames: ['outcome', 'reason', 'cached'],
  registers
})
subscribe(CHANNELS.verification, message => {
  const { outcome, reason, cached } = message as VerificationMessage
  verifications.inc({ outcome, reason: reason ?? '', cached: String(cached) })
})

const fetches = new Histogram({
  name: 'auth_jwks_fetch_seconds',
  help: 'Duration of the fetches of the JWKS',
  labelNames: ['outcome'],
  buckets: [0.01, 0.1, 0.5, 1, 5],
  registers
})
subscribe(CHANNELS.jwksFetch, message => {
  const { outcome, duration } = message as JwksFetchMessage
  fetches.observe({ outcome }, duration / 1000)
})

const keyChanges = new Counter({
  name: 'auth_key_changes_total', help: 'Changes of the trusted keys', labelNames: ['change'], registers
})
subscribe(CHANNELS.keyChange, message => { keyChanges.inc({ change: (message as KeyChangeMessage).change }) })

const api = Fastify({ logger: true, forceCloseConnections: true })
await api.register(betterAuthPlugin, { authUrl: auth.url })

await api.register(underPressure, {
  exposeStatusRoute: {
    url: '/health', routeOpts: {}, routeResponseSchemaOpts: { auth: { type: 'object', additionalProperties: true } }
  },
  // Known keys survive an outage of the auth server: the instance is healthy as long as it has one. `status()` fetches
  // nothing. `healthCheckInterval` is not set, so an unhealthy instance responds with 503 on this route alone.
  async healthCheck () {
    const auth = api.betterAuth.status()
    return auth.keys.length > 0 || auth.lastError === null ? { auth } : false
  }
})

api.get('/metrics', async (_request, reply) => {
  reply.type(registry.contentType)
  return await registry.metrics()
})
api.get('/me', { onRequest: [api.authenticate] }, async request => request.user)

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  auth.close()
  await api.close()
})

console.log(`
Better Auth runs at ${auth.url}, the API at ${apiUrl}. Ctrl-C stops both.

To sign up, and to call the API twice with a token and once without, paste this into another terminal:

${signUpLines(auth.url)}
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/me -H "Authorization: Bearer $TOKEN"
curl -sS -w '\\n' ${apiUrl}/me

These are the metrics for Prometheus and the health check for a load balancer:

curl -sS ${apiUrl}/metrics
curl -sS -w '\\n' ${apiUrl}/health
`)
