import fastifyJwt from '@fastify/jwt'
import buildGetJwks from 'get-jwks'
import type { Protect } from '../server.js'

/**
 * The recipe for @fastify/jwt in the README of get-jwks. It also hands `issuersWhitelist` and `checkIssuer` to @fastify/jwt,
 * which knows neither: they are left out here. Issuer and audience are not checked.
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
