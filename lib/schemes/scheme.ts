import type { FastifyRequest } from 'fastify'
import type { VerifiedToken } from '../tokens/verified-token.js'
import type { Trace, Verifier } from '../tokens/verifier.js'

/** A credential with its own way to verify it: several tokens, of which one at most may count, or an opaque one. */
export interface FoundCredential {
  /** Throws, or rejects with, the errors of `Verifier.verify()`, and `ExchangeUnavailableError`. */
  verify (trace?: Trace): VerifiedToken | Promise<VerifiedToken>
}

/** One way in which a request can present a credential. Each is one security scheme of OpenAPI. */
export interface Scheme {
  readonly name: 'bearer' | 'dpop' | 'cookie' | 'api-key'
  /**
   * The token that the request presents in this way, or `undefined`; if the verifier alone cannot verify it, with its
   * own way.
   *
   * @throws RequestInvalidError, TokenInvalidError
   */
  find (request: FastifyRequest): string | FoundCredential | undefined
  readonly verifier: Verifier
  /**
   * Judges how a verified token was presented: the origin of the page for a cookie.
   *
   * @throws BetterAuthError
   */
  checkUse? (request: FastifyRequest, verified: VerifiedToken): void
}
