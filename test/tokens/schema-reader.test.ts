import { Type, type TSchema } from '@sinclair/typebox'
import t from 'tap'
import { createSchemaReader } from '../../lib/tokens/schema-reader.js'
import { reasonOf } from '../fixtures/refusals.js'

const read = (schema: TSchema, value: unknown): unknown => createSchemaReader(schema)(value)
const claimOf = async (schema: TSchema, value: unknown): Promise<string> =>
  (await reasonOf(() => read(schema, value))).replace('claim_invalid ', '')
const Text = Type.String()
const Maybe = Type.Optional(Text)
const Light = Type.String({ default: 'light' })

t.test('null is absent where a property is optional, or has a default', async t => {
  const Inner = Type.Object({ maybe: Maybe, light: Light })
  const nulls = { maybe: null, light: null }
  const filled = { light: 'light' }
  for (const [name, schema, value, expected] of [
    ['an object', Inner, nulls, filled],
    ['an object in an object', Type.Object({ inner: Inner }), { inner: nulls }, { inner: filled }],
    ['objects in an array', Type.Array(Inner), [nulls, { light: 'x' }], [filled, { light: 'x' }]],
    ['an array in an array', Type.Array(Type.Array(Inner)), [[nulls]], [[filled]]],
    ['objects in a tuple', Type.Tuple([Text, Inner]), ['a', nulls], ['a', filled]],
    ['objects in a record', Type.Record(Text, Inner), { a: nulls }, { a: filled }],
    ['an object or null', Type.Union([Inner, Type.Null()]), nulls, filled],
    ['null or an object', Type.Union([Type.Null(), Inner]), nulls, filled],
    ['objects in an array or null', Type.Union([Type.Array(Inner), Type.Null()]), [nulls], [filled]],
    ['an intersection', Type.Intersect([Inner, Type.Object({ id: Text })]), { id: 'a', ...nulls }, {
      id: 'a', ...filled
    }],
    ['an optional object', Type.Object({ inner: Type.Optional(Inner) }), { inner: null }, {}],
    ['an optional array', Type.Object({ list: Type.Optional(Type.Array(Text)) }), { list: null }, {}],
    ['a union with a default', Type.Object({
      plan: Type.Union([Type.Literal('free'), Type.Literal('pro')], { default: 'free' })
    }), { plan: null }, { plan: 'free' }],
    ['an object with a default', Type.Object({ inner: Type.Object({ light: Light }, { default: {} }) }), {
      inner: null
    }, { inner: filled }]
  ] as Array<[string, TSchema, unknown, unknown]>) t.strictSame(read(schema, value), expected, name)
})

t.test('a value of any type stays as it is', async t => {
  for (const schema of [Type.Any(), Type.Unknown()]) {
    for (const value of [['a', null], { a: null }, null, 'a', [[1]]]) t.strictSame(read(schema, value), value)
  }
})

t.test('a recursive schema, and one of a module', async t => {
  const Node = Type.Recursive(This => Type.Object({
    note: Maybe, light: Light, children: Type.Array(This), next: Type.Optional(This)
  }))
  const leaf = { light: 'light', children: [] }
  t.strictSame(
    read(Node, { note: null, children: [{ light: null, children: [] }], next: { next: null, children: [] } }),
    { light: 'light', children: [leaf], next: leaf }
  )
  t.equal(await claimOf(Node, { children: [{ children: [{ note: 7, children: [] }] }] }), '/children/0/children/0/note')

  const Thread = Type.Recursive(Reply => Type.Object({
    author: Type.Recursive(Deputy => Type.Object({ maybe: Maybe, deputy: Type.Optional(Deputy) })),
    reply: Type.Optional(Reply)
  }))
  const author = { maybe: null, deputy: { maybe: 'x', deputy: { maybe: null } } }
  const expected = { deputy: { maybe: 'x', deputy: {} } }
  t.strictSame(
    read(Thread, { author, reply: { author } }), { author: expected, reply: { author: expected } }, 'within another one'
  )

  const Module = Type.Module({
    Member: Type.Object({ id: Type.String({ format: 'uuid' }), nick: Maybe }),
    Team: Type.Object({ lead: Type.Ref('Member'), members: Type.Array(Type.Ref('Member')) })
  })
  const id = '0194a1c2-7f3e-7000-8000-000000000000'
  const member = { id, nick: null }
  t.strictSame(read(Module.Import('Team'), { lead: member, members: [member] }), { lead: { id }, members: [{ id }] })
  t.equal(await claimOf(Module.Import('Team'), { lead: member, members: [member, { id: 'x' }] }), '/members/1/id')
})

t.test('null stays where the schema accepts it', async t => {
  for (const property of [
    Type.Null(), Type.Union([Text, Type.Null()]), Type.Union([Text, Type.Null()], { default: 'x' }), Type.Any(),
    Type.Unknown(), Type.Optional(Type.Union([Text, Type.Null()]))
  ]) t.strictSame(read(Type.Object({ property }), { property: null }), { property: null })
})

t.test('null is refused where the property is required, and as an item', async t => {
  for (const [schema, value, path] of [
    [Type.Object({ id: Text }), { id: null }, '/id'],
    [Type.Object({ inner: Type.Object({ id: Text }) }), { inner: { id: null } }, '/inner/id'],
    [Type.Object({ inner: Type.Object({}) }), { inner: null }, '/inner'],
    [Type.Object({ list: Type.Array(Text) }), { list: ['a', null] }, '/list/1'],
    [Type.Object({ list: Type.Array(Light) }), { list: [null] }, '/list/0'],
    [Type.Object({ pair: Type.Tuple([Text, Light]) }), { pair: ['a', null] }, '/pair/1'],
    [Type.Object({ pair: Type.Tuple([Text, Text]) }), { pair: ['a'] }, '/pair'],
    [Type.Object({ map: Type.Record(Text, Text) }), { map: { a: null } }, '/map/a'],
    [Type.Object({ either: Type.Union([Text, Type.Number()]) }), { either: null }, '/either']
  ] as Array<[TSchema, unknown, string]>) t.equal(await claimOf(schema, value), path)
})

t.test('a variant that takes the value as it is comes before one that takes it without its nulls', async t => {
  const Person = Type.Object({ kind: Type.Literal('person'), nick: Maybe })
  const Bot = Type.Object({ kind: Type.Literal('bot'), owner: Type.Union([Text, Type.Null()]), tier: Light })
  const Either = Type.Union([Person, Bot])
  t.strictSame(read(Either, { kind: 'bot', owner: null, tier: null }), { kind: 'bot', owner: null, tier: 'light' })
  t.strictSame(read(Either, { kind: 'person', nick: null, owner: null }), { kind: 'person' })
  const Exact = Type.Union([Type.Object({ a: Maybe }), Type.Object({ a: Type.Null() })])
  t.strictSame(read(Exact, { a: null }), { a: null })
  t.equal(await claimOf(Type.Object({ either: Either }), { either: { kind: 'bot', owner: 7 } }), '/either')
})

t.test('what the schema does not declare is dropped, in unions and intersections too', async t => {
  const Closed = Type.Object({ a: Text }, { additionalProperties: false })
  t.strictSame(read(Type.Union([Closed, Type.Null()]), { a: 'x', b: 1 }), { a: 'x' })
  t.strictSame(
    read(Type.Intersect([Type.Object({ a: Text }), Type.Object({ c: Text })]), { a: 'x', c: 'y', d: 'z' }),
    { a: 'x', c: 'y' }
  )
  t.strictSame(read(Type.Record(Type.String({ pattern: '^[a-z]$' }), Text), { a: 'x', BB: 'y' }), { a: 'x' })
  t.strictSame(read(Type.Tuple([Text]), ['a', 'b']), ['a'])
  t.strictSame(read(Type.Tuple([]), ['a']), [])
})

t.test('an own __proto__ stays a name like any other', async t => {
  const value = JSON.parse('{ "id": "a", "__proto__": { "admin": true } }') as object
  for (const schema of [
    Type.Object({ id: Text }), Type.Intersect([Type.Object({ id: Text }), Type.Record(Text, Type.Unknown())])
  ]) {
    const result = read(schema, value) as { admin?: boolean }
    t.equal(result.admin, undefined)
    t.equal(Object.getPrototypeOf(result), Object.prototype)
  }
})

t.test('its argument is not changed', async t => {
  const value = { light: null, inner: { light: null, more: 1 } }
  const before = structuredClone(value)
  read(Type.Object({ light: Light, inner: Type.Object({ light: Light }) }), value)
  t.strictSame(value, before)
})

t.test('only a string has a format', async t => {
  t.equal(read(Type.Number({ format: 'euros' }), 5), 5)
})

t.test('a path is a JSON pointer', async t => {
  t.equal(await claimOf(Type.Object({ 'a/b~': Type.String({ format: 'uuid' }) }), { 'a/b~': 'x' }), '/a~1b~0')
})

t.test('a format where it cannot be checked fails the boot', async t => {
  const Email = Type.String({ format: 'email' })
  for (const [keyword, schema] of [
    ['not', Type.Not(Email)],
    ['contains', Type.Array(Text, { contains: Email })],
    ['additionalProperties', Type.Object({}, { additionalProperties: Email })],
    ['unevaluatedProperties', Type.Intersect([Type.Object({})], { unevaluatedProperties: Type.Array(Email) })]
  ] as const) {
    t.throws(() => createSchemaReader(Type.Object({ x: schema })), {
      code: 'FST_BETTER_AUTH_INVALID_OPTION',
      message: `Option "userSchema" has the format "email" within "${keyword}", where this plugin cannot check it`
    })
  }
  t.doesNotThrow(() => createSchemaReader(Type.Object({ x: Type.Not(Text) })))
})
