import type { FastifyRequest } from 'fastify'
import { RequestInvalidError, TokenInvalidError } from '../contract/errors.js'
import type { BetterAuthOptions } from '../contract/options.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import type { Verifier } from '../tokens/verifier.js'
import { isOpaque, readSessionToken } from './opaque-credentials.js'
import type { Scheme } from './scheme.js'

type ExtractToken = NonNullable<BetterAuthOptions['extractToken']>

/**
 * Bearer tokens: in the `Authorization` header, else where the option `extractToken` finds one.
 *
 * @param sessions - for opaque session tokens; `undefined` if they are not exchanged.
 */
export function bearerScheme (
  verifier: Verifier, extractToken: ExtractToken | undefined, sessions?: ExchangedTokens
): Scheme {
  return {
    name: 'bearer',
    verifier,
    find (request) {
      const token = bearerToken(request) ?? (extractToken && extract(request, extractToken))
      if (token === undefined || sessions === undefined || !isOpaque(token)) return token
      const credential = {
        via: 'session-token', name: 'authorization', text: token, read: readSessionToken, request
      } as const
      return { verify: trace => sessions.verify(credential, trace) }
    }
  }
}

/**
 * The token in the `Authorization` header (RFC 6750 §2.1).
 *
 * @returns `undefined` without the header or with another scheme.
 * @throws RequestInvalidError if the header is malformed.
 */
export function bearerToken (request: FastifyRequest): string | undefined {
  const header: unknown = request.headers.authorization
  if (header === undefined) return undefined
  // Two headers can name two users, and Node.js shows only the first.
  if (typeof header !== 'string' || countAuthorization(request.raw.rawHeaders) > 1) throw new RequestInvalidError()

  // Fast path for a well-formed header.
  const isPlain = header.startsWith('Bearer ') && header.indexOf(' ', 7) === -1 && header.indexOf('\t', 7) === -1
  if (isPlain && header.length > 7) return header.slice(7)

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

function extract (request: FastifyRequest, extractToken: ExtractToken): string | undefined {
  let token: unknown
  try {
    token = extractToken(request)
  } catch {
    throw new TokenInvalidError('extract_token_failed')
  }
  // Nothing awaits the promise, and its rejection would end the process.
  if (token instanceof Promise) token.catch(() => {})
  if (token !== undefined && typeof token !== 'string') throw new TokenInvalidError('extract_token_failed')
  return token === '' ? undefined : token
}
