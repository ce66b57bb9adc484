import t from 'tap'
import { readAuthorizationClaims, readOrganization } from '../../lib/tokens/authorization-claims.js'
import { reasonOf } from '../fixtures/refusals.js'

type Row = [what: string, record: Record<string, unknown>, read: unknown]

t.test('roles: text that commas separate, or an array', async t => {
  const rows: Row[] = [
    ['none', {}, []],
    ['one', { role: 'admin' }, ['admin']],
    ['several', { role: 'admin,user' }, ['admin', 'user']],
    ['with spaces, which belong to a role', { role: 'admin, user' }, ['admin', ' user']],
    ['an array', { role: ['admin', 'a,b'] }, ['admin', 'a,b']],
    ['an array of something else', { role: ['admin', 5] }, []],
    ['not a string', { role: { admin: true } }, []],
    ['null', { role: null }, []],
    ['another name', { roles: 'admin' }, []]
  ]
  for (const [what, record, roles] of rows) t.strictSame(readAuthorizationClaims(record).roles, roles, what)
})

t.test('scopes: `scope`, which spaces separate, or else the array `scp`', async t => {
  const rows: Row[] = [
    ['none', {}, []],
    ['scope', { scope: 'read write' }, ['read', 'write']],
    ['scp', { scp: ['read', 'write'] }, ['read', 'write']],
    ['scope before scp', { scope: 'read', scp: ['write'] }, ['read']],
    ['an unreadable scope, which scp does not replace', { scope: null, scp: ['write'] }, []],
    ['a scope that is an array', { scope: ['read'] }, []],
    ['an scp that is text', { scp: 'read write' }, []],
    ['an scp of something else', { scp: ['read', 5] }, []]
  ]
  for (const [what, record, scopes] of rows) t.strictSame(readAuthorizationClaims(record).scopes, scopes, what)
})

t.test('a ban lasts until `banExpires`; an unreadable `banExpires` means a permanent ban', async t => {
  const banExpires = '2026-01-02T03:04:05.678Z'
  const rows: Row[] = [
    ['none', {}, undefined],
    ['not banned', { banned: false, banExpires }, undefined],
    ['null, as in a row of a user who was never banned', { banned: null, banExpires: null }, undefined],
    ['an end without a ban', { banExpires }, undefined],
    ['with an end', { banned: true, banExpires }, Date.UTC(2026, 0, 2, 3, 4, 5, 678)],
    ['without an end', { banned: true }, Infinity],
    ['with null as its end', { banned: true, banExpires: null }, Infinity],
    ['with 0 as its end', { banned: true, banExpires: 0 }, Infinity],
    ['with a date that is not ISO 8601', { banned: true, banExpires: 'Jan 2, 2020' }, Infinity],
    ['with a number as its end, and a flag of SQLite', { banned: 1, banExpires: 1_600_000_000_000 }, 1_600_000_000_000],
    ['with a flag of SQLite that is off', { banned: 0, banExpires }, undefined],
    ['with a date that does not exist', { banned: true, banExpires: '2020-13-01T00:00:00Z' }, Infinity]
  ]
  for (const [what, record, until] of rows) t.equal(readAuthorizationClaims(record).bannedUntil, until, what)
})

t.test('a `banned` that is neither a flag nor null is refused', async t => {
  for (const banned of ['TRUE', 'no', 2, '', [], {}]) {
    t.equal(await reasonOf(() => readAuthorizationClaims({ banned })), 'claim_invalid banned', JSON.stringify(banned))
  }
})

t.test('an organization has an id, and nobody can change it', async t => {
  const organization = readOrganization({ id: 'org_1', slug: 'acme', role: 'owner', name: 'Acme' })
  t.strictSame(organization, { id: 'org_1', slug: 'acme', role: 'owner' })
  t.ok(Object.isFrozen(organization))
  t.strictSame(readOrganization({ id: 'org_1', slug: undefined, role: null }), { id: 'org_1' })
  for (const value of [undefined, null, 'org_1', {}, { id: '' }, { id: 1 }, { id: 'org_1', slug: 1 }]) {
    t.equal(readOrganization(value), undefined, JSON.stringify(value))
  }
  t.strictSame(readAuthorizationClaims({ o: { id: 'org_1' } }).organization, undefined, 'a record says nothing of it')
})
