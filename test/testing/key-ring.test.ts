import t from 'tap'
import { createKeyRing, type KeyRing } from '../../lib/testing/key-ring.js'
import { randomSecret } from '../../lib/testing/signers.js'

const kidsOf = (ring: KeyRing) => ring.jwks().map(jwk => (jwk as { kid: string }).kid)
const createRing = () => createKeyRing('EdDSA', randomSecret())

t.test('a new ring publishes its one key, but not the one that forges', async t => {
  const ring = await createRing()
  t.strictSame(ring.jwks(), [ring.current.jwk])
  t.equal(ring.impersonated, ring.current)
  t.notOk(kidsOf(ring).includes(ring.forger.kid!))
})

t.test('rotate() adds a key, which is then current; the old one is still published', async t => {
  const ring = await createRing()
  const first = ring.current
  const second = await ring.rotate()
  t.equal(ring.current, second)
  t.strictSame(kidsOf(ring), [first.kid, second.kid])
  t.equal(ring.find(first.kid!), first)
})

t.test('a revoked key is not published, but still signs', async t => {
  const ring = await createRing()
  const first = ring.current
  const second = await ring.rotate()
  ring.revoke(first.kid)
  t.strictSame(kidsOf(ring), [second.kid])
  t.equal(ring.find(first.kid!), first)
  t.doesNotThrow(() => { ring.revoke(first.kid) }, 'twice is once')
})

t.test('without a kid, the current key is revoked; a forged token then names another published one', async t => {
  const ring = await createRing()
  const first = ring.current
  const second = await ring.rotate()
  ring.revoke(undefined)
  t.strictSame(kidsOf(ring), [first.kid])
  t.equal(ring.current, second)
  t.equal(ring.impersonated, first)
})

t.test('the JWKS is never empty: the last key that is revoked is replaced', async t => {
  const ring = await createRing()
  const { kid } = ring.current
  ring.revoke(undefined)
  const published = kidsOf(ring)
  t.equal(published.length, 1)
  t.not(published[0], kid)
  t.equal(ring.impersonated.kid, published[0])
})

t.test('an unknown kid is a TypeError', async t => {
  const ring = await createRing()
  for (const run of [() => ring.find('x'), () => { ring.revoke('x') }, () => ring.find(ring.forger.kid!)]) {
    t.throws(run, { name: 'TypeError', message: /^This issuer has no key '/ })
  }
  t.equal(ring.jwks().length, 1)
})

t.test('HS256: a secret, which is not published and cannot be replaced', async t => {
  const secret = randomSecret()
  const ring = await createKeyRing('HS256', secret)
  const same = await createKeyRing('HS256', secret)
  const input = Buffer.from('x')
  t.strictSame(ring.jwks(), [])
  t.strictSame(ring.current.sign(input), same.current.sign(input))
  t.notSame(ring.forger.sign(input), ring.current.sign(input))
  await t.rejects(ring.rotate(), { message: 'rotate() needs keys in a JWKS, but HS256 uses a secret' })
  t.throws(() => { ring.revoke(undefined) }, { message: 'revoke() needs keys in a JWKS, but HS256 uses a secret' })
})
