import { randomUUID } from 'node:crypto'

type Fields = Record<string, unknown>

/** The row of a user as Better Auth has it without further plugins. */
const USER = {
  id: 'user_1',
  name: 'Ada Lovelace',
  email: 'ada@example.com',
  emailVerified: true,
  image: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z'
}
const TOKEN_LIFETIME = 900
const COOKIE_LIFETIME = 300
const SESSION_LIFETIME = 7 * 24 * 3600

export const COOKIE_TYPE = 'better-auth.session-cache+jwt'
const COOKIE_AUDIENCE = 'better-auth:session-cache'

/** Seconds since the epoch (RFC 7519 §2). */
export function now (): number {
  return Math.floor(Date.now() / 1000)
}

/**
 * What an access token of Better Auth says: the user's row, whom it is for and how long it is good for.
 *
 * @param claims - laid over it. An `id` or a `sub` alone stands for both, and `exp` is counted from `iat`.
 * @param expiresIn - seconds.
 */
export function createTokenClaims (issuer: string, audience: string, claims: Fields, expiresIn = TOKEN_LIFETIME): Fields {
  const id = claims.id ?? claims.sub ?? USER.id
  const iat = typeof claims.iat === 'number' ? claims.iat : now()
  return { iat, ...USER, id, sub: id, exp: iat + expiresIn, iss: issuer, aud: audience, ...claims }
}

/**
 * What a session cookie of Better Auth says when it is signed with HS256: a user and a session.
 *
 * @param expiresIn - seconds.
 */
export function createCookieClaims (user: Fields, session: Fields = {}, expiresIn = COOKIE_LIFETIME) {
  const iat = now()
  const row: Fields = { ...USER, ...user }
  const createdAt = new Date(iat * 1000).toISOString()
  return {
    session: {
      id: randomUUID(),
      userId: row.id,
      token: randomUUID(),
      expiresAt: new Date((iat + SESSION_LIFETIME) * 1000).toISOString(),
      createdAt,
      updatedAt: createdAt,
      ipAddress: '',
      userAgent: 'node',
      ...session
    },
    user: row,
    updatedAt: iat * 1000,
    version: '1',
    iat,
    exp: iat + expiresIn
  }
}

/** Binds the claims of a cookie to its user and session, as Better Auth does when a key of the JWKS signs it. */
export function bindCookieClaims (issuer: string, claims: ReturnType<typeof createCookieClaims>): Fields {
  const { session, user } = claims
  return { ...claims, sid: session.token, iss: issuer, aud: COOKIE_AUDIENCE, sub: user.id }
}
