import t from 'tap'
import { importJwk } from '../../lib/keys/jwk.js'
import { parseJws } from '../../lib/tokens/jws.js'
import { createVerifiedSignatures } from '../../lib/tokens/verified-signatures.js'
import { createSigningKey, encode, signJws } from '../fixtures/signing.js'

const SIGNER = createSigningKey()
const KEY = importJwk(SIGNER.jwk)
const POLICY = { algorithms: new Set(['EdDSA']), types: [undefined] }

const parse = (token: string) => parseJws(token, POLICY)
const sign = (sub: string) => parse(signJws(SIGNER, { sub }))

t.test('knows a token that was added, with the key that verified it', async t => {
  const signatures = createVerifiedSignatures(100)
  const jws = sign('ada')
  t.notOk(signatures.has(jws, KEY))
  signatures.add(jws, KEY)
  t.ok(signatures.has(jws, KEY))
  t.ok(signatures.has(parse(jws.token), KEY))
  t.notOk(signatures.has(jws, importJwk(SIGNER.jwk)), 'the same material, imported again')
  t.notOk(signatures.has(sign('eve'), KEY))
})

t.test('the whole token must be the same, to the last bit', async t => {
  const signatures = createVerifiedSignatures(1)
  const jws = sign('ada')
  signatures.add(jws, KEY)
  const [header, payload, signature] = jws.token.split('.') as [string, string, string]
  t.notOk(signatures.has(parse(`${header}.${encode({ sub: 'eve' })}.${signature}`), KEY), 'another payload')
  const other = encode({ alg: 'EdDSA', kid: SIGNER.kid, x: 1 })
  t.notOk(signatures.has(parse(`${other}.${payload}.${signature}`), KEY), 'another header')
  for (let i = 0; i < 64; i++) {
    const bytes = Buffer.from(jws.signature)
    bytes[i]! ^= 1
    t.notOk(signatures.has(parse(`${header}.${payload}.${encode(bytes)}`), KEY), `byte ${i} of the signature`)
  }
  for (let length = 1; length < 64; length++) {
    const cut = parse(`${header}.${payload}.${encode(jws.signature.subarray(0, length))}`)
    t.notOk(signatures.has(cut, KEY), `${length} bytes of the signature`)
  }
})

t.test('a token takes the place of another, and nothing is kept of that one', async t => {
  const signatures = createVerifiedSignatures(1)
  const tokens = ['a', 'b', 'c'].map(sign)
  for (const jws of tokens) signatures.add(jws, KEY)
  t.strictSame(tokens.map(jws => signatures.has(jws, KEY)), [false, false, true])
})

t.test('most of as many tokens as there are slots are known', async t => {
  const signatures = createVerifiedSignatures(200)
  const tokens = Array.from({ length: 100 }, (_, i) => sign(`u_${i}`))
  for (const jws of tokens) signatures.add(jws, KEY)
  const known = tokens.filter(jws => signatures.has(jws, KEY)).length
  // With 100 tokens in 200 slots, 79 are expected; under 50 is one chance in 10 to the 12.
  t.ok(known > 50, `${known} of 100`)
})
