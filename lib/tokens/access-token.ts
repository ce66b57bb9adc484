import { TokenInvalidError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { readAuthorizationClaims, readOrganization } from './authorization-claims.js'
import { checkAudience, checkIssuer, namesAudience, SESSION_COOKIE_AUDIENCE } from './claims.js'
import type { JsonObject } from './jws.js'
import { includeScopes, isOAuthToken, readOAuthPrincipal, USER, type TokenPrincipal } from './principal.js'
import type { UserReader } from './user-reader.js'
import type { TokenContent, TokenProfile } from './verified-token.js'

/** The profile of bearer tokens: their `typ` is absent, `JWT`, or `at+jwt` (RFC 9068 §2.1). */
export function accessTokenProfile (options: ResolvedOptions, readUser: UserReader): TokenProfile {
  const { algorithms, secret } = options
  return {
    algorithms: new Set(secret === undefined ? algorithms : [...algorithms, 'HS256']),
    types: [undefined, 'jwt', 'at+jwt'],
    via: 'bearer',
    secret,
    read (payload, { typ }) {
      const content = readAccessToken(payload, typ, options, readUser)
      if (options.dpop?.required === true && content.principal.kind !== 'user') {
        throw new TokenInvalidError('token_not_bound')
      }
      return content
    }
  }
}

/**
 * The profile of OAuth access tokens that are bound to a key of their client (DPoP, RFC 9449 §6.1). None of them is
 * a bearer token, and no bearer token is one of them.
 */
export function boundTokenProfile (options: ResolvedOptions, readUser: UserReader): TokenProfile {
  return {
    ...accessTokenProfile(options, readUser),
    via: 'dpop',
    read ({ cnf, ...payload }, { typ }) {
      if (cnf === undefined) throw new TokenInvalidError('token_not_bound')
      const boundTo = readThumbprint(cnf)
      const { principal, ...content } = readAccessToken(payload, typ, options, readUser)
      // No standard says how the token of a user is bound.
      if (principal.kind === 'user') throw new TokenInvalidError('token_kind', { claim: 'cnf' })
      return { ...content, principal: { ...principal, boundTo } }
    }
  }
}

/** A confirmation of another kind (RFC 7800 §3.1), alone or beside this one, would have to be checked too. */
function readThumbprint (cnf: unknown): string {
  const members = Object.entries(Object(cnf) as JsonObject)
  const [name, value] = members[0] ?? []
  if (members.length === 1 && name === 'jkt' && typeof value === 'string' && /^[\w-]{43}$/.test(value)) return value
  throw new TokenInvalidError('claim_invalid', { claim: 'cnf' })
}

function readAccessToken (
  payload: JsonObject, typ: string | undefined, options: ResolvedOptions, readUser: UserReader
): TokenContent {
  const principal = readAccessPrincipal(payload, typ, options)
  // Only in a user's own JWT: an OAuth client may have influenced the claims of its access token.
  const organization = principal.kind === 'user' ? readOrganization(payload.o) : undefined
  const authorization = readAuthorizationClaims(payload, organization)
  const content = { principal, authorization, session: null, endsAt: Infinity }
  if (principal.kind === 'user') return { ...content, user: readUser(payload) }
  const scopes = includeScopes(principal.scopes, options.resource!)
  const user = principal.kind === 'client' ? null : readUser(withSubject(payload))
  return { ...content, user, authorization: { ...authorization, scopes } }
}

/**
 * Validates the claims of an access token, except for its user and its times (RFC 7519 §4.1). Issuer and audience
 * belong to a kind of token: those of one kind never help a token of the other.
 *
 * @param typ - the header's `typ`, in lower case and without `application/`.
 * @throws TokenInvalidError
 */
export function readAccessPrincipal (
  payload: JsonObject, typ: string | undefined,
  { issuer, audience, resource }: Pick<ResolvedOptions, 'issuer' | 'audience' | 'resource'>
): TokenPrincipal {
  checkKind(payload, typ)
  if (payload.jti !== undefined && typeof payload.jti !== 'string') {
    throw new TokenInvalidError('claim_invalid', { claim: 'jti' })
  }
  if (isOAuthToken(payload, typ)) return readOAuthPrincipal(payload, resource)
  checkIssuer(payload.iss, issuer)
  checkAudience(payload.aud, audience)
  return USER
}

/** The id of the user is the subject of an OAuth access token (RFC 9068 §2.2), whatever the option `userId` says. */
function withSubject (payload: JsonObject): JsonObject {
  const { id, sub } = payload
  if (id !== undefined && id !== sub) throw new TokenInvalidError('subject_ambiguous', { claim: 'sub' })
  return { ...payload, id: sub }
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
