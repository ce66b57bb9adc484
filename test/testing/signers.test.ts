import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { compactVerify } from 'jose'
import t from 'tap'
import { ALGORITHMS as OPTION } from '../../lib/contract/options.js'
import {
  ALGORITHMS, createKeySigner, createKeySignerSync, createSecretSigner, randomSecret, signJwt, type Signer
} from '../../lib/testing/signers.js'
import { segment } from '../fixtures/test-issuer.js'

/** Verifies with jose, which shares no code with the plugin. @returns the payload. */
async function verify (token: string, { jwk, alg }: Signer): Promise<unknown> {
  const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  const { payload } = await compactVerify(token, key, { algorithms: [alg] })
  return JSON.parse(Buffer.from(payload).toString())
}

t.test('it signs with every algorithm of the plugin, and with HS256', async t => {
  t.strictSame(ALGORITHMS, [...OPTION, 'HS256'])
})

for (const alg of OPTION) {
  t.test(`${alg}: a new key pair, and a signature that jose verifies`, async t => {
    for (const signer of [await createKeySigner(alg), createKeySignerSync(alg)]) {
      t.match(signer, { alg, kid: /^[\da-f-]{36}$/, jwk: { alg, kid: signer.kid, kty: String } })
      for (const member of ['d', 'use']) t.notOk(member in signer.jwk!, `no ${member} in the JWK`)
      const token = signJwt(signer, { sub: 'u_1' })
      t.strictSame(segment(token, 0), { alg, kid: signer.kid })
      t.strictSame(await verify(token, signer), { sub: 'u_1' })
    }
  })
}

t.test('HS256: a shared secret, without kid and JWK', async t => {
  const secret = randomSecret()
  const signer = createSecretSigner(secret)
  t.match(signer, { alg: 'HS256', kid: undefined, jwk: undefined })
  const token = signJwt(signer, { sub: 'u_1' })
  t.strictSame(segment(token, 0), { alg: 'HS256' })
  await t.resolves(compactVerify(token, Buffer.from(secret)))
  await t.rejects(compactVerify(token, Buffer.from(randomSecret())))
})

t.test('a random secret has 256 bits and is another one each time', async t => {
  t.equal(Buffer.from(randomSecret(), 'base64url').length, 32)
  t.not(randomSecret(), randomSecret())
})

t.test('the header overrides alg and kid, and undefined removes a parameter', async t => {
  const token = signJwt(createKeySignerSync('EdDSA'), {}, { alg: 'none', kid: undefined, typ: 'at+jwt' })
  t.strictSame(segment(token, 0), { alg: 'none', typ: 'at+jwt' })
})
