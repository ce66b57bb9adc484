import t from 'tap'
import type { AuthField } from '../../lib/contract/auth-fields.js'
import { UserSchema } from '../../lib/index.js'
import { readFields } from '../../lib/tokens/auth-fields.js'
import { loadUserReader } from '../../lib/tokens/user-reader.js'
import { reasonOf } from '../fixtures/refusals.js'

const DATE = '2026-01-02T03:04:05.678Z'
const LARGE = String(2n ** 60n)

const VALUES: Array<[type: AuthField['type'], accepted: unknown[], refused: unknown[]]> = [
  ['string', ['', 'x'], [0, true, [], {}]],
  ['number', [0, -1.5], ['', 'x', '1e3', ' 1', LARGE, true, [], ['12'], {}]],
  ['boolean', [true, false], ['yes', 2, [], {}]],
  ['date', [DATE, '2026-01-02'], ['', 'soon', 1_700_000_000_000, true, [DATE], {}]],
  ['string[]', [[], ['a', 'b']], ['a', [1], ['a', null], {}]],
  ['number[]', [[], [1, 2]], [1, ['1'], {}]],
  [['free', 'pro'], ['free', 'pro'], ['gold', '', 0, ['free']]],
  ['unknown', ['x', 0, false, [{}], { a: 1 }], []]
]

for (const [type, accepted, refused] of VALUES) {
  t.test(`a field of the type ${[type].flat().join(' | ')}`, async t => {
    const read = (a: unknown) => readFields({ a }, [{ name: 'a', type }])
    for (const value of accepted) t.strictSame(read(value), { a: value }, JSON.stringify(value))
    for (const value of refused) {
      t.equal(await reasonOf(() => { read(value) }), 'claim_invalid a', JSON.stringify(value))
    }
    for (const value of [null, undefined]) t.strictSame(read(value), { a: null })
    t.strictSame(readFields({}, [{ name: 'a', type }]), { a: null })
  })
}

t.test('reads numbers and flags as databases spell them', async t => {
  const read = (type: AuthField['type'], a: unknown) => readFields({ a }, [{ name: 'a', type }]).a
  t.strictSame(['12', '-1.50', '9007199254740991'].map(text => read('number', text)), [12, -1.5, 9007199254740991])
  t.strictSame([1, '1', 'true', 0, '0', 'false'].map(flag => read('boolean', flag)), [
    true, true, true, false, false, false
  ])
})

t.test('reads own properties only, whatever their names are', async t => {
  const names = ['__proto__', 'constructor', 'toString']
  const fields = names.map(name => ({ name, type: 'string' as const }))
  t.strictSame(Object.entries(readFields({}, fields)), names.map(name => [name, null]))
  const read = readFields(JSON.parse('{ "__proto__": "x" }'), fields)
  t.equal(Object.getPrototypeOf(read), Object.prototype)
  t.strictSame(Object.entries(read)[0], ['__proto__', 'x'])
})

t.test('a session has a reason of its own', async t => {
  const read = () => { readFields({ a: 1 }, [{ name: 'a', type: 'string' }], 'session_invalid') }
  t.equal(await reasonOf(read), 'session_invalid a')
})

t.test('the user has the fields of the option `auth`, unless `userSchema` says what it has', async t => {
  const auth = { fields: { user: [{ name: 'plan', type: 'string' }], session: [] } } as never
  const claims = { sub: 'u_1', plan: 'pro', other: 1 }
  const base = { id: 'u_1', email: null, name: null, emailVerified: false, image: null }
  const userOf = async (options: object) => (await loadUserReader({ userId: 'either', ...options } as never))(claims)
  t.strictSame(await userOf({ auth }), { ...base, plan: 'pro' })
  t.strictSame(await userOf({ auth, userSchema: UserSchema }), base)
  t.strictSame(await userOf({ auth: { fields: { user: [] } } }), base)
  t.strictSame(await userOf({}), base)
})
