import fc from 'fast-check'
import type { Test } from 'tap'

/** Set `PROPERTY_SEED` to the seed of a failure to see it again, `PROPERTY_RUNS` to look longer. */
const { PROPERTY_SEED, PROPERTY_RUNS } = process.env

/**
 * In milliseconds: a busy machine tries fewer inputs, and a failure is reported even if it could be made smaller for
 * hours.
 */
const TIME_LIMIT = 40_000

/**
 * Checks a property. A failure shows the smallest input that was found, and its seed.
 *
 * @param runs - how many inputs, unless `PROPERTY_RUNS` says so.
 * @param examples - inputs that failed once: they are tried first, in each run.
 */
export async function holds<T> (
  t: Test, runs: number, inputs: fc.Arbitrary<T>, property: (input: T) => Promise<void>, examples: T[] = []
): Promise<void> {
  const seed = PROPERTY_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(PROPERTY_SEED)
  const numRuns = PROPERTY_RUNS === undefined ? runs : Number(PROPERTY_RUNS)
  if (PROPERTY_RUNS !== undefined) t.setTimeout(0)
  t.comment(`PROPERTY_SEED=${seed} PROPERTY_RUNS=${numRuns}`)
  const tried = examples.map(example => [example] as [T])
  const limit = PROPERTY_RUNS === undefined ? { interruptAfterTimeLimit: TIME_LIMIT } : {}
  const details = await fc.check(fc.asyncProperty(inputs, property), { seed, numRuns, examples: tried, ...limit })
  const error = details.errorInstance
  if (details.failed) t.fail(`${String(error)}: ${fc.stringify(details.counterexample)}`)
  t.ok(details.numRuns >= Math.min(runs, 10) || details.failed, `${details.numRuns} runs`)
}
