import type { Claims, Session, User } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { VerificationKey } from '../keys/jwk.js'
import type { AuthorizationClaims } from './authorization-claims.js'
import type { Lifetime } from './claims.js'
import type { CredentialKind } from '../contract/principal.js'
import type { HeaderPolicy, JsonObject, JwsHeader } from './jws.js'
import type { TokenPrincipal } from './principal.js'

/**
 * The rules for one profile of JWT: what its header may say, which secret signs it, and how its payload is read. A
 * token of one profile never passes for another (RFC 8725 §3.12).
 */
export interface TokenProfile extends HeaderPolicy {
  /** What a token of this profile is as a credential. */
  readonly via: CredentialKind
  /** The shared secret for HS256; `undefined` accepts no HMAC token. */
  readonly secret: string | undefined
  /** Other forms that such a token may have; the secret proves each. */
  readonly forms?: readonly TokenForm[]
  /**
   * Validates a payload whose signature is valid, except for its times.
   *
   * @throws TokenInvalidError
   */
  read (payload: JsonObject, header: JwsHeader, now: number): TokenContent
}

/** A form of token that is no JWS, such as a JWE. */
export interface TokenForm {
  /** Whether a token has this form. */
  matches (token: string): boolean
  /**
   * Verifies that whoever has the secret made the token.
   *
   * @returns its claims, with the times of a JWT (RFC 7519 §4.1).
   * @throws TokenInvalidError
   */
  open (token: string): JsonObject
  /** The claims of a token that was opened before: nothing is verified. */
  decode (token: string): JsonObject
}

/** Whom a token stands for, and what it allows. */
export interface TokenContent {
  readonly principal: TokenPrincipal
  /** `null` for an OAuth client that acts for itself. */
  readonly user: Readonly<User> | null
  readonly session: Session | null
  readonly authorization: AuthorizationClaims
  /** When the session ends, in milliseconds since the epoch; infinity without a session. */
  readonly endsAt: number
}

/** A token that is valid in every respect, and for how long. Requests share it, so no code may write to it. */
export interface VerifiedToken extends Omit<TokenContent, 'endsAt'>, Lifetime {
  readonly token: string
  /** The credential that the request presented: this token, or what was exchanged for it. */
  readonly via: CredentialKind
  /** The options of the registration that verified it. */
  readonly options: ResolvedOptions
  /** Whether `user` holds primitive values only, so that a shallow copy of it is a full one. */
  readonly hasOnlyPrimitives: boolean
  /** The key that verified it; `undefined` for the shared secret. */
  readonly key: VerificationKey | undefined
  /** The form of a token that is no JWS. */
  readonly form?: TokenForm | undefined
  /**
   * The digest of what was exchanged for it: of a session token, also if a signature follows it, or of an API key.
   * `undefined` if nothing was exchanged.
   */
  readonly tokenDigest?: string | undefined
}

/** The claims of a verified token, a new object each time: requests must not share it. */
export function claimsOf ({ token, form }: Pick<VerifiedToken, 'token' | 'form'>): Claims {
  return form === undefined ? decodeClaims(token) : form.decode(token) as Claims
}

/** The payload of a JWS that was verified. */
export function decodeClaims (token: string): Claims {
  const segment = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'))
  return JSON.parse(Buffer.from(segment, 'base64url').toString()) as Claims
}
