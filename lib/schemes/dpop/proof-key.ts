import { createHash, type KeyObject } from 'node:crypto'
import { DpopProofInvalidError } from '../../contract/dpop-errors.js'
import type { Algorithm } from '../../contract/options.js'
import { importJwk, type Jwk, type VerificationKey } from '../../keys/jwk.js'
import type { JsonObject } from '../../tokens/jws.js'

/** The public key in the header of a proof. Nothing is verified with it yet. */
export interface ProofKey {
  readonly alg: Algorithm
  readonly publicKey: KeyObject
  /** RFC 7638. */
  readonly thumbprint: string
}

/**
 * Judges the header of a proof (RFC 9449 §4.2), and reads its key by the rules for keys of the JWKS.
 *
 * @throws DpopProofInvalidError
 */
export function readProofKey ({ typ, alg: named, jwk, crit, b64 }: JsonObject): ProofKey {
  if (typ !== 'dpop+jwt') throw invalid('typ')
  // No extension is implemented here, so none may be critical (RFC 7515 §4.1.11, RFC 7797 §6).
  if (crit !== undefined) throw invalid('crit')
  if (b64 !== undefined) throw invalid('b64')
  const { algorithms, publicKey } = importPublicKey(jwk as Jwk)
  // `EdDSA` has a newer name for each curve (RFC 9864 §2.2). Neither `none` nor HMAC is an algorithm of any such key.
  const algorithm = named === (jwk as Jwk).crv ? 'EdDSA' : named
  const alg = algorithms.find(name => name === algorithm)
  if (alg === undefined) throw invalid('alg')
  return { alg, publicKey, thumbprint: thumbprintOf(jwk as Jwk) }
}

/** The `kid` of a proof's key says nothing: the key is there itself. Anything but an object has no `kty`. */
function importPublicKey (jwk: Jwk): VerificationKey {
  try {
    return importJwk({ ...jwk, kid: 'proof' })
  } catch {
    throw invalid('jwk')
  }
}

/** The thumbprint of a public key with SHA-256 (RFC 7638 §3, RFC 8037 §2): its required members, in their order. */
export function thumbprintOf ({ kty, crv, x, y, n, e }: Jwk): string {
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }
  return sha256(JSON.stringify(members))
}

/** As base64url. */
export function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function invalid (claim: string): Error {
  return new DpopProofInvalidError('proof_header_invalid', { claim })
}
