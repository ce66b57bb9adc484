/** What is known about something that the auth server does not have. */
export interface NegativeEntry<Reason> {
  readonly reason: Reason
  /** Milliseconds since the epoch. */
  readonly seenAt: number
}

/**
 * Remembers what the auth server does not have (RFC 2308 has the term), so that asking for it again and again costs no
 * fetch. Bounded in number and in time.
 */
export interface NegativeCache<Reason> {
  get (name: string): NegativeEntry<Reason> | undefined
  set (name: string, seenAt: number, reason: Reason): void
  delete (name: string): void
}

const MAX_ENTRIES = 1000
const MAX_AGE = 600_000

export function createNegativeCache<Reason> (now: () => number): NegativeCache<Reason> {
  // In the order in which they were seen: the oldest come first.
  const entries = new Map<string, NegativeEntry<Reason>>()

  return {
    get: name => entries.get(name),
    set (name, seenAt, reason) {
      entries.delete(name)
      entries.set(name, { reason, seenAt })
      for (const [oldest, entry] of entries) {
        if (entries.size <= MAX_ENTRIES && now() - entry.seenAt < MAX_AGE) break
        entries.delete(oldest)
      }
    },
    delete (name) { entries.delete(name) }
  }
}
