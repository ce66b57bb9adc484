import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import Fastify from 'fastify'
import t from 'tap'
import { UserSchema } from '../../lib/index.js'
import type { Claims } from '../../lib/contract/identity.js'
import { createUserReader, loadUserReader } from '../../lib/tokens/user-reader.js'
import { reasonOf } from '../fixtures/refusals.js'

const toUser = createUserReader()
const EMPTY = { id: 'u_1', email: null, name: null, emailVerified: false, image: null }
const ROW = { email: 'ada@example.com', name: 'Ada', emailVerified: true, image: 'https://example.com/ada.png' }

const userOf = (claims: Record<string, unknown>) => toUser({ exp: 1, ...claims } as Claims)

const ACCEPTED: Array<[what: string, claims: Record<string, unknown>, user: Record<string, unknown>]> = [
  ['the user row of Better Auth', { sub: 'u_1', id: 'u_1', ...ROW }, { id: 'u_1', ...ROW }],
  ['a subject alone', { sub: 'u_1' }, EMPTY],
  ['an id alone', { id: 'u_1' }, EMPTY],
  ['a subject before an id', { sub: 'u_1', id: 'row_1' }, EMPTY],
  ['a subject of one space', { sub: ' ' }, { ...EMPTY, id: ' ' }],
  [
    'null for what the user has not',
    { sub: 'u_1', email: null, name: null, image: null, emailVerified: null, email_verified: null }, EMPTY
  ],
  ['empty text as it is', { sub: 'u_1', email: '', name: '', image: '' }, { ...EMPTY, email: '', name: '', image: '' }],
  ['emailVerified: true', { sub: 'u_1', emailVerified: true }, { ...EMPTY, emailVerified: true }],
  ['emailVerified: false', { sub: 'u_1', emailVerified: false }, EMPTY],
  ['email_verified: true of OpenID Connect', { sub: 'u_1', email_verified: true }, { ...EMPTY, emailVerified: true }],
  ['email_verified: false of OpenID Connect', { sub: 'u_1', email_verified: false }, EMPTY],
  [
    'emailVerified: false before email_verified: true',
    { sub: 'u_1', emailVerified: false, email_verified: true },
    EMPTY
  ],
  [
    'emailVerified: true before email_verified: false', { sub: 'u_1', emailVerified: true, email_verified: false },
    { ...EMPTY, emailVerified: true }
  ],
  [
    'email_verified where emailVerified is null', { sub: 'u_1', emailVerified: null, email_verified: true },
    { ...EMPTY, emailVerified: true }
  ],
  ['emailVerified: 1 of SQLite', { sub: 'u_1', emailVerified: 1 }, { ...EMPTY, emailVerified: true }],
  ['emailVerified: 0 of SQLite', { sub: 'u_1', emailVerified: 0, email_verified: true }, EMPTY],
  ['email_verified as text', { sub: 'u_1', email_verified: 'true' }, { ...EMPTY, emailVerified: true }],
  ['emailVerified as a date, which is not `true`', { sub: 'u_1', emailVerified: '2026-01-02T03:04:05.678Z' }, EMPTY],
  ['emailVerified as a number of milliseconds', { sub: 'u_1', emailVerified: 1_700_000_000_000 }, EMPTY],
  ['emailVerified as other text', { sub: 'u_1', emailVerified: 'yes' }, EMPTY],
  ['emailVerified as empty text', { sub: 'u_1', emailVerified: '' }, EMPTY],
  ['no claim that is not the user\'s', { sub: 'u_1', role: 'admin', banned: true, picture: 'x', session: {} }, EMPTY]
]

t.test('makes a user out of', async t => {
  for (const [what, claims, user] of ACCEPTED) {
    t.strictSame(userOf(claims), user, what)
    t.ok(Value.Check(UserSchema, userOf(claims)), `${what}: as UserSchema has it`)
  }
})

t.test('refuses claims that name nobody', async t => {
  t.equal(await reasonOf(() => userOf({})), 'claim_missing sub')
  t.equal(await reasonOf(() => userOf({ email: 'ada@example.com' })), 'claim_missing sub')
  t.equal(await reasonOf(() => userOf(JSON.parse('{ "__proto__": { "sub": "u_1" } }'))), 'claim_missing sub')
})

t.test('the option `userId` chooses the claim, and a token without it is refused', async t => {
  const both = { sub: 'ada@example.com', id: 'row_1' }
  const read = (userId: 'sub' | 'id' | 'either' | 'equal', claims: Record<string, unknown>) =>
    reasonOf(() => { createUserReader(userId)(claims) })
  const idOf = (userId: 'sub' | 'id' | 'either' | 'equal', claims: Record<string, unknown>) =>
    createUserReader(userId)(claims).id
  t.equal(idOf('sub', both), 'ada@example.com')
  t.equal(idOf('id', both), 'row_1')
  t.equal(idOf('either', both), 'ada@example.com')
  t.equal(await read('equal', both), 'subject_ambiguous sub')
  t.equal(idOf('equal', { sub: 'u_1', id: 'u_1' }), 'u_1')
  for (const claims of [{ sub: 'u_1' }, { id: 'u_1' }]) {
    t.equal(idOf('equal', claims), 'u_1')
    t.equal(idOf('either', claims), 'u_1')
  }
  t.equal(await read('sub', { id: 'u_1' }), 'claim_missing sub')
  t.equal(await read('id', { sub: 'u_1' }), 'claim_missing id')
  t.equal(await read('id', { sub: '', id: 'u_1' }), 'claim_invalid sub', 'a wrong type is found in both')
  for (const userId of ['sub', 'id', 'either', 'equal'] as const) {
    t.match(await read(userId, {}), /^claim_missing (sub|id)$/, 'nobody')
  }
})

t.test('a `userSchema` adds claims, and replaces no member of the user', async t => {
  const userSchema = Type.Object({ ...UserSchema.properties, plan: Type.String() })
  const read = await loadUserReader({ userSchema, userId: 'sub' })
  const user = read({ sub: 'u_1', id: 'row_1', plan: 'pro', emailVerified: 1 })
  t.strictSame(user, { ...EMPTY, emailVerified: true, plan: 'pro' })
})

const TEXTS: unknown[] = [0, 1, true, false, [], ['u_1'], {}, { toString: 'u_1' }]
const FLAGS = [[], [true], {}]
const REFUSED: Record<string, unknown[]> = {
  sub: ['', null, ...TEXTS],
  id: ['', null, ...TEXTS],
  email: TEXTS,
  name: TEXTS,
  image: TEXTS,
  emailVerified: FLAGS,
  email_verified: FLAGS
}

for (const [claim, values] of Object.entries(REFUSED)) {
  t.test(`refuses a claim "${claim}" of the wrong type, also where another stands in for it`, async t => {
    for (const value of values) {
      const claims = { sub: 'u_1', id: 'u_1', emailVerified: true, [claim]: value }
      t.equal(await reasonOf(() => userOf(claims)), `claim_invalid ${claim}`, JSON.stringify(value))
    }
  })
}

t.test('a user does not share objects with the claims', async t => {
  const claims: Claims = { exp: 1, sub: 'u_1', name: 'Ada' }
  const user = toUser(claims)
  user.name = 'Eve'
  t.strictSame(claims, { exp: 1, sub: 'u_1', name: 'Ada' })
})

t.test('UserSchema serialises a user, and nothing but the user', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', { schema: { response: { 200: UserSchema } } }, async () => ({ ...EMPTY, ...ROW, password: 'hunter2' }))
  app.get('/empty', { schema: { response: { 200: UserSchema } } }, async () => EMPTY)
  t.strictSame((await app.inject('/')).json(), { id: 'u_1', ...ROW })
  t.strictSame((await app.inject('/empty')).json(), EMPTY)
})

t.test('UserSchema checks', async t => {
  const wrong = [
    { ...EMPTY, id: '' }, { ...EMPTY, id: null }, { ...EMPTY, email: 1 }, { ...EMPTY, emailVerified: 'true' },
    { ...EMPTY, role: 'admin' }, { id: 'u_1' }
  ]
  for (const user of wrong) t.notOk(Value.Check(UserSchema, user), JSON.stringify(user))
})
