import fastifyJwt, { type TokenOrHeader } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TokenInvalidError, TokenMissingError } from '../contract/errors.js'
import type { Claims } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { bearerToken } from '../schemes/bearer.js'
import type { JsonObject } from '../tokens/jws.js'
import type { UserReader } from '../tokens/user-reader.js'
import type { Verifier } from '../tokens/verifier.js'
import type { StatusCheck } from './account-status.js'
import { admitUsers } from './authenticate.js'

interface JwtParts { readonly verifier: Verifier, readonly checkStatus: StatusCheck, readonly readUser: UserReader }

/** Newer names of EdDSA (RFC 9864). `authenticate` accepts them; the verifier of @fastify/jwt does not know them. */
const UNKNOWN_TO_FAST_JWT: readonly unknown[] = ['Ed25519', 'Ed448']

/**
 * Registers @fastify/jwt: `request.jwtVerify()` and `fastify.jwt` for code written against it. It accepts nothing that
 * `authenticate` refuses: the secret provider verifies the token by this plugin's own rules before it returns the key.
 */
export async function registerJwt (
  fastify: FastifyInstance, options: ResolvedOptions, { verifier, checkStatus, readUser }: JwtParts
): Promise<void> {
  const { algorithms, secret, issuer, audience, clockTolerance } = options

  async function secretProvider (request: FastifyRequest, decoded: TokenOrHeader): Promise<string> {
    // The types describe only a part of what `decode: { complete: true }` passes.
    const { header, input, signature } = decoded as unknown as { header: JsonObject, input: string, signature: string }
    if (UNKNOWN_TO_FAST_JWT.includes(header.alg)) throw new TokenInvalidError('algorithm_not_allowed')
    const verified = await verifier.verify(`${input}.${signature}`)
    admitUsers(verified)
    await checkStatus(request, verified)
    return verified.key?.pem ?? secret!
  }

  await fastify.register(fastifyJwt, {
    // Without a private key, `fastify.jwt.sign()` cannot sign.
    secret: { public: secretProvider },
    decode: { complete: true },
    verify: {
      algorithms: secret === undefined ? [...algorithms] : [...algorithms, 'HS256'],
      requiredClaims: ['exp'],
      clockTolerance,
      // The secret provider has asked the function, if it is one.
      ...typeof issuer === 'object' && { allowedIss: [...issuer] },
      ...audience && { allowedAud: [...audience] },
      extractToken (request) {
        const token = bearerToken(request)
        if (token === undefined) throw new TokenMissingError()
        verifier.assertWellFormed(token)
        return token
      }
    },
    formatUser: claims => readUser(claims as object as Claims),
    trusted (request, claims) {
      request.claims = claims as Claims
      return true
    }
  })
}
