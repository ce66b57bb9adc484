import type { ResolvedSessionCookie } from '../../contract/resolve-options.js'
import type { Verifier } from '../../tokens/verifier.js'
import type { Scheme } from '../scheme.js'
import { readSessionCookie } from './cookie.js'
import { checkOrigin } from './origin-check.js'

/** Better Auth's signed session cookie, which a browser sends by itself. */
export function sessionCookieScheme (verifier: Verifier, { names, trustedOrigins }: ResolvedSessionCookie): Scheme {
  return {
    name: 'cookie',
    verifier,
    find: request => readSessionCookie(request, names),
    checkUse: request => { checkOrigin(request, trustedOrigins) }
  }
}
