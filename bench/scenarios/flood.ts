import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild, type Child } from '../child.js'
import type { Chart } from '../chart.js'
import type { ClientAnswer, ClientConfig, ClientQuestion } from '../client.js'
import type { ContenderName } from '../contender.js'
import { NAMES } from '../contenders/names.js'
import { CONNECTIONS, sendLoad } from '../load.js'
import { alternate, withServer } from '../measure.js'
import { atMost, below, format, markdownTable, type Section, type Settings, type Target } from '../report.js'
import { withIssuer, type Issuer } from '../tokens.js'

const STATES = ['calm', 'flood'] as const
const ROUTES = ['open', 'known'] as const
type State = typeof STATES[number]
type Route = typeof ROUTES[number]

/** Durations in milliseconds, the forged tokens per second, and the share of them that got 503 in percent. */
type Figures = Record<`${State} ${Route} ${'p50' | 'p99'}` | 'forged' | 'unavailable', number>
type Results = ReadonlyMap<ContenderName, Figures>

/** Seconds between the start of the flood and the first request that counts, and from the last one to its end. */
const MARGIN = 1

const ROUTE_NAMES: Record<Route, string> = { open: 'an open route', known: 'a known token' }

const NOTES = `${CONNECTIONS} connections send forged tokens as fast as the server responds, each another one, with a
\`kid\` of the JWKS and a signature that takes a whole verification. Meanwhile, one client asks an open route and
another one a protected route with a known token, one request after the other. "Calm" is the same without the flood.
Each client is a process of its own. The machine has ${availableParallelism()} cores, for which the clients compete
with the server: a part of each duration is the wait for a core, and the more tokens a server refuses per second, the
more of the machine the flood takes.`

/** Measures how long other requests take while forged tokens come as fast as the server refuses them. */
export async function flood (settings: Settings): Promise<Section> {
  const contenders: ContenderName[] = ['ours', ...settings.earlier ? ['earlier' as const] : [], 'jose', 'bare']
  const results = await withIssuer('EdDSA', 1, issuer => (
    alternate(contenders, settings.rounds, contender => measureFlood(issuer, contender, settings))
  ))
  const summary = describe(results)
  return {
    title: 'Awake in a flood of forged tokens: EdDSA',
    text: `${summary}\n\n${NOTES}`,
    summary,
    targets: judge(results),
    charts: [draw(results)]
  }
}

async function measureFlood (
  issuer: Issuer, contender: ContenderName, { quick, requests, warmup }: Settings
): Promise<Figures> {
  const seconds = quick ? 1 : 5
  const [token] = issuer.sign(1) as [string]
  return await withServer(issuer, { contender }, async ({ hello: { url, openUrl } }) => {
    await sendLoad(url, issuer.sign(warmup), warmup)
    for (const each of [url, openUrl]) await sendLoad(each, [token], requests)

    const probe = { token, forge: false, connections: 1 }
    return await withClient({ url, token, forge: true, connections: CONNECTIONS }, flooder => (
      withClient({ ...probe, url: openUrl }, open => withClient({ ...probe, url }, async known => {
        const calm = await Promise.all([askFor200(open, seconds), askFor200(known, seconds)])
        const flooding = flooder.ask({ seconds: seconds + 2 * MARGIN })
        await sleep(MARGIN * 1000)
        const busy = await Promise.all([askFor200(open, seconds), askFor200(known, seconds)])
        return {
          'calm open p50': calm[0].p50,
          'calm open p99': calm[0].p99,
          'calm known p50': calm[1].p50,
          'calm known p99': calm[1].p99,
          'flood open p50': busy[0].p50,
          'flood open p99': busy[0].p99,
          'flood known p50': busy[1].p50,
          'flood known p99': busy[1].p99,
          ...outcome(await flooding)
        }
      }))
    ))
  })
}

type Client = Child<object, ClientQuestion, ClientAnswer>

/** Starts a client in its own process, and stops it after the work. */
async function withClient<Result> (config: ClientConfig, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client: Client = await startChild('client.ts', config)
  try {
    return await work(client)
  } finally {
    await client.stop()
  }
}

async function askFor200 (client: Client, seconds: number): Promise<ClientAnswer> {
  const answer = await client.ask({ seconds })
  if (Object.keys(answer.statuses).join() !== '200') throw new Error(`not all were 200: ${JSON.stringify(answer)}`)
  return answer
}

/** Forged tokens may only be refused, or put off with a 503. */
function outcome ({ rps, statuses }: ClientAnswer): Pick<Figures, 'forged' | 'unavailable'> {
  const { 401: refused = 0, 503: unavailable = 0, ...others } = statuses
  if (Object.keys(others).length > 0) throw new Error(`not all were refused: ${JSON.stringify(statuses)}`)
  return { forged: rps, unavailable: unavailable / (refused + unavailable) * 100 }
}

function describe (results: Results): string {
  const head = [
    '', 'contender', 'calm p50 ms', 'calm p99 ms', 'flood p50 ms', 'flood p99 ms', 'p99: flood ÷ calm',
    'flood p50 ÷ that of jose', 'flood p99 ÷ that of jose', 'forged tokens per second', 'of these 503'
  ]
  const jose = results.get('jose')!
  return markdownTable(head, ROUTES.flatMap(route => [...results].map(([contender, figures]) => [
    ROUTE_NAMES[route], NAMES[contender],
    ...STATES.flatMap(state => [figures[`${state} ${route} p50`], figures[`${state} ${route} p99`]])
      .map(value => value.toFixed(2)),
    format(slowdown(figures, route)),
    ...(['p50', 'p99'] as const).map(name => (
      format(figures[`flood ${route} ${name}`] / jose[`flood ${route} ${name}`])
    )),
    format(figures.forged), `${format(figures.unavailable)} %`
  ])))
}

const slowdown = (figures: Figures, route: Route) => figures[`flood ${route} p99`] / figures[`calm ${route} p99`]

function judge (results: Results): Target[] {
  const ours = results.get('ours')!
  const jose = results.get('jose')!
  return ROUTES.flatMap(route => [
    ...(['p50', 'p99'] as const).map(name => below(1, (
      `flood: ${name} of ${ROUTE_NAMES[route]} ÷ that of jose`
    ), ours[`flood ${route} ${name}`] / jose[`flood ${route} ${name}`])),
    atMost(4, `flood: p99 of ${ROUTE_NAMES[route]} ÷ p99 while calm`, slowdown(ours, route))
  ])
}

function draw (results: Results): Chart {
  return {
    title: 'p99 in ms while forged tokens come in (less is better)',
    groups: ROUTES.flatMap(route => STATES.map(state => ({
      title: `${ROUTE_NAMES[route]}, ${state}`,
      bars: [...results].map(([contender, figures]) => ({
        name: NAMES[contender], isOurs: contender === 'ours', value: figures[`${state} ${route} p99`]
      }))
    })))
  }
}
