import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createJwksSource } from './auth-server/find-jwks.js'
import { isPrivate } from './contract/hosts.js'
import type { BetterAuthOptions } from './contract/options.js'
import { resolveOptions, type ResolvedOptions } from './contract/resolve-options.js'
import { challengeScopes } from './guards/admission.js'
import type { Guard } from './guards/clauses.js'
import { assertIsNoRequest, createGuard, snapshotGuard } from './guards/guard.js'
import { createStatusCheck } from './http/account-status.js'
import { admitUsers, createAuthenticator } from './http/authenticate.js'
import { protectCookieResponses } from './http/cookie-response.js'
import { decorateErrorResponses } from './http/error-response.js'
import { createHook } from './http/hook.js'
import { registerJwt } from './http/jwt-verify.js'
import { assertNamesAreFree, keepNames } from './http/names.js'
import { decorateRequests } from './http/request-decorators.js'
import { serveMetadata } from './http/resource-metadata.js'
import { createKeyStore, type KeyStatus } from './keys/key-store.js'
import { documentRoutes } from './openapi/swagger.js'
import { createProtections } from './routes/protections.js'
import { watchRoutes, type RouteProtection } from './routes/watch-routes.js'
import { createRevoke, type EndedSession } from './schemes/revoke.js'
import { createSchemes } from './schemes/create-schemes.js'
import type { ExchangeStatus } from './schemes/exchange-status.js'
import { loadUserReader } from './tokens/user-reader.js'

/** `fastify.betterAuth`: the keys of the auth server, and how routes are protected. */
export interface BetterAuth {
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

/** Not `Date.now` itself: fake timers replace it later. */
const now = () => Date.now()

async function betterAuth (fastify: FastifyInstance, rawOptions: BetterAuthOptions): Promise<void> {
  const options = resolveOptions(rawOptions)
  const withSession = options.sessionCookie !== false
  assertNamesAreFree(fastify, withSession)

  const { authUrl, jwks: policy } = options
  warnOfAuthUrl(fastify, options, rawOptions)
  const source = createJwksSource(options, fastify.log)
  const keys = createKeyStore({ authUrl, source, policy, log: fastify.log, now, random: Math.random })
  const readUser = await loadUserReader(options)
  const { schemes, sessions, shared, status } = createSchemes(options, {
    keys, readUser, log: fastify.log, now, random: Math.random
  })
  const checkStatus = createStatusCheck(options, now)
  const context = { schemes, checkStatus, authUrl, withSession }
  const authenticate = createAuthenticator(context, admitUsers)
  const authenticateOptional = createAuthenticator(context, admitUsers, true)

  await registerJwt(fastify, options, { verifier: schemes[0].verifier, checkStatus, readUser })
  decorateRequests(fastify, withSession)
  decorateErrorResponses(fastify, options)
  if (schemes.some(({ name }) => name === 'cookie')) protectCookieResponses(fastify, options)
  const protections = createProtections()
  const { describe } = protections
  documentRoutes(fastify, options, protections)
  if (options.resource !== undefined) serveMetadata(fastify, options.resource)
  fastify.decorate('authenticate', describe(createHook(authenticate), { isOptional: false }))
  fastify.decorate('authenticateOptional', describe(createHook(authenticateOptional), { isOptional: true }))
  fastify.decorate('authorize', (given: Guard) => {
    assertIsNoRequest(given)
    const guard = snapshotGuard(given, options)
    const hook = createHook(createGuard(guard, context, options), challengeScopes(guard))
    return describe(hook, { isOptional: false, guard })
  })
  fastify.decorate('betterAuth', {
    get jwksUrl () { return source.url },
    status: status === undefined ? keys.status : () => ({ ...keys.status(), exchange: status() }),
    ready: reuseSuccess(keys.ready),
    routes: watchRoutes(fastify, options, protections),
    revoke: createRevoke(sessions, shared),
    markAsProtection: hook => describe(hook, { isOptional: false, isOwn: true })
  } satisfies BetterAuth)

  keepNames(fastify, withSession)
  // Not awaited: an API starts, and returns 503, while its auth server is down. The key store logs a failure.
  fastify.addHook('onListen', async () => { keys.ready().catch(() => {}) })
}

/** For how long a success answers `ready()`: a probe that anybody can reach must not cost a fetch for each call. */
const READY_FOR = 5000

function reuseSuccess (ready: () => Promise<void>): () => Promise<void> {
  let readyAt = -Infinity
  return async () => {
    const elapsed = now() - readyAt
    if (elapsed >= 0 && elapsed < READY_FOR) return
    await ready()
    readyAt = now()
  }
}

function warnOfAuthUrl ({ log }: FastifyInstance, { authUrl }: ResolvedOptions, given: BetterAuthOptions): void {
  const { protocol, hostname } = new URL(authUrl)
  if (protocol === 'http:' && !isPrivate(hostname)) {
    log.warn({ authUrl }, 'the keys are fetched over http: anyone on the network path can replace them')
  }
  if ('authUrl' in given && given.authUrl === undefined) {
    log.warn({ authUrl }, 'the option "authUrl" is given, but undefined: is the variable misspelt?')
  }
}

/**
 * Makes an API accept the users of a Better Auth server. It adds `authenticate`, `authenticateOptional`, `authorize`
 * and `betterAuth` to the instance, and `user` and `claims` to its requests.
 *
 * @throws at registration: InvalidOptionError for an unknown option or an invalid value, AlreadyRegisteredError if a
 * decorator that the plugin needs is already taken.
 *
 * @example
 * await fastify.register(betterAuthPlugin, { authUrl: 'https://id.example.com' })
 * fastify.get('/me', { onRequest: [fastify.authenticate] }, async request => request.user)
 */
export const betterAuthPlugin = fp<BetterAuthOptions>(betterAuth, { name: 'better-auth-fastify', fastify: '^5.8.3' })
