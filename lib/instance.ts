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
   * Verifies a token that does not come with a request: from `connection_init` of GraphQL, from the handshake of
   * Socket.IO, or from a queue. It does what `authenticate` does with a bearer token, including bans, `isRevoked` and
   * the cache. With the option `exchange`, it accepts session tokens too. Without a guard, it accepts only users; a
   * guard lets OAuth clients in, or requires roles or scopes.
   *
   * @param token - the token alone, without `Bearer`.
   * @returns a promise of copies, which the caller may change.
   * @throws TokenMissingError for `undefined`, `null` and an empty string; TokenInvalidError for anything else that is
   * not a string; InvalidOptionError for an invalid guard; or the errors of `authenticate`. The plugin logs none of
   * them: `error.reason` is for your own log.
   *
   * @example
   * const { user, principal } = await app.betterAuth.verify(socket.handshake.auth.token)
   * const { principal } = await app.betterAuth.verify(job.token, { clients: ['jobs:run'], users: false })
   */
  verify: Verify
  /**
   * Calls a function once when a connection has to end: when its token has expired, when the key of the token has left
   * the JWKS or can no longer be confirmed, or when `revoke()` is called for its session or its user. Use it for
   * connections that outlive their request. Meanwhile, the plugin fetches the keys whenever `jwks.maxAge` has passed,
   * to notice removed keys. This does not keep the process alive, and `app.close()` stops it.
   *
   * Call it directly after `authenticate` or `verify()`: it does not notice earlier revocations. Always stop it when
   * the connection closes.
   *
   * @param principal - `request.principal`, or that of `verify()`, and not a copy of it.
   * @param listener - gets the reason. If it throws, or its promise rejects, the plugin logs the error.
   * @throws InvalidOptionError for any other principal, such as one of another registration.
   *
   * @example
   * const end = app.betterAuth.onEnd(request.principal, reason => { socket.close(4401, reason) })
   * socket.on('close', end.stop)
   */
  onEnd (principal: Principal, listener: (reason: EndReason) => void): EndWatch
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly jwksUrl: string | null
  /** The state of the keys, and with the option `exchange` that of the exchange, as plain data. It fetches nothing. */
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
   * Ends sessions at once: it forgets exchanged sessions (option `exchange`), so that the auth server judges the next
   * request of each, and ends the connections of this instance that `onEnd()` watches. Call it when your API learns
   * that a session has ended. JWTs stay valid until they expire.
   *
   * This instance has forgotten the sessions as soon as the call returns its promise. With `exchange.shared`, the
   * promise resolves when the store has the revocation: from then on, no instance takes the sessions from the store.
   * Another instance that has a session in memory accepts it for `maxAge` at most.
   *
   * @param ended - the session by its id, all sessions of a user, or one session by its token or API key. The plugin
   * knows the id of a session only if its JWT has a claim `sid` or `sessionId`: by `sessionId`, it forgets exchanged
   * sessions without this claim as well. A connection with another token ends only if the token names the session.
   * @throws InvalidOptionError for anything else; RevocationUnavailableError if the store of `exchange.shared` fails.
   *
   * @example
   * await app.betterAuth.revoke({ userId: 'u_1' })
   */
  revoke (ended: EndedSession): Promise<void>
  /**
   * Makes a hook of your own count as protection, for `routes()`, for the option `unprotected` and for OpenAPI: one of
   * `@fastify/auth`, or one that calls `authenticate` by hand. On routes with `config: { public: true }` it does not
   * count. The hook itself does what it did before. The plugin's own hooks count without it.
   *
   * @returns the hook.
   * @throws InvalidOptionError for anything but a function.
   *
   * @example
   * const signedIn = app.betterAuth.markAsProtection(app.auth([app.authenticate, apiKey]))
   */
  markAsProtection<Hook extends (...args: never[]) => unknown> (hook: Hook): Hook
}
