import { isBetterAuthError, TokenInvalidError } from '../../contract/errors.js'
import type { VerifiedToken } from '../../tokens/verified-token.js'
import type { Verifier } from '../../tokens/verifier.js'
import type { Candidates } from './cookie.js'

/**
 * Verifies every candidate of the safest name. A sibling host can add cookies, so an invalid one must not hide a valid
 * one, and of two valid sessions nobody can tell which is the user's. If no candidate is valid, the next name counts.
 *
 * @throws TokenInvalidError, TokenExpiredError: why the first candidate is refused, or that several sessions are valid.
 * @throws JwksUnavailableError if a candidate cannot be verified now: it might be a second valid session.
 */
export async function verifyCandidates (
  verifier: Verifier, byName: readonly Candidates[], trace?: { cached: boolean }
): Promise<VerifiedToken> {
  let refusal: unknown
  for (const candidates of byName) {
    if (candidates === 'cookie_ambiguous') throw new TokenInvalidError(candidates)
    if (candidates === 'cookie_malformed') {
      refusal ??= new TokenInvalidError(candidates)
      continue
    }
    const accepted: VerifiedToken[] = []
    let isCached = true
    for (const token of candidates) {
      const own = { cached: false }
      try {
        accepted.push(await verifier.verify(token, own))
        isCached &&= own.cached
      } catch (error) {
        if (!isBetterAuthError(error) || error.statusCode !== 401) throw error
        refusal ??= error
      }
    }
    if (accepted.length === 0) continue
    if (trace !== undefined) trace.cached = isCached
    return newestOf(accepted)
  }
  throw refusal
}

/** The newest of several cookies of one session. @throws TokenInvalidError if they are of several. */
function newestOf (accepted: readonly VerifiedToken[]): VerifiedToken {
  return accepted.reduce((newest, other) => {
    const isSameSession = newest.session!.token === other.session!.token && newest.user!.id === other.user!.id
    if (!isSameSession) throw new TokenInvalidError('cookie_ambiguous')
    return other.expiresAt > newest.expiresAt ? other : newest
  })
}
