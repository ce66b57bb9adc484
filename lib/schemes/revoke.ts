import type { Revoked } from '../auth-server/exchange-vault.js'
import type { SharedExchangeClient } from '../auth-server/shared-exchange.js'
import { RevocationUnavailableError } from '../contract/errors.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import { claimsOf, type VerifiedToken } from '../tokens/verified-token.js'

/** A session that has ended, by exactly one of these. */
export type EndedSession =
  /** The `id` of the session. */
  | { readonly sessionId: string, readonly userId?: never, readonly token?: never }
  /** The `id` of the user, for all sessions. */
  | { readonly userId: string, readonly sessionId?: never, readonly token?: never }
  /** The `token` of the session, or an API key. */
  | { readonly token: string, readonly sessionId?: never, readonly userId?: never }

/** What a session that has ended concerns. */
export interface RevokeContext {
  /** The sessions to forget; `undefined` without the option `exchange`. */
  readonly sessions: ExchangedTokens | undefined
  /** Where the instances share their sessions. */
  readonly shared?: SharedExchangeClient | undefined
  /** Ends connections. */
  endConnections (isMeant: (verified: VerifiedToken) => boolean): void
}

/** Creates `fastify.betterAuth.revoke()`. */
export function createRevoke (
  { sessions, shared, endConnections }: RevokeContext
): (ended: EndedSession) => Promise<void> {
  return async ended => {
    const { sessionId, userId, token } = ended
    const given: unknown[] = [sessionId, userId, token].filter(value => value !== undefined)
    if (given.length !== 1 || typeof given[0] !== 'string' || given[0] === '') {
      throw new InvalidOptionError('revoke() takes one of "sessionId", "userId" and "token", as a non-empty string')
    }
    const isMeant = createMatch(ended, sessions)
    const end = (): void => {
      sessions?.forget(isMeant)
      endConnections(isMeant)
    }
    end()
    if (shared === undefined) return
    try {
      await shared.revoke(namesOf(ended))
    } catch (error) {
      throw new RevocationUnavailableError(error)
    }
    // A request may have read the session from the store before the store knew.
    end()
  }
}

function createMatch (
  { sessionId, userId, token }: EndedSession, sessions: ExchangedTokens | undefined
): (verified: VerifiedToken) => boolean {
  const tokens = token === undefined ? [] : spellings(token)
  const digests = tokens.map(spelling => sessions?.digest(spelling))
  return verified => {
    const { user, session, tokenDigest } = verified
    // The signed cookie names the token of its session.
    if (token !== undefined) return tokens.includes(session?.token ?? '') || digests.includes(tokenDigest ?? '')
    if (userId !== undefined) return user?.id === userId
    const { sid = null, sessionId: id = sid } = claimsOf(verified)
    if (tokenDigest === undefined) return id === sessionId || session?.id === sessionId
    return typeof id !== 'string' || id === sessionId
  }
}

function namesOf ({ sessionId, userId, token }: EndedSession): Revoked[] {
  if (token !== undefined) return spellings(token).map(spelling => ['token', spelling])
  if (userId !== undefined) return [['user', userId]]
  return [['session', sessionId], ['session', '']]
}

/**
 * A session token may come with its signature, and an API key may contain a dot. None is empty: an empty one would mean
 * every session without a token.
 */
function spellings (token: string): string[] {
  return [...new Set([token, token.split('.', 1)[0]!])].filter(spelling => spelling !== '')
}
