const BURST = 10

/** A token bucket: a number of permits per minute, with a small burst. */
export interface RateLimiter {
  /** Takes a permit, if there is one. */
  tryAcquire (): boolean
  /** Milliseconds until there is a permit. */
  remaining (): number
}

export function createRateLimiter (perMinute: number, now: () => number): RateLimiter {
  const interval = 60_000 / perMinute
  let permits = BURST
  let filledAt = now()

  function fill (): void {
    const time = now()
    permits = Math.min(BURST, permits + Math.max(0, time - filledAt) / interval)
    filledAt = time
  }

  return {
    tryAcquire () {
      fill()
      if (permits < 1) return false
      permits--
      return true
    },
    remaining () {
      fill()
      return Math.max(0, (1 - permits) * interval)
    }
  }
}
