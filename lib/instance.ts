import type { EndReason, EndWatch } from './connections/ends.js'
import type { Verify } from './connections/verify.js'
import type { Principal } from './contract/principal.js'
import type { KeyStatus } from './keys/key-store.js'
import type { RouteProtection } from './routes/watch-routes.js'
import type { ExchangeStatus } from './schemes/exchange-status.js'
import type { EndedSession } from './schemes/revoke.js'

/** `fastify.betterAuth`: tokens outside of requests, the keys of the auth server, and how routes are protected. */
export interface BetterAuth {
  /**
   * Verifies a token that is in no request: from `connection_init` of GraphQL, from the handshake of Socket.IO, or from
   * a queue. The same rules apply as for `authenticate` and a bearer token: bans, `isRevoked` and the cache included,
   * and with the option `exchange` session tokens. It accepts users. A guard accepts OAuth clients too, and requires
   * roles or scopes.
   *
   * @param token - the token alone, without `Bearer`.
   * @returns copies, which belong to the caller.
   * @throws TokenMissingError for `undefined`, `null` and an empty string; TokenInvalidError for what is not a string;
   * else the errors of `authenticate`. Nothing is logged: `error.reason` is for your log. InvalidOptionError for an
   * invalid guard.
   *
   * @example
   * const { user, principal } = await app.betterAuth.verify(socket.handshake.auth.token)
   * const { principal } = await app.betterAuth.verify(job.token, { clients: ['jobs:run'], users: false })
   */
  verify: Verify
  /**
   * Calls a function once when a principal ends: when a request with its token would be refused because the token has
   * expired, when its key has left the JWKS, or when `revoke()` is called for its session or its user. Connections that
   * outlive their request need it. While somebody waits, the plugin refreshes the keys whenever `jwks.maxAge` is over,
   * so that it notices that a key was removed; nothing keeps the process alive. `app.close()` releases everything.
   *
   * Call it without a wait after `authenticate` or `verify()`: what was revoked before is not noticed. Always stop it
   * when the connection ends.
   *
   * @param principal - `request.principal`, or that of `verify()`, and not a copy of it.
   * @param listener - if it throws, or its promise rejects, that is logged.
   * @throws InvalidOptionError for any other principal, also for one of another registration.
   *
   * @example
   * const end = app.betterAuth.onEnd(request.principal, reason => { socket.close(4401, reason) })
   * socket.on('close', end.stop)
   */
  onEnd (principal: Principal, listener: (reason: EndReason) => void): EndWatch
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly jwksUrl: string | null
  /** The state of the keys, and with the option `exchange` of the exchange, as plain data. It fetches nothing. */
  status (): KeyStatus & { exchange?: ExchangeStatus }
  /**
   * Fetches the JWKS, and resolves if that succeeds: then all its keys are known. Use it as a startup probe, not as a
   * continuous readiness probe, which would take instances out of rotation during an outage that their known keys would
   * have survived. It fetches the JWKS at most once in 5 seconds, whoever calls it: a success is reused, and a failure
   * is followed by a pause.
   *
   * @throws JwksUnavailableError if it cannot be fetched, and at once during the pause after a failure.
   *
   * @example
   * app.get('/startup', async () => { await app.betterAuth.ready() })
   */
  ready (): Promise<void>
  /**
   * Each route of the scope and of its children, once per method, and how it is protected. It needs all routes: call it
   * after `await app.ready()`.
   *
   * @throws Error before that.
   *
   * @example
   * const open = app.betterAuth.routes().filter(({ protection }) => protection === 'none')
   */
  routes (): RouteProtection[]
  /**
   * Forgets sessions that were exchanged (option `exchange`), so that the next request with one is judged by the auth
   * server, and ends connections that `onEnd()` watches. Call it where you learn that a session has ended, and the
   * session ends at once. JWTs stay valid until they expire, but their connections on this instance end.
   *
   * This instance has forgotten them when the call returns its promise. With `exchange.shared`, the promise resolves
   * when the store knows: from then on, no instance takes them from the store. What another instance has in its memory
   * counts for `maxAge` at most.
   *
   * @param ended - the session by its id, all sessions of a user, or one session by its token or API key. The id of a
   * session is known only if its JWT has a claim `sid` or `sessionId`: exchanged sessions without one are forgotten as
   * well. A connection with another token ends only if the token names the session.
   * @throws InvalidOptionError for anything else; RevocationUnavailableError if the store of `exchange.shared` fails.
   *
   * @example
   * await app.betterAuth.revoke({ userId: 'u_1' })
   */
  revoke (ended: EndedSession): Promise<void>
  /**
   * Makes a hook of your own count as protection, for `routes()`, for the option `unprotected` and for OpenAPI: one of
   * `@fastify/auth`, or one that calls `authenticate` by hand. On routes with `config: { public: true }` it does not
   * count. The hook itself does what it did before.
   *
   * @returns the hook.
   *
   * @example
   * const signedIn = app.betterAuth.markAsProtection(app.auth([app.authenticate, apiKey]))
   */
  markAsProtection<Hook extends (...args: never[]) => unknown> (hook: Hook): Hook
}
