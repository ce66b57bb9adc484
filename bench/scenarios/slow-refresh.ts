import { setTimeout as sleep } from 'node:timers/promises'
import { sendLoad } from '../load.js'
import { alternate, measure, withServer } from '../measure.js'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer } from '../tokens.js'

const DELAY = 3000
const MAX_AGE = 500
const TOKENS = 100

const VARIANTS = [
  { name: 'no refresh', delay: 0, jwks: {} },
  {
    name: `a refresh of ${DELAY / 1000} s in progress at all times`,
    delay: DELAY,
    jwks: { maxAge: MAX_AGE, staleWhileRevalidate: 3_600_000 }
  }
] as const

/** Measures requests with known tokens while the JWKS server is slow: no request may wait for it. */
export async function slowRefresh ({ requests, warmup, rounds }: Settings): Promise<Section> {
  const fetches = new Map<string, number>()
  const results = await withIssuer('EdDSA', 1, issuer => {
    const tokens = issuer.sign(TOKENS)
    return alternate(VARIANTS, rounds + 2, ({ name, delay, jwks }) => (
      withServer(issuer, { contender: 'ours', options: { jwks } }, async server => {
        await sendLoad(server.hello.url, tokens, warmup)
        const before = await issuer.jwks.ask({ delay })
        // The key is stale now: the first request starts a refresh. When it ends, the key is soon stale again.
        await sleep(MAX_AGE)
        const result = await measure(server, tokens, 3 * requests)
        const after = await issuer.jwks.ask({ delay: 0 })
        fetches.set(name, (fetches.get(name) ?? 0) + after.hits - before.hits)
        return result
      })
    ))
  })
  const [idle, busy] = VARIANTS.map(variant => results.get(variant)!.p99) as [number, number]
  const ratio = fetches.get(VARIANTS[1].name)! > 0 ? busy / idle : NaN
  const rows = [...results].map(([{ name }, { p50, p99, cpu }]) => [
    name, String(fetches.get(name)), p50.toFixed(2), p99.toFixed(2), format(cpu)
  ])
  return {
    title: 'Known tokens during a slow refresh',
    text: markdownTable(['', 'JWKS fetches', 'p50 ms', 'p99 ms', 'CPU µs per request'], rows),
    targets: [atMost(1.5, 'known tokens: p99 during a refresh of 3 s ÷ p99 without', ratio)]
  }
}
