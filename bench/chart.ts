import { format } from './report.js'

/** A chart of bars. All its bars have one scale. */
export interface Chart {
  readonly title: string
  readonly groups: ReadonlyArray<{ readonly title: string, readonly bars: readonly Bar[] }>
}

/** The value, or why there is none. */
export interface Bar { readonly name: string, readonly isOurs: boolean, readonly value: number | string }

const WIDTH = 760
const LABELS = 230
const BARS = 420
const LINE = 22

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

/** Draws the charts below each other, as one SVG file. */
export function drawCharts (charts: readonly Chart[]): string {
  let y = -14
  const lines: string[] = []
  for (const { title, groups } of charts) {
    const scale = longestBar(groups.flatMap(({ bars }) => bars))
    lines.push(text(0, y += 36, title, 'head'))
    for (const group of groups) {
      lines.push(text(0, y += 36, group.title, 'note'))
      for (const bar of group.bars) lines.push(...drawBar(bar, y += LINE, scale))
    }
    y += LINE
  }
  const size = `width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`
  const label = charts.map(({ title }) => title).join('; ')
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${label}">
<style>${STYLE}
</style>
${lines.join('\n')}
</svg>
`
}

function drawBar ({ name, isOurs, value }: Bar, y: number, scale: number): string[] {
  const label = text(0, y, name, isOurs ? 'head' : '')
  if (typeof value === 'string') return [label, text(LABELS, y, value, 'note')]
  const isCut = value > scale
  const width = Math.round(Math.min(1, value / scale) * BARS)
  const style = isOurs ? 'ours' : 'bar'
  const bar = `<rect class="${style}" x="${LABELS}" y="${y - 12}" width="${width}" height="15" rx="2"/>`
  return [label, bar, text(LABELS + width + 6, y, isCut ? `→ ${format(value)}` : format(value), '')]
}

/** The value of a full bar. A few much larger values are cut off, or they would make the others invisible. */
function longestBar (bars: readonly Bar[]): number {
  const values = bars.flatMap(({ value }) => typeof value === 'string' ? [] : [value]).sort((a, b) => a - b)
  const typical = values[Math.floor(values.length * 0.75)]!
  return Math.max(...values.filter(value => value <= 3 * typical))
}

function text (x: number, y: number, content: string, style: string): string {
  return `<text x="${x}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${content}</text>`
}
