import { createHook } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { CallbackTimeoutError, ignoreRejection, isPending, settle } from '../../lib/contract/settle.js'

const never = new Promise(() => {})
// The timers under test keep no process alive, and nothing else here does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

t.test('what is there already is nothing to wait for', async t => {
  for (const value of [true, false, undefined, null, 0, 1, NaN, '', 'yes', Symbol('x'), 1n]) {
    t.equal(isPending(value), false, String(value))
  }
  for (const value of [Promise.resolve(), { then () {} }, {}, [], () => {}]) t.equal(isPending(value), true)
})

t.test('settles as the promise does', async t => {
  t.equal(await settle('check', Promise.resolve(true), 1000), true)
  t.equal(await settle('check', { then (resolve: (value: string) => void) { resolve('x') } }, 1000), 'x')
  const object = {}
  t.equal(await settle('check', object, 1000), object, 'an object that is no promise is its own result')
  const error = new Error('down')
  await t.rejects(settle('check', Promise.reject(error), 1000), error)
  await t.rejects(settle('check', { get then () { throw error } }, 1000), error)
})

t.test('ends after the time if the promise does not settle', async t => {
  await t.rejects(settle('isRevoked', never, 1), new CallbackTimeoutError('isRevoked', 1))
  await t.rejects(settle('check', { then () {} }, 20), { message: 'check did not settle within 20 ms' })
})

t.test('a promise that rejects after the time does not end the process', async t => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  const late = deferred()
  await t.rejects(settle('check', late.promise, 1), { message: 'check did not settle within 1 ms' })
  late.reject(new Error('too late'))
  await setImmediate()
  t.strictSame(unhandled, [])
})

function deferred () {
  let reject!: (error: Error) => void
  const promise = new Promise((_resolve, _reject) => { reject = _reject })
  return { promise, reject }
}

t.test('the timer is gone as soon as the promise settles, and keeps no process alive before', async t => {
  const timers = new Set<number>()
  const hook = createHook({
    init (id, type) { if (type === 'Timeout') timers.add(id) },
    destroy (id) { timers.delete(id) }
  })
  const count = (): number => process.getActiveResourcesInfo().filter(type => type === 'Timeout').length
  const before = count()
  const late = deferred()
  hook.enable()
  const settled = settle('check', late.promise, 60_000)
  hook.disable()
  t.equal(timers.size, 1)
  t.equal(count(), before)
  hook.enable()
  late.reject(new Error('down'))
  await t.rejects(settled, { message: 'down' })
  for (let turn = 0; turn < 10 && timers.size > 0; turn++) await setImmediate()
  hook.disable()
  t.equal(timers.size, 0)
})

t.test('a rejection that nobody waits for does not end the process', async t => {
  const rejections: unknown[] = []
  const listener = (reason: unknown) => { rejections.push(reason) }
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  ignoreRejection(Promise.reject(new Error('later')))
  ignoreRejection({ then: (_resolve: unknown, reject: (reason: Error) => void) => { reject(new Error('later')) } })
  ignoreRejection({ get then () { throw new Error('at once') } })
  for (const value of [undefined, null, 1, 'text', {}, () => {}]) ignoreRejection(value)
  await setImmediate()
  t.strictSame(rejections, [])
})
