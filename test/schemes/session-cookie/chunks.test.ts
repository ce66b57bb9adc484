import t from 'tap'
import { joinChunks, type Chunks } from '../../../lib/schemes/session-cookie/chunks.js'
import { STRATEGIES } from '../../fixtures/cookie-strategies.js'
import { createContent } from '../../fixtures/session-cookie.js'

const cases: Array<[name: string, chunks: Chunks, expected: ReturnType<typeof joinChunks>]> = [
  ['one after the other', [['aaa'], ['bbb'], ['c']], ['aaabbbc']],
  ['the last as long as the others', [['aaa'], ['bbb']], ['aaabbb']],
  ['one alone', [['a.b.c']], ['a.b.c']],
  ['nothing after a shorter one', [['aaa'], ['bb'], ['ccc']], ['aaabb']],
  ['nothing after a gap, if the cookie ends before it', [['aaa'], ['bb'], undefined, ['ccc']], ['aaabb']],
  ['nothing from 100 on', [...Array.from({ length: 99 }, () => ['aa']), ['b'], ['cc']], [`${'aa'.repeat(99)}b`]],
  ['a tossed chunk that is longer than the first', [['aaa'], ['bbbb', 'bb']], ['aaabb']],
  ['a cookie that ends where a tossed chunk follows', [['a.b', 'x'], ['.cc'], ['dd']], ['a.b.ccdd', 'a.b.cc', 'x']],
  ['a whole cookie in the first chunk, and a tossed second one', [['a.b.c'], ['dddddddd']], ['a.b.c']],
  ['a short second chunk after it', [['a.b.c'], ['dd', 'ee']], ['a.b.cdd', 'a.b.cee', 'a.b.c']],
  ['two of the first', [['aaa', 'xxx'], ['bb']], ['aaabb', 'xxxbb']],
  ['two of each, of a different size', [['aaa', 'xxxx'], ['b', 'y']], ['xxxxb', 'xxxxy', 'aaab', 'aaay']],
  ['sessions of different lengths', [['aaa', 'xxx'], ['bb', 'yyy'], ['z']], ['aaayyyz', 'xxxyyyz', 'aaabb', 'xxxbb']],
  ['too many of one', [['a', 'b', 'c', 'd', 'e'], ['']], 'cookie_ambiguous'],
  ['too many ways', [['aaa', 'xxx'], ['bbb', 'yyy'], ['c', 'z']], 'cookie_ambiguous'],
  ['no first one', [undefined, ['bbb'], ['c']], 'cookie_malformed'],
  ['a gap', [['aaa'], undefined, ['c']], 'cookie_malformed'],
  ['a gap before 100', [['aaa'], ...Array.from({ length: 99 }, () => undefined), ['c']], 'cookie_malformed'],
  ['more than a hundred', Array.from({ length: 101 }, () => ['aa']), 'cookie_malformed']
]
for (const [name, chunks, expected] of cases) {
  t.test(name, async t => { t.strictSame(joinChunks(chunks), expected) })
}

t.test('a whole cookie beside the chunks may be another host\'s, and so may the last chunk', async t => {
  const chunks = [['a.b'], ['.cc'], ['dd']]
  t.strictSame(joinChunks(chunks), ['a.b.ccdd'])
  t.strictSame(joinChunks(chunks, true), ['a.b.ccdd', 'a.b.cc'])
})

t.test('so may the last chunk of a cookie of any strategy, if it is as long as the others', async t => {
  for (const [strategy, mint] of Object.entries(STRATEGIES)) {
    const cookie = Array.from({ length: 64 }, (_, length) => mint(createContent({ name: 'x'.repeat(length) })))
      .find(({ length }) => length % 2 === 0)!
    const [first, last] = [cookie.slice(0, cookie.length / 2), cookie.slice(cookie.length / 2)]
    t.ok((joinChunks([[first], [last], ['tossed']], true) as string[]).includes(cookie), strategy)
    t.strictSame(joinChunks([[first], [last], ['tossed']]), [`${cookie}tossed`], `${strategy}, alone`)
  }
})
