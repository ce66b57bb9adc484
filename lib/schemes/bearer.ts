import type { FastifyRequest } from 'fastify'
import { RequestInvalidError } from '../contract/errors.js'

/**
 * The token in the `Authorization` header (RFC 6750 §2.1).
 *
 * @returns `undefined` without the header or with another scheme.
 * @throws RequestInvalidError when the header is malformed.
 */
export function bearerToken (request: FastifyRequest): string | undefined {
  const header: unknown = request.headers.authorization
  if (header === undefined) return undefined
  // Two headers are two opinions of who this is, and Node.js shows only the first.
  if (typeof header !== 'string' || countAuthorization(request.raw.rawHeaders) > 1) throw new RequestInvalidError()

  // The way of nearly all requests, without a split.
  if (header.startsWith('Bearer ') && header.indexOf(' ', 7) === -1 && header.indexOf('\t', 7) === -1 && header.length > 7) return header.slice(7)

  if (!/^bearer(?![^ \t])/i.test(header)) return undefined
  // Spaces only, one or more, between the scheme and the token (RFC 9110 §11.4).
  const token = /^bearer +([^ \t]+)[ \t]*$/i.exec(header)?.[1]
  if (token === undefined) throw new RequestInvalidError()
  return token
}

function countAuthorization (rawHeaders: readonly string[]): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++
  }
  return count
}
