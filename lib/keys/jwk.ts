import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from '../contract/options.js'

/** A key of the JWKS that may verify tokens. */
export interface VerificationKey {
  readonly kid: string
  /** The JWK's own `alg`, or `null`. */
  readonly alg: Algorithm | null
  /** The algorithms that the JWK allows: its own `alg`, or without one those of its `kty` and `crv`. */
  readonly algorithms: readonly Algorithm[]
  readonly publicKey: KeyObject
  /** The key as SPKI PEM: its material in one string, for comparing keys. */
  readonly pem: string
}

/** An entry of the JWKS, as received: any member may be of any type. */
export type Jwk = Readonly<Record<string, unknown>>

/** Why a JWK is not usable: a stable word, for logs. */
export type JwkFault =
  'private' | 'use' | 'key_ops' | 'kty' | 'alg' | 'weak' | 'malformed' | 'kid_missing' | 'kid_invalid'

/** Thrown for a JWK that is not usable as a verification key. */
export class UnusableJwkError extends Error {
  readonly fault: JwkFault

  constructor (fault: JwkFault) {
    super(`The JWK is not usable: ${fault}`)
    this.name = 'UnusableJwkError'
    this.fault = fault
  }
}

/** The kinds of key, their public members, and the algorithms they are for (RFC 7518 §6, RFC 8037 §2). */
const KINDS: ReadonlyArray<{
  readonly kty: string
  readonly crv?: string
  readonly members: readonly string[]
  readonly algorithms: readonly Algorithm[]
}> = [
  { kty: 'RSA', members: ['n', 'e'], algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] },
  { kty: 'EC', crv: 'P-256', members: ['x', 'y'], algorithms: ['ES256'] },
  { kty: 'EC', crv: 'P-384', members: ['x', 'y'], algorithms: ['ES384'] },
  { kty: 'EC', crv: 'P-521', members: ['x', 'y'], algorithms: ['ES512'] },
  { kty: 'OKP', crv: 'Ed25519', members: ['x'], algorithms: ['EdDSA'] },
  { kty: 'OKP', crv: 'Ed448', members: ['x'], algorithms: ['EdDSA'] }
]

/** Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const MIN_RSA_BITS = 2048
/** RSA: the largest modulus that OpenSSL verifies with has 16,384 bits. Every other member is shorter. */
const MAX_MEMBER_LENGTH = Math.ceil((16_384 / 8 + 1) * 4 / 3)
/** Four bytes: a check costs more with each bit of the exponent, and 65537 has 17. */
const MAX_EXPONENT_LENGTH = 6
const MAX_KID_LENGTH = 512

/**
 * Encodings of points of small order, canonical and not, with the sign bit cleared. If one of them is the public key,
 * anyone can make a signature that verifies. RFC 8032 §5.1.7 and §5.2.7 accept them, and so does OpenSSL.
 */
const SMALL_ORDER: Record<string, ReadonlySet<string>> = {
  Ed25519: new Set([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
  ]),
  Ed448: new Set([
    '00'.repeat(57),
    `01${'00'.repeat(56)}`,
    `fe${'ff'.repeat(27)}fe${'ff'.repeat(27)}00`,
    `${'ff'.repeat(28)}fe${'ff'.repeat(27)}00`,
    `${'00'.repeat(28)}${'ff'.repeat(28)}00`
  ])
}

/**
 * Makes a verification key from a JWK (RFC 7517), or refuses it.
 *
 * @throws UnusableJwkError
 */
export function importJwk (jwk: Jwk): VerificationKey {
  if (SECRET_MEMBERS.some(member => jwk[member] !== undefined)) throw new UnusableJwkError('private')
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new UnusableJwkError('use')
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) {
    throw new UnusableJwkError('key_ops')
  }

  const { kid, kty, crv } = jwk
  // Better Auth's RSA keys have no `crv`. If there is one, it must match.
  const kind = KINDS.find(known => known.kty === kty && known.crv === crv)
  if (kind === undefined) throw new UnusableJwkError('kty')

  // An Edwards curve has two names for its one algorithm: `EdDSA`, and that of the curve (RFC 9864 §2.2).
  const named = kty === 'OKP' && jwk.alg === crv ? 'EdDSA' : jwk.alg
  const algorithms = named === undefined ? kind.algorithms : kind.algorithms.filter(algorithm => algorithm === named)
  if (algorithms.length === 0) throw new UnusableJwkError('alg')

  const publicKey = toKeyObject({ kty, crv, ...pick(jwk, kind.members) } as JsonWebKey)
  if (isWeak(publicKey, jwk)) throw new UnusableJwkError('weak')
  if (!isKid(kid)) throw new UnusableJwkError(typeof kid === 'string' ? 'kid_invalid' : 'kid_missing')
  const alg = named === undefined ? null : algorithms[0]!
  let pem: string | undefined
  return {
    kid,
    alg,
    algorithms,
    publicKey,
    // It costs more than the rest of the import, and the key of a DPoP proof never needs it.
    get pem () {
      pem ??= publicKey.export({ type: 'spki', format: 'pem' }) as string
      return pem
    }
  }
}

/**
 * Whether a token can name a key by this `kid`. A lone surrogate cannot be written to a log unchanged; no key has such
 * a `kid`.
 */
export function isKid (kid: unknown): kid is string {
  return typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID_LENGTH && kid.isWellFormed()
}

/** Whether two keys are the same: the same key material, allowed for the same algorithms. */
export function isSameKey (a: VerificationKey, b: VerificationKey): boolean {
  // KeyObject.equals() takes five times as long for a JWKS of 1,000 EC keys with one `kid`: a second of the event loop.
  return a.pem === b.pem && a.algorithms.join() === b.algorithms.join()
}

function pick (jwk: Jwk, members: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const member of members) {
    const value = jwk[member]
    // Measured before anything parses it: OpenSSL takes seconds for a number of 200 kB.
    if (typeof value !== 'string' || value.length > MAX_MEMBER_LENGTH || !/^[\w-]+$/.test(value)) {
      throw new UnusableJwkError('malformed')
    }
    if (member === 'e' && value.length > MAX_EXPONENT_LENGTH) throw new UnusableJwkError('weak')
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

function isWeak (publicKey: KeyObject, jwk: Jwk): boolean {
  if (jwk.kty === 'OKP') {
    const point = Buffer.from(jwk.x as string, 'base64url')
    point[point.length - 1]! &= 0x7f
    return SMALL_ORDER[jwk.crv as string]!.has(point.toString('hex'))
  }
  if (jwk.kty !== 'RSA') return false
  const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails!
  return modulusLength < MIN_RSA_BITS || publicExponent < 3n || publicExponent % 2n === 0n
}
