import type { FastifyRequest } from 'fastify'
import { RequestInvalidError, TokenInvalidError } from '../contract/errors.js'
import type { BetterAuthOptions } from '../contract/options.js'
import { ignoreRejection } from '../contract/settle.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import type { Verifier } from '../tokens/verifier.js'
import { isOpaque, readSessionToken } from './opaque-credentials.js'
import type { FoundCredential, Scheme } from './scheme.js'

type ExtractToken = NonNullable<BetterAuthOptions['extractToken']>

/** Bearer tokens, also those that come without a request. */
export interface BearerScheme extends Scheme {
  /**
   * How a token is verified: by the verifier alone, or in its own way.
   *
   * @param request - where it comes from, if from a request.
   * @throws TokenInvalidError
   */
  read (token: string, request?: FastifyRequest): string | FoundCredential
}

/**
 * Bearer tokens: in the `Authorization` header, else where the option `extractToken` finds one.
 *
 * @param sessions - for opaque session tokens; `undefined` if they are not exchanged.
 */
export function bearerScheme (
  verifier: Verifier, extractToken: ExtractToken | undefined, sessions?: ExchangedTokens
): BearerScheme {
  function read (token: string, request?: FastifyRequest): string | FoundCredential {
    if (sessions === undefined || !isOpaque(token)) return token
    const credential = {
      via: 'session-token', name: 'authorization', text: token, read: readSessionToken, request
    } as const
    return { verify: trace => sessions.verify(credential, trace) }
  }

  return {
    name: 'bearer',
    verifier,
    read,
    find (request) {
      const token = bearerToken(request) ?? (extractToken && extract(request, extractToken))
      return token === undefined ? undefined : read(token, request)
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
  if (typeof header !== 'string' || countHeaders(request, 'authorization') > 1) throw new RequestInvalidError()

  // Fast path for a well-formed header.
  const isPlain = header.startsWith('Bearer ') && header.indexOf(' ', 7) === -1 && header.indexOf('\t', 7) === -1
  if (isPlain && header.length > 7) return header.slice(7)

  if (!/^bearer(?![^ \t])/i.test(header)) return undefined
  // Spaces only, one or more, between the scheme and the token (RFC 9110 §11.4).
  const token = /^bearer +([^ \t]+)[ \t]*$/i.exec(header)?.[1]
  if (token === undefined) throw new RequestInvalidError()
  return token
}

/** How often a request has a header. @param header - its name in lower case. */
export function countHeaders ({ raw: { rawHeaders } }: FastifyRequest, header: string): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === header.length && name.toLowerCase() === header) count++
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
  ignoreRejection(token)
  if (token !== undefined && typeof token !== 'string') throw new TokenInvalidError('extract_token_failed')
  return token === '' ? undefined : token
}
