import { sendLoad } from '../load.js'
import { alternate, measure, withServer } from '../measure.js'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer, type Issuer } from '../tokens.js'

const KEYS = [1, 10, 100] as const
const WARM_TOKENS = 1000
/** Every key is found by a fetch of its own, and the default budget is 30 a minute. */
const OPTIONS = { jwks: { requestsPerMinute: 1_000_000 } }

/** Tokens of 1, 10 and 100 keys in turn: the number of keys in the JWKS must not matter. */
export async function manyKeys (settings: Settings): Promise<Section> {
  const { requests, warmup, rounds } = settings
  const results = await withIssuers(async issuers => {
    const variants = issuers.flatMap(({ count, issuer }) => {
      const warm = issuer.sign(WARM_TOKENS)
      const before = issuer.sign(warmup)
      return [{ count, issuer, before, state: 'warm', tokens: warm }, { count, issuer, before, state: 'cold', tokens: issuer.sign(requests) }]
    })
    return await alternate(variants, rounds, ({ issuer, before, state, tokens }) => withServer(issuer, { contender: 'ours', options: OPTIONS }, async server => {
      await sendLoad(server.hello.url, before, warmup)
      if (state === 'warm') await sendLoad(server.hello.url, tokens, WARM_TOKENS)
      return await measure(server, tokens, requests)
    }))
  })

  const cpu = (keys: number, wanted: string) => [...results].find(([{ count, state }]) => count === keys && state === wanted)![1].cpu
  return {
    title: 'Keys in the JWKS',
    text: markdownTable(['keys', 'warm: CPU µs a request', 'cold: CPU µs a request'], KEYS.map(count => [
      String(count), format(cpu(count, 'warm')), format(cpu(count, 'cold'))
    ])),
    targets: ['warm', 'cold'].map(state => atMost(1.1, `${state}: CPU a request with 100 keys ÷ with 1`, cpu(100, state) / cpu(1, state)))
  }
}

type WithCount = Array<{ count: number, issuer: Issuer }>

/** Starts an issuer for each number of keys. */
async function withIssuers<Result> (work: (issuers: WithCount) => Promise<Result>, started: WithCount = []): Promise<Result> {
  const count = KEYS[started.length]
  if (count === undefined) return await work(started)
  return await withIssuer('EdDSA', count, issuer => withIssuers(work, [...started, { count, issuer }]))
}
