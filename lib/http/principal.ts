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
    return Object.freeze({ kind: 'user', user, via, sessionId, expiresAt, organization })
  }
  const { kind, clientId, sessionId } = principal
  const client = { clientId, scopes: Object.freeze([...principal.scopes]), via, sessionId, expiresAt, organization }
  return Object.freeze(kind === 'client' ? { kind, ...client } : { kind, user, ...client })
}
