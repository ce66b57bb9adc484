import { LRUCache } from 'lru-cache'
import type { VerifiedToken } from './verified-token.js'

/** A session that `forget()` can name. */
export interface KnownSession {
  readonly verified: VerifiedToken
  /**
   * When the exchange began that found it, in milliseconds since the epoch: it may have ended before the response
   * arrived. `-Infinity` for a session that has ended.
   */
  readonly exchangedAt: number
}

/** The sessions that were exchanged, by the digest of their credential. */
export interface KnownSessions {
  /** How many there are, those that have ended included. */
  readonly size: number
  /** Marks it as used. */
  get (id: string): KnownSession | undefined
  peek (id: string): KnownSession | undefined
  set (id: string, session: KnownSession): void
  /** From now on only one thing counts about the session: that it was known, so that it needs no budget. */
  end (id: string): void
  endAll (isMeant: (session: KnownSession) => boolean): void
}

/** What all sessions take together, in bytes. */
const MAX_BYTES = 2 ** 26
/** What a session takes in addition to its JWT and to the user in it, in bytes. */
const OVERHEAD = 1024

/** @param max - how many are kept. The least recently used are dropped first. */
export function createKnownSessions (max: number): KnownSessions {
  const sessions = new LRUCache<string, KnownSession>({ max, maxSize: MAX_BYTES, sizeCalculation: estimateBytes })

  function end (id: string): void {
    const session = sessions.peek(id)
    if (session !== undefined) sessions.set(id, { ...session, exchangedAt: -Infinity })
  }

  return {
    get size () { return sessions.size },
    get: id => sessions.get(id),
    peek: id => sessions.peek(id),
    set (id, session) { sessions.set(id, session) },
    end,
    endAll (isMeant) {
      for (const [id, session] of [...sessions.entries()]) if (isMeant(session)) end(id)
    }
  }
}

/** The JWT, and its payload again as objects, which take about three times their JSON. */
function estimateBytes ({ verified: { token } }: KnownSession): number {
  return OVERHEAD + 4 * token.length
}

export function isEnded ({ exchangedAt }: KnownSession): boolean {
  return exchangedAt === -Infinity
}
