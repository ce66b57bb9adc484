import { startChild, type Child } from '../child.js'
import { sendLoad, type Timing } from '../load.js'
import { alternate } from '../measure.js'
import { below, format, markdownTable, type Section, type Settings } from '../report.js'
import type { SameAppConfig, SameAppHello, SameAppUsage } from '../same-app-server.js'

type App = Child<SameAppHello, object, SameAppUsage>

/** The app that is measured, and the server of its route `/second`. */
interface Apps { readonly app: App, readonly second: App }

interface Variant {
  readonly name: string
  readonly path: string
  readonly database: SameAppConfig['database']
  readonly credential: 'jwts' | 'cookies'
  /** Whether each request makes an exchange: it needs no more than a part of the requests. */
  readonly isLive: boolean
}

type Figures = Timing & { readonly cpu: number }

const OPEN = 'open route'
const IN_PROCESS = 'session cookie, live, in process'
const OWN_PORT = 'session cookie, live, over HTTP to the own port'
const SECOND = 'session cookie, live, over HTTP to a second server'
const BY_HAND = '`auth.api.getSession()` in the route, without this plugin'
const DATABASES = ['memory', 'SQLite'] as const

const VARIANTS: readonly Variant[] = [
  { name: OPEN, path: '/open', database: 'memory', credential: 'jwts', isLive: false },
  { name: 'JWT, known', path: '/jwt', database: 'memory', credential: 'jwts', isLive: false },
  {
    name: 'session cookie, known for a minute', path: '/known', database: 'memory', credential: 'cookies', isLive: false
  },
  ...DATABASES.flatMap(database => ([
    [BY_HAND, '/get-session'], [IN_PROCESS, '/live'], [OWN_PORT, '/own-port'], [SECOND, '/second']
  ] as const).map(([name, path]) => ({ name, path, database, credential: 'cookies' as const, isLive: true })))
]

/** Parts of the requests of other scenarios. */
const KNOWN_SHARE = 0.25
const LIVE_SHARE = 0.025

/** Measures what a request costs where Better Auth is in the same app, and what it would cost over HTTP. */
export async function sameApp ({ requests, rounds }: Settings): Promise<Section> {
  const results = await withApps('memory', memory => withApps('SQLite', SQLite => {
    const apps = { memory, SQLite }
    return alternate(VARIANTS, rounds, variant => run(apps[variant.database], variant, requests))
  }))
  const of = (name: string, database: string) => [...results].find(([variant]) => (
    variant.name === name && variant.database === database
  ))?.[1]
  const open = of(OPEN, 'memory')!.cpu
  const ratio = (name: string, database: string) => {
    const figures = of(name, database)
    return figures === undefined ? '' : format(figures.cpu / open)
  }
  const summary = markdownTable(
    ['CPU per request ÷ that of the open route', 'memory adapter', 'SQLite'],
    [...new Set(VARIANTS.map(({ name }) => name))].map(name => [name, ...DATABASES.map(one => ratio(name, one))])
  )
  const full = markdownTable(
    ['route', 'database', 'CPU µs per request', 'requests per second', 'p50 ms', 'p99 ms'],
    [...results].map(([{ name, database }, { cpu, rps, p50, p99 }]) => (
      [name, database, format(cpu), rps.toFixed(0), p50.toFixed(2), p99.toFixed(2)]
    ))
  )
  return {
    title: 'Better Auth in the same app',
    text: `${summary}\n\n${NOTES}\n\n${full}`,
    summary,
    targets: DATABASES.map(database => below(1, (
      `session cookie, live: CPU in process ÷ over HTTP to the own port, ${database}`
    ), of(IN_PROCESS, database)!.cpu / of(OWN_PORT, database)!.cpu))
  }
}

const NOTES = `"Live": \`exchange.maxAge\` is 0, so that Better Auth reads the session and signs a JWT for each request.
64 sessions in turn, with ${KNOWN_SHARE * 100} % of the requests of other scenarios, or ${LIVE_SHARE * 100} % if live.
The processes are the same in all rounds. The CPU time includes that of the second server. SQLite is a file, by libsql.`

async function run ({ app, second }: Apps, variant: Variant, requests: number): Promise<Figures> {
  const { path, credential, isLive } = variant
  const { hello } = path === '/second' ? second : app
  const amount = Math.ceil(requests * (isLive ? LIVE_SHARE : KNOWN_SHARE))
  const url = app.hello.origin + path
  const header = credential === 'jwts' ? 'Authorization: Bearer ' : 'Cookie: '
  const send = (count: number) => sendLoad(url, hello[credential], count, undefined, header)
  const cpu = async () => (await app.ask({})).cpu + (await second.ask({})).cpu
  await send(isLive ? Math.ceil(amount / 2) : amount)
  const before = await cpu()
  const timing = await send(amount)
  return { ...timing, cpu: (await cpu() - before) / amount }
}

/** Starts both, and stops them after the work. */
async function withApps<Result> (
  database: SameAppConfig['database'], work: (apps: Apps) => Promise<Result>
): Promise<Result> {
  return withApp({ database }, second => withApp({ database, second: second.hello.origin }, app => (
    work({ app, second })
  )))
}

async function withApp<Result> (config: SameAppConfig, work: (app: App) => Promise<Result>): Promise<Result> {
  const app: App = await startChild('same-app-server.ts', config)
  try {
    return await work(app)
  } finally {
    await app.stop()
  }
}
