import { LRUCache } from 'lru-cache'

/** Credentials or clients that failed alone, so that the others can continue. */
export interface Suspects {
  /** For how many milliseconds a suspect is not tried again; 0 for everybody else. */
  remaining (name: string): number
  /**
   * Makes it a suspect.
   *
   * @param duration - milliseconds.
   * @param isWitness - whether its failure says anything about others.
   * @returns whether another one has failed as well since the last success: then the fault is the auth server's.
   */
  add (name: string, duration: number, isWitness: boolean): boolean
  /** An exchange succeeded, so the auth server works. */
  acquit (): void
}

const MAX = 1000

export function createSuspects (now: () => number): Suspects {
  const suspects = new LRUCache<string, { at: number, until: number }>({ max: MAX })
  /** The one that failed since the last success. */
  let last: string | undefined

  return {
    remaining (name) {
      const suspect = suspects.get(name)
      const time = now()
      // A clock that was set back must not make it longer.
      return suspect === undefined || time < suspect.at ? 0 : Math.max(0, suspect.until - time)
    },
    add (name, duration, isWitness) {
      const at = now()
      suspects.set(name, { at, until: at + duration })
      if (!isWitness) return false
      const isAlone = last === undefined || last === name
      last = name
      return !isAlone
    },
    acquit () { last = undefined }
  }
}
