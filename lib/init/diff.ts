import type { Change } from './plan.js'

const CONTEXT = 3

/** A unified diff, as `git apply` reads it. It has one hunk: init adds lines in one place, or nearly. */
export function formatDiff ({ path, before, after, kind }: Change): string {
  const isNew = kind === 'create'
  const [old, new_] = [linesOf(before), linesOf(after)]
  const start = new_.findIndex((line, index) => line !== old[index])
  let end = 0
  while (end < Math.min(old.length, new_.length) - start && old.at(-1 - end) === new_.at(-1 - end)) end++
  const from = Math.max(0, start - CONTEXT)
  const rest = Math.max(0, end - CONTEXT)
  const lines = [
    ...old.slice(from, start).map(line => ` ${line}`),
    ...old.slice(start, old.length - end).map(line => `-${line}`),
    ...new_.slice(start, new_.length - end).map(line => `+${line}`),
    ...old.slice(old.length - end, old.length - rest).map(line => ` ${line}`)
  ]
  const range = (length: number) => `${length === 0 ? 0 : from + 1},${length - rest - from}`
  return [
    ...isNew ? [`diff --git a/${path} b/${path}`, 'new file mode 100644'] : [],
    `--- ${isNew ? '/dev/null' : `a/${path}`}`,
    `+++ b/${path}`,
    `@@ -${range(old.length)} +${range(new_.length)} @@`,
    ...lines
  ].join('\n') + '\n'
}

/** The last line of a file that does not end with a line break carries the mark for that. */
function linesOf (text: string): string[] {
  const lines = text.split('\n')
  const last = lines.pop()!
  return last === '' ? lines : [...lines, `${last}\n\\ No newline at end of file`]
}
