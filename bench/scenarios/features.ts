import { channel } from 'node:diagnostics_channel'
import type { FeatureName } from '../contenders/features.js'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer } from '../measure.js'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer } from '../tokens.js'

const EXCHANGED = 'exchange, with a session token'
/** The issuer exchanges any session token. */
const SESSION_TOKENS = ['0'.repeat(32)]

const NAMES: ReadonlyArray<FeatureName | undefined> = [
  undefined, 'authenticateOptional()', 'authorize({ check })', 'isRevoked, synchronous', 'isRevoked, as a promise',
  'userSchema, flat', 'userSchema, nested', 'sessionCookie: true, with a bearer token',
  'extractToken, with a bearer token', 'diagnostics, with subscribers', 'exchange, with a bearer token', EXCHANGED
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
  const open = { contender: 'open' as const, feature: undefined }
  const variants = NAMES.map(feature => ({ contender: 'ours' as const, feature }))
  const results = await withIssuer('EdDSA', 1, async issuer => {
    const tokens = issuer.sign(1)
    await issuer.jwks.ask({ token: tokens[0]! })
    return await alternate([open, ...variants], rounds, variant => withServer(issuer, variant, async server => {
      const sent = variant.feature === EXCHANGED ? SESSION_TOKENS : tokens
      await sendLoad(server.hello.url, sent, warmup)
      return await measure(server, sent, requests)
    }))
  })
  const cpuOf = (variant: typeof open | typeof variants[number]) => results.get(variant)!.cpu
  const plain = cpuOf(variants[0]!)
  const rows = variants.map(variant => {
    const { feature = 'none' } = variant
    return [feature, format(cpuOf(variant)), feature === 'none' ? '' : format(cpuOf(variant) - plain)]
  })
  return {
    title: 'Cost of each feature: known tokens, EdDSA',
    text: `${markdownTable(['feature', 'CPU µs per request', '− none'], rows)}\n\n` +
      `All rows include diagnostics without subscribers: one read of a property, ${measureRead().toFixed(1)} ns.`,
    targets: [
      atMost(1.3, 'known session token, exchanged: CPU ÷ that of an open route', cpuOf(variants.at(-1)!) / cpuOf(open))
    ]
  }
}
