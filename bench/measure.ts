import { startChild, type Child } from './child.js'
import type { ServerConfig, ServerHello, Usage } from './contender.js'
import { sendLoad, type Timing } from './load.js'
import { median } from './stats.js'
import type { Issuer } from './tokens.js'

export type Server = Child<ServerHello, object, Usage>

/** CPU time in microseconds per request, peak memory in bytes. */
export interface Measurement extends Timing { cpu: number, peak: number }

/** Starts a server for the tokens of an issuer, and stops it after the work. */
export async function withServer<Result> (
  { alg, origin }: Issuer,
  config: Pick<ServerConfig, 'contender' | 'options' | 'feature'>,
  work: (server: Server) => Promise<Result>
): Promise<Result> {
  const server: Server = await startChild('server.ts', {
    alg, origin, jwksUrl: `${origin}/.well-known/jwks.json`, ...config
  } satisfies ServerConfig)
  try {
    return await work(server)
  } finally {
    await server.stop()
  }
}

/** Sends a number of requests with the tokens in turn, and measures the server's CPU time and memory. */
export async function measure (server: Server, tokens: readonly string[], amount: number): Promise<Measurement> {
  const before = await server.ask({})
  const timing = await sendLoad(server.hello.url, tokens, amount)
  const after = await server.ask({})
  return { ...timing, cpu: (after.cpu - before.cpu) / amount, peak: after.peak }
}

/** Measures all variants in each round, in reverse order every other round: a noisy minute affects all of them. */
export async function alternate<Variant> (
  variants: readonly Variant[], rounds: number, run: (variant: Variant) => Promise<Measurement>
): Promise<Map<Variant, Measurement>> {
  const runs = new Map<Variant, Measurement[]>(variants.map(variant => [variant, []]))
  for (let round = 0; round < rounds; round++) {
    const ordered = round % 2 === 0 ? variants : variants.toReversed()
    for (const variant of ordered) runs.get(variant)!.push(await run(variant))
  }
  return new Map([...runs].map(([variant, measurements]) => [variant, medians(measurements)]))
}

function medians (runs: readonly Measurement[]): Measurement {
  const of = (name: keyof Measurement) => median(runs.map(run => run[name]))
  return { cpu: of('cpu'), rps: of('rps'), p50: of('p50'), p99: of('p99'), peak: of('peak') }
}
