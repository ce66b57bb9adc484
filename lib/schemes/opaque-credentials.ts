import { createHmac, timingSafeEqual } from 'node:crypto'

/** A session token, alone or with the signature that Better Auth's cookie has, plain or percent-encoded. */
const SESSION_TOKEN = /^[A-Za-z0-9_-]{16,128}(?:\.(?:[A-Za-z0-9+/]|%2[BF]){43}(?:=|%3D))?$/i
const API_KEY = /^[A-Za-z0-9_.~+/=:-]{16,512}$/

/** Whether a bearer credential is no JWT: a JWT has three parts, an encrypted one five. */
export function isOpaque (token: string): boolean {
  const dot = token.indexOf('.')
  return dot === -1 || token.indexOf('.', dot + 1) === -1
}

export function isSessionToken (value: string): boolean {
  return SESSION_TOKEN.test(value)
}

export function isApiKey (value: string): boolean {
  return API_KEY.test(value)
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

/** Better Auth signs cookies with HMAC-SHA256, in base64. */
function isSignedWith (secret: string, token: string, signature: string): boolean {
  const given = Buffer.from(signature, 'base64')
  const expected = createHmac('sha256', secret).update(token).digest()
  return given.length === expected.length && timingSafeEqual(given, expected)
}
