import { isUtf8 } from 'node:buffer'
import { constants, createHmac, timingSafeEqual, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import { TokenInvalidError } from '../contract/errors.js'
import type { Algorithm } from '../contract/options.js'
import { isKid } from '../keys/jwk.js'

/** A parsed header, payload or record, verified or not: any member may be of any type. */
export type JsonObject = Readonly<Record<string, unknown>>

/** The header of a token that may be verified (RFC 7515 §4.1). */
export interface JwsHeader {
  readonly alg: Algorithm | 'HS256'
  /** The curve that the key must be on; `undefined` if the algorithm implies none, as `EdDSA` does. */
  readonly curve: string | undefined
  /** The key that the token names. HS256 tokens have none: there is one secret. */
  readonly kid: string | undefined
  /** In lower case and without `application/`. */
  readonly typ: string | undefined
}

/** What a header may contain. */
export interface HeaderPolicy {
  readonly algorithms: ReadonlySet<string>
  /** In lower case and without `application/`; `undefined` for a header that names no type. */
  readonly types: ReadonlyArray<string | undefined>
}

/** A parsed compact JWS (RFC 7515 §7.1) with an accepted header. Nothing in it is verified yet. */
export interface Jws extends JwsHeader {
  /** The whole token as received. */
  readonly token: string
  /** The header as received. */
  readonly headerSegment: string
  /** What is signed: header and payload as received. */
  readonly signingInput: Buffer
  readonly payload: Buffer
  readonly signature: Buffer
}

/** What a signature is checked with. */
export type SignedInput = Pick<Jws, 'alg' | 'signingInput' | 'signature'>

/** The algorithms of one curve, each the same as `EdDSA` with a key on that curve (RFC 9864 §2.2). */
const CURVES = ['Ed25519', 'Ed448']
/** How deeply a payload may be nested. */
const MAX_DEPTH = 100

/**
 * Parses a compact JWS and judges its header.
 *
 * @param policy - the algorithms and types of token that are accepted.
 * @param known - headers that were accepted before, by their segment: all tokens of a key have the same header.
 * @throws TokenInvalidError
 */
export function parseJws (token: string, policy: HeaderPolicy, known?: ReadonlyMap<string, JwsHeader>): Jws {
  const headerEnd = token.indexOf('.')
  const payloadEnd = token.indexOf('.', headerEnd + 1)
  if (payloadEnd === -1 || token.includes('.', payloadEnd + 1)) {
    throw new TokenInvalidError(token.split('.', 6).length === 5 ? 'token_encrypted' : 'token_malformed')
  }
  const headerSegment = token.slice(0, headerEnd)
  const { alg, curve, kid, typ } = known?.get(headerSegment) ?? parseHeader(headerSegment, policy)
  return {
    alg,
    curve,
    kid,
    typ,
    token,
    headerSegment,
    payload: decodeSegment(token.slice(headerEnd + 1, payloadEnd)),
    signature: decodeSegment(token.slice(payloadEnd + 1)),
    signingInput: Buffer.from(token.slice(0, payloadEnd), 'latin1')
  }
}

/** Keys that a header contains or links to (`jku`, `jwk`, `x5u`, `x5c`) are ignored. */
function parseHeader (segment: string, { algorithms, types }: HeaderPolicy): JwsHeader {
  const header = parseObject(decodeSegment(segment))
  const { kid, typ } = header
  const curve = CURVES.find(name => name === header.alg)
  const alg = curve === undefined ? header.alg : 'EdDSA'
  if (!algorithms.has(alg as string)) throw new TokenInvalidError('algorithm_not_allowed')
  if (header.enc !== undefined) throw new TokenInvalidError('token_encrypted')
  // No extension is implemented here, so none may be critical (RFC 7515 §4.1.11); `b64` works only as one (RFC 7797
  // §6).
  if (header.crit !== undefined || header.b64 !== undefined) throw new TokenInvalidError('critical_header')
  const type = typeof typ === 'string' ? mediaType(typ) : undefined
  if ((typ !== undefined && type === undefined) || !types.includes(type)) throw new TokenInvalidError('typ_not_allowed')
  if (alg === 'HS256' ? kid !== undefined : !isKid(kid)) throw new TokenInvalidError('kid_invalid')
  return { alg: alg as JwsHeader['alg'], curve: curve?.toLowerCase(), kid: kid as string | undefined, typ: type }
}

/** Parses the JSON of a header or a payload: anything but an object in valid UTF-8 is refused (RFC 7519 §7.2). */
export function parseObject (bytes: Buffer): JsonObject {
  let value: unknown
  try {
    value = isUtf8(bytes) ? JSON.parse(bytes.toString()) : undefined
  } catch {
    // Not JSON: refused below.
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject) throw new TokenInvalidError('token_malformed')
  return value as JsonObject
}

/**
 * Parses JSON that `JSON.stringify()` wrote, as Better Auth does. Any other spelling is refused: it could have members
 * of one name, of which parsers see different ones (RFC 8259 §4).
 */
export function parseCanonical (bytes: Buffer): JsonObject {
  const value = parseObject(bytes)
  if (isTooDeep(value) || JSON.stringify(value) !== bytes.toString()) throw new TokenInvalidError('token_malformed')
  return value
}

/** Whether objects are nested so deeply that code which walks through them may overflow the stack. */
export function isTooDeep (value: unknown, levels = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const name in value) if (isTooDeep(value[name as keyof typeof value], levels - 1)) return true
  return false
}

/**
 * Whether the signature is valid.
 *
 * @param key - a key of the JWKS for `jws.alg`, or the shared secret for HS256.
 */
export function isSignedBy (jws: SignedInput, key: KeyObject): boolean {
  const { alg, signingInput, signature } = jws
  if (alg === 'HS256') {
    const expected = createHmac('sha256', key).update(signingInput).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  try {
    return verify(DIGESTS[alg], signingInput, verifyInput(alg, key), signature)
  } catch {
    // A signature that OpenSSL cannot read is invalid.
    return false
  }
}

/**
 * Like `isSignedBy()` with a key of the JWKS, but in the thread pool.
 *
 * @param done - called once.
 */
export function isSignedByLater (jws: SignedInput, key: KeyObject, done: (isSigned: boolean) => void): void {
  const alg = jws.alg as Algorithm
  // Node.js 22.12 to 22.14 end the process if the pool gets a digest with a key that takes none.
  if (alg !== 'EdDSA' && key.asymmetricKeyType?.startsWith('ed') === true) {
    done(false)
    return
  }
  try {
    verify(DIGESTS[alg], jws.signingInput, verifyInput(alg, key), jws.signature, (error, isSigned) => {
      done(error === null && isSigned)
    })
  } catch {
    done(false)
  }
}

/** Decodes base64url strictly: no stray trailing bits, no padding, so that every token has exactly one encoding. */
export function decodeSegment (segment: string): Buffer {
  const bytes = Buffer.from(segment, 'base64url')
  // Encoding it again is cheaper than checking each character.
  if (bytes.length === 0 || bytes.toString('base64url') !== segment) throw new TokenInvalidError('token_malformed')
  return bytes
}

/** Media types are compared without case, and `application/` may be left out (RFC 7515 §4.1.9, RFC 9068 §4). */
export function mediaType (typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

const DIGESTS: Record<Algorithm, string | null> = {
  EdDSA: null,
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  RS256: 'sha256',
  RS384: 'sha384',
  RS512: 'sha512',
  PS256: 'sha256',
  PS384: 'sha384',
  PS512: 'sha512'
}

function verifyInput (alg: Algorithm, key: KeyObject): KeyObject | VerifyKeyObjectInput {
  if (alg.startsWith('ES')) return { key, dsaEncoding: 'ieee-p1363' }
  if (alg.startsWith('PS')) {
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  }
  return key
}
