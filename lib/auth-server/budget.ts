/** A number of calls per minute. */
export interface Budget {
  /** How many calls are left now. */
  readonly left: number
  /** 0 if a call is left, or in how many milliseconds there may be one. */
  wait (): number
  /**
   * Takes a call from the budget.
   *
   * @returns the same as `wait()` before that.
   */
  take (): number
}

/** Better Auth's rate limiter forgets earlier calls only after 10 seconds without any. */
export const SILENCE = 11_000

/**
 * Unused calls are kept, up to those of a minute.
 *
 * @param silence - for how long a budget that was used up stays closed, in milliseconds, even if it has grown again.
 */
export function createBudget (perMinute: number, now: () => number, silence = SILENCE): Budget {
  const max = Math.max(1, perMinute)
  let left = max
  let filledAt = now()
  let closedAt = -Infinity

  /** For how many milliseconds it is still closed. */
  function fill (): number {
    const time = now()
    // If the clock was set back, the budget does not grow, and stays closed for no longer.
    const elapsed = Math.max(0, time - filledAt)
    filledAt = time
    left = Math.min(max, left + elapsed * perMinute / 60_000)
    closedAt = Math.min(closedAt, time)
    return Math.max(0, closedAt + silence - time)
  }

  function wait (): number {
    const closedFor = fill()
    if (closedFor > 0 || left >= 1) return closedFor
    closedAt = filledAt
    return silence > 0 ? silence : Math.ceil((1 - left) * 60_000 / perMinute)
  }

  return {
    get left () { return fill() > 0 ? 0 : Math.floor(left) },
    wait,
    take () {
      const closedFor = wait()
      if (closedFor === 0) left--
      return closedFor
    }
  }
}
