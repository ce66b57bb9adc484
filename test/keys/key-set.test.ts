import t from 'tap'
import { importJwk, type VerificationKey } from '../../lib/keys/jwk.js'
import { createKeySet, findKey, judgeEntry, MAX_ENTRIES, NO_KEYS } from '../../lib/keys/key-set.js'
import { k1, k1Replaced, k2 } from '../fixtures/key-store.js'
import { createSigningKey } from '../fixtures/signing.js'

const rsa = createSigningKey('RS256', 'k1')
const unusable = { ...k2.jwk, use: 'enc' }

/** The `kid` and the algorithms of each key, in order. */
function namesOf ({ keys }: { keys: ReadonlyMap<string, readonly VerificationKey[]> }): string[] {
  return [...keys].flatMap(([kid, list]) => list.map(({ algorithms }) => `${kid} ${algorithms.join()}`))
}

t.test('a set has the usable entries of a JWKS by their kid, in their order', async t => {
  const set = createKeySet([k2.jwk, k1.jwk, rsa.jwk], NO_KEYS)
  t.same(namesOf(set), ['k2 ES256', 'k1 EdDSA', 'k1 RS256'])
  t.match(set, { faults: { length: 0 }, size: 3 })
})

t.test('a JWKS without entries is a set without keys', async t => {
  t.same(createKeySet([], createKeySet([k1.jwk], NO_KEYS)), NO_KEYS)
})

t.test('entries are judged one by one', async t => {
  const { kid, ...nameless } = k1.jwk
  const entries: Array<[entry: unknown, fault: { kid: string | null, fault: string }]> = [
    [null, { kid: null, fault: 'malformed' }],
    ['k1', { kid: null, fault: 'malformed' }],
    [1, { kid: null, fault: 'malformed' }],
    [true, { kid: null, fault: 'malformed' }],
    [undefined, { kid: null, fault: 'malformed' }],
    [[], { kid: null, fault: 'kty' }],
    [[k1.jwk], { kid: null, fault: 'kty' }],
    [{}, { kid: null, fault: 'kty' }],
    [unusable, { kid: 'k2', fault: 'use' }],
    [{ ...k1.jwk, x: null }, { kid: 'k1', fault: 'malformed' }],
    [{ ...k1.privateKey.export({ format: 'jwk' }), kid }, { kid: 'k1', fault: 'private' }],
    [nameless, { kid: null, fault: 'kid_missing' }],
    [{ ...nameless, kid: '' }, { kid: null, fault: 'kid_invalid' }],
    [{ ...nameless, kid: '\ud800', use: 'enc' }, { kid: null, fault: 'use' }]
  ]
  for (const [entry, fault] of entries) t.strictSame(judgeEntry(entry), fault, JSON.stringify(entry))
  t.strictSame(judgeEntry(k1.jwk), importJwk(k1.jwk))

  const set = createKeySet([...entries.map(([entry]) => entry), k1.jwk], NO_KEYS)
  t.same(namesOf(set), ['k1 EdDSA'])
  t.strictSame(set.faults, entries.map(([, fault]) => fault))
  t.equal(set.size, entries.length + 1)
})

t.test('only the first 1,000 entries are looked at', async t => {
  t.equal(MAX_ENTRIES, 1000)
  const entries = Array.from({ length: 1002 }, () => null)
  const set = createKeySet([...entries.slice(0, 999), k1.jwk, k2.jwk, null], NO_KEYS)
  t.same(namesOf(set), ['k1 EdDSA'])
  t.equal(set.faults.length, 999)
  t.equal(set.size, 1002)
})

t.test('a key stays the same object while it is the same key', async t => {
  const before = createKeySet([k1.jwk, rsa.jwk, k2.jwk], NO_KEYS)
  const after = createKeySet([{ ...rsa.jwk, use: 'sig' }, k2.jwk, { ...k1.jwk, ext: true }], before)
  t.equal(findKey(after, 'k1', 'EdDSA'), findKey(before, 'k1', 'EdDSA'))
  t.equal(findKey(after, 'k1', 'RS256'), findKey(before, 'k1', 'RS256'))
  t.equal(findKey(after, 'k2', 'ES256'), findKey(before, 'k2', 'ES256'))

  const replaced = createKeySet([k1Replaced.jwk, { ...rsa.jwk, alg: 'PS256' }], before)
  t.same(namesOf(replaced), ['k1 EdDSA', 'k1 PS256'])
  for (const key of replaced.keys.get('k1')!) t.notOk(before.keys.get('k1')!.includes(key))
})

t.test('a key that the JWKS has twice counts once', async t => {
  const entries = [k1.jwk, k2.jwk, { ...k1.jwk, alg: undefined }, k1Replaced.jwk, k1.jwk]
  const set = createKeySet(entries, NO_KEYS)
  t.same(namesOf(set), ['k1 EdDSA', 'k1 EdDSA', 'k2 ES256'])
  t.same(createKeySet(entries, set).keys, set.keys)
  t.same(namesOf(createKeySet([rsa.jwk, { ...rsa.jwk, alg: 'PS256' }], NO_KEYS)), ['k1 RS256', 'k1 PS256'])
})

t.test('findKey() finds the first key of a kid that is for the algorithm, else the first one', async t => {
  const set = createKeySet([k1.jwk, rsa.jwk, { ...createSigningKey('RS512', 'k1').jwk, alg: undefined }], NO_KEYS)
  const [eddsa, rs256, anyRsa] = set.keys.get('k1')!
  t.equal(findKey(set, 'k1', 'EdDSA'), eddsa)
  t.equal(findKey(set, 'k1', 'RS256'), rs256)
  t.equal(findKey(set, 'k1', 'RS512'), anyRsa)
  t.equal(findKey(set, 'k1', 'ES256'), eddsa)
  for (const kid of ['k2', '', 'constructor', '__proto__']) t.equal(findKey(set, kid, 'EdDSA'), undefined)
})
