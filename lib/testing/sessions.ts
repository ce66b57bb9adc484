import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

type Claims = Readonly<Record<string, unknown>>

/** A session of a test issuer, which ends with `signOut()`. */
export interface TestSession {
  /** The session token, for `Authorization: Bearer <token>`. */
  readonly token: string
  /** The `Cookie` header of the browser: `better-auth.session_token=<signed token>`. */
  readonly cookie: string
  /** Ends the session: from now on, the issuer exchanges neither the token nor the cookie. */
  signOut (): void
}

/** An API key of a test issuer. */
export interface TestApiKey {
  /** The key, for the header `x-api-key`. */
  readonly key: string
  /** Deletes the key: from now on, the issuer does not exchange it. */
  signOut (): void
}

/** The sessions and API keys of one issuer. */
export interface Sessions {
  create (claims: Claims): TestSession
  createKey (claims: Claims): TestApiKey
  /** The claims for the user whose credential a request has, as Better Auth finds it; `undefined` without one. */
  find (headers: IncomingHttpHeaders): Claims | undefined
}

const COOKIE_NAME = 'better-auth.session_token'

/** @param secret - signs the cookies. */
export function createSessions (secret: string): Sessions {
  const sessions = new Map<string, Claims>()
  const keys = new Map<string, Claims>()

  function sign (token: string): string {
    return `${token}.${createHmac('sha256', secret).update(token).digest('base64')}`
  }

  /** The user of a session token with its signature. */
  function verify (signed: string): Claims | undefined {
    const token = signed.split('.', 1)[0]!
    return signed === sign(token) ? sessions.get(token) : undefined
  }

  return {
    create (claims) {
      const token = randomToken(16)
      sessions.set(token, claims)
      return {
        token,
        cookie: `${COOKIE_NAME}=${encodeURIComponent(sign(token))}`,
        signOut () { sessions.delete(token) }
      }
    },
    createKey (claims) {
      const key = randomToken(32)
      keys.set(key, claims)
      return { key, signOut () { keys.delete(key) } }
    },
    find ({ authorization = '', cookie = '', 'x-api-key': key }) {
      const bearer = /^bearer +(\S+)$/i.exec(authorization)?.[1]
      if (bearer !== undefined) return verify(decode(bearer)) ?? sessions.get(bearer)
      if (typeof key === 'string') return keys.get(key)
      const value = cookie.split('; ').find(pair => pair.startsWith(`${COOKIE_NAME}=`))
      return value === undefined ? undefined : verify(decode(value.slice(COOKIE_NAME.length + 1)))
    }
  }
}

/** Letters and digits, as Better Auth's. */
function randomToken (bytes: number): string {
  return randomBytes(bytes).toString('hex')
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
