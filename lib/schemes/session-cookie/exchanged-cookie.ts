import type { FastifyRequest } from 'fastify'
import { isBetterAuthError, TokenInvalidError } from '../../contract/errors.js'
import type { ExchangedTokens, OpaqueCredential } from '../../tokens/exchanged-tokens.js'
import type { VerifiedToken } from '../../tokens/verified-token.js'
import type { Trace } from '../../tokens/verifier.js'
import { readSignedToken } from '../opaque-credentials.js'
import type { FoundCredential } from '../scheme.js'
import { createCookieReader, type Candidates } from './cookie.js'

/**
 * Finds Better Auth's plain session cookie, `session_token`.
 *
 * @param names - the names that it may have, the safest first.
 * @param secret - the secret of the auth server; `undefined` leaves it to the auth server to check the signature.
 */
export function createExchangedCookie (
  sessions: ExchangedTokens, names: readonly string[], secret: string | undefined
): (request: FastifyRequest) => FoundCredential | undefined {
  // Better Auth never writes this cookie in chunks, and reads none.
  const cookies = names.map(name => ({ name, read: createCookieReader([name], false) }))

  return request => {
    const byName = cookies.flatMap(({ name, read }) => read(request).map(values => ({ name, values })))
    if (byName.length === 0) return undefined
    const { ip: address } = request

    function toCredential (name: string, text: string): OpaqueCredential | undefined {
      const value = readSignedToken(text, secret)
      if (value === undefined) return undefined
      return { via: 'session-cookie', value, header: { name: 'cookie', value: `${name}=${value}` }, address }
    }

    return {
      verify (trace) {
        const candidates = byName.map(({ name, values }) => {
          if (typeof values === 'string') return values
          // One session in two spellings is one.
          const known = new Map(values.map(text => toCredential(name, text)).map(one => [one?.value, one]))
          return [...known.values()].filter(one => one !== undefined)
        }).filter(found => found.length > 0)
        const [first] = candidates
        if (first === undefined) throw new TokenInvalidError('credential_malformed')
        if (candidates.length === 1 && typeof first !== 'string' && first.length === 1) {
          return sessions.verify(first[0]!, trace)
        }
        return verifyCandidates(sessions, candidates, trace)
      }
    }
  }
}

/** The credentials of one name, or the reason why none of them can be verified. */
type Found = readonly OpaqueCredential[] | Exclude<Candidates, readonly string[]>

/**
 * Verifies every candidate of the safest name, as for the signed cookie: an invalid one, which a sibling host can add,
 * must not hide a valid one, and of two valid sessions nobody can tell which is the user's.
 */
async function verifyCandidates (
  sessions: ExchangedTokens, byName: readonly Found[], trace?: Trace
): Promise<VerifiedToken> {
  let refusal: unknown
  for (const candidates of byName) {
    if (candidates === 'cookie_ambiguous') throw new TokenInvalidError(candidates)
    if (candidates === 'cookie_malformed') {
      refusal ??= new TokenInvalidError(candidates)
      continue
    }
    const accepted: VerifiedToken[] = []
    let isCached = true
    for (const candidate of candidates) {
      const own = { cached: false }
      try {
        accepted.push(await sessions.verify(candidate, own))
        isCached &&= own.cached
      } catch (error) {
        if (!isBetterAuthError(error) || error.statusCode !== 401) throw error
        refusal ??= error
      }
    }
    if (accepted.length > 1) throw new TokenInvalidError('cookie_ambiguous')
    if (accepted.length === 0) continue
    if (trace !== undefined) trace.cached = isCached
    return accepted[0]!
  }
  throw refusal
}
