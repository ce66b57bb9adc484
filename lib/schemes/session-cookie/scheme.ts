import type { ResolvedSessionCookie } from '../../contract/resolve-options.js'
import type { Verifier } from '../../tokens/verifier.js'
import type { Scheme } from '../scheme.js'
import { createCookieReader } from './cookie.js'
import { createOriginCheck } from './origin-check.js'
import { askVersions } from './version.js'
import { verifyCandidates } from './verify-candidates.js'

/** Better Auth's signed session cookie, which a browser sends by itself. */
export function sessionCookieScheme (
  given: Verifier, { names, trustedOrigins, version }: ResolvedSessionCookie
): Scheme {
  const verifier = typeof version === 'function' ? askVersions(given, version) : given
  const readCookies = createCookieReader(names)
  return {
    name: 'cookie',
    verifier,
    find (request) {
      const byName = readCookies(request)
      const [candidates] = byName
      if (candidates === undefined) return undefined
      if (byName.length === 1 && typeof candidates !== 'string' && candidates.length === 1) return candidates[0]
      return { verify: trace => verifyCandidates(verifier, byName, trace) }
    },
    checkUse: createOriginCheck(trustedOrigins)
  }
}
