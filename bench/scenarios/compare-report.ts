import type { Chart } from '../chart.js'
import { NAMES } from '../contenders/names.js'
import { atLeast, atMost, below, format, markdownTable, megabytes, type Target } from '../report.js'
import { ALGORITHMS, type Algorithm } from '../tokens.js'
import { figure, MANY, ONE_CORE, SINGLE, type Row } from './compare-rows.js'

const kind = ({ route }: Row) => route.tokens === 'warm' ? 'known' : 'new'

/** The CPU time per request over many connections, with a column for each algorithm. */
export function cpuTable (rows: readonly Row[]): string {
  const many = rows.filter(({ route }) => route.load === MANY)
  const first = many.filter(({ alg }) => alg === ALGORITHMS[0])
  const head = ['CPU µs per request', 'tokens', ...ALGORITHMS]
  return markdownTable(head, first.map(row => [NAMES[row.route.contender], kind(row), ...ALGORITHMS.map(alg => {
    const { result } = many.find(other => (
      other.alg === alg && other.route.contender === row.route.contender && other.route.tokens === row.route.tokens
    ))!
    return 'refused' in result ? `not supported (${result.refused})` : format(result.cpu)
  })]))
}

/** This plugin beside its references, for new tokens. */
export function ratioTable (rows: readonly Row[]): string {
  const references = (['bare', 'jose', 'earlier'] as const)
    .filter(contender => rows.some(({ route }) => route.contender === contender))
  const loads = rows.filter(({ route }) => route.contender === 'ours' && route.tokens === 'cold')
  const head = [
    'new tokens', 'load', 'CPU − bare, µs', ...references.map(name => `CPU ÷ ${shortName(name)}`),
    ...references.map(name => `requests per second ÷ ${shortName(name)}`)
  ]
  return markdownTable(head, loads.map(({ alg, route: { load } }) => {
    const of = (name: 'cpu' | 'rps', contender: keyof typeof NAMES) => figure(rows, name, alg, contender, { load })
    return [
      alg, load.name, format(of('cpu', 'ours') - of('cpu', 'bare')),
      ...references.map(contender => (of('cpu', 'ours') / of('cpu', contender)).toFixed(2)),
      ...references.map(contender => (of('rps', 'ours') / of('rps', contender)).toFixed(2))
    ]
  }))
}

const shortName = (contender: 'bare' | 'jose' | 'earlier') => contender === 'earlier' ? 'earlier build' : contender

/** All figures of all rows. */
export function fullTable (rows: readonly Row[]): string {
  const head = [
    'algorithm', 'tokens', 'route', 'load', 'CPU µs per request', 'requests per second', 'p50 ms', 'p99 ms',
    'peak memory MB'
  ]
  return markdownTable(head, rows.map(row => [
    row.alg, kind(row), NAMES[row.route.contender], row.route.load.name, ...figures(row)
  ]))
}

function figures ({ result }: Row): string[] {
  if ('refused' in result) return [`not supported (${result.refused})`, '', '', '', '']
  const { cpu, rps, p50, p99, peak } = result
  return [format(cpu), rps.toFixed(0), p50.toFixed(2), p99.toFixed(2), megabytes(peak)]
}

/** The targets for known and for new tokens. */
export function judge (rows: readonly Row[]): Target[] {
  const cpu = (...of: Of) => figure(rows, 'cpu', ...of)
  const rps = (...of: Of) => figure(rows, 'rps', ...of)
  const known = { tokens: 'warm' } as const
  const targets = [
    atMost(1.25, 'known tokens: CPU ÷ that of the open route, EdDSA', (
      cpu('EdDSA', 'ours', known) / cpu('EdDSA', 'open', known)
    )),
    atMost(0.2, 'known tokens: CPU ÷ that of jose, EdDSA', cpu('EdDSA', 'ours', known) / cpu('EdDSA', 'jose', known)),
    ...ALGORITHMS.map(alg => atLeast(LEAST_OF_BARE[alg], (
      `new tokens: requests per second ÷ those of bare crypto.verify, ${alg}`
    ), rps(alg, 'ours') / rps(alg, 'bare'))),
    ...ALGORITHMS.map(alg => atLeast(1.2, (
      `new tokens: requests per second ÷ those of jose, ${alg}`
    ), rps(alg, 'ours') / rps(alg, 'jose'))),
    ...ALGORITHMS.map(alg => atMost(10, (
      `new tokens: CPU − that of bare crypto.verify, ${alg}`
    ), cpu(alg, 'ours') - cpu(alg, 'bare'), ' µs')),
    ...ALGORITHMS.map(alg => below(1, `new tokens: CPU ÷ that of jose, ${alg}`, cpu(alg, 'ours') / cpu(alg, 'jose')))
  ]
  for (const load of [SINGLE, ONE_CORE]) {
    const name = `new tokens, ${load.name}`
    const ratio = (of: typeof cpu) => of('EdDSA', 'ours', { load }) / of('EdDSA', 'earlier', { load })
    if (Number.isNaN(ratio(cpu))) continue
    targets.push(
      atMost(1.02, `${name}: CPU ÷ that of the earlier build, EdDSA`, ratio(cpu)),
      atLeast(0.98, `${name}: requests per second ÷ those of the earlier build, EdDSA`, ratio(rps))
    )
  }
  return targets
}

type Of = Parameters<typeof figure> extends [unknown, unknown, ...infer Rest] ? Rest : never

/** How many new tokens per second are wanted, beside a check of the signature and nothing else on the event loop. */
const LEAST_OF_BARE: Record<Algorithm, number> = { EdDSA: 1.4, ES256: 1.4, RS256: 1 }

/** The CPU time per request over many connections: one group for each algorithm and kind of token. */
export function cpuChart (rows: readonly Row[]): Chart {
  const many = rows.filter(({ route }) => route.load === MANY)
  const titleOf = (row: Row) => `${row.alg}, ${kind(row)} tokens`
  return {
    title: 'CPU time per request in µs (less is better)',
    groups: [...new Set(many.map(titleOf))].map(title => ({
      title,
      bars: many.filter(row => titleOf(row) === title).map(({ route: { contender }, result }) => ({
        name: NAMES[contender],
        isOurs: contender === 'ours',
        value: 'refused' in result ? `not supported (${result.refused})` : result.cpu
      }))
    }))
  }
}
