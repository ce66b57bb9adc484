import { checkAccessClaims } from './claims.js'
import { readGrants } from './authorization-claims.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { UserReader } from './user-reader.js'
import type { TokenKind } from './verifier.js'

/** The tokens that come as bearer tokens: of no type, `JWT`, or `at+jwt` (RFC 9068 §2.1). */
export function accessTokens (options: ResolvedOptions, readUser: UserReader): TokenKind {
  // With the session cookie on, the secret is the auth server's own, and serves only for what that signs with it: its cookie.
  const acceptsHmac = options.secret !== undefined && options.sessionCookie === false
  return {
    algorithms: new Set(acceptsHmac ? [...options.algorithms, 'HS256'] : options.algorithms),
    types: [undefined, 'jwt', 'at+jwt'],
    read (payload, { typ }) {
      checkAccessClaims(payload, typ, options)
      return { user: readUser(payload), session: null, grants: readGrants(payload), endsAt: Infinity }
    }
  }
}
