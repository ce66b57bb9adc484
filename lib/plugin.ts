import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createJwksSource } from './auth-server/find-jwks.js'
import { createInProcessTransport } from './auth-server/in-process.js'
import { createEnds } from './connections/ends.js'
import { createVerify } from './connections/verify.js'
import { isPrivate } from './contract/hosts.js'
import type { BetterAuthOptions } from './contract/options.js'
import { resolveOptions, type ResolvedOptions } from './contract/resolve-options.js'
import { setTimer } from './contract/timers.js'
import { challengeScopes } from './guards/admission.js'
import type { Guard } from './guards/clauses.js'
import { assertIsNoRequest, createGuard, snapshotGuard } from './guards/guard.js'
import { createStatusCheck } from './http/account-status.js'
import { admitUsers, createAuthenticator, type Authenticator } from './http/authenticate.js'
import { protectCookieResponses } from './http/cookie-response.js'
import { challengeSettings, decorateErrorResponses } from './http/error-response.js'
import { createHook, type Authenticate } from './http/hook.js'
import { registerJwt } from './http/jwt-verify.js'
import { mountAuth, unlessMounted } from './http/mount.js'
import { assertNamesAreFree, keepNames } from './http/names.js'
import { decorateRequests } from './http/request-decorators.js'
import { serveMetadata } from './http/resource-metadata.js'
import type { BetterAuth } from './instance.js'
import { createKeyStore } from './keys/key-store.js'
import { documentRoutes } from './openapi/swagger.js'
import { createProtections } from './routes/protections.js'
import { watchRoutes } from './routes/watch-routes.js'
import { createRevoke } from './schemes/revoke.js'
import { createSchemes } from './schemes/create-schemes.js'
import { loadUserReader } from './tokens/user-reader.js'

/** Not `Date.now` itself: fake timers replace it later. */
const now = () => Date.now()

async function betterAuth (fastify: FastifyInstance, rawOptions: BetterAuthOptions): Promise<void> {
  const options = resolveOptions(rawOptions)
  const withSession = options.sessionCookie !== false
  assertNamesAreFree(fastify, withSession)

  const { auth, authUrl, jwks: policy } = options
  warnOfAuthUrl(fastify, options, rawOptions)
  const transport = auth && createInProcessTransport(auth.server, auth.basePath, fastify.log)
  const source = createJwksSource(options, fastify.log, transport)
  const keys = createKeyStore({ authUrl, source, policy, log: fastify.log, now, random: Math.random })
  const readUser = await loadUserReader(options)
  const { schemes, sessions, shared, status } = createSchemes(options, {
    keys, readUser, transport, log: fastify.log, now, random: Math.random
  })
  const checkStatus = createStatusCheck(options, now)
  const context = { schemes, checkStatus, authUrl, withSession }
  const ends = createEnds({ options, keys: keys.watched, log: fastify.log, now, setTimer })
  const mount = auth?.mount ?? false
  const challenge = challengeSettings(options)
  function toHook (authenticator: Authenticator, scopes?: readonly string[]): Authenticate {
    return createHook(mount === false ? authenticator : unlessMounted(authenticator), challenge, scopes)
  }
  const authenticate = createAuthenticator(context, admitUsers)
  const authenticateOptional = createAuthenticator(context, admitUsers, true)

  await registerJwt(fastify, options, { verifier: schemes[0].verifier, checkStatus, readUser })
  decorateRequests(fastify, withSession)
  decorateErrorResponses(fastify, challenge)
  if (schemes.some(({ name }) => name === 'cookie')) protectCookieResponses(fastify, options)
  const protections = createProtections()
  const { describe } = protections
  documentRoutes(fastify, options, protections)
  if (options.resource !== undefined) serveMetadata(fastify, options.resource, options.dpop)
  fastify.decorate('authenticate', describe(toHook(authenticate), { isOptional: false }))
  fastify.decorate('authenticateOptional', describe(toHook(authenticateOptional), { isOptional: true }))
  fastify.decorate('authorize', (given: Guard) => {
    assertIsNoRequest(given)
    const guard = snapshotGuard(given, options)
    const hook = toHook(createGuard(guard, { ...context, now }, options), challengeScopes(guard))
    return describe(hook, { isOptional: false, guard })
  })
  fastify.decorate('betterAuth', {
    get jwksUrl () { return source.url },
    status: status === undefined ? keys.status : () => ({ ...keys.status(), exchange: status() }),
    ready: reuseSuccess(keys.ready),
    routes: watchRoutes(fastify, options, protections),
    verify: createVerify({ bearer: schemes[0], checkStatus, authUrl }, options),
    onEnd: ends.onEnd,
    revoke: createRevoke({ sessions, shared, endConnections: ends.revoke }),
    markAsProtection: protections.mark
  } satisfies BetterAuth)

  if (mount !== false) await mountAuth(fastify, auth!, mount)
  keepNames(fastify, withSession)
  fastify.addHook('onClose', async () => { ends.close() })
  // Not awaited: an API starts, and returns 503, while its auth server is down. The key store logs a failure.
  fastify.addHook('onListen', async () => { keys.ready().catch(() => {}) })
}

/** For how long `ready()` reuses a success: a probe that anybody can reach must not cost a fetch for each call. */
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

function warnOfAuthUrl ({ log }: FastifyInstance, { auth, authUrl }: ResolvedOptions, given: BetterAuthOptions): void {
  if (auth !== undefined) return
  const { protocol, hostname } = new URL(authUrl)
  if (protocol === 'http:' && !isPrivate(hostname)) {
    log.warn({ authUrl }, 'the keys are fetched over http: anyone on the network path can replace them')
  }
  for (const name of ['auth', 'authUrl'] as const) {
    if (!(name in given) || given[name] !== undefined) continue
    log.warn({ authUrl }, `the option "${name}" is given, but undefined: is the variable misspelt?`)
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
export const betterAuthPlugin = fp<BetterAuthOptions>(betterAuth, { name: 'better-auth-fastify', fastify: '^5.8.4' })
