import { createRequire } from 'node:module'
import type { FastifyPluginCallback } from 'fastify'
import type { Protect } from '../contender.js'

type Options = Record<'jwksUrl' | 'issuer' | 'audience', string>

// Not imported: its types declare another `fastify.authenticate`, which conflicts with ours.
const fastifyJwtJwks = createRequire(import.meta.url)('fastify-jwt-jwks') as FastifyPluginCallback<Options>

/** As in its README, with issuer and audience. */
export const protect: Protect = async (app, { origin, jwksUrl }) => {
  await app.register(fastifyJwtJwks, { jwksUrl, issuer: origin, audience: origin })
  return { preValidation: app.authenticate }
}
