import t from 'tap'
import { read } from '../fixtures/docs.js'

t.test('the figures on the performance page are those of bench/RESULTS.md', async t => {
  const blocks = [...read('docs/operations/performance.md').matchAll(/<!-- generated: [\w-]+ -->(.*?)<!-- end -->/gs)]
  t.ok(blocks.length > 0)
  for (const [, block] of blocks) {
    t.not(block!.trim(), '')
    t.ok(read('bench/RESULTS.md').includes(block!.trim()), block!)
  }
})
