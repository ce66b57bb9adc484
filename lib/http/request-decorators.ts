import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Claims, Session, User } from '../contract/identity.js'
import type { Principal } from '../contract/principal.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { claimsOf, type VerifiedToken } from '../tokens/verified-token.js'
import { createPrincipal } from './principal.js'

/** The result of `authenticate`, for the guards. Unlike `request.user`, handlers cannot write to it. */
const kVerified = Symbol('better-auth-fastify.verified')
/** The source of `request.claims`: `kUnread` until the claims of the verified token are read for the first time. */
const kClaims = Symbol('better-auth-fastify.claims')
const kUnread = Symbol('better-auth-fastify.unread')
/** The source of `request.principal`, from when it is read for the first time. */
const kPrincipal = Symbol('better-auth-fastify.principal')

type Carrier = FastifyRequest & {
  [kVerified]?: VerifiedToken | null
  [kClaims]: Claims | typeof kUnread | null
  [kPrincipal]: Principal | null
  session?: Session | null
}

/**
 * Adds `request.claims`, `request.principal` and, for session cookies, `request.session`. @fastify/jwt adds
 * `request.user`.
 */
export function decorateRequests (fastify: FastifyInstance, withSession: boolean): void {
  fastify.decorateRequest(kVerified, null)
  fastify.decorateRequest(kPrincipal, null)
  fastify.decorateRequest(kClaims, null)
  fastify.decorateRequest('claims', {
    getter (this: FastifyRequest) {
      const carrier = this as Carrier
      if (carrier[kClaims] === kUnread) carrier[kClaims] = claimsOf(carrier[kVerified]!)
      return carrier[kClaims] as Claims
    },
    setter (this: FastifyRequest, claims: Claims) { (this as Carrier)[kClaims] = claims }
  })
  fastify.decorateRequest('principal', {
    getter (this: FastifyRequest) {
      const carrier = this as Carrier
      const verified = carrier[kVerified]
      if (verified != null) carrier[kPrincipal] ??= createPrincipal(verified, this.user as User)
      return carrier[kPrincipal] as Principal
    }
  })
  if (withSession) fastify.decorateRequest('session', null)
}

/**
 * Sets the user, the claims and the session of a request. They belong to this request alone: no other request sees what
 * a handler writes to them.
 */
export function setIdentity (request: FastifyRequest, verified: VerifiedToken): void {
  const carrier = request as Carrier
  carrier.user = copyUser(verified) as User
  carrier[kClaims] = kUnread
  carrier[kVerified] = verified
  carrier[kPrincipal] = null
  if (verified.options.sessionCookie !== false) carrier.session = structuredClone(verified.session)
}

/**
 * Makes a request anonymous, whatever other hooks wrote into it.
 *
 * @param withSession - whether `request.session` is this plugin's, and not, for example, that of @fastify/session.
 */
export function clearIdentity (request: FastifyRequest, withSession: boolean): void {
  const nobody = { user: null, [kClaims]: null, [kVerified]: null, [kPrincipal]: null }
  Object.assign(request, nobody, withSession && { session: null })
}

/**
 * The token that `authenticate` of this registration verified for a request, or `null` if it did not run or the request
 * is anonymous. Tokens that another registration verified do not count.
 */
export function verifiedToken (request: FastifyRequest, options: ResolvedOptions): VerifiedToken | null {
  const verified = (request as Carrier)[kVerified]
  return verified?.options === options ? verified : null
}

/**
 * The user of a request, or `null` for an anonymous one, and for an OAuth client that acts for itself. Use it on routes
 * with `authenticateOptional`, or with a guard that has `clients`: the type of `request.user` does not include `null`.
 *
 * @example
 * app.get('/articles', { onRequest: [app.authenticateOptional] }, async request => getUser(request)?.id ?? null)
 */
export function getUser (request: FastifyRequest): User | null {
  return (request.user as User | null | undefined) ?? null
}

/** A copy of the user that its owner may change; `null` for an OAuth client that acts for itself. */
export function copyUser ({ user, hasOnlyPrimitives }: VerifiedToken): User | null {
  return hasOnlyPrimitives && user !== null ? { ...user } : structuredClone(user)
}
