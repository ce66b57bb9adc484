import type { FastifyRequest } from 'fastify'
import { isBetterAuthError, TokenInvalidError } from '../../contract/errors.js'
import type { ExchangedTokens } from '../../tokens/exchanged-tokens.js'
import type { OpaqueCredential } from '../../tokens/opaque-credential.js'
import type { VerifiedToken } from '../../tokens/verified-token.js'
import type { Trace } from '../../tokens/verifier.js'
import { createCookieValueReader } from '../opaque-credentials.js'
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
  const cookies = names.map(name => ({
    name, find: createCookieReader([name], false), read: createCookieValueReader(name, secret)
  }))

  return request => {
    if (request.headers.cookie === undefined) return undefined
    const byName: Texts[] = []
    for (const { name, find, read } of cookies) {
      for (const texts of find(request)) byName.push({ texts, name, read })
    }
    const [first] = byName
    if (first === undefined) return undefined
    const { texts, name, read } = first
    if (byName.length === 1 && typeof texts !== 'string' && texts.length === 1) {
      const credential = { via: 'session-cookie', name, text: texts[0]!, read, request } as const
      return { verify: trace => sessions.verify(credential, trace) }
    }
    return {
      verify: trace => verifyCandidates(sessions, byName.map(found => toCredentials(found, request)), trace)
    }
  }
}

/** The cookies of one name. */
interface Texts extends Pick<OpaqueCredential, 'name' | 'read'> { readonly texts: Candidates }

/** Those that are well-formed. One session in two spellings is one. */
function toCredentials ({ texts, name, read }: Texts, request: FastifyRequest): Found {
  if (typeof texts === 'string') return texts
  const found = new Map<string, OpaqueCredential>()
  for (const text of texts) {
    try {
      found.set(read(text).header.value, { via: 'session-cookie', name, text, read, request })
    } catch {}
  }
  return [...found.values()]
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
    if (typeof candidates === 'string') throw new TokenInvalidError(candidates)
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
  throw refusal ?? new TokenInvalidError('credential_malformed')
}
