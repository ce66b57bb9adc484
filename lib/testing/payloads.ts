import { randomUUID } from 'node:crypto'

type Fields = Record<string, unknown>

/** A row of Better Auth's user table, without the columns that plugins add. */
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
const OAUTH_LIFETIME = 3600
const COOKIE_LIFETIME = 300
const SESSION_LIFETIME = 7 * 24 * 3600

/** The type of OAuth access tokens (RFC 9068 §2.1). */
export const ACCESS_TOKEN_TYPE = 'at+jwt'
export const COOKIE_TYPE = 'better-auth.session-cache+jwt'
const COOKIE_AUDIENCE = 'better-auth:session-cache'

/** Seconds since the epoch (RFC 7519 §2). */
export function now (): number {
  return Math.floor(Date.now() / 1000)
}

/**
 * The payload of an access token of Better Auth: the user's row, the issuer, the audience and the times.
 *
 * @param claims - override the defaults. `id` or `sub` alone sets both.
 * @param expiresIn - seconds from `iat` to `exp`.
 */
export function createTokenPayload (
  issuer: string, audience: string, claims: Fields, expiresIn = TOKEN_LIFETIME
): Fields {
  const id = claims.id ?? claims.sub ?? USER.id
  const iat = typeof claims.iat === 'number' ? claims.iat : now()
  return { iat, ...USER, id, sub: id, exp: iat + expiresIn, iss: issuer, aud: audience, ...claims }
}

/** Whom an OAuth access token is for, and what it allows. */
interface OAuthGrant {
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly resource: string | readonly string[]
  readonly claims?: Fields | undefined
  readonly expiresIn?: number | undefined
}

/**
 * The payload of an access token of Better Auth's OAuth provider for a client that acts for itself.
 *
 * @param userinfo - the URL of the userinfo endpoint, which the scope `openid` makes a part of the audience.
 */
export function createClientPayload (
  issuer: string, userinfo: string, { clientId, scopes, resource, claims = {}, expiresIn = OAUTH_LIFETIME }: OAuthGrant
): Fields {
  const audience = [resource, scopes.includes('openid') ? userinfo : []].flat(2)
  const iat = typeof claims.iat === 'number' ? claims.iat : now()
  return {
    sub: clientId,
    aud: audience.length === 1 ? audience[0] : audience,
    client_id: clientId,
    azp: clientId,
    scope: scopes.join(' '),
    iss: issuer,
    iat,
    exp: iat + expiresIn,
    jti: randomUUID(),
    ...claims
  }
}

/** The same for a client that acts for a user, who started a session of the auth server. */
export function createDelegatedPayload (
  issuer: string, userinfo: string, { user = USER.id, ...grant }: OAuthGrant & { readonly user?: string | undefined }
): Fields {
  const claims = { sub: user, sid: randomUUID(), ...grant.claims }
  return createClientPayload(issuer, userinfo, { ...grant, claims })
}

/**
 * The payload of a session cookie that Better Auth signs with HS256: a user and a session.
 *
 * @param expiresIn - seconds from `iat` to `exp`.
 */
export function createCookiePayload (user: Fields, session: Fields = {}, expiresIn = COOKIE_LIFETIME) {
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

/** Adds the claims that Better Auth adds when a key of the JWKS signs: issuer, audience, user and session. */
export function bindCookiePayload (issuer: string, payload: ReturnType<typeof createCookiePayload>): Fields {
  const { session, user } = payload
  return { ...payload, sid: session.token, iss: issuer, aud: COOKIE_AUDIENCE, sub: user.id }
}
