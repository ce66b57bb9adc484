import t from 'tap'
import { describeThrown } from '../../lib/auth-server/thrown.js'

t.test('an error is described without its message, which may hold a credential', async t => {
  const error = Object.assign(new Error('Failed query\n    at secret-token\nparams: secret-token'), {
    name: 'DrizzleQueryError', code: 'SQLITE_BUSY'
  })
  const thrown = describeThrown(error)
  t.match(thrown, { name: 'DrizzleQueryError', code: 'SQLITE_BUSY', message: undefined })
  t.match(thrown.at[0], /^at .*thrown\.test\.ts(?:\?\S*)?:\d+:\d+/)
  t.ok(thrown.at.length <= 8)
  t.notMatch(JSON.stringify(thrown), 'secret-token')
})

t.test('the message of Better Auth\'s own errors names an option, and is kept', async t => {
  const error = Object.assign(new Error(`Host "x" is not in the allowed hosts list. ${'y'.repeat(500)}`), {
    name: 'BetterAuthError'
  })
  t.match(describeThrown(error).message, /^Host "x" is not in/)
  t.equal(describeThrown(error).message!.length, 300)
})

t.test('anything can be thrown', async t => {
  for (const value of [null, undefined, 'secret-token', 5, {}, { stack: 5, name: {}, code: 7 }]) {
    t.strictSame(describeThrown(value), { name: typeof value, code: undefined, message: undefined, at: [] })
  }
  t.equal(describeThrown({ name: 'secret token', code: 'a-b' }).name, 'object', 'a name is a word')
})
