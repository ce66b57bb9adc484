import type { ContenderName } from '../contender.js'
import { CAN_PIN, onOtherCores } from '../cores.js'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer, type Measurement, type Server } from '../measure.js'
import type { Section, Settings } from '../report.js'
import { ALGORITHMS, withIssuer, type Algorithm, type Issuer } from '../tokens.js'
import { cpuChart, cpuTable, fullTable, judge, ratioTable } from './compare-report.js'
import { MANY, ONE_CORE, SINGLE, type Route, type Row } from './compare-rows.js'

/** The loads other than {@link MANY} are measured for the algorithm that Better Auth uses by default. */
const DEFAULT_ALGORITHM: Algorithm = 'EdDSA'

const WARM_TOKENS = 100
/** A contender that takes more CPU per request than this, in µs, is measured with few requests. */
const SLOW = 3000
const SLOW_SHARE = 0.05

const NOTES = `Known tokens have been verified before. New tokens are each sent once. A contender that takes more than
${SLOW / 1000} ms per request is measured with ${SLOW_SHARE * 100} % of the requests. ${CAN_PIN
  ? '"Server on one core": `taskset` keeps\nthe server with all its threads on one core, and the client on the others.'
  : 'This machine cannot keep a server on one core.'}`

/** Measures all contenders side by side, for each algorithm. */
export async function compare (settings: Settings): Promise<Section> {
  const rows: Row[] = []
  for (const alg of ALGORITHMS) rows.push(...await withIssuer(alg, 1, issuer => compareAlgorithm(issuer, settings)))
  const summary = `${cpuTable(rows)}\n\n${ratioTable(rows)}`
  return {
    title: 'Side by side',
    text: [summary, NOTES, fullTable(rows)].join('\n\n'),
    summary,
    targets: judge(rows),
    charts: [cpuChart(rows)]
  }
}

function routesFor (alg: Algorithm, { earlier }: Settings): Route[] {
  const ours: ContenderName[] = earlier ? ['ours', 'earlier'] : ['ours']
  const peers: ContenderName[] = [...ours, 'jose', 'fastify-jwt-jwks', 'recipe']
  const loads = alg === DEFAULT_ALGORITHM ? [SINGLE, ...CAN_PIN ? [ONE_CORE] : []] : []
  return [
    ...(['open', ...peers] as const).map(contender => ({ contender, tokens: 'warm' as const, load: MANY })),
    ...(['bare', ...peers] as const).map(contender => ({ contender, tokens: 'cold' as const, load: MANY })),
    ...loads.flatMap(load => (['bare', ...ours, 'jose'] as const).map(contender => (
      { contender, tokens: 'cold' as const, load }
    )))
  ]
}

async function compareAlgorithm (issuer: Issuer, settings: Settings): Promise<Row[]> {
  const { requests, warmup, rounds } = settings
  const routes = routesFor(issuer.alg, settings)
  const tokens = { warmup: issuer.sign(warmup), warm: issuer.sign(WARM_TOKENS), cold: issuer.sign(requests) }
  const statuses = new Map<ContenderName, number>()
  for (const contender of new Set(routes.map(({ contender }) => contender))) {
    statuses.set(contender, await withServer(issuer, { contender }, server => probe(server, tokens.warm[0]!)))
  }

  async function run ({ contender, tokens: kind, load }: Route): Promise<Measurement> {
    const { connections, oneCore, share } = load
    return await withServer(issuer, { contender }, async server => {
      // The first requests are slow in every server: its code is not compiled yet.
      await sendLoad(server.hello.url, tokens.warm, 2 * WARM_TOKENS)
      const { cpu } = await measure(server, tokens.warm, WARM_TOKENS)
      const part = cpu > SLOW ? SLOW_SHARE : 1
      await sendLoad(server.hello.url, tokens.warmup, warmup * part)
      if (kind === 'warm') await sendLoad(server.hello.url, tokens.warm, warmup * part)
      return await measure(server, tokens[kind], Math.ceil(requests * part * share), connections)
    }, oneCore)
  }
  const results = await alternate(routes.filter(({ contender }) => statuses.get(contender) === 200), rounds, route => (
    route.load.oneCore ? onOtherCores(() => run(route)) : run(route)
  ))
  return routes.map(route => {
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
