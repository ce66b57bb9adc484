/** Calls a function after some milliseconds, unless the returned function is called before. */
export type SetTimer = (run: () => void, ms: number) => () => void

/**
 * No timer runs for longer, in milliseconds: whoever waits for a time looks at the clock again. Timers stand still
 * while the machine sleeps, do not notice that somebody sets the clock, and must be shorter than 2^31 ms.
 */
const LONGEST = 60_000

/** A timer that does not keep the process alive. It may call too early: look at the clock, and set another one. */
export const setTimer: SetTimer = (run, ms) => {
  // Not from `node:timers`: whoever fakes the clock in a test fakes the timers with it.
  const timer = setTimeout(run, Math.min(ms, LONGEST)).unref()
  return () => { clearTimeout(timer) }
}
