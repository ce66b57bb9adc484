import t from 'tap'
import { ask, createTestStore, k1, UNKNOWN, UNKNOWN_AT_ONCE } from '../fixtures/key-store.js'

t.test('remembers at most 1,000 absent keys, the youngest', async t => {
  const setup = createTestStore([], { requestsPerMinute: 60_000_000 })
  const { store, source, clock } = setup
  const fill = async (count: number) => {
    for (let i = 0; i < count; i++) {
      if (i % 5 === 0) clock.advance(1)
      await ask(store, `absent-${i}`)
    }
  }
  await fill(1000)
  t.match(await ask(store, 'absent-0'), UNKNOWN_AT_ONCE)
  t.equal(source.calls.length, 1000)
  await ask(store, 'one-too-many')
  t.match(await ask(store, 'absent-1'), UNKNOWN_AT_ONCE)
  t.match(await ask(store, 'absent-0'), UNKNOWN, 'the oldest is forgotten')
})

t.test('an absent key that is seen to be absent again counts as young', async t => {
  const { store, clock } = createTestStore([], { requestsPerMinute: 60_000_000 })
  for (let i = 0; i < 1000; i++) {
    if (i % 5 === 0) clock.advance(1)
    await ask(store, `absent-${i}`)
  }
  clock.advance(3000)
  t.match(await ask(store, 'absent-0'), UNKNOWN)
  await ask(store, 'one-too-many')
  t.match(await ask(store, 'absent-0'), UNKNOWN_AT_ONCE)
})

t.test('forgets an absent key after ten minutes', async t => {
  const setup = createTestStore([{ ...k1.jwk, use: 'enc' }])
  const { store, clock, lines } = setup
  const warnings = () => lines.filter(({ level }) => level === 'warn').length
  await ask(store)
  clock.advance(599_999)
  await ask(store, 'other')
  await ask(store)
  t.equal(warnings(), 1, 'it was still known to be unusable')
  clock.advance(600_000)
  await ask(store, 'other')
  await ask(store)
  t.equal(warnings(), 2)
})

t.test('refuses an absent key as such even if the clock jumps ahead while it is looked for', async t => {
  const { store, source, clock } = createTestStore([])
  const release = source.hold()
  const asked = ask(store)
  clock.advance(600_000)
  release()
  t.match(await asked, UNKNOWN)
})
