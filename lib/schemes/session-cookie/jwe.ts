import { createDecipheriv, createHash, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import { TokenInvalidError } from '../../contract/errors.js'
import { decodeSegment, parseCanonical, parseObject } from '../../tokens/jws.js'
import type { TokenForm } from '../../tokens/verified-token.js'

const ALGORITHM = 'dir'
const ENCRYPTION = 'A256CBC-HS512'
const SALT = 'better-auth-session'
const INFO = 'BetterAuth.js Generated Encryption Key'
const KEY_LENGTH = 64
const IV_LENGTH = 16
const TAG_LENGTH = 32

/** A compact JWE (RFC 7516 §7.1), without the encrypted key: the secret itself encrypts. */
interface Jwe {
  /** The header as received. */
  readonly header: string
  readonly iv: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

/**
 * The strategy `jwe`: a JWT encrypted with A256CBC-HS512, with a key derived from the secret (RFC 5869). It is Better
 * Auth's default without a database.
 *
 * @param secret - without it, every such cookie is refused.
 */
export function jweForm (secret: string | undefined): TokenForm {
  const keys = secret === undefined ? undefined : deriveKeys(secret)
  return {
    matches: token => token.split('.', 6).length === 5,
    open (token) {
      if (keys === undefined) throw new TokenInvalidError('cookie_strategy')
      judgeHeader(token.slice(0, token.indexOf('.')), keys.kid)
      const jwe = parseJwe(token)
      if (!timingSafeEqual(jwe.tag, tagOf(jwe, keys))) throw new TokenInvalidError('signature_invalid')
      return parseCanonical(decrypt(jwe, keys))
    },
    decode: token => parseObject(decrypt(parseJwe(token), keys!))
  }
}

type Keys = ReturnType<typeof deriveKeys>

function deriveKeys (secret: string) {
  const bytes = Buffer.from(hkdfSync('sha256', secret, SALT, INFO, KEY_LENGTH))
  // The thumbprint of the key as a JWK (RFC 7638 §3).
  const jwk = JSON.stringify({ k: bytes.toString('base64url'), kty: 'oct' })
  return {
    kid: createHash('sha256').update(jwk).digest('base64url'),
    // RFC 7518 §5.2.2.1: the first half is for the tag.
    mac: createSecretKey(bytes.subarray(0, KEY_LENGTH / 2)),
    encryption: createSecretKey(bytes.subarray(KEY_LENGTH / 2))
  }
}

function parseJwe (token: string): Jwe {
  const [header, encryptedKey, ...rest] = token.split('.')
  const [iv, ciphertext, tag] = rest.map(decodeSegment) as [Buffer, Buffer, Buffer]
  const isComplete = encryptedKey === '' && iv.length === IV_LENGTH && tag.length === TAG_LENGTH
  if (!isComplete) throw new TokenInvalidError('token_malformed')
  return { header: header!, iv, ciphertext, tag }
}

/** @throws TokenInvalidError */
function judgeHeader (segment: string, ownKid: string): void {
  const { alg, enc, kid, typ, cty, crit, b64, zip } = parseCanonical(decodeSegment(segment))
  if (alg !== ALGORITHM || enc !== ENCRYPTION) throw new TokenInvalidError('algorithm_not_allowed')
  // No extension is implemented here (RFC 7516 §4.1.13), and no compression, which could fill the memory (§4.1.3).
  if ([crit, b64, zip].some(value => value !== undefined)) throw new TokenInvalidError('critical_header')
  if (typ !== undefined || cty !== undefined) throw new TokenInvalidError('typ_not_allowed')
  if (typeof kid !== 'string') throw new TokenInvalidError('kid_invalid')
  // The key of another secret.
  if (kid !== ownKid) throw new TokenInvalidError('signature_invalid')
}

/** RFC 7518 §5.2.2.1: over the header as received, the initialisation vector, the ciphertext, and the header's bits. */
function tagOf ({ header, iv, ciphertext }: Jwe, { mac }: Keys): Buffer {
  const bits = Buffer.alloc(8)
  bits.writeBigUInt64BE(BigInt(header.length * 8))
  return createHmac('sha512', mac).update(header, 'latin1').update(iv).update(ciphertext).update(bits).digest()
    .subarray(0, TAG_LENGTH)
}

/** Only after its tag was verified: so no error here tells an attacker anything about the plaintext. */
function decrypt ({ iv, ciphertext }: Jwe, { encryption }: Keys): Buffer {
  const decipher = createDecipheriv('aes-256-cbc', encryption, iv)
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  } catch {
    throw new TokenInvalidError('token_malformed')
  }
}
