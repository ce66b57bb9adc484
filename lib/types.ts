export type {} from '@fastify/jwt'
import type { Authenticate } from './authenticate.js'
import type { Guard } from './authorize.js'
import type { BetterAuth } from './plugin.js'
import type { Session } from './session-cookie.js'
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
    /** The same for routes that serve visitors too: without credentials `request.user` is `null`; see `getUser()`. */
    authenticateOptional: Authenticate
    /**
     * Asks more of a user: `onRequest: fastify.authorize({ roles: ['admin'] })`. Authenticates first if nothing has.
     *
     * @throws InvalidOptionError, at once, for a guard that asks for nothing or is misspelt.
     */
    authorize: (guard: Guard) => Authenticate
    betterAuth: BetterAuth
  }

  interface FastifyRequest {
    /** The verified payload of the token, on routes behind `fastify.authenticate`. */
    claims: Claims
    /** Better Auth's session, where the session cookie authenticated the request; `null` for bearer tokens. */
    session: Session | null
  }
}
