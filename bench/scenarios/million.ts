import { sendLoad } from '../load.js'
import { withServer } from '../measure.js'
import { atMost, markdownTable, megabytes, type Section, type Settings } from '../report.js'
import { mean } from '../stats.js'
import { withIssuer } from '../tokens.js'

const MB = 2 ** 20

/** Sends a million tokens, each once: the memory for them must be bounded. Garbage collection is not forced. */
export async function million ({ quick }: Settings): Promise<Section> {
  const [total, first, step] = quick ? [100_000, 2000, 5000] : [1_000_000, 20_000, 50_000]
  const samples = await withIssuer('EdDSA', 1, issuer => withServer(issuer, { contender: 'ours' }, async server => {
    const samples: Array<{ tokens: number, rss: number }> = []
    for (let tokens = 0; tokens < total;) {
      const next = tokens === 0 ? first : tokens - tokens % step + step
      await sendLoad(server.hello.url, issuer.sign(next - tokens), next - tokens)
      samples.push({ tokens: next, rss: (await server.ask({})).rss })
      tokens = next
    }
    return samples
  }))

  const [start, ...later] = samples.map(({ rss }) => rss) as [number, ...number[]]
  // Garbage collection makes a sawtooth: compare the halves, not two samples.
  const half = later.length >> 1
  const drift = mean(later.slice(half)) - mean(later.slice(0, half))
  const growth = Math.max(...later) - start
  const name = `${total.toLocaleString('en')} tokens`
  return {
    title: `Memory over ${name}`,
    text: markdownTable(['tokens', 'RSS MB'], samples.map(({ tokens, rss }) => [
      tokens.toLocaleString('en'), megabytes(rss)
    ])),
    targets: [
      atMost(48, `${name}: growth of RSS after the first ${first.toLocaleString('en')}`, growth / MB, ' MB'),
      atMost(12, `${name}: mean RSS of the second half − of the first half`, drift / MB, ' MB')
    ]
  }
}
