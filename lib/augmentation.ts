import type { FastifyJWT } from '@fastify/jwt'
import type { Claims, Register, User } from './contract/identity.js'
import type { Principal } from './contract/principal.js'
import type { Guard } from './guards/clauses.js'
import type { Authenticate } from './http/hook.js'
import type { BetterAuth } from './instance.js'

// Each interface below is inherited, not merged: an application, or another plugin, may then declare the same member,
// as it did before it came here. TypeScript refuses a second declaration of a merged member (TS2717).

interface BetterAuthJwt {
  /**
   * @fastify/jwt takes the type of `request.user` from here, unless the application declares one of its own in
   * `FastifyJWT`.
   */
  payload: FastifyJWT extends { user: unknown } ? unknown : User
}

interface BetterAuthInstance {
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
   * Creates a hook that also requires roles, permissions, an organization, scopes or a rule of your own. It
   * authenticates the request first, unless another hook has done so.
   *
   * @throws InvalidOptionError at once, for a guard without conditions, or with an unknown or invalid one.
   *
   * @example
   * app.delete('/users/:id', { onRequest: [app.authorize({ roles: ['admin'] })] }, handler)
   */
  authorize: (guard: Guard) => Authenticate
  /** The auth server's keys: their URL, state and readiness; and how routes are protected. */
  betterAuth: BetterAuth
}

interface BetterAuthContextConfig {
  /** The route is open to everyone: nothing has to protect it. The option `unprotected` reads it. */
  public?: boolean
}

interface BetterAuthRequest {
  /** The verified payload of the token; `null` at run time if nothing authenticated the request. */
  claims: Claims
  /** Whom the request comes from; `null` at run time if nothing authenticated it. */
  principal: Principal
}

type BetterAuthSession = Register extends { session: infer T } ? {
  /** Better Auth's session, if its cookie authenticated the request; `null` for bearer tokens. */
  session: T | null
} : object

declare module '@fastify/jwt' {
  interface FastifyJWT extends BetterAuthJwt {}
}

declare module 'fastify' {
  interface FastifyInstance extends BetterAuthInstance {}
  interface FastifyContextConfig extends BetterAuthContextConfig {}
  interface FastifyRequest extends BetterAuthRequest, BetterAuthSession {}
}
