export type {} from '@fastify/jwt'
import type { Claims, Session, User } from './contract/identity.js'
import type { Guard } from './guards/clauses.js'
import type { Authenticate } from './http/hook.js'
import type { BetterAuth } from './plugin.js'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: Claims
    user: User
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Accepts requests with a valid credential, and refuses all others.
     *
     * @example
     * app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
     */
    authenticate: Authenticate
    /**
     * The same for routes that also serve anonymous requests: without a credential `request.user` is `null`. A wrong
     * credential is refused.
     *
     * @example
     * app.get('/articles', { onRequest: [app.authenticateOptional] }, async request => getUser(request)?.id ?? null)
     */
    authenticateOptional: Authenticate
    /**
     * Makes a hook that asks more of a user. It authenticates first, if nothing has yet.
     *
     * @throws InvalidOptionError, at once, for a guard that asks for nothing or is misspelt.
     *
     * @example
     * app.delete('/users/:id', { onRequest: [app.authorize({ roles: ['admin'] })] }, handler)
     */
    authorize: (guard: Guard) => Authenticate
    /** The auth server's keys: their URL, state and readiness. */
    betterAuth: BetterAuth
  }

  interface FastifyRequest {
    /** The verified payload of the token; `null` at run time if nothing authenticated the request. */
    claims: Claims
    /**
     * Better Auth's session, if its cookie authenticated the request; `null` for bearer tokens. It exists only with the
     * option `sessionCookie`: without it no such property is added.
     */
    session: Session | null
  }
}
