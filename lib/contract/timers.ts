/** Calls a function after some milliseconds, unless the returned function is called before. */
export type SetTimer = (run: () => void, ms: number) => () => void

/**
 * The longest time of a timer, in milliseconds: after that, the caller looks at the clock again. Timers stand still
 * while the machine sleeps, do not notice a change of the clock, and must be shorter than 2^31 ms.
 */
const LONGEST = 60_000

/** A timer that does not keep the process alive. It may fire too early: look at the clock, and set another one. */
export const setTimer: SetTimer = (run, ms) => {
  // Not from `node:timers`: a test that fakes the clock replaces the global timers.
  const timer = setTimeout(run, Math.min(ms, LONGEST)).unref()
  return () => { clearTimeout(timer) }
}
