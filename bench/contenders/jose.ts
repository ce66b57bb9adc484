import type { User } from 'better-auth-fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { Protect } from '../contender.js'

/** jose in a hook, with the same checks: issuer, audience, algorithms. */
export const protect: Protect = async (app, { alg, origin, jwksUrl }) => {
  const keys = createRemoteJWKSet(new URL(jwksUrl))
  const checks = { issuer: origin, audience: origin, algorithms: [alg] }

  async function onRequest (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      const { payload } = await jwtVerify<User>(request.headers.authorization!.slice(7), keys, checks)
      request.user = payload
    } catch {
      await reply.code(401).send()
    }
  }
  app.decorateRequest('user')
  return { onRequest }
}
