import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Claims, User } from '../tokens/user-reader.js'
import { claimsOf, type VerifiedToken } from '../tokens/verifier.js'

/** What `authenticate` found out, for the guards: unlike `request.user` no handler can write to it. */
const kVerified = Symbol('better-auth-fastify.verified')
/** What `request.claims` comes from: the verified token, until somebody asks for its claims. */
const kClaims = Symbol('better-auth-fastify.claims')

type Carrier = FastifyRequest & { [kVerified]?: VerifiedToken | null, [kClaims]: string | Claims | null }

/** Adds `request.claims` and, for session cookies, `request.session`. `request.user` is added by @fastify/jwt. */
export function decorateIdentity (fastify: FastifyInstance, withSession: boolean): void {
  fastify.decorateRequest(kVerified, null)
  fastify.decorateRequest(kClaims, null)
  fastify.decorateRequest('claims', {
    getter (this: FastifyRequest) {
      const carrier = this as Carrier
      const claims = carrier[kClaims]
      if (typeof claims === 'string') carrier[kClaims] = claimsOf(claims)
      return carrier[kClaims] as Claims
    },
    setter (this: FastifyRequest, claims: Claims) { (this as Carrier)[kClaims] = claims }
  })
  if (withSession) fastify.decorateRequest('session', null)
}

/** Says who is asking. All of it is the request's own: what a handler writes into it is never seen by another request. */
export function identify (request: FastifyRequest, verified: VerifiedToken): void {
  const carrier = request as Carrier
  carrier.user = userOf(verified)
  carrier[kClaims] = verified.token
  carrier[kVerified] = verified
  if (verified.session !== null) carrier.session = structuredClone(verified.session)
}

/**
 * What the `authenticate` of this registration found out about a request, or `null` if it did not run or let a visitor pass.
 * What another registration found out is none of its business.
 */
export function verifiedToken (request: FastifyRequest, options: ResolvedOptions): VerifiedToken | null {
  const verified = (request as Carrier)[kVerified]
  return verified?.options === options ? verified : null
}

/** The user of a request, or `null` for a visitor: the honest type on routes behind `authenticateOptional`. */
export function getUser (request: FastifyRequest): User | null {
  return (request.user as User | null | undefined) ?? null
}

/** A copy of the user for somebody to keep. */
export function userOf ({ user, isFlat }: VerifiedToken): User {
  return isFlat ? { ...user } : structuredClone(user)
}
