import {
  constants, createHmac, generateKeyPair, generateKeyPairSync, randomBytes, randomUUID, sign,
  type KeyPairKeyObjectResult, type SigningOptions
} from 'node:crypto'
import { promisify } from 'node:util'
import type { Algorithm } from '../contract/options.js'

/** An algorithm that a test issuer signs with: any that the plugin verifies. */
export type TestAlgorithm = Algorithm | 'HS256'

/** Signs tokens with a key pair, or with a shared secret, which has neither `kid` nor JWK. */
export interface Signer {
  readonly alg: TestAlgorithm
  readonly kid: string | undefined
  /** The public key as Better Auth publishes it (RFC 7517 §4): with `alg` and `kid`, without `use`. */
  readonly jwk: Readonly<Record<string, unknown>> | undefined
  sign (input: Buffer): Buffer
}

const generate = promisify(generateKeyPair)

// Generated in the thread pool, or synchronously, which for RSA can block the event loop for half a second.
const ed25519 = { generate: () => generate('ed25519'), generateSync: () => generateKeyPairSync('ed25519') }
const ec = (namedCurve: string) => ({
  generate: () => generate('ec', { namedCurve }),
  generateSync: () => generateKeyPairSync('ec', { namedCurve })
})
const rsa = {
  generate: () => generate('rsa', { modulusLength: 2048 }),
  generateSync: () => generateKeyPairSync('rsa', { modulusLength: 2048 })
}

// Both integers side by side, each padded to the size of the curve (RFC 7518 §3.4).
const ECDSA: SigningOptions = { dsaEncoding: 'ieee-p1363' }
// The salt is as long as the digest (RFC 7518 §3.5).
const PSS: SigningOptions = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }

/** How each algorithm generates its keys and signs (RFC 7518 §3.1, RFC 8037 §3.1). */
const SCHEMES = {
  EdDSA: { ...ed25519, digest: null, options: {} },
  ES256: { ...ec('P-256'), digest: 'sha256', options: ECDSA },
  ES384: { ...ec('P-384'), digest: 'sha384', options: ECDSA },
  ES512: { ...ec('P-521'), digest: 'sha512', options: ECDSA },
  RS256: { ...rsa, digest: 'sha256', options: {} },
  RS384: { ...rsa, digest: 'sha384', options: {} },
  RS512: { ...rsa, digest: 'sha512', options: {} },
  PS256: { ...rsa, digest: 'sha256', options: PSS },
  PS384: { ...rsa, digest: 'sha384', options: PSS },
  PS512: { ...rsa, digest: 'sha512', options: PSS }
} satisfies Record<Algorithm, unknown>

export const ALGORITHMS: readonly TestAlgorithm[] = [...Object.keys(SCHEMES) as Algorithm[], 'HS256']

/** Generates a key pair with a new `kid`. */
export async function createKeySigner (alg: Algorithm): Promise<Signer> {
  return toSigner(alg, await SCHEMES[alg].generate())
}

/** The same, synchronously. */
export function createKeySignerSync (alg: Algorithm): Signer {
  return toSigner(alg, SCHEMES[alg].generateSync())
}

function toSigner (alg: Algorithm, { publicKey, privateKey }: KeyPairKeyObjectResult): Signer {
  const { digest, options } = SCHEMES[alg]
  const kid = randomUUID()
  return {
    alg,
    kid,
    jwk: { alg, ...publicKey.export({ format: 'jwk' }), kid },
    sign: input => sign(digest, input, { key: privateKey, ...options })
  }
}

/** 256 bits, as text. */
export function randomSecret (): string {
  return randomBytes(32).toString('base64url')
}

export function createSecretSigner (secret: string): Signer {
  return {
    alg: 'HS256',
    kid: undefined,
    jwk: undefined,
    sign: input => createHmac('sha256', secret).update(input).digest()
  }
}

/**
 * Signs a JWT as a compact JWS (RFC 7515 §7.1).
 *
 * @param header - overrides `alg` and `kid` of the signer; `undefined` removes a parameter.
 */
export function signJwt ({ alg, kid, sign }: Signer, payload: object, header: object = {}): string {
  const input = `${encode({ alg, kid, ...header })}.${encode(payload)}`
  return `${input}.${sign(Buffer.from(input)).toString('base64url')}`
}

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
