import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { TokenInvalidError } from '../../contract/errors.js'
import { decodeSegment, parseCanonical, parseObject, type JsonObject } from '../../tokens/jws.js'
import type { TokenForm } from '../../tokens/verified-token.js'

/** How every cookie of this strategy starts: three whole groups of base64url. */
const START = Buffer.from('{"session":{').toString('base64url')
const PARTS = /^\{"session":(\{.+)\},"expiresAt":(\d{1,16}),"signature":"([\w-]{43})"\}$/s
const END = /,"signature":"[\w-]{43}"\}$/
/** The length of what `END` matches, in whole groups of base64url. */
const END_LENGTH = 84

/**
 * The strategy `compact`: base64url of `{ session, expiresAt, signature }`, where `signature` is the HMAC with SHA-256
 * of the JSON `{ ...session, expiresAt }`. Better Auth's default.
 *
 * @param secret - without it, every such cookie is refused.
 */
export function compactForm (secret: string | undefined): TokenForm {
  const key = secret === undefined ? undefined : createSecretKey(secret, 'utf8')
  return {
    matches: token => token.startsWith(START) && !token.includes('.'),
    open (token) {
      if (key === undefined) throw new TokenInvalidError('cookie_strategy')
      const { signed, signature } = split(token)
      const expected = createHmac('sha256', key).update(signed).digest()
      if (!timingSafeEqual(decodeSegment(signature), expected)) throw new TokenInvalidError('signature_invalid')
      const payload = parseCanonical(signed)
      if (typeof payload.updatedAt !== 'number') throw new TokenInvalidError('session_invalid', { claim: 'updatedAt' })
      return withTimes(payload)
    },
    decode: token => withTimes(parseObject(split(token).signed))
  }
}

/** The bytes that Better Auth signed, as they are in the cookie. */
function split (token: string): { signed: Buffer, signature: string } {
  const [, session, expiresAt, signature] = PARTS.exec(decodeSegment(token).toString('latin1')) ?? []
  if (signature === undefined) throw new TokenInvalidError('token_malformed')
  return { signed: Buffer.from(`${session},"expiresAt":${expiresAt}}`, 'latin1'), signature }
}

/** Better Auth writes milliseconds; the times of a JWT are seconds. */
function withTimes (payload: JsonObject): JsonObject {
  return { ...payload, iat: payload.updatedAt as number / 1000, exp: payload.expiresAt as number / 1000 }
}

/** Whether a text that starts as a cookie of this strategy is a whole one. */
export function isWholeCompact (text: string): boolean {
  const start = Math.max(0, text.length - text.length % 4 - END_LENGTH)
  return text.startsWith(START) && END.test(Buffer.from(text.slice(start), 'base64url').toString('latin1'))
}
