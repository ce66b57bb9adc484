import { runInNewContext } from 'node:vm'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { invalid, option, readOptions } from '../../lib/contract/check-options.js'

const SCHEMAS = {
  size: option(Type.Integer({ minimum: 0 }), 'a whole number', 5),
  name: option(Type.String(), 'a string'),
  on: option(Type.Boolean(), 'true or false', true)
}
const WITH_METHOD = {
  size: SCHEMAS.size,
  name: SCHEMAS.name,
  isOn: option(Type.Unsafe<() => unknown>(Type.Function([], Type.Unknown())), 'a function')
}

t.test('defaults are filled in where a value is missing or undefined', async t => {
  const defaults = { size: 5, name: undefined, on: true }
  t.strictSame(readOptions(SCHEMAS, {}), defaults)
  t.strictSame(readOptions(SCHEMAS, { size: undefined, name: undefined, on: undefined }), defaults)
  t.strictSame(readOptions(SCHEMAS, { size: 0, name: '', on: false }), { size: 0, name: '', on: false })
})

t.test('an invalid value is named with what it must be and what it got', async t => {
  for (const [given, message] of [
    [{ size: '5' }, 'Option "size" must be a whole number, got \'5\''],
    [{ size: 1.5 }, 'Option "size" must be a whole number, got 1.5'],
    [{ size: null }, 'Option "size" must be a whole number, got null'],
    [{ name: { a: ['b'] } }, 'Option "name" must be a string, got { a: [ \'b\' ] }'],
    [{ name: ['a'.repeat(60), 'b'.repeat(60)] },
      `Option "name" must be a string, got [ '${'a'.repeat(60)}', '${'b'.repeat(60)}' ]`]
  ] as const) {
    t.throws(() => readOptions(SCHEMAS, given), { code: 'FST_BETTER_AUTH_INVALID_OPTION', statusCode: 500, message })
  }
})

t.test('an unknown name is refused, and its value is not shown', async t => {
  const known = 'Known options: size, name, on'
  for (const name of ['sise', 'toString', 'constructor', '__proto__', 'isPrototypeOf']) {
    const given = JSON.parse(`{ "${name}": "hunter2" }`) as object
    t.throws(() => readOptions(SCHEMAS, given), {
      code: 'FST_BETTER_AUTH_INVALID_OPTION', message: `Unknown option "${name}". ${known}`
    })
  }
  t.strictSame(readOptions(SCHEMAS, { sise: undefined }), readOptions(SCHEMAS, {}), 'undefined counts as absent')
})

t.test('a prefix is a part of every name', async t => {
  t.throws(() => readOptions(SCHEMAS, { sise: 1 }, 'box.'), {
    message: 'Unknown option "box.sise". Known options: box.size, box.name, box.on'
  })
  t.throws(() => readOptions(SCHEMAS, { on: 1 }, 'box.'), {
    message: 'Option "box.on" must be true or false, got 1'
  })
})

t.test('the options of Fastify itself are ignored, but not within an option', async t => {
  for (const name of ['prefix', 'logLevel', 'logSerializers']) {
    t.strictSame(readOptions(SCHEMAS, { [name]: 'x' }), readOptions(SCHEMAS, {}))
    t.throws(() => readOptions(SCHEMAS, { [name]: 'x' }, 'box.'), { message: `Unknown option "box.${name}". ` })
  }
})

t.test('what Object.prototype has is no option', async t => {
  const { prototype } = Object as unknown as { prototype: Record<string, unknown> }
  t.teardown(() => { delete prototype.size })
  prototype.size = 7
  class Plain { on = false }
  for (const given of [{}, new Plain(), Object.create({ name: 'x' }) as object]) {
    t.equal(readOptions(SCHEMAS, given).size, 5)
  }
  t.equal(readOptions(SCHEMAS, { size: 6 }).size, 6)
  t.equal(readOptions(SCHEMAS, new class extends Plain { size = 6 }()).size, 6)
  const foreign = runInNewContext('Object.prototype.size = 8; ({ name: "x" })') as object
  t.match(readOptions(SCHEMAS, foreign), { size: 5, name: 'x' }, 'nor what that of another realm has')
})

t.test('an instance of a class gives its fields, its getters and its methods, and what it inherits', async t => {
  class Base {
    readonly #size = 7
    get size () { return this.#size }
    isOn () { return this.helper() }
    helper () { return this.#size === 7 }
  }
  class Given extends Base { name = 'x' }
  const given = new Given()
  const { size, name, isOn } = readOptions(WITH_METHOD, given)
  t.strictSame([size, name, isOn!()], [7, 'x', true], 'and a method keeps its `this`')

  const inherited = Object.create({ size: 7, name: 'x' }) as object
  t.match(readOptions(SCHEMAS, inherited), { size: 7, name: 'x' })
  const bare = Object.assign(Object.create(null) as object, { size: 7, name: 'x' })
  t.match(readOptions(SCHEMAS, Object.create(bare) as object), { size: 7, name: 'x' }, 'also without a prototype')
  class Wrong { get size () { return '7' } }
  t.throws(() => readOptions(SCHEMAS, new Wrong(), 'box.'), {
    message: 'Option "box.size" must be a whole number, got \'7\''
  }, 'and is checked like any other')
})

t.test('an option of an instance that is misspelt is refused, inherited or not; a helper is none', async t => {
  const fails = (given: object, name: string) => t.throws(() => readOptions(WITH_METHOD, given), {
    message: `Unknown option "${name}". Known options: size, name, isOn`
  })
  fails(new class { ison () {} }(), 'ison')
  fails(new class { isOm () {} }(), 'isOm')
  fails(new class { isO () {} }(), 'isO')
  fails(new class { isOnn () {} }(), 'isOnn')
  fails(new class { get sizes () { return 7 } }(), 'sizes')
  fails(new class { isOn () {}; store = {} }(), 'store')
  t.doesNotThrow(() => readOptions(WITH_METHOD, new class { isOn () {}; isOffline () {}; resize () {} }()))
  t.doesNotThrow(() => readOptions(WITH_METHOD, new class { isOn () {}; prefix () {} }()), 'what Fastify reads')
})

t.test('a method of a plain object keeps its `this` as well', async t => {
  const given = { size: 7, isOn () { return this.size === 7 } }
  t.equal(readOptions(WITH_METHOD, given).isOn!(), true)
})

t.test('each option is read once', async t => {
  let reads = 0
  t.match(readOptions(SCHEMAS, { get size () { return ++reads } }), { size: 1 })
  t.match(readOptions(SCHEMAS, new class { get size () { return ++reads } }()), { size: 2 })
  t.equal(reads, 2)
})

t.test('frozen objects, proxies and objects without a prototype are like any other', async t => {
  const target = { size: 7, isOn () { return this.size === 7 } }
  for (const given of [
    Object.freeze(target),
    Object.assign(Object.create(null) as object, target),
    new Proxy(target, {}),
    new Proxy({}, { get: (_target, name) => target[name as 'size'] })
  ]) {
    const { size, isOn } = readOptions(WITH_METHOD, given)
    t.strictSame([size, isOn!()], [7, true])
    t.throws(() => readOptions({ name: SCHEMAS.name }, Object.assign(Object.create(given) as object, { sise: 1 })), {
      message: 'Unknown option "sise"'
    })
  }
})

t.test('an object whose entries are not its properties is refused', async t => {
  t.throws(() => readOptions(SCHEMAS, new Map([['size', 7]])), { message: 'The options must be an object, got a Map' })
  t.throws(() => readOptions(SCHEMAS, new Headers({ size: '7' }), 'box.'), {
    message: 'Option "box" must be an object, got a Headers'
  })
})

t.test('an error shows neither a secret nor a password in a URL', async t => {
  const got = (name: string, value: unknown) => invalid(name, 'x', value).message.split(' got ')[1]
  for (const name of ['secret', 'sessionCookie.secret', 'exchange.shared.secret']) {
    t.equal(got(name, 'hünter2'), '8 bytes')
    t.equal(got(name, Buffer.from('hunter2')), 'a value of type object')
    t.equal(got(name, ['hunter2']), 'a value of type object')
  }
  t.equal(got('authUrl', 'https://ada:hunter2@id.example.com/x'), "'https://***@id.example.com/x'")
  t.equal(got('authUrl', 'https://ada:hun@ter2@id.example.com'), "'https://***@id.example.com'")
  t.equal(got('authUrl', 'ada:hun\nter2@id.example.com'), "'***@id.example.com'")
  t.equal(got('authUrl', 'id.example.com'), "'id.example.com'")
  t.equal(got('authUrl', new URL('https://ada:hunter2@id.example.com')), 'a value of type object')
  t.equal(got('secretary', 'ada@example.com'), "'ada@example.com'")
})

t.test('an error does not show what may be a secret in the wrong place', async t => {
  const shared = ['exchange.shared', 'exchange.shared.store']
  for (const name of ['sessionCookie', 'sessionCookie.prefix', 'jwks', 'jwks.headers', ...shared]) {
    for (const value of [['hunter2'], { secret: 'hunter2' }, new Map([['x-gate', 'hunter2']])]) {
      t.equal(invalid(name, 'x', value).message, `Option "${name}" must be x, got a value of type object`)
    }
  }
  for (const name of ['sessionCookie', 'jwks', 'jwks.headers', ...shared]) {
    t.equal(invalid(name, 'x', 'hunter2').message, `Option "${name}" must be x, got a value of type string`)
    t.equal(invalid(name, 'x', null).message, `Option "${name}" must be x, got a value of type null`)
  }
  t.equal(invalid('jwks.timeout', 'x', '5 s').message, 'Option "jwks.timeout" must be x, got \'5 s\'')
})

t.test('an error says where a value comes from, if it is no option', async t => {
  t.equal(invalid('size', 'a whole number', 'x', ' (from SIZE)').message,
    'Option "size" (from SIZE) must be a whole number, got \'x\'')
})
