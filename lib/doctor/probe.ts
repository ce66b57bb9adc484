import type { FastifyRequest } from 'fastify'
import { createAdmission } from '../http/authenticate.js'
import { checkTimes } from '../tokens/claims.js'
import type { BetterAuthError, RefusalReason } from '../contract/errors.js'
import { parseJws, type Accepts, type JwsHeader } from '../tokens/jws.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Payload } from '../tokens/user-reader.js'
import type { TokenKind, VerifiedToken } from '../tokens/verifier.js'

/** Neither `bearerToken()` nor an admission without `isRevoked` looks at more of a request. */
export function requestWith (authorization: string): FastifyRequest {
  return { headers: { authorization }, raw: { rawHeaders: [] } } as unknown as FastifyRequest
}

/** The word for what a check throws, now or later; `null` when it throws nothing. */
export async function reasonOf (check: () => unknown): Promise<RefusalReason | null> {
  try {
    await check()
    return null
  } catch (error) {
    return (error as BetterAuthError).reason
  }
}

/** Judges a header by the plugin's own parser, in a token that has nothing else in it. @throws TokenInvalidError */
export function judgeHeader (header: Payload, accepts: Accepts): JwsHeader {
  // Of what is no text it only matters that it is none: an object may be too deep to be written.
  const flat = Object.fromEntries(Object.entries(header).map(([name, value]) => [name, typeof value === 'object' ? null : value]))
  return parseJws(`${Buffer.from(JSON.stringify(flat)).toString('base64url')}.e30.AA`, accepts)
}

/**
 * Judges a payload as the plugin does once the signature was found right.
 *
 * @throws TokenInvalidError, TokenExpiredError, ForbiddenError
 */
export function judgePayload (payload: Payload, header: JwsHeader, kind: TokenKind, options: ResolvedOptions, now: number): void {
  const subject = kind.read(payload, header, now)
  checkTimes(payload, options.clockTolerance, now)
  createAdmission(options, () => now)(requestWith(''), subject as unknown as VerifiedToken)
}
