const FIRST_BACKOFF = 500
const MAX_BACKOFF = 15_000
const BACKOFF_JITTER = 0.2
const BURST = 10

/** The pause after a failed fetch, doubled by each further one. */
export interface Backoff {
  /** Whether the last fetch failed. */
  readonly failing: boolean
  /** When the next try may be made, which may be past, in milliseconds since the epoch; `null` unless the last fetch failed. */
  readonly nextTryAt: number | null
  /** Milliseconds until the next try may be made. */
  remaining (): number
  /** @param startedAt - when the fetch began: of fetches that fail together only the first counts. */
  fail (startedAt: number): void
  succeed (): void
}

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
      const pause = Math.min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** failures)
      nextTryAt = failedAt + pause * (1 - BACKOFF_JITTER * random())
      failures++
    },
    succeed () { failures = 0 }
  }
}

/** A token bucket: so many fetches a minute, a few at once. */
export interface Budget {
  /** Takes one fetch out of the budget, if there is one left. */
  take (): boolean
  /** Milliseconds until there is one again. */
  remaining (): number
}

export function createBudget (perMinute: number, now: () => number): Budget {
  const interval = 60_000 / perMinute
  let left = BURST
  let filledAt = now()

  function fill (): void {
    const time = now()
    left = Math.min(BURST, left + Math.max(0, time - filledAt) / interval)
    filledAt = time
  }

  return {
    take () {
      fill()
      if (left < 1) return false
      left--
      return true
    },
    remaining () {
      fill()
      return Math.max(0, (1 - left) * interval)
    }
  }
}
