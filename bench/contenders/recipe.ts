import fastifyJwt from '@fastify/jwt'
import buildGetJwks from 'get-jwks'
import type { Protect } from '../contender.js'

/**
 * The recipe for @fastify/jwt in the README of get-jwks. It is without `issuersWhitelist` and `checkIssuer`:
 * @fastify/jwt has no such options. It verifies neither issuer nor audience.
 */
export const protect: Protect = async app => {
  const getJwks = buildGetJwks()

  app.register(fastifyJwt, {
    decode: { complete: true },
    secret: (_request, token, callback) => {
      const { header: { kid, alg }, payload: { iss } } = token as unknown as Decoded
      getJwks
        .getPublicKey({ kid, domain: iss, alg })
        .then(publicKey => callback(null, publicKey), error => callback(error, undefined))
    }
  })

  app.addHook('onRequest', async request => {
    await request.jwtVerify()
  })
  return {}
}

interface Decoded { header: { kid: string, alg: string }, payload: { iss: string } }
