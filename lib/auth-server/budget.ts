/** A number of calls per minute. */
export interface Budget {
  /**
   * Takes a call from the budget.
   *
   * @returns 0, or if none is left for how many milliseconds.
   */
  take (): number
}

/** Better Auth's rate limiter forgets earlier calls only after 10 seconds without any. */
const SILENCE = 11_000

/**
 * Unused calls are kept, up to those of a minute. A budget that was used up stays closed for {@link SILENCE}, whatever
 * has come in by then.
 */
export function createBudget (perMinute: number, now: () => number): Budget {
  const max = Math.max(1, perMinute)
  let left = max
  let filledAt = now()
  let closedAt = -Infinity

  return {
    take () {
      const time = now()
      // A clock that was set back earns nothing, opens nothing, and closes for no longer.
      const elapsed = Math.max(0, time - filledAt)
      filledAt = time
      left = Math.min(max, left + elapsed * perMinute / 60_000)
      closedAt = Math.min(closedAt, time)
      const closedFor = closedAt + SILENCE - time
      if (closedFor > 0) return closedFor
      if (left >= 1) {
        left--
        return 0
      }
      closedAt = time
      return SILENCE
    }
  }
}
