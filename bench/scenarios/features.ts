import { channel } from 'node:diagnostics_channel'
import type { FEATURES } from '../contenders/ours.js'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer } from '../measure.js'
import { format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer } from '../tokens.js'

const NAMES: ReadonlyArray<keyof typeof FEATURES | undefined> = [
  undefined, 'authenticateOptional()', 'authorize({ check })', 'isRevoked, at once', 'isRevoked, as a promise', 'userSchema, flat',
  'userSchema, nested', 'sessionCookie: true, with a bearer token', 'extractToken, with a bearer token', 'diagnostics, listened to'
]

const LOOKS = 10_000_000

/** What diagnostics cost a verification while nobody listens, in nanoseconds: one look whether somebody does. */
function measureLook (): number {
  const silent = channel('better-auth-fastify:bench')
  let listeners = 0
  const start = performance.now()
  for (let i = 0; i < LOOKS; i++) if (silent.hasSubscribers) listeners++
  const end = performance.now()
  if (listeners > 0) throw new Error('somebody listens')
  return (end - start) / LOOKS * 1e6
}

/** What each option costs a request that brings a token which was seen before. */
export async function features ({ requests, warmup, rounds }: Settings): Promise<Section> {
  const variants = NAMES.map(feature => ({ feature }))
  const results = await withIssuer('EdDSA', 1, issuer => {
    const tokens = issuer.sign(1)
    return alternate(variants, rounds, ({ feature }) => withServer(issuer, { contender: 'ours', feature }, async server => {
      await sendLoad(server.hello.url, tokens, warmup)
      return await measure(server, tokens, requests)
    }))
  })
  const plain = results.get(variants[0]!)!.cpu
  return {
    title: 'What each option costs, warm, EdDSA',
    text: markdownTable(['set', 'CPU µs a request', '− plain'], [...results].map(([{ feature = 'nothing' }, { cpu }]) => [
      feature, format(cpu), feature === 'nothing' ? '' : format(cpu - plain)
    ])) + `\n\nDiagnostics that nobody listens to are part of all rows: one look at a channel, ${measureLook().toFixed(1)} ns.`,
    targets: []
  }
}
