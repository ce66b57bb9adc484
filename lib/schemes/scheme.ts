import type { FastifyRequest } from 'fastify'
import type { VerifiedToken } from '../tokens/verified-token.js'
import type { Verifier } from '../tokens/verifier.js'

/** Several tokens, of which one at most may count. */
export interface SeveralTokens {
  /** Rejects with the errors of `Verifier.verify()`. */
  verify (trace?: { cached: boolean }): Promise<VerifiedToken>
}

/** One way in which a request can present a credential. Each is one security scheme of OpenAPI. */
export interface Scheme {
  readonly name: 'bearer' | 'cookie'
  /**
   * The token that the request presents in this way, or `undefined`; if it presents several, they come with their own
   * way to verify them.
   *
   * @throws RequestInvalidError, TokenInvalidError
   */
  find (request: FastifyRequest): string | SeveralTokens | undefined
  readonly verifier: Verifier
  /**
   * Judges how a verified token was presented: the origin of the page for a cookie.
   *
   * @throws BetterAuthError
   */
  checkUse? (request: FastifyRequest, verified: VerifiedToken): void
}
