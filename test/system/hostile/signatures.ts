import { constants, sign } from 'node:crypto'
import type { Algorithm, RefusalReason } from '../../../lib/index.js'
import { createClaims, encode, signBytes, signJws, type SigningKey } from '../../fixtures/signing.js'
import { bearer, withSignature, type Families } from './cases.js'

// The order n of each curve, and the number of bytes of r and of s (SEC 2).
const CURVES: Array<[Algorithm, string, number]> = [
  ['ES256', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 32],
  ['ES384', 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973', 48],
  ['ES512', `01${'f'.repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`, 66]
]
// The order of the Ed25519 group (RFC 8032 §5.1).
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

/** Tokens whose signature is mathematically impossible, or was made for something else. */
export const signatures: Families = {
  'impossible signatures' (world) {
    const { keys, origin } = world
    const payload = createClaims(origin)
    const made = (name: string, key: SigningKey, signature: Buffer) =>
      bearer(name, withSignature(signJws(key, payload), () => signature), 'signature_invalid')
    const input = (key: SigningKey) => Buffer.from(`${encode({ alg: key.alg, kid: key.kid })}.${encode(payload)}`)
    const number = (value: bigint, bytes: number) => Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex')
    const modulus = Buffer.from(keys.RS256.jwk.n!, 'base64url')
    return [
      ...CURVES.flatMap(([alg, order, width]) => {
        const key = keys[alg]
        const n = BigInt(`0x${order}`)
        const pair = (r: bigint, s: bigint) => Buffer.concat([number(r, width), number(s, width)])
        return [
          made(`${alg} with r = s = 0`, key, pair(0n, 0n)),
          made(`${alg} with r = s = n`, key, pair(n, n)),
          made(`${alg} with r = 0, s = 1`, key, pair(0n, 1n)),
          made(`${alg} with r = 1, s = 0`, key, pair(1n, 0n)),
          made(`${alg} with r = s = 1`, key, pair(1n, 1n)),
          made(`${alg} with r = n, s = 1`, key, pair(n, 1n)),
          made(`${alg} with r = s = n - 1`, key, pair(n - 1n, n - 1n)),
          made(`${alg}, all ones`, key, Buffer.alloc(width * 2, 0xff)),
          made(`${alg} in DER`, key,
            sign(`sha${alg.slice(2)}`, input(key), { key: key.privateKey, dsaEncoding: 'der' })),
          made(`${alg} in DER with r = s = 0`, key, Buffer.from('3006020100020100', 'hex')),
          made(`${alg} one byte short`, key, signBytes(key, input(key)).subarray(0, -1)),
          made(`${alg} one byte long`, key, Buffer.concat([signBytes(key, input(key)), Buffer.alloc(1)])),
          made(`${alg} with a leading zero byte in r and s`, key, widen(signBytes(key, input(key)), 1)),
          made(`${alg} with only r`, key, signBytes(key, input(key)).subarray(0, width))
        ]
      }),
      made('EdDSA, all zeros', keys.EdDSA, Buffer.alloc(64)),
      made('EdDSA, all ones', keys.EdDSA, Buffer.alloc(64, 0xff)),
      made('EdDSA with the neutral point and S = 0', keys.EdDSA, Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])),
      made('EdDSA with S + L', keys.EdDSA, addOrder(signBytes(keys.EdDSA, input(keys.EdDSA)))),
      made('EdDSA over only the payload', keys.EdDSA, signBytes(keys.EdDSA, Buffer.from(encode(payload)))),
      ...[keys.RS256, keys.PS256].flatMap(key => [
        made(`${key.alg}, all zeros`, key, Buffer.alloc(256)),
        made(`${key.alg}, all ones`, key, Buffer.alloc(256, 0xff)),
        made(`${key.alg} with the value 1`, key, number(1n, 256)),
        made(`${key.alg} with a leading zero byte`, key, Buffer.concat([Buffer.alloc(1), signBytes(key, input(key))]))
      ]),
      made('RS256 with the value n', keys.RS256, modulus),
      made('RS256 with the value n - 1', keys.RS256, number(BigInt(`0x${modulus.toString('hex')}`) - 1n, 256)),
      made('RS256 over SHA-1', keys.RS256, sign('sha1', input(keys.RS256), keys.RS256.privateKey)),
      made('PS256 without salt', keys.PS256, sign('sha256', input(keys.PS256),
        { key: keys.PS256.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 })),
      made('PS256 with the longest salt', keys.PS256, sign('sha256', input(keys.PS256), {
        key: keys.PS256.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN
      }))
    ]
  },

  'signatures that are cut, extended, missing or made for something else' (world) {
    return (['EdDSA', 'ES256', 'RS256', 'PS256'] as const).map(alg => world.keys[alg]).flatMap(key => {
      const jws = signJws(key, createClaims(world.origin))
      const [header, payload, signature] = jws.split('.') as [string, string, string]
      const made = (name: string, changed: string, reason: RefusalReason) =>
        bearer(`${key.alg}: ${name}`, changed, reason)
      return [
        made('cut by a byte', withSignature(jws, bytes => bytes.subarray(0, -1)), 'signature_invalid'),
        made('cut to half its length', withSignature(jws, bytes => bytes.subarray(0, bytes.length / 2)),
          'signature_invalid'),
        made('cut to one byte', withSignature(jws, bytes => bytes.subarray(0, 1)), 'signature_invalid'),
        made('extended by a byte', withSignature(jws, bytes => Buffer.concat([bytes, Buffer.from([1])])),
          'signature_invalid'),
        made('repeated', withSignature(jws, bytes => Buffer.concat([bytes, bytes])), 'signature_invalid'),
        made('its first bit flipped', withSignature(jws, bytes => { bytes[0]! ^= 0x80; return bytes }),
          'signature_invalid'),
        made('its last bit flipped', withSignature(jws, bytes => { bytes[bytes.length - 1]! ^= 1; return bytes }),
          'signature_invalid'),
        made('reversed', withSignature(jws, bytes => bytes.reverse()), 'signature_invalid'),
        made('missing', `${header}.${payload}.`, 'token_malformed'),
        made('missing, with its dot', `${header}.${payload}`, 'token_malformed'),
        made('of another payload', `${header}.${encode(createClaims(world.origin, { sub: 'admin' }))}.${signature}`,
          'signature_invalid'),
        made('of another header', `${encode({ alg: key.alg, kid: key.kid, typ: 'JWT' })}.${payload}.${signature}`,
          'signature_invalid'),
        made('of header and payload without the dot',
          withSignature(jws, () => signBytes(key, Buffer.from(header + payload))), 'signature_invalid'),
        made('the payload in its place', `${header}.${payload}.${payload}`, 'signature_invalid')
      ]
    })
  }
}

/** The same r and s, each with leading zero bytes. */
function widen (signature: Buffer, by: number): Buffer {
  const half = signature.length / 2
  return Buffer.concat([Buffer.alloc(by), signature.subarray(0, half), Buffer.alloc(by), signature.subarray(half)])
}

/** The second value of S for an Ed25519 signature, which a verifier must refuse (RFC 8032 §5.1.7). */
function addOrder (signature: Buffer): Buffer {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + ED25519_ORDER
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()])
}
