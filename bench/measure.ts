import { startChild, type Child } from './child.js'
import type { ServerConfig, ServerHello, Usage } from './contender.js'
import { SERVER_CORE } from './cores.js'
import { sendLoad, type Timing } from './load.js'
import { median } from './stats.js'
import type { Issuer } from './tokens.js'

export type Server = Child<ServerHello, object, Usage>

/** CPU time in microseconds per request, peak memory in bytes. */
export interface Measurement extends Timing { cpu: number, peak: number }

/** Starts a server for the tokens of an issuer, optionally on one core only, and stops it after the work. */
export async function withServer<Result> (
  { alg, origin }: Issuer,
  config: Pick<ServerConfig, 'contender' | 'options' | 'feature'>,
  work: (server: Server) => Promise<Result>,
  oneCore = false
): Promise<Result> {
  const server: Server = await startChild('server.ts', {
    alg, origin, jwksUrl: `${origin}/.well-known/jwks.json`, ...config
  } satisfies ServerConfig, oneCore ? SERVER_CORE : undefined)
  try {
    return await work(server)
  } finally {
    await server.stop()
  }
}

/** Sends a number of requests with the tokens in turn, and measures the server's CPU time and memory. */
export async function measure (
  server: Server, tokens: readonly string[], amount: number, connections?: number
): Promise<Measurement> {
  const before = await server.ask({})
  const timing = await sendLoad(server.hello.url, tokens, amount, connections)
  const after = await server.ask({})
  return { ...timing, cpu: (after.cpu - before.cpu) / amount, peak: after.peak }
}

/** Measures all variants in each round, in reverse order every other round: a noisy minute affects all of them. */
export async function alternate<Variant, Figures extends Record<keyof Figures, number>> (
  variants: readonly Variant[], rounds: number, run: (variant: Variant) => Promise<Figures>
): Promise<Map<Variant, Figures>> {
  const runs = new Map<Variant, Figures[]>(variants.map(variant => [variant, []]))
  for (let round = 0; round < rounds; round++) {
    const ordered = round % 2 === 0 ? variants : variants.toReversed()
    for (const variant of ordered) runs.get(variant)!.push(await run(variant))
  }
  return new Map([...runs].map(([variant, measured]) => [variant, medians(measured)]))
}

function medians<Figures extends Record<keyof Figures, number>> (runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0]!) as Array<keyof Figures>
  return Object.fromEntries(names.map(name => [name, median(runs.map(run => run[name]))])) as Figures
}
