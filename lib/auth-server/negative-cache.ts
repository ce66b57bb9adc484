import type { JwkFault } from '../keys/jwk.js'

/** A name under which the JWKS held no key, or none that is of use, when it was last asked. */
export interface AbsentKey {
  /** What is wrong with the JWK of this name; `undefined` when there is none. */
  readonly fault: JwkFault | undefined
  readonly seenAt: number
}

/** Remembers which names are no keys, so that asking for them again and again costs no fetch. Bounded in number and in time. */
export interface AbsentKeys {
  get (kid: string): AbsentKey | undefined
  set (kid: string, seenAt: number, fault?: JwkFault): void
  delete (kid: string): void
}

const MAX_NAMES = 1000
const MAX_AGE = 600_000

export function createAbsentKeys (now: () => number): AbsentKeys {
  // In the order in which they were seen: the oldest come first.
  const names = new Map<string, AbsentKey>()

  return {
    get: kid => names.get(kid),
    set (kid, seenAt, fault) {
      names.delete(kid)
      names.set(kid, { fault, seenAt })
      for (const [oldest, absence] of names) {
        if (names.size <= MAX_NAMES && now() - absence.seenAt < MAX_AGE) break
        names.delete(oldest)
      }
    },
    delete (kid) { names.delete(kid) }
  }
}
