import type { Algorithm, RefusalReason } from '../../../lib/index.js'
import { createClaims, encode, signHmac, signJws, type SigningKey } from '../../fixtures/signing.js'
import { bearer, now, show, signInput, token, withSignature, type Families } from './cases.js'
import { keysOf, nameOf } from './world.js'

/** Tokens whose `alg` is not an algorithm, or is not the algorithm of the key. */
export const algorithms: Families = {
  'the algorithm "none" and names that are not algorithms' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const payload = encode(createClaims(origin))
    const spellings: unknown[] = [
      'none', 'None', 'NONE', 'nOnE', 'nonE', ' none', 'none ', 'none\0', 'n\u043ene', 'null', '', 'eddsa', 'EDDSA',
      'EdDSA ', 'ed25519', 'es256', 'Rs256', 'RS256\0', 'ES256K',
      'RS1', 'RSA', 'dir', 'A256KW', 'RSA-OAEP', 'ECDH-ES', 'PBES2-HS256+A128KW', '__proto__', 'constructor',
      'toString', 'hasOwnProperty', 'size',
      undefined, null, true, false, 0, 1, [], ['EdDSA'], ['none'], {}, { toString: 'EdDSA' }
    ]
    return [
      ...spellings.flatMap(alg => {
        const input = `${encode({ alg, kid: key.kid })}.${payload}`
        return [
          bearer(`alg ${show(alg)}, empty signature`, `${input}.`, 'algorithm_not_allowed'),
          bearer(`alg ${show(alg)}, valid signature`, signInput(key, input), 'algorithm_not_allowed')
        ]
      }),
      bearer('alg none with a signature', `${encode({ alg: 'none', kid: key.kid })}.${payload}.AAAA`,
        'algorithm_not_allowed'),
      bearer('alg none without kid', `${encode({ alg: 'none' })}.${payload}.`, 'algorithm_not_allowed'),
      bearer('alg none, typ JWT', `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`, 'algorithm_not_allowed'),
      bearer('alg none and two segments', `${encode({ alg: 'none', kid: key.kid })}.${payload}`, 'token_malformed'),
      bearer('alg inside __proto__',
        signJws(key, createClaims(origin), `{"__proto__":{"alg":"EdDSA","kid":"${key.kid}"}}`), 'algorithm_not_allowed')
    ]
  },

  'HMAC with a public key as the secret' (world) {
    const payload = createClaims(world.origin)
    return keysOf(world).flatMap(key => Object.entries(publicForms(key)).flatMap(([form, secret]) => {
      const name = `the ${nameOf(world, key)} key as ${form}`
      const other = form === 'SPKI PEM' || form === 'SPKI DER' ? ['384', '512'] : []
      return [
        bearer(`HS256 with ${name}, no kid`, signHmac(secret, payload), 'algorithm_not_allowed', 'signature_invalid'),
        bearer(`HS256 with ${name}, its kid`, signHmac(secret, payload, { kid: key.kid }), 'algorithm_not_allowed',
          'kid_invalid'),
        ...other.map(bits => bearer(`HS${bits} with ${name}`,
          signHmac(secret, payload, { alg: `HS${bits}` }, `sha${bits}`), 'algorithm_not_allowed'))
      ]
    }))
  },

  'HMAC with any other secret' (world) {
    const { secret, oct, keys: { EdDSA: key } } = world
    const payload = createClaims(world.origin)
    const hs256 = (name: string, material: string | Buffer, reason: RefusalReason, header = {}) =>
      bearer(name, signHmac(material, payload, header), 'algorithm_not_allowed', reason)
    const valid = signHmac(secret, payload)
    return [
      hs256('an empty secret', '', 'signature_invalid'),
      hs256('a commonly used secret', 'secret', 'signature_invalid'),
      hs256('the secret with a different last character', `${secret.slice(0, -1)}_`, 'signature_invalid'),
      hs256('the secret with a newline', `${secret}\n`, 'signature_invalid'),
      hs256('the secret without its last character', secret.slice(0, -1), 'signature_invalid'),
      hs256('the secret decoded as base64', Buffer.from(secret, 'base64'), 'signature_invalid'),
      hs256('the issuer as secret', world.origin, 'signature_invalid'),
      hs256('the kid as secret', key.kid, 'signature_invalid'),
      hs256('the published symmetric key', oct.k, 'signature_invalid'),
      hs256('the published symmetric key, with its kid', oct.k, 'kid_invalid', { kid: oct.kid }),
      hs256('the published symmetric key as text', oct.k.toString('base64url'), 'signature_invalid'),
      hs256('the secret, with the kid of a published key', secret, 'kid_invalid', { kid: key.kid }),
      hs256('the secret, with an unknown kid', secret, 'kid_invalid', { kid: 'secret' }),
      hs256('the secret, with an empty kid', secret, 'kid_invalid', { kid: '' }),
      hs256('the secret, with kid null', secret, 'kid_invalid', { kid: null }),
      hs256('the secret, with crit', secret, 'critical_header', { crit: ['exp'] }),
      hs256('the secret, with typ logout+jwt', secret, 'typ_not_allowed', { typ: 'logout+jwt' }),
      hs256('the secret, with alg hs256', secret, 'algorithm_not_allowed', { alg: 'hs256' }),
      hs256('the secret, with alg HS384', secret, 'algorithm_not_allowed', { alg: 'HS384' }),
      ...['384', '512'].map(bits => bearer(`the secret, with HS${bits}`,
        signHmac(secret, payload, { alg: `HS${bits}` }, `sha${bits}`), 'algorithm_not_allowed')),
      bearer('the secret, with alg EdDSA and a kid', signHmac(secret, payload, { alg: 'EdDSA', kid: key.kid }),
        'signature_invalid'),
      bearer('the secret, its signature one byte short', withSignature(valid, bytes => bytes.subarray(0, 31)),
        'algorithm_not_allowed', 'signature_invalid'),
      bearer('the secret, its signature cut to one byte', withSignature(valid, bytes => bytes.subarray(0, 1)),
        'algorithm_not_allowed', 'signature_invalid'),
      bearer('the secret, its signature one byte long',
        withSignature(valid, bytes => Buffer.concat([bytes, Buffer.alloc(1)])),
        'algorithm_not_allowed', 'signature_invalid'),
      bearer('the secret, without a signature', valid.slice(0, valid.lastIndexOf('.') + 1),
        'algorithm_not_allowed', 'token_malformed'),
      bearer('the secret, expired', signHmac(secret, createClaims(world.origin, { exp: now() - 60 })),
        'algorithm_not_allowed', 'token_expired'),
      bearer('the secret, without exp', signHmac(secret, createClaims(world.origin, { exp: undefined })),
        'algorithm_not_allowed', { reason: 'claim_missing', claim: 'exp' }),
      bearer('the secret, bound to a DPoP key', signHmac(secret, createClaims(world.origin, { cnf: { jkt: 'x' } })),
        'algorithm_not_allowed', { reason: 'token_kind', claim: 'cnf' }),
      bearer('HS256 in the header, signed with a private key', signJws(key, payload, { alg: 'HS256', kid: undefined }),
        'algorithm_not_allowed', 'signature_invalid')
    ]
  },

  'an algorithm that does not belong to the key' (world) {
    const payload = createClaims(world.origin)
    const { keys, rsaWithoutAlg, ecWithoutAlg, attacker, oct } = world
    const all = keysOf(world)
    const accepts = (key: SigningKey, alg: Algorithm) => key === rsaWithoutAlg ? /^[RP]S/.test(alg) : key.alg === alg
    return [
      ...all.flatMap(signer => all.filter(named => named !== signer).map(named =>
        bearer(`signed with ${nameOf(world, signer)}, with the kid of ${nameOf(world, named)}`,
          signJws(signer, payload, { kid: named.kid }),
          accepts(named, signer.alg) ? 'signature_invalid' : 'algorithm_mismatch'))),
      ...all.map((named, i) => [all[(i + 1) % all.length]!, named] as const).map(([signer, named]) =>
        bearer(`signed with ${nameOf(world, signer)}, with the kid and alg of ${nameOf(world, named)}`,
          signJws(signer, payload, { kid: named.kid, alg: named.alg }), 'signature_invalid')),
      ...(['RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(alg =>
        bearer(`the RS256 key used for ${alg}`, signJws({ ...keys.RS256, alg }, payload), 'algorithm_mismatch')),
      ...(['PS384', 'PS512', 'RS256', 'RS384', 'RS512'] as const).map(alg =>
        bearer(`the PS256 key used for ${alg}`, signJws({ ...keys.PS256, alg }, payload), 'algorithm_mismatch')),
      ...(['ES384', 'ES512'] as const).flatMap(alg => [keys.ES256, ecWithoutAlg].map(key =>
        bearer(`the ${nameOf(world, key)} key used for ${alg}`, signJws({ ...key, alg }, payload),
          'algorithm_mismatch'))),
      bearer('RSA without alg, header RS256, signed with PS256',
        signJws({ ...rsaWithoutAlg, alg: 'PS256' }, payload, { alg: 'RS256' }), 'signature_invalid'),
      bearer('RSA without alg, header PS256, signed with RS256',
        signJws({ ...rsaWithoutAlg, alg: 'RS256' }, payload, { alg: 'PS256' }), 'signature_invalid'),
      bearer('RSA without alg, header RS512, signed with RS256',
        signJws({ ...rsaWithoutAlg, alg: 'RS256' }, payload, { alg: 'RS512' }), 'signature_invalid'),
      bearer('the kid of the published symmetric key', token(world, {}, { kid: oct.kid }), 'unusable_key'),
      bearer('signed with an unpublished key', signJws(attacker, payload), 'unknown_key'),
      bearer('signed with an unpublished key, with the kid of a published one',
        signJws(attacker, payload, { kid: keys.EdDSA.kid }), 'signature_invalid')
    ]
  }
}

/** The common forms of a public key. Each of them has been used as an HMAC secret. */
function publicForms ({ publicKey, jwk }: SigningKey): Record<string, string | Buffer> {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const forms: Record<string, string | Buffer> = {
    'SPKI PEM': pem,
    'SPKI PEM without its last newline': pem.trimEnd(),
    'SPKI PEM with CRLF': pem.replaceAll('\n', '\r\n'),
    'SPKI DER': publicKey.export({ type: 'spki', format: 'der' }),
    'JWK text': JSON.stringify(jwk),
    'its bytes': Buffer.from(jwk.x ?? jwk.n!, 'base64url'),
    'its text': jwk.x ?? jwk.n!
  }
  if (jwk.kty === 'RSA') {
    forms['PKCS #1 PEM'] = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    forms['PKCS #1 DER'] = publicKey.export({ type: 'pkcs1', format: 'der' })
  }
  return forms
}
