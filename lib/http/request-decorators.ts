import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Claims, User } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { decodeClaims, type VerifiedToken } from '../tokens/verified-token.js'

/** What `authenticate` found out, for the guards: unlike `request.user`, no handler can write to it. */
const kVerified = Symbol('better-auth-fastify.verified')
/** What `request.claims` comes from: the verified token, until somebody reads its claims. */
const kClaims = Symbol('better-auth-fastify.claims')

type Carrier = FastifyRequest & { [kVerified]?: VerifiedToken | null, [kClaims]: string | Claims | null }

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
 * Sets who sends a request. All of it belongs to the request: what a handler writes to it, no other request sees.
 */
export function setIdentity (request: FastifyRequest, verified: VerifiedToken): void {
  const carrier = request as Carrier
  carrier.user = copyUser(verified)
  carrier[kClaims] = verified.token
  carrier[kVerified] = verified
  if (verified.session !== null) carrier.session = structuredClone(verified.session)
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
 * The user of a request, or `null` for an anonymous request: the honest type on routes behind `authenticateOptional`.
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
