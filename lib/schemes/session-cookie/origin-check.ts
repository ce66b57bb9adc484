import type { FastifyRequest } from 'fastify'
import { CsrfError } from '../../contract/errors.js'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']

/**
 * Protects against CSRF: a browser sends cookies by itself, whichever page caused the request. A request with an unsafe
 * method, or for a WebSocket, must come from the API's own origin or a trusted one. Its `Origin` header decides, or
 * without one `Sec-Fetch-Site` (W3C Fetch Metadata).
 *
 * @throws CsrfError
 */
export function checkOrigin (request: FastifyRequest, trustedOrigins: readonly string[]): void {
  const { origin, upgrade, 'sec-fetch-site': site } = request.headers
  if (SAFE_METHODS.includes(request.method) && upgrade === undefined) return
  // Behind a proxy that terminates TLS, the API may see its own origin as http, which is then the origin of an http
  // page too. `Sec-Fetch-Site` tells them apart.
  const isOwnSite = site === undefined || site === 'same-origin'
  const isTrusted = origin === undefined
    ? site === 'same-origin'
    : trustedOrigins.includes(origin) || (origin === `${request.protocol}://${request.host}` && isOwnSite)
  if (!isTrusted) throw new CsrfError()
}
