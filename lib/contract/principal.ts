import type { User } from './identity.js'

/**
 * How a request was authenticated: by a JWT as bearer token, by an access token with a proof of its client's key
 * (`dpop`), by the signed session cookie (`session_data`), or by a credential that was exchanged at the auth server: a
 * session token, the session cookie (`session_token`), or an API key.
 */
export type CredentialKind = 'bearer' | 'dpop' | 'cookie' | 'session-token' | 'session-cookie' | 'api-key'

/** An organization of Better Auth's organization plugin. */
export interface Organization {
  readonly id: string
  readonly slug?: string | undefined
  /** The user's role in it, as Better Auth writes it: several are separated by commas. */
  readonly role?: string | undefined
}

interface Authenticated {
  /** How the request was authenticated. */
  readonly via: CredentialKind
  /**
   * The id of Better Auth's session: from the session cookie, or from an OAuth access token (`sid`); `null` for other
   * tokens, which do not say it. It is not the session's token.
   */
  readonly sessionId: string | null
  /** When the token or its session expires, in milliseconds since the epoch, without the clock tolerance. */
  readonly expiresAt: number
  /**
   * The user's active organization: from a session cookie, from the claim `o`, or by the option `organizationFrom`;
   * `null` if they name none, and for OAuth clients.
   */
  readonly organization: Organization | null
}

interface OAuthClient extends Authenticated {
  /** The OAuth client: the claim `client_id`, else `azp`. */
  readonly clientId: string
  /** The scopes that the token was granted (RFC 9068 §2.2.3), without those that they include. */
  readonly scopes: readonly string[]
}

/** A user of the Better Auth server, with a token of the jwt() plugin or with the session cookie. */
export interface UserPrincipal extends Authenticated {
  readonly kind: 'user'
  readonly user: User
}

/** An OAuth client that acts for a user, as far as its scopes go. */
export interface DelegatedPrincipal extends OAuthClient {
  readonly kind: 'delegated'
  /** What the token says about the user: often the id alone. */
  readonly user: User
}

/** An OAuth client that acts for itself: a machine (RFC 6749 §4.4). It has no user. */
export interface ClientPrincipal extends OAuthClient {
  readonly kind: 'client'
}

/**
 * Whom a request comes from.
 *
 * @example
 * switch (request.principal.kind) {
 *   case 'user': return ordersOf(request.principal.user.id)
 *   case 'delegated': return ordersOf(request.principal.user.id, { through: request.principal.clientId })
 *   case 'client': return allOrders()
 * }
 */
export type Principal = UserPrincipal | DelegatedPrincipal | ClientPrincipal
