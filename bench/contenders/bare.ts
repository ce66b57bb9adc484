import { createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Protect } from '../contender.js'

/** Only the signature check, with a prepared key: the lower bound for any verification. */
export const protect: Protect = async (_app, { alg, jwksUrl }) => {
  const { keys } = await (await fetch(jwksUrl)).json() as { keys: [JsonWebKey] }
  const digest = alg === 'EdDSA' ? null : 'sha256'
  const publicKey = createPublicKey({ key: keys[0], format: 'jwk' })
  const key = alg === 'ES256' ? { key: publicKey, dsaEncoding: 'ieee-p1363' as const } : publicKey

  function onRequest (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const token = request.headers.authorization!.slice(7)
    const end = token.lastIndexOf('.')
    const input = Buffer.from(token.slice(0, end), 'latin1')
    if (verify(digest, input, key, Buffer.from(token.slice(end + 1), 'base64url'))) done()
    else reply.code(401).send()
  }
  return { onRequest }
}
