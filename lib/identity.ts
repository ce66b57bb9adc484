import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Claims } from './user.js'
import { claimsOf, type VerifiedToken } from './verifier.js'

/** What `request.claims` comes from: the verified token, until somebody asks for its claims. */
const kClaims = Symbol('better-auth-fastify.claims')

type Carrier = FastifyRequest & { [kClaims]: string | Claims | null }

/** Adds `request.claims`. `request.user` is added by @fastify/jwt. */
export function decorateIdentity (fastify: FastifyInstance): void {
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
}

/** Says who is asking. Both objects are the request's own: what a handler writes into them is never seen by another request. */
export function identify (request: FastifyRequest, { token, user }: VerifiedToken): void {
  request.user = { ...user }
  ;(request as Carrier)[kClaims] = token
}
