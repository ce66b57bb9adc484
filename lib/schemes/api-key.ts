import type { FastifyRequest } from 'fastify'
import { TokenInvalidError } from '../contract/errors.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import type { Verifier } from '../tokens/verifier.js'
import { isApiKey } from './opaque-credentials.js'
import type { Scheme } from './scheme.js'

/**
 * API keys, in a header of their own.
 *
 * @param name - of the header, in lower case.
 */
export function apiKeyScheme (verifier: Verifier, sessions: ExchangedTokens, name: string): Scheme {
  return {
    name: 'api-key',
    verifier,
    find (request: FastifyRequest) {
      const value = request.headers[name]
      if (value === undefined) return undefined
      // Node.js joins several headers of this name.
      if (typeof value !== 'string' || !isApiKey(value)) throw new TokenInvalidError('credential_malformed')
      const credential = { via: 'api-key', value, header: { name, value }, address: request.ip } as const
      return { verify: trace => sessions.verify(credential, trace) }
    }
  }
}
