import type { FetchFailure } from '../contract/fetch-failures.js'
import { VERSION } from '../contract/version.js'
import { failureOf, statusFailure } from './failure.js'
import { beforeAbort } from './fetch-json.js'
import { httpTransport } from './http-transport.js'
import { readRetryAfter } from './retry-after.js'
import type { Transport, WholeResponse } from './transport.js'

/** How a credential is sent: the one header that carries it. */
export interface CredentialHeader { readonly name: string, readonly value: string }

/** What the auth server said to a credential. */
export type ExchangeResponse =
  | { readonly kind: 'token', readonly token: string }
  /** It has no session for it. */
  | { readonly kind: 'refused' }
  /** This one API key has reached its own limit. */
  | { readonly kind: 'limited', readonly retryAfter: number }
  | FailedExchange

/** The auth server said nothing about the credential. */
export interface FailedExchange {
  readonly kind: 'failed'
  readonly code: FetchFailure
  /** The HTTP status, or the code of Node.js for a network error: for the log. */
  readonly detail: number | string | undefined
  /** Milliseconds; 0 if the auth server does not say. */
  readonly retryAfter: number
}

export interface ExchangeRequest {
  readonly url: string
  /**
   * Whether a refusal counts only if the auth server can read its sessions. While its database is down, Better Auth
   * says of every session that there is none.
   */
  readonly confirmRefusal?: boolean
  readonly credential: CredentialHeader
  /** Headers of the application's own. */
  readonly headers: Readonly<Record<string, string>>
  /** The address of the client; `undefined` if the auth server must not learn it. */
  readonly forwardedFor: string | undefined
  /** Milliseconds. */
  readonly timeout: number
  /** HTTP unless told. */
  readonly transport?: Transport | undefined
}

const DEFAULT_HEADERS = { accept: 'application/json', 'user-agent': `better-auth-fastify/${VERSION}` }
/** How long an API key is not exchanged after its last use was spent: nobody says when it gets new ones. */
const USAGE_EXCEEDED_FOR = 60_000

/** Exchanges a credential for a JWT at Better Auth's `GET /token`. Nothing is thrown. */
export async function exchangeToken (
  { url, confirmRefusal = false, credential, headers: own, forwardedFor, timeout, transport = httpTransport }:
  ExchangeRequest
): Promise<ExchangeResponse> {
  const headers = new Headers(DEFAULT_HEADERS)
  for (const [name, value] of Object.entries(own)) headers.set(name, value)
  if (forwardedFor !== undefined) headers.set('x-forwarded-for', forwardedFor)
  headers.set('accept-encoding', 'identity')
  headers.set(credential.name, credential.value)
  const signal = AbortSignal.timeout(timeout)
  const attempt = async (target: string, read: typeof judge): Promise<ExchangeResponse> => {
    try {
      return read(await beforeAbort(transport.get(target, headers, signal), signal))
    } catch (error) {
      const { code, systemCode } = failureOf(error, signal)
      return failed(code, systemCode)
    }
  }
  const first = await attempt(url, judge)
  // A connection that was kept alive, and that the server closed before it saw the request.
  const isClosed = first.kind === 'failed' && first.code === 'connection_reset'
  const verdict = isClosed ? await attempt(url, judge) : first
  return verdict.kind === 'refused' && confirmRefusal ? attempt(sessionUrl(url), judgeSession) : verdict
}

/** Where Better Auth reports a failure to read the session, with a status of 500. */
function sessionUrl (url: string): string {
  return url.replace(/token\?.*/, 'get-session?disableRefresh=true&disableCookieCache=true')
}

function judgeSession ({ status, headers }: WholeResponse): ExchangeResponse {
  // A 429 says nothing about the sessions: other programs may use up the limit, and so may whoever has signed out.
  if (status < 500) return { kind: 'refused' }
  return failed('http_5xx', status, readRetryAfter(headers, Date.now()))
}

function judge ({ status, headers, body }: WholeResponse): ExchangeResponse {
  const retryAfter = readRetryAfter(headers, Date.now())
  const { token, code, details } = parse(body)
  const limit = limitOf(code, details)
  if (limit !== undefined) return { kind: 'limited', retryAfter: limit }
  // A JWT that is too long concerns one user, and must not count as an outage, as the page of a proxy does.
  const isTooLong = body === undefined && headers.get('content-type')?.startsWith('application/json') === true
  if (status === 401 || (status === 200 && isTooLong)) return { kind: 'refused' }
  if (status === 200) return typeof token === 'string' ? { kind: 'token', token } : failed('no_token', status)
  // Better Auth's own refusals have a code. A proxy that forbids something says nothing about the credential.
  if (status === 403 && typeof code === 'string') return { kind: 'refused' }
  return failed(statusFailure(status, 'no_token'), status, retryAfter)
}

/** How long an API key has reached its own limit, in milliseconds; `undefined` for any other response. */
function limitOf (code: unknown, details: unknown): number | undefined {
  const { tryAgainIn } = Object(details) as { tryAgainIn?: unknown }
  if (code === 'RATE_LIMITED' && typeof tryAgainIn === 'number') return tryAgainIn
  return code === 'USAGE_EXCEEDED' ? USAGE_EXCEEDED_FOR : undefined
}

function failed (code: FetchFailure, detail: FailedExchange['detail'], retryAfter = 0): FailedExchange {
  return { kind: 'failed', code, detail, retryAfter }
}

function parse (body: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(body ?? '')) as Record<string, unknown>
  } catch {
    return {}
  }
}
