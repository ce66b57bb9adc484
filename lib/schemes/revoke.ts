import type { Revoked } from '../auth-server/exchange-vault.js'
import type { SharedExchangeClient } from '../auth-server/shared-exchange.js'
import { RevocationUnavailableError } from '../contract/errors.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import type { KnownSession } from '../tokens/known-sessions.js'
import { claimsOf } from '../tokens/verified-token.js'

/** A session that has ended, by exactly one of these. */
export type EndedSession =
  /** The `id` of the session. */
  | { readonly sessionId: string, readonly userId?: never, readonly token?: never }
  /** The `id` of the user, for all sessions. */
  | { readonly userId: string, readonly sessionId?: never, readonly token?: never }
  /** The `token` of the session, or an API key. */
  | { readonly token: string, readonly sessionId?: never, readonly userId?: never }

/**
 * Creates `fastify.betterAuth.revoke()`. Without the option `exchange` there is nothing to forget.
 *
 * @param shared - where the instances share their sessions.
 */
export function createRevoke (
  sessions: ExchangedTokens | undefined, shared?: SharedExchangeClient
): (ended: EndedSession) => Promise<void> {
  return async ended => {
    const { sessionId, userId, token } = ended
    const given: unknown[] = [sessionId, userId, token].filter(value => value !== undefined)
    if (given.length !== 1 || typeof given[0] !== 'string' || given[0] === '') {
      throw new InvalidOptionError('revoke() takes one of "sessionId", "userId" and "token", as a non-empty string')
    }
    if (sessions === undefined) return
    const isMeant = createMatch(ended, sessions.digest)
    sessions.forget(isMeant)
    if (shared === undefined) return
    try {
      await shared.revoke(namesOf(ended))
    } catch (error) {
      throw new RevocationUnavailableError(error)
    }
    // A request may have read the session from the store before the store knew.
    sessions.forget(isMeant)
  }
}

function createMatch (
  { sessionId, userId, token }: EndedSession, digest: (text: string) => string
): (session: KnownSession) => boolean {
  const digests = token === undefined ? [] : spellings(token).map(digest)
  return session => {
    if (token !== undefined) return digests.includes(session.tokenDigest)
    if (userId !== undefined) return session.verified.user?.id === userId
    const { sid = null, sessionId: id = sid } = claimsOf(session.verified)
    return typeof id !== 'string' || id === sessionId
  }
}

function namesOf ({ sessionId, userId, token }: EndedSession): Revoked[] {
  if (token !== undefined) return spellings(token).map(spelling => ['token', spelling])
  if (userId !== undefined) return [['user', userId]]
  return [['session', sessionId], ['session', '']]
}

/** A session token may come with its signature, and an API key may contain a dot. */
function spellings (token: string): string[] {
  return [...new Set([token, token.split('.', 1)[0]!])]
}
