import { format } from './report.js'
import type { Row } from './scenarios/compare.js'

const WIDTH = 760
const LABELS = 230
const BARS = 420
const LINE = 22

const TITLE = 'CPU time per request in µs'

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .note { fill: #59636e }
  .bar { fill: #8c959f }
  .ours { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .bar { fill: #656c76 }
    .ours { fill: #3fb950 }
  }`

/** Draws the CPU time per request as bars, with one block per algorithm for known tokens and one for new tokens. */
export function drawChart (rows: readonly Row[]): string {
  const titleOf = ({ alg, route }: Row) => `${alg}, ${route.tokens === 'warm' ? 'known tokens' : 'new tokens'}`
  const scale = longestBar(rows)
  let y = 22
  const lines = [text(0, y, `${TITLE} (less is better)`, 'head')]
  for (const title of new Set(rows.map(titleOf))) {
    y += 36
    lines.push(text(0, y, title, 'note'))
    for (const row of rows.filter(row => titleOf(row) === title)) {
      y += LINE
      lines.push(...drawBar(row, y, scale))
    }
  }
  const height = y + 14
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${TITLE}">
<style>${STYLE}
</style>
${lines.join('\n')}
</svg>
`
}

function drawBar ({ route, result }: Row, y: number, scale: number): string[] {
  const label = text(0, y, route.name, route.contender === 'ours' ? 'head' : '')
  if ('refused' in result) return [label, text(LABELS, y, `not supported (${result.refused})`, 'note')]
  const isCut = result.cpu > scale
  const width = Math.round(Math.min(1, result.cpu / scale) * BARS)
  const style = route.contender === 'ours' ? 'ours' : 'bar'
  const bar = `<rect class="${style}" x="${LABELS}" y="${y - 12}" width="${width}" height="15" rx="2"/>`
  return [label, bar, text(LABELS + width + 6, y, isCut ? `→ ${format(result.cpu)}` : format(result.cpu), '')]
}

/** The value of a full bar. A few much larger values are cut off, or they would make the others invisible. */
function longestBar (rows: readonly Row[]): number {
  const values = rows.flatMap(({ result }) => 'refused' in result ? [] : [result.cpu]).sort((a, b) => a - b)
  const typical = values[Math.floor(values.length * 0.75)]!
  return Math.max(...values.filter(value => value <= 3 * typical))
}

function text (x: number, y: number, content: string, style: string): string {
  return `<text x="${x}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${content}</text>`
}
