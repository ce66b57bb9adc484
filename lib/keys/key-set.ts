import type { Algorithm } from '../contract/options.js'
import { importJwk, isKid, isSameKey, UnusableJwkError, type Jwk, type JwkFault, type VerificationKey } from './jwk.js'

/** The keys of one JWKS, usable and not. */
export interface KeySet {
  /** The usable keys of each `kid`, in the order of the JWKS. */
  readonly keys: ReadonlyMap<string, readonly VerificationKey[]>
  /** The entries that are not usable. */
  readonly faults: readonly EntryFault[]
  /** How many entries the JWKS has. Only the first {@link MAX_ENTRIES} are looked at. */
  readonly size: number
}

/** An entry of the JWKS that is not usable. */
export interface EntryFault {
  /** `null` if the entry has none that a token could name. */
  readonly kid: string | null
  readonly fault: JwkFault
}

export const MAX_ENTRIES = 1000

/** What is known before the first fetch. */
export const NO_KEYS: KeySet = { keys: new Map(), faults: [], size: 0 }

/**
 * Judges the entries of a JWKS one by one: an unusable entry does not affect the others.
 *
 * @param known - keys that are in it stay the same objects while they are the same keys.
 */
export function createKeySet (entries: readonly unknown[], known: KeySet): KeySet {
  const keys = new Map<string, VerificationKey[]>()
  const faults: EntryFault[] = []
  for (const entry of entries.slice(0, MAX_ENTRIES)) {
    const judged = judgeEntry(entry)
    if ('fault' in judged) {
      faults.push(judged)
      continue
    }
    const { kid } = judged
    const before = keys.get(kid) ?? []
    const isSame = (one: VerificationKey) => isSameKey(one, judged)
    const key = before.find(isSame) ?? known.keys.get(kid)?.find(isSame) ?? judged
    // A key that the JWKS has twice counts once.
    if (!before.includes(key)) keys.set(kid, [...before, key])
  }
  return { keys, faults, size: entries.length }
}

/** The key that an entry of a JWKS holds, or why it is not usable. */
export function judgeEntry (entry: unknown): VerificationKey | EntryFault {
  if (typeof entry !== 'object' || entry === null) return { kid: null, fault: 'malformed' }
  const jwk = entry as Jwk
  try {
    return importJwk(jwk)
  } catch (error) {
    return { kid: isKid(jwk.kid) ? jwk.kid : null, fault: (error as UnusableJwkError).fault }
  }
}

/** The first key with this `kid` that is for the algorithm; if none is, the first one with this `kid`. */
export function findKey ({ keys }: KeySet, kid: string, alg: Algorithm): VerificationKey | undefined {
  const candidates = keys.get(kid)
  return candidates?.find(({ algorithms }) => algorithms.includes(alg)) ?? candidates?.[0]
}
