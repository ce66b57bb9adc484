import type { KeyStatus } from './keys/key-store.js'
import type { RouteProtection } from './routes/watch-routes.js'
import type { EndedSession } from './schemes/revoke.js'

/** `fastify.betterAuth`: the keys of the auth server, and how routes are protected. */
export interface BetterAuth {
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly jwksUrl: string | null
  /** The state of the keys, as plain data. It fetches nothing. */
  status (): KeyStatus
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
   * server. Call it where you learn that a session has ended, and the session ends at once. JWTs are not concerned:
   * they are valid until they expire.
   *
   * This instance has forgotten them when the call returns its promise. With `exchange.shared`, the promise resolves
   * when the store knows: from then on, no instance takes them from the store. What another instance has in its memory
   * counts for `maxAge` at most.
   *
   * @param ended - the session by its id, all sessions of a user, or one session by its token or API key. The id of a
   * session is known only if its JWT has a claim `sid` or `sessionId`: sessions without one are forgotten as well.
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
