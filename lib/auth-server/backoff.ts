const FIRST_PAUSE = 500
const MAX_PAUSE = 15_000
const JITTER = 0.2

/** The pause after a failed fetch, doubled by each further failure. */
export interface Backoff {
  /** Whether the last fetch failed. */
  readonly failing: boolean
  /**
   * When the next attempt is allowed, in milliseconds since the epoch; it may be in the past. `null` unless the last
   * fetch failed.
   */
  readonly nextTryAt: number | null
  /** Milliseconds until the next attempt is allowed. */
  remaining (): number
  /** @param startedAt - when the fetch began. Of several overlapping fetches that fail, only the first counts. */
  fail (startedAt: number): void
  succeed (): void
}

/** @param random - from 0 up to 1. */
export function createBackoff (now: () => number, random: () => number): Backoff {
  let failures = 0
  let failedAt = 0
  let nextTryAt = 0

  return {
    get failing () { return failures > 0 },
    get nextTryAt () { return failures > 0 ? nextTryAt : null },
    remaining () {
      const time = now()
      // A clock that was set back must not make the pause longer.
      return failures === 0 || time < failedAt ? 0 : Math.max(0, nextTryAt - time)
    },
    fail (startedAt) {
      const time = now()
      if (failures > 0 && startedAt <= failedAt && failedAt <= time) return
      failedAt = time
      const pause = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** failures)
      nextTryAt = failedAt + pause * (1 - JITTER * random())
      failures++
    },
    succeed () { failures = 0 }
  }
}
