import type { FastifyRequest } from 'fastify'
import { TokenInvalidError } from '../contract/errors.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'
import type { Verifier } from '../tokens/verifier.js'
import { createKeyReader } from './opaque-credentials.js'
import type { Scheme } from './scheme.js'

/**
 * API keys, in a header of their own.
 *
 * @param name - of the header, in lower case.
 */
export function apiKeyScheme (verifier: Verifier, sessions: ExchangedTokens, name: string): Scheme {
  const read = createKeyReader(name)
  return {
    name: 'api-key',
    verifier,
    find (request: FastifyRequest) {
      const text = request.headers[name]
      if (text === undefined) return undefined
      // Node.js joins several headers of this name.
      if (typeof text !== 'string') throw new TokenInvalidError('credential_malformed')
      const credential = { via: 'api-key', name, text, read, request } as const
      return { verify: trace => sessions.verify(credential, trace) }
    }
  }
}
