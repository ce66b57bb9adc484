import t from 'tap'
import { createExchangeVault } from '../../lib/auth-server/exchange-vault.js'

const SECRET = 'a secret that is long enough for this'
const URL = 'http://localhost:3000/api/auth/token'
const CREDENTIAL = { name: 'authorization', value: 'Bearer abc' }
const vault = createExchangeVault(SECRET, URL)

t.test('what is sealed opens at the same place, in each instance', async t => {
  const place = vault.placeOf(CREDENTIAL)
  const sealed = place.seal('{"token":"é"}')
  const other = createExchangeVault(SECRET, URL).placeOf({ ...CREDENTIAL })
  t.equal(other.key, place.key)
  t.equal(other.open(sealed), '{"token":"é"}')
  t.equal(place.open(place.seal('')), '')
  t.not(place.seal('x'), place.seal('x'), 'twice the same text does not look the same')
})

t.test('another secret, auth server, header or credential has a place of its own, and opens nothing', async t => {
  const place = vault.placeOf(CREDENTIAL)
  const sealed = place.seal('x')
  const others = {
    secret: createExchangeVault(SECRET + '!', URL).placeOf(CREDENTIAL),
    url: createExchangeVault(SECRET, URL + '2').placeOf(CREDENTIAL),
    header: vault.placeOf({ ...CREDENTIAL, name: 'x-api-key' }),
    credential: vault.placeOf({ ...CREDENTIAL, value: 'Bearer abd' })
  }
  for (const [name, other] of Object.entries(others)) {
    t.not(other.key, place.key, name)
    t.equal(other.open(sealed), undefined, name)
  }
})

t.test('a value that was changed does not open', async t => {
  const place = vault.placeOf(CREDENTIAL)
  const sealed = Buffer.from(place.seal('x'), 'base64url')
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed)
    changed[index]! ^= 1
    t.equal(place.open(changed.toString('base64url')), undefined, `byte ${index}`)
  }
  for (const value of ['', 'nonsense', sealed.subarray(1).toString('base64url'), '\u0000', '{"token":"x"}'.repeat(9)]) {
    t.equal(place.open(value), undefined, value)
  }
})

t.test('keys show neither a credential nor an id, and markers differ by kind and id', async t => {
  const keys = [
    vault.placeOf(CREDENTIAL).key, vault.markerOf(['user', 'u_1']), vault.markerOf(['session', 'u_1']),
    vault.markerOf(['token', 'u_1']), vault.markerOf(['session', '']),
    createExchangeVault(SECRET + '!', URL).markerOf(['user', 'u_1'])
  ]
  t.equal(new Set(keys).size, keys.length)
  for (const key of keys) t.match(key, /^better-auth-fastify:(?:revoked:)?[\w-]{43}$/)
})
