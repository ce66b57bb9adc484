import type { FastifyRequest } from 'fastify'
import { CsrfError } from '../../contract/errors.js'
import type { ResolvedSessionCookie } from '../../contract/resolve-options.js'
import { ignoreRejection } from '../../contract/settle.js'
import { matchOrigins, normalizeOrigin, showOrigin } from '../../contract/trusted-origins.js'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']

/**
 * Creates the protection against CSRF: a browser sends cookies by itself, whichever page caused the request. A request
 * with an unsafe method, or for a WebSocket, must come from the API's own origin or a trusted one. Its `Origin` header
 * decides, or without one `Sec-Fetch-Site` (W3C Fetch Metadata), which no page can set.
 *
 * @returns a function that throws a CsrfError.
 */
export function createOriginCheck (
  trusted: ResolvedSessionCookie['trustedOrigins']
): (request: FastifyRequest) => void {
  const listed = typeof trusted === 'function' ? [] : trusted
  const isListed = matchOrigins(listed)

  function isTrusted (request: FastifyRequest, own: string): boolean {
    const { origin: text, 'sec-fetch-site': site } = request.headers
    const origin = text === undefined ? undefined : normalizeOrigin(text)
    // Not an origin, or `null`, which any page can make its browser send.
    if (text !== undefined && origin === undefined) return false
    if (origin === undefined ? site === 'same-origin' : isOwn(origin, own, site)) return true
    if (typeof trusted !== 'function') return origin !== undefined && isListed(origin)
    const verdict: unknown = trusted(origin, request)
    ignoreRejection(verdict)
    return verdict === true
  }

  return request => {
    const { origin, upgrade, 'sec-fetch-site': site } = request.headers
    if (SAFE_METHODS.includes(request.method) && upgrade === undefined) return
    const own = `${request.protocol}://${request.host}`
    let cause: unknown
    try {
      if (isTrusted(request, own)) return
    } catch (error) {
      cause = error
    }
    const show = (text: string | undefined) => text === undefined ? null : showOrigin(text)
    throw new CsrfError({ origin: show(origin), site: show(site), expected: [showOrigin(own), ...listed] }, cause)
  }
}

/**
 * Behind a proxy that terminates TLS, the API may see its own origin as http, which is then the origin of an http page
 * too, and a proxy may drop the port. Where the browser reports the site, that decides, and only the host is compared.
 */
function isOwn (origin: string, own: string, site: unknown): boolean {
  const normalized = normalizeOrigin(own)
  if (normalized === undefined) return false
  if (site === undefined) return origin === normalized
  return site === 'same-origin' && hostOf(origin) === hostOf(normalized)
}

function hostOf (origin: string): string {
  return origin.replace(/https?:\/\//, '').replace(/:\d+$/, '')
}
