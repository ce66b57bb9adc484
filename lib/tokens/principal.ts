import { TokenInvalidError } from '../contract/errors.js'
import type { ResolvedResource } from '../contract/resolve-resource.js'
import { readScopes } from './authorization-claims.js'
import { checkAudience, checkIssuer } from './claims.js'
import type { JsonObject } from './jws.js'

/** Whom a token stands for: a user, an OAuth client that acts for a user, or an OAuth client alone. */
export type TokenPrincipal = { readonly kind: 'user' } | OAuthPrincipal

/** Whom an OAuth access token stands for. */
export interface OAuthPrincipal {
  readonly kind: 'delegated' | 'client'
  readonly clientId: string
  /** As granted, without the scopes that they include. */
  readonly scopes: readonly string[]
  readonly sessionId: string | null
  /** The thumbprint of the key that the token is bound to (RFC 9449 §6.1). */
  readonly boundTo?: string
}

export const USER: TokenPrincipal = Object.freeze({ kind: 'user' })

/**
 * Whether a token is an OAuth access token, by its header or by a claim that only they have: `at+jwt` is the type of
 * RFC 9068 §2.1; up to version 1.6, Better Auth's have no type, and name their client in `azp`.
 *
 * @param typ - the header's `typ`, in lower case and without `application/`.
 */
export function isOAuthToken ({ client_id: clientId, azp }: JsonObject, typ: string | undefined): boolean {
  return typ === 'at+jwt' || clientId !== undefined || azp !== undefined
}

/**
 * Validates the claims of an OAuth access token (RFC 9068 §4), except for its user and its times.
 *
 * @param resource - this API; `undefined` if it accepts no OAuth access tokens.
 * @throws TokenInvalidError
 */
export function readOAuthPrincipal (payload: JsonObject, resource: ResolvedResource | undefined): OAuthPrincipal {
  if (resource === undefined) throw new TokenInvalidError('oauth_token_not_accepted')
  checkIssuer(payload.iss, [resource.issuer])
  checkAudience(payload.aud, resource.audiences)
  const clientId = readClientId(payload)
  const sub = readText(payload, 'sub')
  // Better Auth writes null for a session that has ended: the refresh token lives on.
  const sessionId = payload.sid === null ? null : readText(payload, 'sid') ?? null
  // A session is always a user's.
  if (sub === undefined && sessionId !== null) throw new TokenInvalidError('claim_missing', { claim: 'sub' })
  // A client that acts for itself is its own subject (RFC 9068 §2.2); up to version 1.6 there is none.
  const isAlone = sub === undefined || (sub === clientId && sessionId === null)
  return { kind: isAlone ? 'client' : 'delegated', clientId, scopes: readScopes(payload), sessionId }
}

function readClientId (payload: JsonObject): string {
  const clientId = readText(payload, 'client_id')
  const azp = readText(payload, 'azp')
  if (clientId !== undefined && azp !== undefined && clientId !== azp) {
    throw new TokenInvalidError('claim_invalid', { claim: 'azp' })
  }
  const id = clientId ?? azp
  if (id === undefined) throw new TokenInvalidError('claim_missing', { claim: 'client_id' })
  return id
}

function readText (payload: JsonObject, claim: string): string | undefined {
  const value = payload[claim]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new TokenInvalidError('claim_invalid', { claim })
}

/** Scopes, and those that they include. */
export function includeScopes (scopes: readonly string[], { scopeIncludes }: ResolvedResource): readonly string[] {
  if (scopeIncludes.size === 0) return scopes
  return [...new Set(scopes.flatMap(scope => scopeIncludes.get(scope) ?? scope))]
}
