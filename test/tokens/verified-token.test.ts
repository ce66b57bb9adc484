import t from 'tap'
import { claimsOf, decodeClaims } from '../../lib/tokens/verified-token.js'
import { encode } from '../fixtures/signing.js'

t.test('the claims are the middle segment of the token, a new object each time', async t => {
  const claims = { sub: 'u_1', name: 'Ада 🦊', exp: 1, nested: { list: [null, true] } }
  const token = `${encode({ alg: 'none' })}.${encode(claims)}.signature`
  t.strictSame(decodeClaims(token), claims)
  t.not(decodeClaims(token), decodeClaims(token))
})

t.test('a form of token that is no JWS says what its claims are', async t => {
  const token = `${encode({})}.${encode({ exp: 1 })}.signature`
  const form = { matches: () => true, open: () => ({}), decode: (token: string) => ({ exp: 2, token }) }
  t.strictSame(claimsOf({ token }), { exp: 1 })
  t.strictSame(claimsOf({ token, form }), { exp: 2, token })
})
