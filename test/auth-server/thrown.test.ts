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

t.test('the innermost calls are shown, and no line of the message', async t => {
  const calls = Array.from({ length: 10 }, (_, i) => i % 2 === 0 ? `at a (/a.js:1${i}:2${i})` : `at async /b.js:${i}:1`)
  const lines = ['', 'secret', 'secret    at a:1:2', '   at secret:1:2', '    at secret:1:2 ', '    at secret:1']
  for (const line of lines) {
    const stack = ['Error: Failed query', '    at secret:1:2', line, ...calls.map(call => `    ${call}`)].join('\n')
    t.strictSame(describeThrown({ name: 'Error', stack }), {
      name: 'Error', code: undefined, message: undefined, at: calls.slice(0, 8)
    }, line)
  }
})

t.test('the message of Better Auth\'s own errors names an option, and is kept', async t => {
  const error = Object.assign(new Error(`Host "x" is not in the allowed hosts list. ${'y'.repeat(500)}`), {
    name: 'BetterAuthError'
  })
  t.match(describeThrown(error).message, /^Host "x" is not in/)
  t.equal(describeThrown(error).message!.length, 300)
})

t.test('anything can be thrown', async t => {
  for (const value of [null, undefined, 'secret', 5, {}, { stack: 5, name: {}, code: 7 }, { message: 'secret' }]) {
    t.strictSame(describeThrown(value), { name: typeof value, code: undefined, message: undefined, at: [] })
  }
  t.match(describeThrown({ name: 'BetterAuthError', message: 5 }), { name: 'BetterAuthError', message: undefined })
  for (const name of ['secret token', ' secret', 'secret ', '', 'x'.repeat(41)]) {
    t.match(describeThrown({ name, code: name }), { name: 'object', code: undefined }, name)
  }
  t.match(describeThrown({ name: 'x', code: 'y'.repeat(40) }), { name: 'x', code: 'y'.repeat(40) }, 'words are kept')
})
