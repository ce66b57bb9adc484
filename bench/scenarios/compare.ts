import type { ContenderName } from '../contender.js'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer, type Measurement, type Server } from '../measure.js'
import { atMost, below, format, markdownTable, megabytes, type Section, type Settings, type Target } from '../report.js'
import { ALGORITHMS, withIssuer, type Algorithm, type Issuer } from '../tokens.js'

/** Warm: a few known tokens in turn. Cold: a new token on each request. */
interface Route { contender: ContenderName, name: string, tokens: 'warm' | 'cold' }

/** The measurement of a route for one algorithm, or the status with which its contender refuses the tokens. */
export interface Row { alg: Algorithm, route: Route, result: Measurement | { refused: number } }

const PEERS = [
  { contender: 'ours', name: 'better-auth-fastify' },
  { contender: 'jose', name: 'jose in a hook' },
  { contender: 'fastify-jwt-jwks', name: 'fastify-jwt-jwks' },
  { contender: 'recipe', name: '@fastify/jwt + get-jwks' }
] as const

const ROUTES: readonly Route[] = [
  { contender: 'open', name: 'open route', tokens: 'warm' },
  ...PEERS.map(peer => ({ ...peer, tokens: 'warm' as const })),
  { contender: 'bare', name: 'bare crypto.verify', tokens: 'cold' },
  ...PEERS.map(peer => ({ ...peer, tokens: 'cold' as const }))
]

const WARM_TOKENS = 100
/** A contender that takes more CPU per request than this, in µs, is measured with a tenth of the requests. */
const SLOW = 3000

/** Measures all contenders side by side, for each algorithm. */
export async function compare (settings: Settings): Promise<Section & { rows: Row[] }> {
  const rows: Row[] = []
  for (const alg of ALGORITHMS) rows.push(...await withIssuer(alg, 1, issuer => compareAlgorithm(issuer, settings)))
  return { title: 'Side by side', text: describe(rows), targets: judge(rows), rows }
}

async function compareAlgorithm (issuer: Issuer, { requests, warmup, rounds }: Settings): Promise<Row[]> {
  const tokens = { warmup: issuer.sign(warmup), warm: issuer.sign(WARM_TOKENS), cold: issuer.sign(requests) }
  const statuses = new Map<ContenderName, number>()
  for (const { contender } of ROUTES.filter(({ tokens }) => tokens === 'cold')) {
    statuses.set(contender, await withServer(issuer, { contender }, server => probe(server, tokens.warm[0]!)))
  }
  const accepts = (route: Route) => (statuses.get(route.contender) ?? 200) === 200

  const results = await alternate(ROUTES.filter(accepts), rounds, route => withServer(issuer, route, async server => {
    const { cpu } = await measure(server, tokens.warm, WARM_TOKENS)
    const share = cpu > SLOW ? 0.1 : 1
    await sendLoad(server.hello.url, tokens.warmup, warmup * share)
    if (route.tokens === 'warm') await sendLoad(server.hello.url, tokens.warm, warmup * share)
    return await measure(server, tokens[route.tokens], requests * share)
  }))
  return ROUTES.map(route => {
    const result = results.get(route) ?? { refused: statuses.get(route.contender)! }
    return { alg: issuer.alg, route, result }
  })
}

/** The status of a server's response to a token. */
async function probe ({ hello }: Server, token: string): Promise<number> {
  const response = await fetch(hello.url, { headers: { authorization: `Bearer ${token}` } })
  await response.arrayBuffer()
  return response.status
}

function describe (rows: readonly Row[]): string {
  const head = [
    'algorithm', 'tokens', 'route', 'CPU µs per request', 'requests per second', 'p50 ms', 'p99 ms', 'peak memory MB'
  ]
  const table = markdownTable(head, rows.map(({ alg, route, result }) => [
    alg, route.tokens === 'warm' ? 'known' : 'new', route.name, ...'refused' in result
      ? [`not supported (${result.refused})`, '', '', '', '']
      : figures(result)
  ]))
  const notes = 'Known tokens have been verified before. New tokens are each sent once.\n' +
    `A contender that takes more than ${SLOW / 1000} ms per request is measured with a tenth of the requests.`
  return `${table}\n\n${notes}`
}

function figures ({ cpu, rps, p50, p99, peak }: Measurement): string[] {
  return [format(cpu), rps.toFixed(0), p50.toFixed(2), p99.toFixed(2), megabytes(peak)]
}

function judge (rows: readonly Row[]): Target[] {
  function cpu (alg: Algorithm, contender: ContenderName, tokens: Route['tokens']): number {
    const { result } = rows.find(row => (
      row.alg === alg && row.route.contender === contender && row.route.tokens === tokens
    ))!
    return 'refused' in result ? NaN : result.cpu
  }
  const warm = cpu('EdDSA', 'ours', 'warm')
  return [
    atMost(1.25, 'known tokens: CPU ÷ that of the open route, EdDSA', warm / cpu('EdDSA', 'open', 'warm')),
    atMost(0.2, 'known tokens: CPU ÷ that of jose, EdDSA', warm / cpu('EdDSA', 'jose', 'warm')),
    ...ALGORITHMS.map(alg => {
      const difference = cpu(alg, 'ours', 'cold') - cpu(alg, 'bare', 'cold')
      return atMost(20, `new tokens: CPU − that of bare crypto.verify, ${alg}`, difference, ' µs')
    }),
    ...ALGORITHMS.map(alg => {
      const ratio = cpu(alg, 'ours', 'cold') / cpu(alg, 'jose', 'cold')
      return below(1, `new tokens: CPU ÷ that of jose, ${alg}`, ratio)
    })
  ]
}
