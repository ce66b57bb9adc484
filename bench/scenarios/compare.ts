import { sendLoad } from '../load.js'
import { alternate, measure, withServer, type Measurement, type Server } from '../measure.js'
import { atMost, below, format, markdownTable, megabytes, type Section, type Settings, type Target } from '../report.js'
import type { ServerConfig } from '../server.js'
import { ALGORITHMS, withIssuer, type Algorithm, type Issuer } from '../tokens.js'

/** Warm: few tokens, all seen before. Cold: a token that was not seen before on each request. */
interface Route { contender: ServerConfig['contender'], name: string, tokens: 'warm' | 'cold' }

/** A route for the tokens of one algorithm, or the status with which its contender refuses them. */
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
/** What takes longer than this, in µs of CPU, when it has just started, is measured with a tenth of the requests. */
const SLOW = 3000

/** All contenders side by side, for each algorithm. */
export async function compare (settings: Settings): Promise<Section & { rows: Row[] }> {
  const rows: Row[] = []
  for (const alg of ALGORITHMS) rows.push(...await withIssuer(alg, 1, issuer => compareAlgorithm(issuer, settings)))
  return { title: 'Side by side', text: describe(rows), targets: judge(rows), rows }
}

async function compareAlgorithm (issuer: Issuer, { requests, warmup, rounds }: Settings): Promise<Row[]> {
  const tokens = { warmup: issuer.sign(warmup), warm: issuer.sign(WARM_TOKENS), cold: issuer.sign(requests) }
  const statuses = new Map<Route['contender'], number>()
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
  return ROUTES.map(route => ({ alg: issuer.alg, route, result: results.get(route) ?? { refused: statuses.get(route.contender)! } }))
}

/** Whether a server takes such tokens at all. */
async function probe ({ hello }: Server, token: string): Promise<number> {
  const response = await fetch(hello.url, { headers: { authorization: `Bearer ${token}` } })
  await response.arrayBuffer()
  return response.status
}

function describe (rows: readonly Row[]): string {
  const head = ['algorithm', 'tokens', 'route', 'CPU µs a request', 'requests a second', 'p50 ms', 'p99 ms', 'peak memory MB']
  const table = markdownTable(head, rows.map(({ alg, route, result }) => [
    alg, route.tokens === 'warm' ? 'seen before' : 'each a new one', route.name, ...'refused' in result
      ? [`refuses it (${result.refused})`, '', '', '', '']
      : [format(result.cpu), result.rps.toFixed(0), result.p50.toFixed(2), result.p99.toFixed(2), megabytes(result.peak)]
  ]))
  return `${table}\n\nWhat takes more than ${SLOW / 1000} ms for a request is measured with a tenth of the requests.`
}

function judge (rows: readonly Row[]): Target[] {
  function cpu (alg: Algorithm, contender: Route['contender'], tokens: Route['tokens']): number {
    const result = rows.find(({ route, ...row }) => row.alg === alg && route.contender === contender && route.tokens === tokens)!.result
    return 'refused' in result ? NaN : result.cpu
  }
  const warm = cpu('EdDSA', 'ours', 'warm')
  return [
    atMost(1.25, 'warm: CPU a request ÷ open route’s, EdDSA', warm / cpu('EdDSA', 'open', 'warm')),
    atMost(0.2, 'warm: CPU a request ÷ jose’s, EdDSA', warm / cpu('EdDSA', 'jose', 'warm')),
    ...ALGORITHMS.map(alg => atMost(20, `cold: CPU a request − bare route’s, ${alg}`, cpu(alg, 'ours', 'cold') - cpu(alg, 'bare', 'cold'), ' µs')),
    ...ALGORITHMS.map(alg => below(1, `cold: CPU a request ÷ jose’s, ${alg}`, cpu(alg, 'ours', 'cold') / cpu(alg, 'jose', 'cold')))
  ]
}
