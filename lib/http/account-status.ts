import type { FastifyRequest } from 'fastify'
import { ForbiddenError, RevocationUnavailableError, TokenRevokedError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { decodeClaims, type VerifiedToken } from '../tokens/verified-token.js'

/**
 * Refuses a banned user, and a token that the application has revoked. It is synchronous where possible, else it
 * returns a promise, which rejects with the same errors.
 *
 * @throws ForbiddenError, TokenRevokedError, RevocationUnavailableError
 */
export type StatusCheck = (
  request: FastifyRequest, verified: Pick<VerifiedToken, 'token' | 'authorization'>
) => void | Promise<void>

export function createStatusCheck ({ isRevoked }: Pick<ResolvedOptions, 'isRevoked'>, now: () => number): StatusCheck {
  async function askRevoked (request: FastifyRequest, token: string): Promise<void> {
    let verdict: unknown
    try {
      verdict = await isRevoked!(decodeClaims(token), request)
    } catch (error) {
      throw new RevocationUnavailableError(error)
    }
    if (verdict === true) throw new TokenRevokedError()
    if (verdict !== false) throw new RevocationUnavailableError(new TypeError('isRevoked must return true or false'))
  }

  return (request, { token, authorization: { bannedUntil } }) => {
    if (bannedUntil !== undefined && now() < bannedUntil) throw new ForbiddenError('banned')
    if (isRevoked !== undefined) return askRevoked(request, token)
  }
}
