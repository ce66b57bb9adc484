import type { Chart } from './chart.js'

/** The result of a scenario: Markdown, and whether it reaches its targets. */
export interface Section {
  readonly title: string
  readonly text: string
  readonly targets: readonly Target[]
  /** The part of the text that is on docs/operations/performance.md too. Default: the text. */
  readonly summary?: string
  readonly charts?: readonly Chart[]
}

export interface Target {
  readonly what: string
  readonly target: string
  readonly value: string
  readonly reached: boolean
}

/** How much to measure: enough for meaningful figures, or with `--quick` only enough to see that everything runs. */
export interface Settings {
  readonly quick: boolean
  /** Requests per measurement. */
  readonly requests: number
  /** Requests before each measurement. */
  readonly warmup: number
  readonly rounds: number
  /** Whether another build of this plugin is measured beside it. */
  readonly earlier: boolean
  /** The folder of that build. */
  readonly before: string | undefined
}

/** A target for a value that must not exceed a limit. `NaN` never reaches it. */
export function atMost (limit: number, what: string, value: number, unit = ''): Target {
  return { what, target: `≤ ${limit}${unit}`, value: `${format(value)}${unit}`, reached: value <= limit }
}

/** A target for a value that must reach a limit. `NaN` never reaches it. */
export function atLeast (limit: number, what: string, value: number): Target {
  return { what, target: `≥ ${limit}`, value: format(value), reached: value >= limit }
}

/** A target for a value that must stay below a limit. `NaN` never reaches it. */
export function below (limit: number, what: string, value: number): Target {
  return { what, target: `< ${limit}`, value: format(value), reached: value < limit }
}

/** Formats a number with three significant digits, or as a whole number. */
export function format (value: number): string {
  if (Number.isNaN(value)) return '–'
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}

export function megabytes (bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}

export function markdownTable (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map(row => row[i]!.length)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

export function targetsTable (sections: readonly Section[]): string {
  const rows = sections.flatMap(({ targets }) => targets)
    .map(({ what, target, value, reached }) => [what, target, value, reached ? 'yes' : 'NO'])
  return markdownTable(['', 'target', 'measured', 'reached'], rows)
}

/** Fills the generated blocks of a page, which are named after their scenarios, with the summaries of these. */
export function fillBlocks (page: string, sections: ReadonlyMap<string, Section>): string {
  return page.replace(/(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)/gs, (block, start, name, end) => {
    const section = sections.get(name)
    return section === undefined ? block : `${start}\n${section.summary ?? section.text}\n\n${end}`
  })
}
