import type { Claims, User } from '../contract/identity.js'
import type { Principal } from '../contract/principal.js'
import { claimsOf, type VerifiedToken } from '../tokens/verified-token.js'

/** Describes whom a verified token stands for. Nobody can change the result, except for its user. */
export function createPrincipal (
  verified: VerifiedToken, user: User, { exp }: Pick<Claims, 'exp'> = claimsOf(verified)
): Principal {
  const { via, principal, session, authorization: { organization = null } } = verified
  const expiresAt = Math.min(exp * 1000, session === null ? Infinity : Date.parse(session.expiresAt))
  if (principal.kind === 'user') {
    const sessionId = typeof session?.id === 'string' ? session.id : null
    return seal({ kind: 'user', user, via, sessionId, expiresAt, organization }, verified)
  }
  const { kind, clientId, sessionId } = principal
  const client = { clientId, scopes: Object.freeze([...principal.scopes]), via, sessionId, expiresAt, organization }
  return seal(kind === 'client' ? { kind, ...client } : { kind, user, ...client }, verified)
}

/** The verified token of a principal, or `undefined` for any other value, a copy of a principal included. */
export function verifiedTokenOf (principal: unknown): VerifiedToken | undefined {
  return Origin.of(principal)
}

function seal (principal: Principal, verified: VerifiedToken): Principal {
  // The constructor returns the principal.
  return Object.freeze(new Origin(principal, verified) as object as Principal)
}

class Given {
  constructor (object: object) { return object }
}

/**
 * Adds the verified token to a principal as a private field, which neither a log nor a copy of the principal shows: the
 * token is a credential.
 */
class Origin extends Given {
  readonly #verified: VerifiedToken

  constructor (principal: Principal, verified: VerifiedToken) {
    super(principal)
    this.#verified = verified
  }

  static of (value: unknown): VerifiedToken | undefined {
    return typeof value === 'object' && value !== null && #verified in value ? value.#verified : undefined
  }
}
