import { constants, createHmac, timingSafeEqual, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import { TokenInvalidError } from './errors.js'
import type { Algorithm } from './options.js'

/** A compact JWS (RFC 7515 §7.1), taken apart and its header judged; nothing in it is verified yet. */
export interface Jws {
  readonly alg: Algorithm | 'HS256'
  /** The key that the token names. HS256 tokens have none: there is one secret. */
  readonly kid: string | undefined
  readonly typ: string | undefined
  /** What is signed: header and payload as they came. */
  readonly signingInput: Buffer
  readonly payload: Buffer
  readonly signature: Buffer
}

const MAX_KID_LENGTH = 512
const ACCESS_TOKEN_TYPES = ['jwt', 'at+jwt']

/**
 * Takes a compact JWS apart and judges its header. What the header says of keys (`jku`, `jwk`, `x5u`, `x5c`) is not looked at.
 *
 * @param algorithms - what this registration accepts.
 * @throws TokenInvalidError
 */
export function parseJws (token: string, algorithms: ReadonlySet<string>): Jws {
  const segments = token.split('.', 6)
  if (segments.length === 5) throw new TokenInvalidError('token_encrypted')
  if (segments.length !== 3) throw new TokenInvalidError('token_malformed')
  const [headerSegment, payloadSegment, signatureSegment] = segments as [string, string, string]

  const header = parseObject(decodeSegment(headerSegment))
  const { alg, kid, typ } = header
  if (typeof alg !== 'string' || !algorithms.has(alg)) throw new TokenInvalidError('algorithm_not_allowed')
  if (header.enc !== undefined) throw new TokenInvalidError('token_encrypted')
  // No extension is understood here, so none may be critical (RFC 7515 §4.1.11); `b64` only works as one (RFC 7797 §6).
  if (header.crit !== undefined || header.b64 !== undefined) throw new TokenInvalidError('critical_header')
  if (typ !== undefined && !(typeof typ === 'string' && ACCESS_TOKEN_TYPES.includes(mediaType(typ)))) {
    throw new TokenInvalidError('typ_not_allowed')
  }
  if (alg === 'HS256' ? kid !== undefined : !isKid(kid)) throw new TokenInvalidError('kid_invalid')

  return {
    alg: alg as Jws['alg'],
    kid: kid as string | undefined,
    typ: typ === undefined ? undefined : mediaType(typ),
    payload: decodeSegment(payloadSegment),
    signature: decodeSegment(signatureSegment),
    signingInput: Buffer.from(token.slice(0, token.lastIndexOf('.')), 'latin1')
  }
}

/** Parses the JSON of a header or a payload: an object in valid UTF-8, or the token is refused (RFC 7519 §7.2). */
export function parseObject (bytes: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    throw new TokenInvalidError('token_malformed')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TokenInvalidError('token_malformed')
  return value as Record<string, unknown>
}

/** Whether the signature is right: by a key of the JWKS for `jws.alg`, or by the shared secret for HS256. */
export function isSignedBy (jws: Jws, key: KeyObject): boolean {
  const { alg, signingInput, signature } = jws
  if (alg === 'HS256') {
    const expected = createHmac('sha256', key).update(signingInput).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  try {
    return verify(digest(alg), signingInput, verifyInput(alg, key), signature)
  } catch {
    // A signature that OpenSSL cannot read is a wrong one.
    return false
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes base64url strictly: no other characters, no padding, no bits to spare, so that each token has one spelling. */
function decodeSegment (segment: string): Buffer {
  const bytes = Buffer.from(segment, 'base64url')
  if (bytes.length === 0 || bytes.toString('base64url') !== segment) throw new TokenInvalidError('token_malformed')
  return bytes
}

/** Media types are compared without case, and `application/` may be left out (RFC 7515 §4.1.9, RFC 9068 §4). */
function mediaType (typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

/** A lone surrogate cannot be written into a URL or a log as it came; nobody's key has such a name. */
function isKid (kid: unknown): kid is string {
  return typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID_LENGTH && kid.isWellFormed()
}

function digest (alg: Algorithm): string | null {
  return alg === 'EdDSA' ? null : `sha${alg.slice(2)}`
}

function verifyInput (alg: Algorithm, key: KeyObject): KeyObject | VerifyKeyObjectInput {
  switch (alg.slice(0, 2)) {
    case 'ES': return { key, dsaEncoding: 'ieee-p1363' }
    case 'PS': return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    default: return key
  }
}
