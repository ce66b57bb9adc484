import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { setTimer } from '../../lib/contract/timers.js'
import { run } from '../fixtures/package.js'
import { ROOT, TSX } from '../fixtures/program.js'

t.test('timers keep no process alive', async t => {
  const program = "import { setTimer } from './lib/contract/timers.ts'; setTimer(() => {}, 60_000)"
  t.match(await run(ROOT, [...TSX, '--input-type=module', '--eval', program]), { code: 0, stderr: '' })
})

async function delayOf (t: Test, ms: number): Promise<number | undefined> {
  const calls = t.captureFn(setTimeout)
  const { setTimeout: original } = globalThis
  globalThis.setTimeout = calls as unknown as typeof setTimeout
  setTimer(() => {}, ms)()
  globalThis.setTimeout = original
  return calls.args()[0]![1]
}

t.test('timers look at the clock once a minute, however long they are to run', async t => {
  t.equal(await delayOf(t, 900), 900)
  for (const long of [60_001, 2 ** 31, 2 ** 53, Infinity]) t.equal(await delayOf(t, long), 60_000, String(long))
})

t.test('timers can be cancelled', async t => {
  const ran: string[] = []
  setTimer(() => { ran.push('cancelled') }, 1)()
  setTimer(() => { ran.push('ran') }, 1)
  await sleep(20)
  t.strictSame(ran, ['ran'])
})
