import type { FastifyRequest } from 'fastify'
import { bearerToken } from './bearer.js'
import { TokenInvalidError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { readSessionCookie } from './session-cookie/jwt.js'

/** A token that a request brought, and which kind it has to be. */
export interface Credential {
  readonly token: string
  readonly isCookie: boolean
}

type Places = Pick<ResolvedOptions, 'extractToken' | 'sessionCookie'>

/**
 * The one token that decides: the bearer token in the header, else what `extractToken` finds, else the session cookie.
 *
 * @throws RequestInvalidError, TokenInvalidError
 */
export function findCredential (request: FastifyRequest, { extractToken, sessionCookie }: Places): Credential | undefined {
  const token = bearerToken(request) ?? (extractToken && extract(request, extractToken))
  if (token !== undefined) return { token, isCookie: false }
  const cookie = sessionCookie && readSessionCookie(request, sessionCookie.names)
  return cookie ? { token: cookie, isCookie: true } : undefined
}

function extract (request: FastifyRequest, extractToken: NonNullable<Places['extractToken']>): string | undefined {
  let token: unknown
  try {
    token = extractToken(request)
  } catch {
    throw new TokenInvalidError('extract_token_failed')
  }
  // Nobody waits for a promise, and its rejection would end the process.
  if (token instanceof Promise) token.catch(() => {})
  if (token !== undefined && typeof token !== 'string') throw new TokenInvalidError('extract_token_failed')
  return token === '' ? undefined : token
}
