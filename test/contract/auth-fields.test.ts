import t from 'tap'
import { readAuthFields, SESSION_FIELDS, USER_FIELDS } from '../../lib/contract/auth-fields.js'

const userFields = (additionalFields: unknown, plugins?: unknown) =>
  readAuthFields({ user: { additionalFields }, plugins }, 'user', USER_FIELDS)

const pluginWith = (fields: unknown) => ({ id: 'x', schema: { user: { fields }, session: { fields } } })

t.test('the fields of a user are those of the options and of the plugins', async t => {
  const fields = { plan: { type: ['free', 'pro'] }, seats: { type: 'number' }, bornAt: { type: 'date' } }
  t.strictSame(userFields(fields, [pluginWith({ role: { type: 'string' }, tags: { type: 'string[]' } })]), [
    { name: 'plan', type: ['free', 'pro'] },
    { name: 'seats', type: 'number' },
    { name: 'bornAt', type: 'date' },
    { name: 'role', type: 'string' },
    { name: 'tags', type: 'string[]' }
  ])
})

t.test('a session has those of its own model', async t => {
  const options = { user: { additionalFields: { a: { type: 'string' } } }, plugins: [pluginWith({ b: {} })] }
  t.strictSame(readAuthFields(options, 'session', SESSION_FIELDS), [{ name: 'b', type: 'unknown' }])
  const own = { session: { additionalFields: { token: { type: 'number' }, device: { type: 'string' } } } }
  t.strictSame(readAuthFields(own, 'session', SESSION_FIELDS), [{ name: 'device', type: 'string' }])
})

t.test('leaves out what is not returned, and what the plugin or the token has itself', async t => {
  const hidden = { type: 'string', returned: false }
  t.strictSame(userFields({ hidden }), [])
  t.strictSame(userFields(Object.fromEntries(USER_FIELDS.map(name => [name, { type: 'string' }]))), [])
  t.strictSame(userFields({ a: { type: 'string' } }, [pluginWith({ a: hidden })]), [], 'the last one counts')
  t.strictSame(userFields({ a: hidden }, [pluginWith({ a: { type: 'date' } })]), [{ name: 'a', type: 'date' }])
})

t.test('a value that is transformed, or of a type that nobody knows, may be anything', async t => {
  for (const field of [
    { type: 'string', transform: { output: () => 5 } }, { type: 'json' }, { type: 'bigint' }, { type: 5 }, {}, null
  ]) {
    t.strictSame(userFields({ a: field }), [{ name: 'a', type: 'unknown' }], JSON.stringify(field))
  }
  t.strictSame(userFields({ a: { type: 'string', transform: { input: () => 5 } } }), [{ name: 'a', type: 'string' }])
})

t.test('options without fields have none', async t => {
  for (const given of [undefined, null, 5, {}]) t.strictSame(userFields(given, given), [])
  t.strictSame(userFields({}, [null, {}, { schema: null }, { schema: { user: {} } }, pluginWith(null)]), [])
  t.strictSame(readAuthFields({}, 'user', USER_FIELDS), [])
})

t.test('later changes of the options have no effect', async t => {
  const type = ['free']
  const fields = userFields({ plan: { type } })
  type.push('pro')
  t.strictSame(fields, [{ name: 'plan', type: ['free'] }])
})
