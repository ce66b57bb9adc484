import { hash, randomBytes } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { ExchangeClient } from '../auth-server/exchange-client.js'
import { ExchangeUnavailableError, JwksUnavailableError, TokenInvalidError } from '../contract/errors.js'
import type { ReasonOf } from '../contract/reasons.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import type { KeyStore } from '../keys/key-store.js'
import { createFirstVerdicts, createRefusedCredentials } from './refused-credentials.js'
import { createKnownSessions, isEnded, type KnownSession } from './known-sessions.js'
import type { OpaqueCredential, ReadCredential } from './opaque-credential.js'
import type { VerifiedToken } from './verified-token.js'
import type { Trace, Verifier } from './verifier.js'

/** The sessions behind opaque credentials, as the auth server reported them. */
export interface ExchangedTokens {
  /** How many sessions are known. */
  readonly size: number
  /**
   * The verified JWT for a credential: at once if it was exchanged recently, else as a promise.
   *
   * @param trace - its `cached` becomes `true` if nothing was exchanged.
   * @throws TokenInvalidError, TokenExpiredError, JwksUnavailableError, ExchangeUnavailableError
   */
  verify (credential: OpaqueCredential, trace?: Trace): VerifiedToken | Promise<VerifiedToken>
  /** Forgets sessions, so that they are exchanged anew. Exchanges that have begun do not count any more. */
  forget (isMeant: (verified: VerifiedToken) => boolean): void
  /** A digest of a credential, or of a part of one. */
  digest (text: string): string
}

export interface ExchangedTokensContext {
  readonly exchange: ResolvedExchange
  readonly client: ExchangeClient
  readonly verifier: Verifier
  readonly keys: KeyStore
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A credential while it is exchanged. */
interface Sent extends ReadCredential, Pick<OpaqueCredential, 'via'> { readonly address: string | undefined }

/** No credential is longer. */
const MAX_LENGTH = 512
/** The share of `maxAge` after which a session is exchanged in the background. */
const REFRESH_AT = 0.8
/**
 * How long a session that was known is refused before the auth server is asked once more, in milliseconds: while its
 * database is down, Better Auth says of every session that there is none.
 */
const ENDED_FOR = 5000

export function createExchangedTokens (
  { exchange, client, verifier, keys, log, now }: ExchangedTokensContext
): ExchangedTokens {
  const { max, maxAge, apiKey, staleIfError } = exchange
  const sessions = createKnownSessions(max)
  const refused = createRefusedCredentials(max, now)
  const pending = new Map<string, Promise<VerifiedToken>>()
  /** No credential is kept, but a digest that nobody can compute elsewhere. */
  const salt = randomBytes(32).toString('base64')
  const firstVerdicts = createFirstVerdicts(log)
  /** Changes with each call of `forget()`. */
  let generation = {}

  function digest (text: string): string {
    return hash('sha256', salt + text, 'base64')
  }

  /** If the clock was set back, infinitely long. */
  function ageOf ({ exchangedAt }: KnownSession): number {
    const age = now() - exchangedAt
    return age < 0 ? Infinity : age
  }

  function isValid ({ verified: { notBefore, expiresAt, key } }: KnownSession): boolean {
    const time = now()
    return time >= notBefore && time < expiresAt && (key === undefined || keys.isTrusted(key))
  }

  /**
   * There is one exchange of a credential at a time, and everybody who waits for it gets its result. With a `maxAge` of
   * 0, nobody does: the session may have ended after the exchange began.
   */
  function renew (id: string, credential: OpaqueCredential): Promise<VerifiedToken> {
    const { via, text, read, request } = credential
    const running = pending.get(id)
    if (running !== undefined && maxAgeOf(via) > 0) return running
    const renewed = exchangeNow(id, { via, ...read(text), address: request?.ip }).finally(() => {
      if (pending.get(id) === renewed) pending.delete(id)
    })
    pending.set(id, renewed)
    return renewed
  }

  async function exchangeNow (id: string, credential: Sent): Promise<VerifiedToken> {
    const session = sessions.peek(id)
    const refusal = refused.find(id)
    if (isVerdict(refusal)) throw refusal
    if (refusal !== undefined) return await fallBack(id, refusal)
    const startedIn = generation
    try {
      const renewed = await ask(id, credential, session !== undefined, session?.exchangedAt)
      // An exchange beside this one may have found that the session has ended.
      if (generation === startedIn && refused.find(id) === undefined) sessions.set(id, renewed)
      return renewed.verified
    } catch (error) {
      if (!isVerdict(error)) return await fallBack(id, error)
      const { reason, details } = error
      const createError = () => new TokenInvalidError(reason as ReasonOf<typeof error.code>, details)
      // Without this, each request would cost an exchange, with the same result.
      refused.add(id, createError, session !== undefined && !isEnded(session) ? ENDED_FOR : undefined)
      sessions.end(id)
      throw error
    }
  }

  async function ask (
    id: string, credential: Sent, isKnown: boolean, after = -Infinity
  ): Promise<KnownSession> {
    const { via, token, header, address } = credential
    const result = await client.exchange({ header, address, isKnown, token, maxAge: maxAgeOf(via), after })
    switch (result.kind) {
      case 'token': {
        const { exchangedAt, isShared = false } = result
        try {
          const verified = { ...await verifier.verify(result.token), via, tokenDigest: digest(token) }
          firstVerdicts.accept(via)
          return { verified, exchangedAt }
        } catch (error) {
          if (!isShared || error instanceof JwksUnavailableError) throw error
          // It may have expired, or its key was removed since: a newer one decides.
          return await ask(id, credential, isKnown, exchangedAt)
        }
      }
      case 'refused':
        firstVerdicts.refuse(via)
        throw new TokenInvalidError('credential_refused')
      case 'limited': {
        const { retryAfter } = result
        const createError = () => new ExchangeUnavailableError(retryAfter, 'api_key_limited')
        refused.add(id, createError, retryAfter)
        throw createError()
      }
    }
  }

  function maxAgeOf (via: OpaqueCredential['via']): number {
    return via === 'api-key' && apiKey ? apiKey.maxAge : maxAge
  }

  /** The session as it is known, if the auth server does not say whether it still is. */
  async function fallBack (id: string, error: unknown): Promise<VerifiedToken> {
    const session = sessions.peek(id)
    if (session === undefined || ageOf(session) >= staleIfError || now() >= session.verified.expiresAt) throw error
    const { via, token, tokenDigest } = session.verified
    return { ...await verifier.verify(token), via, tokenDigest }
  }

  return {
    get size () { return sessions.size },
    verify (credential, trace) {
      const { via, name, text } = credential
      if (text.length > MAX_LENGTH) throw new TokenInvalidError('credential_malformed')
      const id = digest(`${via} ${name} ${text}`)
      const session = sessions.get(id)
      if (session === undefined || !isValid(session)) return renew(id, credential)
      const isKey = via === 'api-key'
      const allowed = maxAgeOf(via)
      const age = ageOf(session)
      // During an outage, known sessions do not wait for the attempt that finds out whether it is over.
      if (age >= allowed && !(age < staleIfError && client.failing)) return renew(id, credential)
      // Each exchange is one use of a key: none is made before it must be.
      const isDue = age >= REFRESH_AT * allowed && (!isKey || age >= allowed)
      if (isDue && !client.isPausing()) renew(id, credential).catch(() => {})
      if (trace !== undefined) trace.cached = true
      return session.verified
    },
    forget (isMeant) {
      generation = {}
      pending.clear()
      sessions.endAll(({ verified }) => isMeant(verified))
    },
    digest
  }
}

/**
 * Whether an error says that the credential is invalid. That a key is unknown does not: the key store learns a key that
 * the auth server has just made only after a pause.
 */
function isVerdict (error: unknown): error is TokenInvalidError {
  return error instanceof TokenInvalidError && error.reason !== 'unknown_key'
}
