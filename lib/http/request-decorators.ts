import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Claims, Session, User } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { decodeClaims, type VerifiedToken } from '../tokens/verified-token.js'

/** The result of `authenticate`, for the guards. Unlike `request.user`, handlers cannot write to it. */
const kVerified = Symbol('better-auth-fastify.verified')
/** The source of `request.claims`: the verified token, until its claims are read for the first time. */
const kClaims = Symbol('better-auth-fastify.claims')

type Carrier = FastifyRequest & {
  [kVerified]?: VerifiedToken | null
  [kClaims]: string | Claims | null
  session?: Session | null
}

/** Adds `request.claims` and, for session cookies, `request.session`. @fastify/jwt adds `request.user`. */
export function decorateRequests (fastify: FastifyInstance, withSession: boolean): void {
  fastify.decorateRequest(kVerified, null)
  fastify.decorateRequest(kClaims, null)
  fastify.decorateRequest('claims', {
    getter (this: FastifyRequest) {
      const carrier = this as Carrier
      const claims = carrier[kClaims]
      if (typeof claims === 'string') carrier[kClaims] = decodeClaims(claims)
      return carrier[kClaims] as Claims
    },
    setter (this: FastifyRequest, claims: Claims) { (this as Carrier)[kClaims] = claims }
  })
  if (withSession) fastify.decorateRequest('session', null)
}

/**
 * Sets the user, the claims and the session of a request. They belong to this request alone: no other request sees what
 * a handler writes to them.
 */
export function setIdentity (request: FastifyRequest, verified: VerifiedToken): void {
  const carrier = request as Carrier
  carrier.user = copyUser(verified)
  carrier[kClaims] = verified.token
  carrier[kVerified] = verified
  if (verified.options.sessionCookie !== false) carrier.session = structuredClone(verified.session)
}

/**
 * Makes a request anonymous, whatever other hooks wrote into it.
 *
 * @param withSession - whether `request.session` is this plugin's, and not, for example, that of @fastify/session.
 */
export function clearIdentity (request: FastifyRequest, withSession: boolean): void {
  Object.assign(request, { user: null, [kClaims]: null, [kVerified]: null, ...withSession && { session: null } })
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
 * The user of a request, or `null` for an anonymous one. Use it on routes with `authenticateOptional`: the type of
 * `request.user` does not include `null`.
 *
 * @example
 * app.get('/articles', { onRequest: [app.authenticateOptional] }, async request => getUser(request)?.id ?? null)
 */
export function getUser (request: FastifyRequest): User | null {
  return (request.user as User | null | undefined) ?? null
}

/** A copy of the user that its owner may change. */
export function copyUser ({ user, hasOnlyPrimitives }: VerifiedToken): User {
  return hasOnlyPrimitives ? { ...user } : structuredClone(user)
}
