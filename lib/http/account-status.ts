import type { FastifyRequest } from 'fastify'
import { ForbiddenError, RevocationUnavailableError, TokenRevokedError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { isPending, settle } from '../contract/settle.js'
import { claimsOf, type VerifiedToken } from '../tokens/verified-token.js'

/**
 * Refuses a banned user, and a token that the application has revoked. It is synchronous where possible, else it
 * returns a promise, which rejects with the same errors. Tokens of `verify()` have no request.
 *
 * @throws ForbiddenError, TokenRevokedError, RevocationUnavailableError
 */
export type StatusCheck = (request: FastifyRequest | undefined, verified: Judged) => void | Promise<void>

type Judged = Pick<VerifiedToken, 'token' | 'form' | 'authorization'>

export function createStatusCheck (
  { isRevoked, callbackTimeout }: Pick<ResolvedOptions, 'isRevoked' | 'callbackTimeout'>, now: () => number
): StatusCheck {
  function askRevoked (request: FastifyRequest | undefined, verified: Judged): void | Promise<void> {
    let returned: unknown
    try {
      returned = isRevoked!(claimsOf(verified), request)
    } catch (error) {
      failed(error)
    }
    return isPending(returned) ? settle('isRevoked', returned, callbackTimeout).then(judge, failed) : judge(returned)
  }

  return (request, verified) => {
    const { bannedUntil = 0 } = verified.authorization
    if (now() < bannedUntil) throw new ForbiddenError('banned')
    if (isRevoked !== undefined) return askRevoked(request, verified)
  }
}

function judge (verdict: unknown): void {
  if (verdict === true) throw new TokenRevokedError()
  if (verdict !== false) failed(new TypeError('isRevoked must return true or false'))
}

function failed (cause: unknown): never {
  throw new RevocationUnavailableError(cause)
}
