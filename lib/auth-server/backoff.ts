const FIRST_PAUSE = 500
const MAX_PAUSE = 15_000
/** The longest pause that the server can ask for. */
const MAX_RETRY_AFTER = 60_000
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
  /** @param retryAfter - the pause that the server asks for, in milliseconds; 0 if it asks for none. */
  fail (retryAfter: number): void
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
    fail (retryAfter) {
      failedAt = now()
      const jitter = JITTER * random()
      // Never earlier than the server asks, and not all at the same moment.
      const pause = retryAfter > 0
        ? Math.max(FIRST_PAUSE, Math.min(MAX_RETRY_AFTER, retryAfter)) * (1 + jitter)
        : Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** failures) * (1 - jitter)
      nextTryAt = failedAt + Math.ceil(pause)
      failures++
    },
    succeed () { failures = 0 }
  }
}
