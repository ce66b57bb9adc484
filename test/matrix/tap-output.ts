/** How many assertions there were. */
export interface Counts {
  readonly assertions: number
  readonly failed: number
  readonly skipped: number
}

export interface Row extends Counts {
  readonly title: string
  readonly version: string
  readonly what: 'tests' | 'smoke'
}

export const NONE: Counts = { assertions: 0, failed: 0, skipped: 0 }

/**
 * What the output of a test file says in its last line. A file without such a line, or one that failed without a failed
 * assertion, counts as one that failed.
 */
export function countsOf (output: string, exitCode: number | null): Counts {
  const [summary] = /^# \{ total: .* \}$/m.exec(output) ?? ['']
  const count = (name: string) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  const [assertions, failed, skipped] = [count('total'), count('fail'), count('skip')]
  const isFailed = exitCode !== 0 || assertions === 0 || /^not ok/m.test(output)
  return { assertions, failed: isFailed ? Math.max(failed, 1) : failed, skipped }
}

export function addCounts (a: Counts, b: Counts): Counts {
  return {
    assertions: a.assertions + b.assertions, failed: a.failed + b.failed, skipped: a.skipped + b.skipped
  }
}

/** The lines of failed assertions, and of the tests that they are in. */
export function failuresOf (output: string): string {
  return output.split('\n').filter(line => /^ *not ok/.test(line)).join('\n')
}

const WHAT = { tests: 'rooms, system', smoke: 'the packed package' }

/** The table of docs/reference/compatibility.md. */
export function tableOf (rows: readonly Row[]): string {
  const number = (value: number) => value.toLocaleString('en-US')
  return [
    '| runtime | version | tests | assertions | failed | skipped |',
    '|---|---|---|---|---|---|',
    ...rows.map(({ title, version, what, assertions, failed, skipped }) => {
      return `| ${[title, version, WHAT[what], number(assertions), number(failed), number(skipped)].join(' | ')} |`
    })
  ].join('\n')
}
