import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from './options.js'

/** A key of the JWKS that may verify tokens. */
export interface VerificationKey {
  readonly kid: string
  /** The JWK's own `alg`, or `null`. */
  readonly alg: Algorithm | null
  /** The algorithms that the JWK allows: its own `alg`, or without one those of its `kty` and `crv`. */
  readonly algorithms: readonly Algorithm[]
  readonly publicKey: KeyObject
  /** The key as SPKI PEM: its material in one string, which also tells whether two keys are the same. */
  readonly pem: string
}

/** Why a JWK serves no purpose here; a stable word, for logs. */
export type JwkFault = 'private' | 'use' | 'key_ops' | 'kty' | 'alg' | 'weak' | 'malformed'

/** Thrown for a JWK that is no verification key. */
export class UnusableJwkError extends Error {
  readonly fault: JwkFault

  constructor (fault: JwkFault) {
    super(`The JWK is not usable: ${fault}`)
    this.name = 'UnusableJwkError'
    this.fault = fault
  }
}

const RSA: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** The public members of each kind of key, and the algorithms that it serves (RFC 7518 §6, RFC 8037 §2). */
const KINDS: Record<string, { members: readonly string[], algorithms: readonly Algorithm[] }> = {
  'RSA ': { members: ['n', 'e'], algorithms: RSA },
  'EC P-256': { members: ['x', 'y'], algorithms: ['ES256'] },
  'EC P-384': { members: ['x', 'y'], algorithms: ['ES384'] },
  'EC P-521': { members: ['x', 'y'], algorithms: ['ES512'] },
  'OKP Ed25519': { members: ['x'], algorithms: ['EdDSA'] },
  'OKP Ed448': { members: ['x'], algorithms: ['EdDSA'] }
}

/** Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const MIN_RSA_BITS = 2048

/**
 * Points of small order on Ed25519 as they are encoded, the sign bit cleared, canonical encodings and others: with one of them
 * as the public key anyone can make a signature that verifies (RFC 8032 §5.1.7 does not refuse them, nor does OpenSSL).
 */
const SMALL_ORDER_ED25519 = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
])

/**
 * Makes a verification key out of a JWK (RFC 7517), or refuses it.
 *
 * @param jwk - an entry of the JWKS, as it came: any member may be of any type.
 * @throws UnusableJwkError
 */
export function importJwk (kid: string, jwk: Readonly<Record<string, unknown>>): VerificationKey {
  if (SECRET_MEMBERS.some(member => jwk[member] !== undefined)) throw new UnusableJwkError('private')
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new UnusableJwkError('use')
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) throw new UnusableJwkError('key_ops')

  const { kty, crv } = jwk
  // Better Auth adds `crv: undefined` to RSA keys, which JSON drops; a `crv` that is there must fit.
  const name = `${String(kty)} ${crv === undefined ? '' : String(crv)}`
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined
  if (kind === undefined) throw new UnusableJwkError('kty')

  const algorithms = jwk.alg === undefined ? kind.algorithms : kind.algorithms.filter(algorithm => algorithm === jwk.alg)
  if (algorithms.length === 0) throw new UnusableJwkError('alg')

  const publicKey = toKeyObject({ kty, crv, ...pick(jwk, kind.members) } as JsonWebKey)
  if (isWeak(publicKey, jwk)) throw new UnusableJwkError('weak')
  const alg = jwk.alg === undefined ? null : algorithms[0]!
  return { kid, alg, algorithms, publicKey, pem: publicKey.export({ type: 'spki', format: 'pem' }) as string }
}

/** Whether two keys are one: the same material, allowed for the same algorithms. */
export function isSameKey (a: VerificationKey, b: VerificationKey): boolean {
  return a.pem === b.pem && a.algorithms.join() === b.algorithms.join()
}

function pick (jwk: Readonly<Record<string, unknown>>, members: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const member of members) {
    const value = jwk[member]
    if (typeof value !== 'string' || !/^[\w-]+$/.test(value)) throw new UnusableJwkError('malformed')
    picked[member] = value
  }
  return picked
}

function toKeyObject (jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    throw new UnusableJwkError('malformed')
  }
}

function isWeak (publicKey: KeyObject, jwk: Readonly<Record<string, unknown>>): boolean {
  if (jwk.crv === 'Ed25519') {
    const point = Buffer.from(jwk.x as string, 'base64url')
    point[31]! &= 0x7f
    return SMALL_ORDER_ED25519.has(point.toString('hex'))
  }
  if (jwk.kty !== 'RSA') return false
  const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {}
  return modulusLength < MIN_RSA_BITS || publicExponent < 3n || publicExponent % 2n === 0n
}
