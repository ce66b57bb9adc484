import type { FastifyRequest } from 'fastify'
import { checkIssuer, SESSION_COOKIE_AUDIENCE } from '../../tokens/claims.js'
import { TokenInvalidError } from '../../contract/errors.js'
import { readGrants } from '../../tokens/authorization-claims.js'
import type { ResolvedOptions } from '../../contract/resolve-options.js'
import type { Payload, UserReader } from '../../tokens/user-reader.js'
import type { TokenKind } from '../../tokens/verifier.js'

/** Better Auth's session, as its signed cookie holds it; dates are ISO 8601 text. */
export interface Session {
  /** The user's id. */
  userId: string
  /** The session's own token, a credential: do not send it to clients. */
  token: string
  /** ISO 8601. */
  expiresAt: string
  [field: string]: unknown
}

const SESSION_COOKIE_TYPE = 'better-auth.session-cache+jwt'
/** Better Auth's own limit (`MAX_COOKIE_CHUNKS`). */
const MAX_CHUNKS = 100

/**
 * The tokens in Better Auth's `session_data` cookie: signed with a key of the JWKS (`jwt({ sessionCookieCache: true })`), or
 * with HS256 and the auth server's secret, then without a type, issuer, audience and subject.
 */
export function sessionCookies (options: ResolvedOptions, readUser: UserReader): TokenKind {
  // Better Auth signs the cookie as the origin of its `baseURL`, whatever issuer its access tokens have.
  const issuer = options.issuer && [...options.issuer, new URL(options.authUrl).origin]

  return {
    algorithms: new Set(options.secret === undefined ? options.algorithms : [...options.algorithms, 'HS256']),
    types: [SESSION_COOKIE_TYPE, undefined],
    read (payload, { alg, typ }, now) {
      const isHmac = alg === 'HS256'
      if (isHmac !== (typ === undefined)) throw new TokenInvalidError('typ_not_allowed')
      const user = record(payload, 'user')
      const session = record(payload, 'session')
      const isWhole = typeof session.token === 'string' && session.token !== '' && typeof user.id === 'string' &&
        session.userId === user.id && typeof session.expiresAt === 'string'
      if (!isWhole) throw new TokenInvalidError('session_invalid', { claim: 'session' })
      if (!isHmac) checkBinding(payload, user.id as string, session.token as string)
      const endsAt = Date.parse(session.expiresAt as string)
      // What is no date is no later than anything.
      if (!(endsAt > now)) throw new TokenInvalidError('session_expired', { claim: 'session' })
      // The id is the bound one: a column of the user's own named `sub` must not stand in for it.
      return { user: readUser({ ...user, sub: user.id }), session: session as unknown as Session, grants: readGrants(user), endsAt }
    }
  }

  function checkBinding (payload: Payload, userId: string, sessionToken: string): void {
    if (payload.aud !== SESSION_COOKIE_AUDIENCE) {
      throw new TokenInvalidError('audience_mismatch', { claim: 'aud', expected: [SESSION_COOKIE_AUDIENCE], received: payload.aud ?? null })
    }
    checkIssuer(payload.iss, issuer)
    if (payload.cnf !== undefined) throw new TokenInvalidError('token_kind', { claim: 'cnf' })
    if (payload.sub !== userId) throw new TokenInvalidError('session_invalid', { claim: 'sub' })
    if (payload.sid !== sessionToken) throw new TokenInvalidError('session_invalid', { claim: 'sid' })
  }
}

function record (payload: Payload, claim: string): Payload {
  const value = payload[claim]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TokenInvalidError('session_invalid', { claim })
  return value as Payload
}

/**
 * Reads the cookie, whole or in chunks (`.0`, `.1`, … in any order).
 *
 * @param names - the names it may have, the safest first: the first that is there is taken.
 * @returns `undefined` when there is none.
 * @throws TokenInvalidError when chunks are missing or too many.
 */
export function readSessionCookie (request: FastifyRequest, names: readonly string[]): string | undefined {
  const cookies = parseCookies(request)
  for (const name of names) {
    const value = cookies.get(name) ?? joinChunks(cookies, name)
    if (value !== undefined && value !== '') return value
  }
}

function joinChunks (cookies: ReadonlyMap<string, string>, name: string): string | undefined {
  const chunks: string[] = []
  let count = 0
  for (const [key, value] of cookies) {
    if (!key.startsWith(`${name}.`)) continue
    const suffix = key.slice(name.length + 1)
    if (!/^(?:0|[1-9]\d{0,3})$/.test(suffix)) continue
    if (++count > MAX_CHUNKS || Number(suffix) >= MAX_CHUNKS) throw new TokenInvalidError('cookie_malformed')
    chunks[Number(suffix)] = value
  }
  if (count === 0) return undefined
  if (chunks.length !== count) throw new TokenInvalidError('cookie_malformed')
  return chunks.join('')
}

/** By name, the first of each: what @fastify/cookie parsed where it is registered, else the header. */
function parseCookies (request: FastifyRequest): ReadonlyMap<string, string> {
  const parsed = (request as { cookies?: Record<string, string | undefined> | null }).cookies
  if (parsed !== undefined && parsed !== null) return new Map(Object.entries(parsed) as Array<[string, string]>)
  const cookies = new Map<string, string>()
  for (const pair of request.headers.cookie?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, equals).trim()
    if (equals > 0 && !cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim())
  }
  return cookies
}
