import type { BetterAuthError } from '../contract/errors.js'
import { resolveResource } from '../contract/resolve-resource.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { SESSION_COOKIE_TYPE } from '../schemes/session-cookie/jwt.js'
import { readAccessPrincipal } from '../tokens/access-token.js'
import { mediaType, type JsonObject } from '../tokens/jws.js'
import { isOAuthToken } from '../tokens/principal.js'
import { openToken } from './pasted-token.js'
import { shownIssuers } from './redact.js'
import type { DoctorNeeds, DoctorTokenKind } from './report.js'

/** What each kind of token is, and what it is for. */
export const KINDS: Record<DoctorTokenKind, string> = {
  user: "a user's token, such as jwt() issues at GET /token",
  delegated: 'an access token of an OAuth client that acts for a user: only a guard with "delegated" lets it in',
  client: 'an access token of an OAuth client that acts for itself, a machine: only a guard with "clients" lets it in',
  userinfo: 'an access token of an OAuth client for the userinfo endpoint of the auth server alone',
  dpop: "an access token that is bound to its client's own key (DPoP)",
  id: 'an ID token: it tells a client who signed in, and is not for an API',
  logout: 'a logout token: it tells a client that a session has ended, and is not for an API',
  cookie: "the JWT in Better Auth's session cookie",
  encrypted: 'an encrypted JWT (JWE): only its issuer can read it',
  opaque: 'an opaque token: only its issuer can read it'
}

/** The kinds of token that have the issuer of the OAuth provider. */
const OAUTH_KINDS: ReadonlyArray<DoctorTokenKind | null> = ['delegated', 'client', 'userinfo']

/** By the claim for which the plugin refuses a token of another kind; all others are of an ID token. */
const KIND_OF_CLAIM: Readonly<Record<string, DoctorTokenKind>> = { cnf: 'dpop', events: 'logout', aud: 'cookie' }

/** A resource that any OAuth access token is made to name, to learn the rest about it from the plugin. */
const ANY = resolveResource('https://api.example.com', 'https://id.example.com/api/auth')!

/** The kind of a token, by its unverified header and claims; `null` if they fit no kind. */
export function kindOf (token: string): DoctorTokenKind | null {
  const { segments, header, payload } = openToken(token)
  if (segments === 5) return 'encrypted'
  if (segments !== 3) return /^[^\s"]+$/.test(token) ? 'opaque' : null
  if (header === undefined || payload === undefined) return null
  const typ = typeof header.typ === 'string' ? mediaType(header.typ) : undefined
  if (typ === SESSION_COOKIE_TYPE || isHmacCookie(header, payload)) return 'cookie'
  if (typ === 'logout+jwt') return 'logout'
  if (![undefined, 'jwt', 'at+jwt'].includes(typ)) return null
  return kindOfClaims(payload, typ)
}

/** The plugin's own code tells the kinds apart, whatever issuer and audience the token has. */
function kindOfClaims (payload: JsonObject, typ: string | undefined): DoctorTokenKind | null {
  const audiences = [payload.aud ?? ANY.url].flat()
  const named = isOAuthToken(payload, typ) ? { iss: ANY.issuer, aud: [...audiences, ANY.url] } : {}
  try {
    const { kind } = readAccessPrincipal({ ...payload, ...named }, typ, {
      issuer: false, audience: false, resource: ANY
    })
    if (kind === 'user') return kind
    // The audiences of an OAuth access token are strings: readAccessPrincipal() has checked them.
    return audiences.length > 0 && (audiences as string[]).every(isUserinfo) ? 'userinfo' : kind
  } catch (error) {
    const { reason, details } = error as BetterAuthError
    return reason === 'token_kind' ? KIND_OF_CLAIM[details.claim!] ?? 'id' : null
  }
}

/** Whether an audience is the userinfo endpoint of an OAuth provider: Better Auth adds it for the scope `openid`. */
export function isUserinfo (audience: string): boolean {
  return audience.endsWith('/oauth2/userinfo')
}

/** Without a key of the JWKS, the session cookie has neither a type nor an audience. */
function isHmacCookie ({ alg, kid }: JsonObject, { user, session }: JsonObject): boolean {
  return alg === 'HS256' && kid === undefined && typeof user === 'object' && typeof session === 'object'
}

/** Whether a token is an access token of an OAuth client that could be for this API. */
export function isOAuthKind (kind: DoctorTokenKind | null): boolean {
  return OAUTH_KINDS.includes(kind)
}

/**
 * The issuer and audience that a token of this kind must have; `null` if no API accepts its kind.
 *
 * @param oauthIssuer - the issuer that the plugin expects of OAuth access tokens.
 */
export function needsOf (
  kind: DoctorTokenKind | null, options: ResolvedOptions, oauthIssuer: string
): DoctorNeeds | null {
  if (kind === 'user') return userNeeds(options)
  if (!isOAuthKind(kind)) return null
  const audience = options.resource === undefined ? [] : [options.resource.url]
  return { issuer: [oauthIssuer], audience, options: ['resource.issuer', 'resource'] }
}

/** What a token of no other kind must have. */
export function userNeeds ({ issuer, audience }: ResolvedOptions): DoctorNeeds {
  return { issuer: shownIssuers(issuer), audience, options: ['issuer', 'audience'] }
}
