import type { FastifyRequest } from 'fastify'
import type { ResolvedAuth } from '../contract/resolve-auth.js'

/** Between two hops only (RFC 9110 §7.6.1), or about a body that has been read. */
const OF_THE_CONNECTION = [
  'connection', 'content-length', 'expect', 'http2-settings', 'keep-alive', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade'
]
/** What a proxy says about the client. Fastify reads it as `trustProxy` allows; anybody else must not believe it. */
const OF_PROXIES = ['forwarded', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto']
const HOST = /^[^\s/?#\\@]+$/
/** What a URL parser removes or replaces, and a router does not: then Better Auth would see another path. */
const REWRITTEN = /[\0-\x20\\]|\/(?:\.|%2e){1,2}(?=\/|$)/i

/**
 * A request as Better Auth expects it. Where it comes from is what Fastify says: `request.ip`, `request.protocol` and
 * `request.host`, and no header of the client.
 *
 * @throws TypeError for a host that no URL can have, or a path that is another one as a URL.
 */
export function toWebRequest (
  request: FastifyRequest, { url: base, isDynamic, ipHeaders }: ResolvedAuth, signal: AbortSignal
): Request {
  const { method, host, protocol } = request
  if (isDynamic && !HOST.test(host)) throw new TypeError('invalid host')
  // A `baseURL` that is known stays what it is, whatever the client sends.
  const origin = isDynamic ? `${protocol}://${host}` : new URL(base).origin
  // The target of a request may be an absolute URL (RFC 9112 §3.2.2).
  const path = request.url.replace(/^https?:\/\/[^/?#]*/i, '')
  if (REWRITTEN.test(path.replace(/[?#].*/s, ''))) throw new TypeError('invalid path')
  const body = method === 'GET' || method === 'HEAD' ? null : bodyOf(request)
  return new Request(origin + path, { method, headers: headersOf(request, ipHeaders), body, signal })
}

function bodyOf ({ body }: FastifyRequest): Uint8Array<ArrayBuffer> | null {
  return Buffer.isBuffer(body) && body.length > 0 ? body as Uint8Array<ArrayBuffer> : null
}

function headersOf ({ headers: given, host, ip }: FastifyRequest, ipHeaders: readonly string[]): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    // HTTP/2 has pseudo-headers.
    const isKept = !name.startsWith(':') && !OF_THE_CONNECTION.includes(name) && !OF_PROXIES.includes(name)
    if (value !== undefined && isKept) headers.set(name, String(value))
  }
  if (host !== '') headers.set('host', host)
  for (const name of ipHeaders) {
    // A Unix socket has no IP address.
    if (ip) headers.set(name, ip)
    else headers.delete(name)
  }
  return headers
}
