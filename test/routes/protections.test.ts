import Fastify from 'fastify'
import t from 'tap'
import { InvalidOptionError } from '../../lib/index.js'
import { createProtections, hooksOf, isPublic, scopeHooks } from '../../lib/routes/protections.js'

const REQUIRED = { isOptional: false }

t.test('a hook that was described is known, and nothing else is', async t => {
  const { describe, of } = createProtections()
  const hook = () => {}
  t.equal(describe(hook, REQUIRED), hook)
  t.strictSame(of([() => {}, hook, undefined as never], {}), [REQUIRED])
  t.strictSame(createProtections().of([hook], {}), [], 'another registration does not know it')
})

t.test('a bound copy of a hook protects as the hook does, and so does a copy of the copy', async t => {
  const { describe, of } = createProtections()
  const calls: unknown[] = []
  const hook = describe(function (this: unknown, ...args: unknown[]) { calls.push([this, ...args]) }, REQUIRED)
  const bound = hook.bind('scope', 1)
  const again = bound.bind('ignored', 2)
  again(3)
  t.strictSame(calls, [['scope', 1, 2, 3]])
  t.strictSame(of([hook, bound, again], {}), [REQUIRED, REQUIRED, REQUIRED])
  t.notOk(Object.keys(hook).includes('bind'))
})

t.test('a hook of the application is marked once, and a hook of the plugin stays what it is', async t => {
  const { describe, mark, of } = createProtections()
  const optional = describe(() => {}, { isOptional: true })
  for (const hook of [optional, optional.bind(null)]) {
    t.equal(mark(hook), hook)
    t.strictSame(of([hook], { public: true }), [{ isOptional: true }])
  }
  const own = mark(() => {})
  const isOwn = { isOptional: false, isOwn: true }
  t.strictSame(of([mark(own), own.bind(null)], {}), [isOwn, isOwn])
})

t.test('only a function can be marked: an array of hooks would count as nothing', async t => {
  const error = new InvalidOptionError('markAsProtection() needs one hook, a function')
  for (const hook of [undefined, null, 'authenticate', Symbol('hook'), {}, [() => {}]]) {
    t.throws(() => createProtections().mark(hook), error)
  }
})

t.test('two registrations may describe one hook, and both know its bound copies', async t => {
  const [one, two] = [createProtections(), createProtections()]
  const hook = () => {}
  one.describe(hook, { isOptional: false, isOwn: true })
  two.describe(hook, { isOptional: true })
  t.strictSame(one.of([hook.bind(null)], {}), [{ isOptional: false, isOwn: true }])
  t.strictSame(two.of([hook.bind(null)], {}), [{ isOptional: true }])
})

t.test('a frozen hook is known, but not its bound copies', async t => {
  const { describe, of } = createProtections()
  const hook = Object.freeze(() => {})
  describe(hook, REQUIRED)
  t.strictSame(of([hook, hook.bind(null)], {}), [REQUIRED])
})

t.test('a hook of the application does not count on public routes, a hook of the plugin does', async t => {
  const { describe, of } = createProtections()
  const own = describe(() => {}, { isOptional: false, isOwn: true })
  const ours = describe(() => {}, REQUIRED)
  t.equal(of([own, ours], { public: false }).length, 2)
  t.strictSame(of([own, ours], { public: true }), [REQUIRED])
})

t.test('only public: true makes a route public', async t => {
  t.ok(isPublic({ public: true }))
  for (const config of [undefined, null, {}, { public: false }, { public: 'true' }, { public: 1 }, 'public']) {
    t.notOk(isPublic(config))
  }
})

t.test('hooks are found in each position, alone and in an array', async t => {
  const [a, b, c] = [() => {}, () => {}, () => {}]
  t.strictSame(hooksOf({ preHandler: [b, c], onRequest: a, onSend: () => {}, preParsing: null }), [a, b, c])
  t.strictSame(hooksOf({}), [])
})

t.test('the hooks of a scope are its own and those of its parents', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const [a, b] = [async () => {}, async () => {}]
  app.addHook('preHandler', a)
  let child
  await app.register(async scope => {
    scope.addHook('onRequest', b)
    child = scope
  })
  t.strictSame(scopeHooks(child!), [b, a])
  t.strictSame(scopeHooks(app), [a])
  t.strictSame(scopeHooks({} as typeof app), [], 'should Fastify keep them elsewhere one day')
})
