import { randomBytes } from 'node:crypto'
import type { Algorithm } from '../../../lib/index.js'
import { createClaims, createSigningKey, signJws, type SigningKey } from '../../fixtures/signing.js'

/** What the tokens are made of: the same keys for every app. */
export interface World {
  origin: string
  secret: string
  keys: Record<Algorithm, SigningKey>
  /** Published without `alg`: they serve every algorithm of their key type. */
  rsaWithoutAlg: SigningKey
  ecWithoutAlg: SigningKey
  /** A symmetric key that the auth server publishes by mistake. */
  oct: { kid: string, k: Buffer }
  /** The server of this key must never receive a request. */
  attacker: SigningKey
  attackerOrigin: string
  /** A valid token that each app accepts before the hostile ones arrive. */
  accepted: string
}

const PUBLISHED: Algorithm[] = ['EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'PS256']

/** Makes new keys, and the token that each app accepts first. */
export function createWorld (origin: string, attackerOrigin: string): World {
  const keys = Object.fromEntries(PUBLISHED.map(alg => [alg, createSigningKey(alg)])) as World['keys']
  return {
    origin,
    secret: randomBytes(32).toString('base64url'),
    keys,
    rsaWithoutAlg: createSigningKey('RS256'),
    ecWithoutAlg: createSigningKey('ES256'),
    oct: { kid: 'oct', k: randomBytes(32) },
    attacker: createSigningKey(),
    attackerOrigin,
    accepted: signJws(keys.EdDSA, createClaims(origin))
  }
}

/** The JWKS of the auth server. */
export function publishedKeys ({ keys, rsaWithoutAlg, ecWithoutAlg, oct }: World): unknown[] {
  return [
    ...PUBLISHED.map(alg => keys[alg].jwk),
    ...[rsaWithoutAlg, ecWithoutAlg].map(({ jwk }) => ({ ...jwk, alg: undefined })),
    { kty: 'oct', kid: oct.kid, alg: 'HS256', k: oct.k.toString('base64url') }
  ]
}

/** The trusted signing keys. */
export function keysOf ({ keys, rsaWithoutAlg, ecWithoutAlg }: World): SigningKey[] {
  return [...PUBLISHED.map(alg => keys[alg]), rsaWithoutAlg, ecWithoutAlg]
}

export function nameOf (world: World, key: SigningKey): string {
  if (key === world.rsaWithoutAlg) return 'RSA without alg'
  return key === world.ecWithoutAlg ? 'P-256 without alg' : key.alg
}
