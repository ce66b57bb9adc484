import Fastify from 'fastify'
import t from 'tap'
import { checkHeaders } from '../../lib/contract/check-headers.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import betterAuthPlugin, { type BetterAuthOptions, InvalidOptionError } from '../../lib/index.js'

/** Is in each value that is refused, and must be in no message. */
const SECRET = 'hunter2'

/** Through the option, as a caller without types may hand it over. */
function messageOf (headers: unknown): string {
  try {
    resolveOptions({ jwks: { headers } } as BetterAuthOptions, {})
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('headers are copied with their names in lower case', async t => {
  const given = { 'X-Gate': 'open', authorization: 'Basic YTpi' }
  const checked = checkHeaders(given)
  t.strictSame(checked, { 'x-gate': 'open', authorization: 'Basic YTpi' })
  t.ok(Object.isFrozen(checked))
  given['X-Gate'] = 'changed'
  t.equal(checked['x-gate'], 'open')
  t.strictSame(checkHeaders({}), {})
  t.strictSame(checkHeaders(Object.assign(Object.create(null), { a: 'b' }) as Record<string, unknown>), { a: 'b' })
})

t.test('a header may have any name and value that HTTP allows', async t => {
  for (const name of ['a', "!#$%&'*+-.^_`|~09AZaz", 'user-agent', 'Accept', 'cookie', 'constructor', 'toString']) {
    t.strictSame(Object.keys(checkHeaders({ [name]: 'x' })), [name.toLowerCase()])
  }
  for (const value of ['a', '~', 'a b', 'a\tb', 'a: b, "c"; d=e', 'h\u00fcnter2', '\u0080\u00ff', 'x'.repeat(10_000)]) {
    t.strictSame(checkHeaders({ a: value }), { a: value })
  }
})

t.test('only own properties with a text as name are read', async t => {
  t.strictSame(checkHeaders({ [Symbol(SECRET)]: SECRET }), {})
  t.strictSame(checkHeaders(Object.defineProperty({}, 'a', { value: SECRET })), {}, 'and only enumerable ones')
})

t.test('anything but a plain object is refused', async t => {
  const values: Array<[what: string, headers: unknown]> = [
    ['text', SECRET], ['null', null], ['a number', 7], ['true', true], ['false', false], ['a symbol', Symbol(SECRET)],
    ['a function', () => SECRET], ['an array', [`a: ${SECRET}`]], ['pairs', [['a', SECRET]]],
    ['Headers', new Headers({ a: SECRET })], ['a Map', new Map([['a', SECRET]])], ['bytes', Buffer.from(SECRET)],
    ['an object of a class', new class Gate { a = SECRET }()], ['a URL', new URL(`https://${SECRET}@id.example.com`)],
    ['an object that inherits', Object.create({ a: SECRET })]
  ]
  for (const [what, headers] of values) {
    const message = messageOf(headers)
    t.match(message, /^Option "jwks\.headers" must be a plain object/, what)
    t.notMatch(message, SECRET, what)
  }
  t.equal(messageOf('hunter2'),
    'Option "jwks.headers" must be a plain object with the names and values of headers, got a value of type string')
  t.equal(messageOf(new Map()), 'Option "jwks.headers" must be a plain object, got an instance of a class')
  t.equal(messageOf(undefined), 'accepted', 'undefined means unset')
})

t.test('an invalid name is refused, and not shown: it may be a value', async t => {
  const names = [
    '', ' ', 'x gate', ' x-gate', 'x-gate ', 'x-gate:', ':x-gate', 'x-gate\r\nhost', 'x\n', 'x\0', 'x\u007f',
    'h\u00fcnter2', 'x(y)', 'x/y', 'x@y', 'x[y]', 'x{y}', 'x=y', 'x"y', 'x,y', 'x;y', 'x\\y', 'x<y>', 'x?y', '\u212a'
  ]
  for (const name of names) {
    t.equal(
      messageOf({ [`${name}${name && SECRET}`]: SECRET, [name]: SECRET }),
      'Option "jwks.headers" must have valid header names, got one that is empty or has invalid characters',
      JSON.stringify(name)
    )
  }
})

t.test('an invalid value is refused with the name of its header, and not shown', async t => {
  const values = [
    ` ${SECRET}`, `${SECRET} `, `\t${SECRET}`, `${SECRET}\t`, ' ', '\t', `${SECRET}\n`, `\n${SECRET}`,
    `a\r\nb: ${SECRET}`, `a\rb${SECRET}`, `a\nb${SECRET}`, `a\0${SECRET}`, `${SECRET}\u007f`, `${SECRET}\u001b[2J`,
    `${SECRET}\u20ac`, `${SECRET}\u{1f511}`, `${SECRET}\ud800`
  ]
  for (const value of values) {
    t.equal(
      messageOf({ ok: 'x', 'X-Gate': value }),
      'Option "jwks.headers" must have a valid value as "X-Gate", got one with invalid characters, or with spaces ' +
        'around it',
      JSON.stringify(value)
    )
  }
  t.equal(messageOf({ 'x-gate': '' }), 'Option "jwks.headers" must have a valid value as "x-gate", got an empty one')
})

t.test('a value that is not a string is refused with the name of its header, and not shown', async t => {
  const values: Array<[value: unknown, type: string]> = [
    [undefined, 'undefined'], [null, 'null'], [7, 'number'], [NaN, 'number'], [true, 'boolean'], [1n, 'bigint'],
    [Symbol(SECRET), 'symbol'], [() => SECRET, 'function'], [[SECRET], 'object'], [{ [SECRET]: SECRET }, 'object'],
    [Buffer.from(SECRET), 'object'], [Object(SECRET), 'object']
  ]
  for (const [value, type] of values) {
    const expected = (name: string) =>
      `Option "jwks.headers" must have a string as "${name}", got a value of type ${type}`
    t.equal(messageOf({ 'x-gate': value }), expected('x-gate'), type)
  }
})

t.test('a header that an unset environment variable leaves without a value fails the boot', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const headers = { 'x-gate': process.env.NO_SUCH_VARIABLE } as Record<string, string>
  await t.rejects(async () => { await app.register(betterAuthPlugin, { jwks: { headers } }) }, {
    code: 'FST_BETTER_AUTH_INVALID_OPTION',
    message: 'Option "jwks.headers" must have a string as "x-gate", got a value of type undefined'
  })
})

t.test('a header of the HTTP client itself is refused, in any case', async t => {
  const names = [
    '__proto__', 'accept-encoding', 'connection', 'content-length', 'expect', 'host', 'keep-alive', 'sec-fetch-mode',
    'te', 'trailer', 'transfer-encoding', 'upgrade'
  ]
  for (const name of names.flatMap(name => [name, name.toUpperCase(), name.replace(/^./, c => c.toUpperCase())])) {
    t.equal(
      messageOf(Object.fromEntries([[name, SECRET]])),
      `Option "jwks.headers" must not have "${name}", which is reserved for the HTTP client`
    )
  }
})

t.test('a header is given once, whatever the case of its name', async t => {
  t.equal(
    messageOf({ 'x-gate': SECRET, 'X-Gate': `${SECRET}3` }),
    'Option "jwks.headers" must not have "X-Gate" twice; upper and lower case are the same'
  )
})
