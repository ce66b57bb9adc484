import { sendLoad } from '../load.js'
import { alternate, measure, withServer } from '../measure.js'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { withIssuer, type Issuer } from '../tokens.js'

const KEYS = [1, 10, 100] as const
const WARM_TOKENS = 1000

/** Measures tokens of 1, 10 and 100 keys in turn: the number of keys in the JWKS must not matter. */
export async function manyKeys (settings: Settings): Promise<Section> {
  const { requests, warmup, rounds } = settings
  const results = await withIssuers(async issuers => {
    const variants = issuers.flatMap(({ count, issuer }) => {
      const warm = issuer.sign(WARM_TOKENS)
      const before = issuer.sign(warmup)
      return [
        { count, issuer, before, state: 'warm', tokens: warm },
        { count, issuer, before, state: 'cold', tokens: issuer.sign(requests) }
      ]
    })
    return await alternate(variants, rounds, ({ issuer, before, state, tokens }) => (
      withServer(issuer, { contender: 'ours' }, async server => {
        await sendLoad(server.hello.url, before, warmup)
        if (state === 'warm') await sendLoad(server.hello.url, tokens, WARM_TOKENS)
        return await measure(server, tokens, requests)
      })
    ))
  })

  function cpu (keys: number, wanted: string): number {
    return [...results].find(([{ count, state }]) => count === keys && state === wanted)![1].cpu
  }
  const head = ['keys', 'known tokens: CPU µs per request', 'new tokens: CPU µs per request']
  return {
    title: 'Keys in the JWKS',
    text: markdownTable(head, KEYS.map(count => [
      String(count), format(cpu(count, 'warm')), format(cpu(count, 'cold'))
    ])),
    targets: [
      atMost(1.1, 'known tokens: CPU with 100 keys ÷ with 1 key', cpu(100, 'warm') / cpu(1, 'warm')),
      atMost(1.1, 'new tokens: CPU with 100 keys ÷ with 1 key', cpu(100, 'cold') / cpu(1, 'cold'))
    ]
  }
}

type WithCount = Array<{ count: number, issuer: Issuer }>

/** Starts an issuer for each number of keys. */
async function withIssuers<Result> (
  work: (issuers: WithCount) => Promise<Result>, started: WithCount = []
): Promise<Result> {
  const count = KEYS[started.length]
  if (count === undefined) return await work(started)
  return await withIssuer('EdDSA', count, issuer => withIssuers(work, [...started, { count, issuer }]))
}
