import { channel } from 'node:diagnostics_channel'
import type { FeatureName } from '../contenders/features.js'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer, type Server } from '../measure.js'
import { format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer } from '../tokens.js'

const NAMES: ReadonlyArray<FeatureName | undefined> = [
  undefined, 'authenticateOptional()', 'authorize({ check })', 'isRevoked, synchronous', 'isRevoked, as a promise',
  'userSchema, flat', 'userSchema, nested', 'sessionCookie: true, with a bearer token',
  'extractToken, with a bearer token', 'diagnostics, with subscribers'
]

const READS = 10_000_000

/** The cost of diagnostics without subscribers, in nanoseconds per verification: one read of `hasSubscribers`. */
function measureRead (): number {
  const silent = channel('better-auth-fastify:bench')
  let listeners = 0
  const start = performance.now()
  for (let i = 0; i < READS; i++) if (silent.hasSubscribers) listeners++
  const end = performance.now()
  if (listeners > 0) throw new Error('the channel has a subscriber')
  return (end - start) / READS * 1e6
}

/** Measures the cost of each feature for a request with a known token. */
export async function features ({ requests, warmup, rounds }: Settings): Promise<Section> {
  const variants = NAMES.map(feature => ({ feature }))
  const results = await withIssuer('EdDSA', 1, issuer => {
    const tokens = issuer.sign(1)
    const run = async (server: Server) => {
      await sendLoad(server.hello.url, tokens, warmup)
      return await measure(server, tokens, requests)
    }
    return alternate(variants, rounds, variant => withServer(issuer, { contender: 'ours', ...variant }, run))
  })
  const plain = results.get(variants[0]!)!.cpu
  const rows = [...results].map(([{ feature = 'none' }, { cpu }]) => [
    feature, format(cpu), feature === 'none' ? '' : format(cpu - plain)
  ])
  return {
    title: 'Cost of each feature: known tokens, EdDSA',
    text: `${markdownTable(['feature', 'CPU µs per request', '− none'], rows)}\n\n` +
      `All rows include diagnostics without subscribers: one read of a property, ${measureRead().toFixed(1)} ns.`,
    targets: []
  }
}
