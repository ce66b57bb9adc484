// In a clone, after `npm install && npm run build`: npx tsx examples/minimal.ts
import betterAuthPlugin from 'better-auth-fastify'
import Fastify from 'fastify'

const app = Fastify({ logger: true })

await app.register(betterAuthPlugin, { authUrl: process.env.BETTER_AUTH_URL ?? 'http://localhost:3000' })

app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)

await app.listen({ port: Number(process.env.PORT ?? 3001) })
