import { checkSecret, invalid, readOptions, withDefaults } from './check-options.js'
import { cookieNames } from './cookie-names.js'
import { InvalidOptionError } from './setup-errors.js'
import type { ExchangeOptions, SharedExchangeOptions } from './exchange-options.js'
import {
  API_KEY_OPTIONS, EXCHANGE_OPTIONS, EXCHANGED_COOKIE_OPTIONS, SHARED_EXCHANGE_OPTIONS
} from './exchange-schemas.js'
import type { ResolvedAuth } from './resolve-auth.js'

/** The option `exchange`, resolved. */
export interface ResolvedExchange {
  /** Where a credential is exchanged for a JWT. */
  readonly url: string
  /**
   * Where it is exchanged if the JWKS is at `jwksUrl`, that is, if the base path is `/`; `undefined` if `authUrl` has a
   * base path.
   */
  readonly root: { readonly jwksUrl: string, readonly url: string } | undefined
  readonly sessionToken: boolean
  readonly sessionCookie: { readonly names: readonly string[] } | false
  /** The name of the header is in lower case. */
  readonly apiKey: { readonly header: string, readonly maxAge: number } | false
  readonly maxAge: number
  readonly staleIfError: number
  readonly timeout: number
  readonly requestsPerMinute: number
  readonly max: number
  readonly forwardedFor: boolean
  readonly shared: Readonly<SharedExchangeOptions> | undefined
}

/** What of the other options counts for the exchange. */
export interface ExchangeContext {
  /** The Better Auth instance in this process, if there is one. */
  readonly auth?: ResolvedAuth | undefined
  /** The auth server, without a slash at its end. */
  readonly authUrl: string
  /** The option `sessionCookie.prefix`. */
  readonly prefix: string
  /** Whether the names of cookies start with `__Secure-` or `__Host-`. */
  readonly isSecure: boolean
  /** The option `jwks.headers`, with names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** Headers that carry another credential, or none of the client's own. */
const TAKEN_HEADERS = [
  'accept', 'authorization', 'connection', 'content-length', 'cookie', 'host', 'origin', 'set-cookie', 'te', 'upgrade',
  'x-forwarded-for'
]

/**
 * In the same process, a call costs no connection, and no rate limiter counts it: then a session is exchanged on each
 * request, and many may be unknown.
 */
const IN_PROCESS = { maxAge: 0, requestsPerMinute: 6000 }

/** @throws InvalidOptionError */
export function resolveExchange (
  given: boolean | ExchangeOptions, { auth, authUrl, prefix, isSecure, headers }: ExchangeContext
): ResolvedExchange | undefined {
  if (given === false) return undefined
  const schemas = auth === undefined
    ? EXCHANGE_OPTIONS
    : withDefaults(EXCHANGE_OPTIONS, { ...IN_PROCESS, ...auth.exchanges })
  const options = readOptions(schemas, given === true ? {} : given, 'exchange.')
  const { sessionToken, sessionCookie, apiKey, shared, ...rest } = options
  const cookie = sessionCookie && readOptions(
    EXCHANGED_COOKIE_OPTIONS, sessionCookie === true ? {} : sessionCookie, 'exchange.sessionCookie.'
  )
  const key = apiKey && readOptions(API_KEY_OPTIONS, apiKey === true ? {} : apiKey, 'exchange.apiKey.')
  if (!sessionToken && !cookie && !key) {
    throw new InvalidOptionError('Option "exchange" turns off "sessionToken", "sessionCookie" and "apiKey", so that ' +
      'nothing is left: set it to false')
  }
  const header = key === false ? API_KEY_OPTIONS.header.default : key.header.toLowerCase()
  if (TAKEN_HEADERS.includes(header) || header in {}) {
    throw new InvalidOptionError(`Option "exchange.apiKey.header" must be a header of its own, got '${header}'`)
  }
  // With a credential of the API itself, the auth server would vouch for the API, whatever a client sends.
  const names = ['authorization', 'cookie', 'x-api-key', 'x-forwarded-for', header]
  const fixed = names.find(name => name in headers)
  if (fixed !== undefined) {
    throw new InvalidOptionError(`Option "jwks.headers" must not have "${fixed}" with the option "exchange": these ` +
      'headers are sent with each exchange, and this one is for the credential of the client')
  }
  // With `auth`, the base path is known.
  const isOrigin = auth === undefined && new URL(authUrl).pathname === '/'
  const ownName = auth?.cookieNames.sessionToken ?? `${prefix}.session_token`
  return {
    ...rest,
    url: tokenUrl(isOrigin ? `${authUrl}/api/auth` : authUrl),
    root: isOrigin ? { jwksUrl: `${authUrl}/jwks`, url: tokenUrl(authUrl) } : undefined,
    sessionToken,
    sessionCookie: cookie && { names: cookieNames(cookie.name ?? ownName, isSecure) },
    apiKey: key && { header, maxAge: key.maxAge },
    shared: shared && resolveShared(shared)
  }
}

/** With `disableRefresh`, Better Auth writes nothing: only its own application extends a session, not this API. */
function tokenUrl (base: string): string {
  return `${base}/token?disableRefresh=true`
}

function resolveShared (given: SharedExchangeOptions): ResolvedExchange['shared'] {
  const { store, secret } = readOptions(SHARED_EXCHANGE_OPTIONS, given, 'exchange.shared.')
  if (store === undefined) throw invalid('exchange.shared.store', SHARED_EXCHANGE_OPTIONS.store.expects, store)
  if (secret === undefined) throw invalid('exchange.shared.secret', SHARED_EXCHANGE_OPTIONS.secret.expects, secret)
  return { store, secret: checkSecret('exchange.shared.secret', secret) }
}
