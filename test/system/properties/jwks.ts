import fc from 'fast-check'
import { createSigningKey } from '../../fixtures/signing.js'
import { TRUSTED } from './tokens.js'

const OTHERS = [createSigningKey('ES384'), createSigningKey('PS256')]

const VALUES = [
  'sig', 'enc', 'EdDSA', 'ES256', 'RS256', 'HS256', 'none', ['verify'], ['sign'], 'P-256', 'Ed25519', 'AQAB', '', null,
  ...TRUSTED.map(({ kid }) => kid)
]

/** An entry of a JWKS, with members that were removed, replaced or added; or anything else. */
const anyEntry = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      key: fc.constantFrom(...TRUSTED, ...OTHERS),
      purpose: fc.constantFrom<object>(
        {}, {}, {}, { use: 'sig' }, { use: 'enc' }, { key_ops: ['verify'] }, { key_ops: ['sign'] }
      ),
      removed: fc.array(fc.constantFrom('alg', 'kid', 'kty', 'crv', 'x', 'y', 'n', 'e'), { maxLength: 1 }),
      replaced: fc.dictionary(
        fc.constantFrom('alg', 'kid', 'kty', 'crv', 'x', 'y', 'n', 'e', 'use', 'key_ops', 'd', 'ext'),
        fc.oneof(fc.constantFrom<unknown>(...VALUES), fc.jsonValue()),
        { maxKeys: 2 }
      )
    }).map(({ key, purpose, removed, replaced }) => {
      const entry: Record<string, unknown> = { ...key.jwk, ...purpose, ...replaced }
      for (const name of removed) delete entry[name]
      return entry
    })
  },
  fc.jsonValue()
)

/** The keys of a JWKS, with whatever an auth server or someone before it could put there. */
export const anyJwks: fc.Arbitrary<unknown[]> = fc.oneof(
  { weight: 5, arbitrary: fc.array(anyEntry, { maxLength: 6 }) },
  fc.shuffledSubarray<unknown>(TRUSTED.map(({ jwk }) => jwk))
)
