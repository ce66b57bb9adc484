import t from 'tap'
import { decodeClaims } from '../../lib/tokens/verified-token.js'
import { encode } from '../fixtures/signing.js'

t.test('the claims are the middle segment of the token, a new object each time', async t => {
  const claims = { sub: 'u_1', name: 'Ада 🦊', exp: 1, nested: { list: [null, true] } }
  const token = `${encode({ alg: 'none' })}.${encode(claims)}.signature`
  t.strictSame(decodeClaims(token), claims)
  t.not(decodeClaims(token), decodeClaims(token))
})
