import type { FastifyRequest } from 'fastify'
import { isBetterAuthError } from '../../contract/errors.js'
import type { ResolvedSessionCookie } from '../../contract/resolve-options.js'
import type { VerifiedToken } from '../../tokens/verified-token.js'
import type { Trace, Verifier } from '../../tokens/verifier.js'
import type { FoundCredential, Scheme } from '../scheme.js'
import { createCookieReader } from './cookie.js'
import { createOriginCheck } from './origin-check.js'
import { verifyCandidates } from './verify-candidates.js'

/** A way to find a cookie. */
export type FindCookie = (request: FastifyRequest) => string | FoundCredential | undefined

/** Better Auth's session cookies, which a browser sends by itself. */
export function sessionCookieScheme (
  verifier: Verifier, find: FindCookie, trustedOrigins: ResolvedSessionCookie['trustedOrigins']
): Scheme {
  return { name: 'cookie', verifier, find, checkUse: createOriginCheck(trustedOrigins) }
}

/** Finds the signed session cookie, `session_data`. */
export function createSignedCookie (verifier: Verifier, names: readonly string[]): FindCookie {
  const readCookies = createCookieReader(names)
  return request => {
    const byName = readCookies(request)
    const [candidates] = byName
    if (candidates === undefined) return undefined
    if (byName.length === 1 && typeof candidates !== 'string' && candidates.length === 1) return candidates[0]
    return { verify: trace => verifyCandidates(verifier, byName, trace) }
  }
}

/**
 * Finds the signed cookie, else the plain one that is exchanged. If the signed one is refused, for example because it
 * is from yesterday, the auth server judges the plain one.
 */
export function findEither (verifier: Verifier, signed: FindCookie, plain: FindCookie): FindCookie {
  return request => {
    const first = signed(request)
    if (first === undefined) return plain(request)

    function orPlain (error: unknown, trace: Trace | undefined): VerifiedToken | Promise<VerifiedToken> {
      const isInvalid = isBetterAuthError(error) && error.statusCode === 401 && error.reason !== 'cookie_ambiguous'
      const second = isInvalid ? plain(request) : undefined
      if (typeof second !== 'object') throw error
      return second.verify(trace)
    }
    return {
      verify (trace) {
        try {
          const verified = typeof first === 'string' ? verifier.verify(first, trace) : first.verify(trace)
          return verified instanceof Promise ? verified.catch((error: unknown) => orPlain(error, trace)) : verified
        } catch (error) {
          return orPlain(error, trace)
        }
      }
    }
  }
}
