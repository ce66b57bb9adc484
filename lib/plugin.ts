import fastifyJwt, { type TokenOrHeader } from '@fastify/jwt'
import { createError } from '@fastify/error'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { accessTokens } from './tokens/access-token.js'
import { createAdmission, createCheck, createHook, type Admit } from './http/authenticate.js'
import { createGuard, ownOptions, type Guard } from './guards/guard.js'
import { bearerToken } from './schemes/bearer.js'
import { TokenMissingError } from './contract/errors.js'
import { decorateIdentity } from './http/request-decorators.js'
import { createJwksSource } from './auth-server/fetch-jwks.js'
import { createKeyStore, type KeyStatus } from './keys/key-store.js'
import { documentRoutes } from './openapi/swagger.js'
import { resolveOptions, type BetterAuthOptions, type ResolvedOptions } from './contract/resolve-options.js'
import { decorateRefusals } from './http/error-response.js'
import { sessionCookies } from './schemes/session-cookie/jwt.js'
import { createUserReader, type Claims, type UserReader } from './tokens/user-reader.js'
import { createVerifier, type Verifier } from './tokens/verifier.js'

/** `fastify.betterAuth`: what there is to know of the auth server's keys. */
export interface BetterAuth {
  /** The address of the JWKS, or `null` while it has not been found. */
  readonly jwksUrl: string | null
  /** The state of the keys, as plain data: safe to show in a health route. */
  status (): KeyStatus
  /**
   * Resolves when the JWKS can be had now; for a readiness probe.
   *
   * @throws JwksUnavailableError when it cannot; during the pause after a failure without another fetch.
   */
  ready (): Promise<void>
}

/** Thrown at registration when the scope cannot take the plugin. */
export const AlreadyRegisteredError = createError<'FST_BETTER_AUTH_ALREADY_REGISTERED', 500, [message: string]>('FST_BETTER_AUTH_ALREADY_REGISTERED', '%s', 500)

/**
 * Makes an API verify the tokens of a Better Auth server: `await fastify.register(betterAuthPlugin, { authUrl })`.
 *
 * @throws InvalidOptionError, AlreadyRegisteredError at registration.
 */
export const betterAuthPlugin = fp<BetterAuthOptions>(betterAuth, { name: 'better-auth-fastify', fastify: '5.x' })

async function betterAuth (fastify: FastifyInstance, rawOptions: BetterAuthOptions): Promise<void> {
  const options = resolveOptions(rawOptions)
  refuseTwice(fastify, options)

  const source = createJwksSource(options.jwksUrls, options.jwks.timeout, fastify.log)
  const keys = createKeyStore({ authUrl: options.authUrl, source, policy: options.jwks, log: fastify.log, now: Date.now, random: Math.random })
  const readUser = createUserReader(options.userSchema)
  const bearer = createVerifier(accessTokens(options, readUser), options, keys, Date.now)
  const cookie = options.sessionCookie === false
    ? undefined
    : createVerifier(sessionCookies(options, readUser), options, keys, Date.now)
  const admit = createAdmission(options, Date.now)
  const check = createCheck({ bearer, cookie }, admit, options)

  await registerJwt(fastify, options, { verifier: bearer, admit, readUser })
  decorateIdentity(fastify, options.sessionCookie !== false)
  decorateRefusals(fastify)
  const describe = documentRoutes(fastify, options)
  fastify.decorate('authenticate', describe(createHook(check), { isOptional: false }))
  fastify.decorate('authenticateOptional', describe(createHook(createCheck({ bearer, cookie }, admit, options, true)), { isOptional: true }))
  fastify.decorate('authorize', (guard: Guard) => {
    const hook = createHook(createGuard(guard, check, options))
    return describe(hook, { isOptional: false, guard: ownOptions(guard) })
  })
  fastify.decorate('betterAuth', {
    get jwksUrl () { return source.url },
    status: keys.status,
    ready: keys.ready
  } satisfies BetterAuth)

  // Not awaited: an API starts, and answers 503, while its auth server is down. The key store logs a failure.
  fastify.addHook('onListen', async () => { keys.ready().catch(() => {}) })
}

function refuseTwice (fastify: FastifyInstance, { sessionCookie }: ResolvedOptions): void {
  if (fastify.hasDecorator('betterAuth')) {
    throw new AlreadyRegisteredError('better-auth-fastify is already registered in this scope; for a second auth server register it in a sibling scope')
  }
  if (fastify.hasDecorator('jwt')) {
    throw new AlreadyRegisteredError('@fastify/jwt is already registered in this scope; better-auth-fastify registers it itself')
  }
  if (sessionCookie !== false && fastify.hasRequestDecorator('session')) {
    throw new AlreadyRegisteredError('request.session is taken in this scope, by @fastify/session for one; the option "sessionCookie" needs it')
  }
}

interface JwtParts { readonly verifier: Verifier, readonly admit: Admit, readonly readUser: UserReader }

/**
 * `request.jwtVerify()` and `fastify.jwt` for what is written against @fastify/jwt. Nothing passes there that `authenticate`
 * refuses: the secret provider verifies the token by this plugin's own rules before it hands out the key.
 */
async function registerJwt (fastify: FastifyInstance, options: ResolvedOptions, { verifier, admit, readUser }: JwtParts): Promise<void> {
  const { algorithms, secret, issuer, audience, clockTolerance } = options

  async function secretProvider (request: FastifyRequest, decoded: TokenOrHeader): Promise<string> {
    // `decode: { complete: true }` hands over what was decoded, of which the types know only the half.
    const { input, signature } = decoded as unknown as { input: string, signature: string }
    const verified = await verifier.verify(`${input}.${signature}`)
    await admit(request, verified)
    return verified.key?.pem ?? secret!
  }

  await fastify.register(fastifyJwt, {
    // Without a private key: `fastify.jwt.sign()` has nothing to sign with.
    secret: { public: secretProvider },
    decode: { complete: true },
    verify: {
      algorithms: secret === undefined ? [...algorithms] : [...algorithms, 'HS256'],
      requiredClaims: ['exp'],
      clockTolerance,
      ...issuer && { allowedIss: [...issuer] },
      ...audience && { allowedAud: [...audience] },
      extractToken (request) {
        const token = bearerToken(request)
        if (token === undefined) throw new TokenMissingError()
        verifier.inspect(token)
        return token
      }
    },
    formatUser: claims => readUser(claims as Claims),
    trusted (request, claims) {
      request.claims = claims as Claims
      return true
    }
  })
}
