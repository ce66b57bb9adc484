// Declarations that applications and other plugins already have: as the README of @fastify/jwt shows them, and as
// @fastify/session and @fastify/secure-session make them.
import betterAuthPlugin, { type Guard } from 'better-auth-fastify'
import Fastify, { type FastifyReply } from 'fastify'

interface TheirSession { cookie: { maxAge: number } }

declare module 'fastify' {
  interface FastifyInstance {
    authenticate: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
    authorize: any
  }
  interface FastifyRequest { session: TheirSession }
  interface FastifyContextConfig { public?: boolean }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { id: number }
    user: { id: number, name: string }
  }
}

export const app = Fastify()
await app.register(betterAuthPlugin)

const guard: Guard = { roles: ['admin'] }
app.get('/', { onRequest: [app.authenticate, app.authorize(guard)], config: { public: false } }, async request => {
  const { user, session, claims } = request
  return [user.id.toFixed(), user.name.length, session.cookie.maxAge, claims.exp.toFixed()]
})
