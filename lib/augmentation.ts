export type {} from '@fastify/jwt'
import type { Authenticate } from './http/authenticate.js'
import type { Guard } from './guards/guard.js'
import type { BetterAuth } from './plugin.js'
import type { Session } from './schemes/session-cookie/jwt.js'
import type { Claims, User } from './tokens/user-reader.js'

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
    /** The auth server's keys: their address, state and readiness. */
    betterAuth: BetterAuth
  }

  interface FastifyRequest {
    /** The verified payload of the token; `null` at run time where nothing authenticated the request. */
    claims: Claims
    /**
     * Better Auth's session, where its cookie authenticated the request; `null` for bearer tokens. Only there with the option
     * `sessionCookie`: without it no such property is added.
     */
    session: Session | null
  }
}
