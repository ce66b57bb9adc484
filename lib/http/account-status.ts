import type { FastifyRequest } from 'fastify'
import { ForbiddenError, RevocationUnavailableError, TokenRevokedError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { decodeClaims, type VerifiedToken } from '../tokens/verified-token.js'
import { isPending, settle } from './settle.js'

/**
 * Refuses a banned user, and a token that the application has revoked. It is synchronous where possible, else it
 * returns a promise, which rejects with the same errors.
 *
 * @throws ForbiddenError, TokenRevokedError, RevocationUnavailableError
 */
export type StatusCheck = (
  request: FastifyRequest, verified: Pick<VerifiedToken, 'token' | 'authorization'>
) => void | Promise<void>

export function createStatusCheck (
  { isRevoked, callbackTimeout }: Pick<ResolvedOptions, 'isRevoked' | 'callbackTimeout'>, now: () => number
): StatusCheck {
  function askRevoked (request: FastifyRequest, token: string): void | Promise<void> {
    let returned: unknown
    try {
      returned = isRevoked!(decodeClaims(token), request)
    } catch (error) {
      failed(error)
    }
    return isPending(returned) ? settle('isRevoked', returned, callbackTimeout).then(judge, failed) : judge(returned)
  }

  return (request, { token, authorization: { bannedUntil } }) => {
    if (bannedUntil !== undefined && now() < bannedUntil) throw new ForbiddenError('banned')
    if (isRevoked !== undefined) return askRevoked(request, token)
  }
}

function judge (verdict: unknown): void {
  if (verdict === true) throw new TokenRevokedError()
  if (verdict !== false) failed(new TypeError('isRevoked must return true or false'))
}

function failed (cause: unknown): never {
  throw new RevocationUnavailableError(cause)
}
