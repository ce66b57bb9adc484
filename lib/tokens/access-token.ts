import { TokenInvalidError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { readAuthorizationClaims } from './authorization-claims.js'
import { checkAudience, checkIssuer, namesAudience, SESSION_COOKIE_AUDIENCE } from './claims.js'
import type { JsonObject } from './jws.js'
import type { UserReader } from './user-reader.js'
import type { TokenProfile } from './verified-token.js'

/** The profile of bearer tokens: their `typ` is absent, `JWT`, or `at+jwt` (RFC 9068 §2.1). */
export function accessTokenProfile (options: ResolvedOptions, readUser: UserReader): TokenProfile {
  const { algorithms, secret } = options
  return {
    algorithms: new Set(secret === undefined ? algorithms : [...algorithms, 'HS256']),
    types: [undefined, 'jwt', 'at+jwt'],
    secret,
    read (payload, { typ }) {
      checkAccessClaims(payload, typ, options)
      const authorization = readAuthorizationClaims(payload)
      return { user: readUser(payload), session: null, authorization, endsAt: Infinity }
    }
  }
}

/**
 * Validates the claims of an access token, except for its times (RFC 7519 §4.1).
 *
 * @param typ - the header's `typ`, in lower case and without `application/`.
 * @throws TokenInvalidError
 */
export function checkAccessClaims (
  payload: JsonObject, typ: string | undefined, { issuer, audience }: Pick<ResolvedOptions, 'issuer' | 'audience'>
): void {
  checkKind(payload, typ)
  checkIssuer(payload.iss, issuer)
  checkAudience(payload.aud, audience)
  if (payload.jti !== undefined && typeof payload.jti !== 'string') {
    throw new TokenInvalidError('claim_invalid', { claim: 'jti' })
  }
}

/** The same keys sign tokens that are not for an API. A claim identifies each kind, whatever `audience` is. */
function checkKind (payload: JsonObject, typ: string | undefined): void {
  // Bound to the client's own key (RFC 7800, RFC 9449): as a bearer token it would work without that key.
  if (payload.cnf !== undefined) throw new TokenInvalidError('token_kind', { claim: 'cnf' })
  // A logout token (OpenID Connect Back-Channel Logout §2.4).
  if (isLogout(payload.events)) throw new TokenInvalidError('token_kind', { claim: 'events' })
  if (namesAudience(payload.aud, SESSION_COOKIE_AUDIENCE)) throw new TokenInvalidError('token_kind', { claim: 'aud' })
  if (typ === 'at+jwt') return
  const claim = findIdTokenClaim(payload)
  if (claim !== undefined) throw new TokenInvalidError('token_kind', { claim })
}

/**
 * A claim that only an ID token has (OpenID Connect Core §2, §3.1.3.6 and §3.3.2.11). Not in a loop: a loop over the
 * names cost more than parsing the payload.
 */
function findIdTokenClaim (payload: JsonObject): string | undefined {
  if (payload.nonce !== undefined) return 'nonce'
  if (payload.at_hash !== undefined) return 'at_hash'
  if (payload.c_hash !== undefined) return 'c_hash'
  if (payload.s_hash !== undefined) return 's_hash'
  if (payload.auth_time !== undefined) return 'auth_time'
  if (payload.acr !== undefined) return 'acr'
}

function isLogout (events: unknown): boolean {
  return typeof events === 'object' && events !== null &&
    Object.hasOwn(events, 'http://schemas.openid.net/event/backchannel-logout')
}
