import { createHmac, timingSafeEqual } from 'node:crypto'
import { TokenInvalidError } from '../contract/errors.js'
import type { ReadCredential } from '../tokens/opaque-credential.js'

/** A session token, alone or with the signature that Better Auth's cookie has, plain or percent-encoded. */
const SESSION_TOKEN = /^[A-Za-z0-9_-]{16,128}(?:\.(?:[A-Za-z0-9+/]|%2[BF]){43}(?:=|%3D))?$/i
const API_KEY = /^[A-Za-z0-9_.~+/=:-]{16,512}$/

/** Whether a bearer credential is no JWT: a JWT has three parts, an encrypted one five. */
export function isOpaque (token: string): boolean {
  return token.indexOf('.', token.indexOf('.') + 1) === -1
}

export function isSessionToken (value: string): boolean {
  return SESSION_TOKEN.test(value)
}

export function isApiKey (value: string): boolean {
  return API_KEY.test(value)
}

/** @throws TokenInvalidError */
export function readSessionToken (text: string): ReadCredential {
  if (!isSessionToken(text)) throw new TokenInvalidError('credential_malformed')
  return { token: withoutSignature(text), header: { name: 'authorization', value: `Bearer ${text}` } }
}

/**
 * Creates a function that reads an API key.
 *
 * @param name - of its header.
 * @throws TokenInvalidError
 */
export function createKeyReader (name: string): (text: string) => ReadCredential {
  return text => {
    if (!isApiKey(text)) throw new TokenInvalidError('credential_malformed')
    return { token: text, header: { name, value: text } }
  }
}

/**
 * Creates a function that reads the value of a session cookie.
 *
 * @param name - of the cookie.
 * @param secret - as for `readSignedToken()`.
 * @throws TokenInvalidError
 */
export function createCookieValueReader (name: string, secret: string | undefined): (text: string) => ReadCredential {
  return text => {
    const value = readSignedToken(text, secret)
    if (value === undefined) throw new TokenInvalidError('credential_malformed')
    return { token: withoutSignature(value), header: { name: 'cookie', value: `${name}=${value}` } }
  }
}

function withoutSignature (text: string): string {
  return text.split('.', 1)[0]!
}

/**
 * The signed session token in the value of a cookie, in one spelling; `undefined` if it is none.
 *
 * @param secret - the secret of the auth server; `undefined` does not check the signature.
 */
export function readSignedToken (value: string, secret: string | undefined): string | undefined {
  if (!isSessionToken(value) || !value.includes('.')) return undefined
  const [token, signature] = decodeURIComponent(value).split('.') as [string, string]
  if (secret !== undefined && !isSignedWith(secret, token, signature)) return undefined
  return `${token}.${encodeURIComponent(signature)}`
}

/** Better Auth signs cookies with HMAC-SHA256, in base64: 32 bytes, as `SESSION_TOKEN` has seen. */
function isSignedWith (secret: string, token: string, signature: string): boolean {
  const expected = createHmac('sha256', secret).update(token).digest()
  return timingSafeEqual(Buffer.from(signature, 'base64'), expected)
}
