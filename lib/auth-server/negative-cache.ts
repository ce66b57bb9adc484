/** Why something is missing at the auth server, and when that was found out. */
export interface NegativeEntry<Reason> {
  readonly reason: Reason
  /** Milliseconds since the epoch. */
  readonly seenAt: number
}

/**
 * Remembers what the auth server does not have (the term is from RFC 2308), so that repeated requests for it cost no
 * fetch. The number and the age of its entries are bounded.
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
