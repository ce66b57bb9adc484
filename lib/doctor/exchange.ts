import { exchangeUrl } from '../auth-server/exchange-url.js'
import { describeFailure } from '../auth-server/failure.js'
import { exchangeToken, type CredentialHeader } from '../auth-server/token-exchange.js'
import { REASONS } from '../contract/reasons.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { isApiKey, isSessionToken, readSignedToken } from '../schemes/opaque-credentials.js'
import type { DoctorExchange, DoctorFinding, DoctorVerdict } from './report.js'

/** As what a credential may be sent, and how. */
interface Way { readonly as: DoctorExchange['as'], readonly header: CredentialHeader }

const NAMES: Record<DoctorExchange['as'], string> = {
  'session-cookie': 'a session cookie', 'session-token': 'a session token', 'api-key': 'an API key'
}

interface Pasted {
  readonly credential: string
  /** The name of the cookie that it was in. */
  readonly cookieName: string | undefined
  /** With the option `exchange`. */
  readonly options: Pick<ResolvedOptions, 'exchange' | 'jwks'>
  readonly jwksUrl: string | null
}

/**
 * Exchanges an opaque credential as the option `exchange` does, in each way that its form allows, until one succeeds.
 *
 * @param judge - judges the JWT.
 */
export async function examineExchange (
  { credential, cookieName, options, jwksUrl }: Pasted, judge: (token: string) => Promise<DoctorVerdict>
): Promise<DoctorExchange[]> {
  const { timeout } = options.exchange!
  const url = exchangeUrl(options.exchange!, jwksUrl)
  const exchanges: DoctorExchange[] = []
  for (const { as, header } of waysOf(credential, cookieName)) {
    const { headers } = options.jwks
    const result = await exchangeToken({ url, credential: header, headers, forwardedFor: undefined, timeout })
    if (result.kind === 'token') return [...exchanges, { as, response: 'token', verdict: await judge(result.token) }]
    const response = result.kind === 'failed' ? describeFailure(result.code, result.detail) : result.kind
    exchanges.push({ as, response, verdict: null })
    if (result.kind !== 'refused') break
  }
  return exchanges
}

function waysOf (credential: string, cookieName: string | undefined): Way[] {
  const signed = cookieName === undefined ? undefined : readSignedToken(credential, undefined)
  if (signed !== undefined) {
    return [{ as: 'session-cookie', header: { name: 'cookie', value: `${cookieName!}=${signed}` } }]
  }
  const authorization = { name: 'authorization', value: `Bearer ${credential}` }
  return [
    ...isSessionToken(credential) ? [{ as: 'session-token', header: authorization } as const] : [],
    ...isApiKey(credential) ? [{ as: 'api-key', header: { name: 'x-api-key', value: credential } } as const] : []
  ]
}

/** What the option `exchange` would change. If the auth server refuses the credential, it would change nothing. */
export function aboutExchange (exchanges: readonly DoctorExchange[]): DoctorFinding[] {
  const last = exchanges.at(-1)
  const finding = (text: string, fix: string): DoctorFinding[] => [{ level: 'warning', about: 'token', text, fix }]
  if (last?.response === 'limited') {
    return finding(`it is ${NAMES[last.as]} that has reached its own limit`, plain(REASONS.api_key_limited.fix))
  }
  if (last === undefined || last.verdict === null) return []
  const { as, verdict: { reason } } = last
  const start = `the auth server exchanges it as ${NAMES[as]} for a JWT, and that JWT is`
  return reason === null
    ? finding(`${start} accepted`, 'exchange: true in your API')
    : finding(`${start} refused: ${reason}`, plain(REASONS[reason].fix))
}

function plain (text: string): string {
  return text.replaceAll('`', '')
}

/** One line of the report. */
export function describeExchange ({ as, response, verdict }: DoctorExchange): string {
  const result = verdict === null ? response : verdict.reason === null ? 'a JWT, accepted' : `a JWT, ${verdict.reason}`
  return `as ${NAMES[as]}: ${result}`
}
