import type { FastifyRequest } from 'fastify'
import { CsrfError } from '../../contract/errors.js'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']

/**
 * A browser sends cookies by itself, whoever made it send the request: an unsafe method, or a WebSocket, must come from the
 * API's own origin or a trusted one, by its `Origin` header or, lacking that, by `Sec-Fetch-Site` (W3C Fetch Metadata).
 *
 * @throws CsrfError
 */
export function checkOrigin (request: FastifyRequest, trustedOrigins: readonly string[]): void {
  const { origin, upgrade, 'sec-fetch-site': site } = request.headers
  if (SAFE_METHODS.includes(request.method) && upgrade === undefined) return
  const isTrusted = origin === undefined
    ? site === 'same-origin'
    // Behind a proxy that ends TLS the API may take itself for http: the browser knows better which site the page is of.
    : trustedOrigins.includes(origin) || (origin === `${request.protocol}://${request.host}` && (site === undefined || site === 'same-origin'))
  if (!isTrusted) throw new CsrfError()
}
