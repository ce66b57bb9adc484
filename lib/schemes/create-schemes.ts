import type { FastifyBaseLogger } from 'fastify'
import { createExchangeClient } from '../auth-server/exchange-client.js'
import { shareExchanges, type SharedExchangeClient } from '../auth-server/shared-exchange.js'
import type { Transport } from '../auth-server/transport.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { KeyStore } from '../keys/key-store.js'
import { accessTokenProfile } from '../tokens/access-token.js'
import { createExchangedTokens, type ExchangedTokens } from '../tokens/exchanged-tokens.js'
import { createSignatureChecks } from '../tokens/signature-checks.js'
import type { UserReader } from '../tokens/user-reader.js'
import { createVerifier } from '../tokens/verifier.js'
import { apiKeyScheme } from './api-key.js'
import { bearerScheme, type BearerScheme } from './bearer.js'
import { createDpopScheme, exceptDpop } from './dpop/scheme.js'
import { readExchangeStatus, type ExchangeStatus } from './exchange-status.js'
import type { Scheme } from './scheme.js'
import { createExchangedCookie } from './session-cookie/exchanged-cookie.js'
import { sessionCookieProfile } from './session-cookie/jwt.js'
import { createSignedCookie, findEither, sessionCookieScheme } from './session-cookie/scheme.js'
import { askVersions } from './session-cookie/version.js'

/** What the schemes of one registration share. */
export interface SchemeContext {
  readonly keys: KeyStore
  readonly readUser: UserReader
  /** HTTP unless told. */
  readonly transport?: Transport | undefined
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

export interface Schemes {
  /** In the order in which they are tried: a browser sends cookies by itself, so they come last. */
  readonly schemes: readonly [BearerScheme, ...Scheme[]]
  /** The sessions behind opaque credentials; `undefined` without the option `exchange`. */
  readonly sessions: ExchangedTokens | undefined
  /** Where they are shared between instances; `undefined` without the option `exchange.shared`. */
  readonly shared: SharedExchangeClient | undefined
  /** The state of the exchange; `undefined` without the option `exchange`. */
  readonly status: (() => ExchangeStatus) | undefined
}

export function createSchemes (
  options: ResolvedOptions, { keys, readUser, transport, log, now, random }: SchemeContext
): Schemes {
  const { dpop, exchange, sessionCookie } = options
  const extractToken = dpop === undefined ? options.extractToken : exceptDpop(options.extractToken)
  const context = { keys, checks: createSignatureChecks(), now }
  const verifier = createVerifier(accessTokenProfile(options, readUser), options, context)

  async function findJwks (): Promise<string | null> {
    // Without the keys, no JWT can be verified either.
    if (keys.status().url === null) await keys.ready().catch(() => {})
    return keys.status().url
  }

  function createSessions (exchange: ResolvedExchange): Omit<Schemes, 'schemes'> {
    const own = createExchangeClient({
      exchange, headers: options.jwks.headers, findJwks, transport, log, now, random
    })
    const shared = exchange.shared && shareExchanges(own, { exchange, log, now, random })
    const sessions = createExchangedTokens({ exchange, client: shared ?? own, verifier, keys, log, now })
    return { sessions, shared, status: () => readExchangeStatus(sessions, own) }
  }

  const { sessions, shared, status } = exchange === undefined ? {} : createSessions(exchange)
  const schemes: [BearerScheme, ...Scheme[]] = [
    bearerScheme(verifier, extractToken, exchange?.sessionToken === true ? sessions : undefined)
  ]
  if (dpop !== undefined) schemes.push(createDpopScheme(dpop, options, readUser, context))
  if (exchange?.apiKey) {
    schemes.push(apiKeyScheme(verifier, sessions!, exchange.apiKey.header))
  }
  const cookie = createCookieScheme()
  if (cookie !== undefined) schemes.push(cookie)
  return { schemes, sessions, shared, status }

  function createCookieScheme (): Scheme | undefined {
    const secret = sessionCookie === false ? undefined : sessionCookie.secret
    const plain = exchange !== undefined && exchange.sessionCookie !== false
      ? createExchangedCookie(sessions!, exchange.sessionCookie.names, secret)
      : undefined
    if (sessionCookie === false) return plain && sessionCookieScheme(verifier, plain, [])
    const cookies = createVerifier(sessionCookieProfile(options, sessionCookie, readUser), options, context)
    const { version } = sessionCookie
    const own = typeof version === 'function' ? askVersions(cookies, version) : cookies
    const signed = createSignedCookie(own, sessionCookie.names)
    const find = plain === undefined ? signed : findEither(own, signed, plain)
    return sessionCookieScheme(own, find, sessionCookie.trustedOrigins)
  }
}
