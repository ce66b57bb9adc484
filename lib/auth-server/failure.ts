import type { FetchFailure } from '../contract/fetch-failures.js'

/** Why there is no response. */
export interface Failure {
  readonly code: FetchFailure
  /** The code of Node.js or undici, which may differ between their versions. */
  readonly systemCode?: string | undefined
}

/** What the codes of Node.js, OpenSSL, undici and Bun mean. The first that matches counts. */
const MEANINGS: ReadonlyArray<readonly [systemCode: RegExp, code: FetchFailure]> = [
  [/^ECONNREFUSED$/, 'connection_refused'],
  [/^(?:ECONNRESET|ECONNABORTED|EPIPE|UND_ERR_SOCKET|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)$/, 'connection_reset'],
  [/^(?:ENOTFOUND|EAI_\w+)$/, 'dns'],
  [/^(?:EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL)$/, 'unreachable'],
  [/^(?:ETIMEDOUT|UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT)$/, 'timeout'],
  [/^Z_\w+$/, 'encoded'],
  [/^(?:HPE_\w+|UND_ERR_HEADERS_OVERFLOW|Malformed_HTTP_Response)$/, 'protocol'],
  // The results of certificate verification (Node.js, TLS, "X509 certificate error codes"), and the errors of TLS.
  [/CERT|CRL|SIGNATURE|^(?:INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/, 'tls'],
  [/^(?:EPROTO|ERR_(?:TLS|SSL)_\w+)$/, 'tls']
]

/**
 * Why a fetch was rejected.
 *
 * @param signal - ends the fetch when its time is over.
 */
export function failureOf (error: unknown, signal: AbortSignal): Failure {
  if (signal.aborted) return { code: 'timeout' }
  // Bun has the code at the error itself.
  const { code: systemCode, name } = Object((error as Error).cause ?? error) as { code?: unknown, name?: unknown }
  if (typeof systemCode !== 'string') {
    // From Node.js 24 on, it has no code.
    return { code: name === 'HTTPParserError' ? 'protocol' : 'network' }
  }
  const code = MEANINGS.find(([pattern]) => pattern.test(systemCode))?.[1] ?? 'network'
  return { code, systemCode }
}

/** The stable word for a status that is not a success. */
export function statusFailure (status: number, otherwise: FetchFailure): FetchFailure {
  if (status === 429) return 'rate_limited'
  if (status >= 500) return 'http_5xx'
  return status >= 400 ? 'http_4xx' : otherwise
}

/** A failure in a few words, for reports: its stable word, and what else is known. */
export function describeFailure (code: FetchFailure, detail: number | string | undefined): string {
  return detail === undefined ? code : `${code} (${detail})`
}
