import t from 'tap'
import { createKnownSessions, isEnded, type KnownSession } from '../../lib/tokens/known-sessions.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'

const session = (token: string): KnownSession => ({ verified: { token } as VerifiedToken, exchangedAt: 1 })

t.test('a session that ends stays known', async t => {
  const sessions = createKnownSessions(10)
  for (const id of ['a', 'b', 'c']) sessions.set(id, session(id))
  sessions.end('a')
  sessions.end('nobody')
  sessions.endAll(({ verified }) => verified.token === 'b')
  const ended = ['a', 'b', 'c'].map(id => isEnded(sessions.peek(id)!))
  t.strictSame(ended, [true, true, false])
  t.equal(sessions.peek('nobody'), undefined)
})

t.test('the least recently used go first, and no few long ones fill the memory', async t => {
  const few = createKnownSessions(2)
  for (const id of ['a', 'b']) few.set(id, session(id))
  few.get('a')
  few.set('c', session('c'))
  t.strictSame(['a', 'b', 'c'].map(id => few.peek(id) !== undefined), [true, false, true])

  const many = createKnownSessions(10_000)
  for (let i = 0; i < 2000; i++) many.set(String(i), session('x'.repeat(16_000)))
  const kept = Array.from({ length: 2000 }, (_, i) => many.peek(String(i))).filter(Boolean).length
  t.equal(kept, Math.floor(2 ** 26 / (1024 + 4 * 16_000)))
})
