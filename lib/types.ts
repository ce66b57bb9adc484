export type {} from '@fastify/jwt'
import type { Authenticate } from './authenticate.js'
import type { BetterAuth } from './plugin.js'
import type { Claims, User } from './user.js'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: Claims
    user: User
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Verifies the bearer token of a request: `onRequest: [fastify.authenticate]`. */
    authenticate: Authenticate
    betterAuth: BetterAuth
  }

  interface FastifyRequest {
    /** The verified payload of the token, on routes behind `fastify.authenticate`. */
    claims: Claims
  }
}
