import { TokenInvalidError } from '../../contract/errors.js'
import type { Session } from '../../contract/identity.js'
import type { ResolvedOptions, ResolvedSessionCookie } from '../../contract/resolve-options.js'
import { readAuthorizationClaims, readOrganization } from '../../tokens/authorization-claims.js'
import { readFields } from '../../tokens/auth-fields.js'
import { alsoIssuer, checkIssuer, SESSION_COOKIE_AUDIENCE } from '../../tokens/claims.js'
import type { JsonObject } from '../../tokens/jws.js'
import { USER } from '../../tokens/principal.js'
import type { UserReader } from '../../tokens/user-reader.js'
import type { TokenProfile } from '../../tokens/verified-token.js'
import { compactForm } from './compact.js'
import { jweForm } from './jwe.js'
import { checkVersion } from './version.js'

const EXPECTED_AUDIENCE = Object.freeze([SESSION_COOKIE_AUDIENCE])
/** The `typ` of a cookie that a key of the JWKS signed. */
export const SESSION_COOKIE_TYPE = 'better-auth.session-cache+jwt'

/**
 * The profile of Better Auth's `session_data` cookie. With the strategy `jwt` it is a JWT, signed with a key of the
 * JWKS (`jwt({ sessionCookieCache: true })`), or with HS256 and the auth server's secret. With the secret, it has no
 * type, issuer, audience or subject; nor has it with the strategies `compact` and `jwe`, which also need the secret.
 */
export function sessionCookieProfile (
  options: ResolvedOptions,
  { secret, version }: Pick<ResolvedSessionCookie, 'secret' | 'version'>,
  readUser: UserReader
): TokenProfile {
  const { algorithms } = options
  const fields = options.auth?.fields.session ?? []
  // Better Auth signs the cookie as the origin of its `baseURL`, whatever issuer its access tokens have.
  const issuer = alsoIssuer(options.issuer, options.publicUrl)

  return {
    algorithms: new Set(secret === undefined ? algorithms : [...algorithms, 'HS256']),
    types: [SESSION_COOKIE_TYPE, undefined],
    via: 'cookie',
    secret,
    forms: [compactForm(secret), jweForm(secret)],
    read (payload, { alg, typ }, now) {
      const isHmac = alg === 'HS256'
      if (isHmac !== (typ === undefined)) throw new TokenInvalidError('typ_not_allowed')
      const user = readObject(payload, 'user')
      const session = readObject(payload, 'session')
      const isComplete = typeof session.token === 'string' && session.token !== '' && typeof user.id === 'string' &&
        session.userId === user.id && typeof session.expiresAt === 'string'
      if (!isComplete) throw new TokenInvalidError('session_invalid', { claim: 'session' })
      if (!isHmac) checkBinding(payload, user.id as string, session.token as string)
      checkVersion(payload, version)
      const endsAt = Date.parse(session.expiresAt as string)
      // NaN compares as false: an invalid date counts as expired.
      if (!(endsAt > now)) throw new TokenInvalidError('session_expired', { claim: 'session' })
      return {
        principal: USER,
        // The verified id: a custom field of the user named `sub` must not replace it.
        user: readUser({ ...user, sub: user.id }),
        session: { ...session, ...readFields(session, fields, 'session_invalid') } as unknown as Session,
        authorization: readAuthorizationClaims(user, readOrganization({ id: session.activeOrganizationId })),
        endsAt
      }
    }
  }

  function checkBinding (payload: JsonObject, userId: string, sessionToken: string): void {
    if (payload.aud !== SESSION_COOKIE_AUDIENCE) {
      const received = payload.aud ?? null
      throw new TokenInvalidError('audience_mismatch', { claim: 'aud', expected: EXPECTED_AUDIENCE, received })
    }
    checkIssuer(payload.iss, issuer)
    if (payload.cnf !== undefined) throw new TokenInvalidError('token_kind', { claim: 'cnf' })
    if (payload.sub !== userId) throw new TokenInvalidError('session_invalid', { claim: 'sub' })
    if (payload.sid !== sessionToken) throw new TokenInvalidError('session_invalid', { claim: 'sid' })
  }
}

function readObject (payload: JsonObject, claim: string): JsonObject {
  const value = payload[claim]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TokenInvalidError('session_invalid', { claim })
  }
  return value as JsonObject
}
