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
     * Like `authenticate`, but also accepts anonymous requests: without a credential, `request.user` is `null`. An
     * invalid credential is refused. A password for a proxy (`Authorization: Basic …`) is not a credential here.
     *
     * @example
     * app.get('/articles', { onRequest: [app.authenticateOptional] }, async request => getUser(request)?.id ?? null)
     */
    authenticateOptional: Authenticate
    /**
     * Creates a hook that also requires roles, scopes or a rule of your own. It authenticates the request first, unless
     * another hook has done so.
     *
     * @throws InvalidOptionError at once, for a guard without conditions, or with an unknown or invalid one.
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
     * Better Auth's session, if its cookie authenticated the request; `null` for bearer tokens. The property exists
     * only with the option `sessionCookie`.
     */
    session: Session | null
  }
}
