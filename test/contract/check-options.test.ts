import { Type } from '@sinclair/typebox'
import t from 'tap'
import { invalid, option, readOptions } from '../../lib/contract/check-options.js'

const SCHEMAS = {
  size: option(Type.Integer({ minimum: 0 }), 'a whole number', 5),
  name: option(Type.String(), 'a string'),
  on: option(Type.Boolean(), 'true or false', true)
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
    [{ name: { a: ['b'] } }, 'Option "name" must be a string, got { a: [ \'b\' ] }']
  ] as const) {
    t.throws(() => readOptions(SCHEMAS, given), { code: 'FST_BETTER_AUTH_INVALID_OPTION', statusCode: 500, message })
  }
})

t.test('an unknown name is refused, and its value is not shown', async t => {
  const known = 'Known options: size, name, on'
  for (const name of ['sise', 'toString', 'constructor', '__proto__']) {
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

t.test('only own properties are read', async t => {
  const inherited = Object.create({ size: 7, name: 'x', sise: 1 }) as object
  t.strictSame(readOptions(SCHEMAS, inherited), readOptions(SCHEMAS, {}))
})

t.test('an error shows neither a secret nor a password in a URL', async t => {
  const got = (name: string, value: unknown) => invalid(name, 'x', value).message.split(' got ')[1]
  for (const name of ['secret', 'sessionCookie.secret']) {
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
  for (const name of ['sessionCookie', 'sessionCookie.prefix', 'jwks', 'jwks.headers']) {
    for (const value of [['hunter2'], { secret: 'hunter2' }, new Map([['x-gate', 'hunter2']])]) {
      t.equal(invalid(name, 'x', value).message, `Option "${name}" must be x, got a value of type object`)
    }
  }
  for (const name of ['sessionCookie', 'jwks', 'jwks.headers']) {
    t.equal(invalid(name, 'x', 'hunter2').message, `Option "${name}" must be x, got a value of type string`)
    t.equal(invalid(name, 'x', null).message, `Option "${name}" must be x, got a value of type null`)
  }
  t.equal(invalid('jwks.timeout', 'x', '5 s').message, 'Option "jwks.timeout" must be x, got \'5 s\'')
})

t.test('an error says where a value comes from, if it is no option', async t => {
  t.equal(invalid('size', 'a whole number', 'x', ' (from SIZE)').message,
    'Option "size" (from SIZE) must be a whole number, got \'x\'')
})
