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
import { createKeyStore, type KeyStatus, type KeyStore } from './keys/key-store.js'
import { documentRoutes } from './openapi/swagger.js'
import { createProtections } from './routes/protections.js'
import { watchRoutes, type RouteProtection } from './routes/watch-routes.js'
import { bearerScheme } from './schemes/bearer.js'
import type { Scheme } from './schemes/scheme.js'
import { sessionCookieProfile } from './schemes/session-cookie/jwt.js'
import { sessionCookieScheme } from './schemes/session-cookie/scheme.js'
import { accessTokenProfile } from './tokens/access-token.js'
import { createSignatureChecks } from './tokens/signature-checks.js'
import { loadUserReader, type UserReader } from './tokens/user-reader.js'
import { createVerifier } from './tokens/verifier.js'

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
  const schemes = createSchemes(options, keys, readUser)
  const checkStatus = createStatusCheck(options, now)
  const context = { schemes, checkStatus, authUrl }
  const authenticate = createAuthenticator(context, admitUsers)
  const authenticateOptional = createAuthenticator(context, admitUsers, true)

  await registerJwt(fastify, options, { verifier: schemes[0].verifier, checkStatus, readUser })
  decorateRequests(fastify, withSession)
  decorateErrorResponses(fastify, options)
  if (withSession) protectCookieResponses(fastify, options)
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
    status: keys.status,
    ready: reuseSuccess(keys.ready),
    routes: watchRoutes(fastify, options, protections),
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

/** The schemes in the order in which they are tried. Bearer tokens come first. */
function createSchemes (options: ResolvedOptions, keys: KeyStore, readUser: UserReader): [Scheme, ...Scheme[]] {
  const { extractToken, sessionCookie } = options
  const context = { keys, checks: createSignatureChecks(), now }
  const bearer = createVerifier(accessTokenProfile(options, readUser), options, context)
  const schemes: [Scheme, ...Scheme[]] = [bearerScheme(bearer, extractToken)]
  if (sessionCookie !== false) {
    const cookie = createVerifier(sessionCookieProfile(options, sessionCookie, readUser), options, context)
    schemes.push(sessionCookieScheme(cookie, sessionCookie))
  }
  return schemes
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
