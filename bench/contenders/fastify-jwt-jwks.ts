import { createRequire } from 'node:module'
import type { FastifyPluginCallback } from 'fastify'
import type { Protect } from '../server.js'

// Not imported: its types declare a `fastify.authenticate` of their own, at odds with ours.
const fastifyJwtJwks = createRequire(import.meta.url)('fastify-jwt-jwks') as FastifyPluginCallback<Record<'jwksUrl' | 'issuer' | 'audience', string>>

/** As its README has it, with issuer and audience. */
export const protect: Protect = async (app, { origin, jwksUrl }) => {
  await app.register(fastifyJwtJwks, { jwksUrl, issuer: origin, audience: origin })
  return { preValidation: app.authenticate }
}
