import { ALGORITHMS } from '../contract/options.js'
import { REASONS, type RefusalReason } from '../contract/reasons.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { openToken, type OpenToken } from './pasted-token.js'
import type { DoctorFinding, DoctorProvider, DoctorToken, DoctorVerdict } from './report.js'
import { printable } from './terminal.js'
import { aboutAccessToken, aboutMismatch, aboutOpaque, clientAsks, type Advice } from './token-advice.js'
import { isOAuthKind, KINDS, userNeeds } from './token-kind.js'

/** A token of more characters than this leaves little room for other headers. */
const LONG_TOKEN = 15_000

/** What the advice about a token depends on, beside the token. */
export interface TokenSurroundings {
  readonly options: ResolvedOptions
  /** `null` if no JWKS was found. */
  readonly provider: DoctorProvider | null
}

/** What is known of the token itself. */
type Examined = Omit<DoctorToken, 'notes' | 'exchanges'>

interface TokenContext extends TokenSurroundings {
  readonly reason: RefusalReason
  /** The parameter or claim; `undefined` for the token as a whole. */
  readonly name: string | undefined
  readonly raw: string
  readonly token: OpenToken
  readonly examined: Pick<DoctorToken, 'kind' | 'needs' | 'asCookie'>
}

/** Why a token is refused, part by part, and which option to set where one helps. */
export function aboutToken (
  raw: string, examined: Examined, surroundings: TokenSurroundings
): DoctorFinding[] {
  const { verdict, header, claims } = examined
  const parts: Array<{ name?: string, reason: RefusalReason | null }> = [...header, ...claims]
  // If no single part explains the verdict, report it for the token as a whole.
  if (!parts.some(({ reason }) => reason === verdict.reason)) parts.unshift({ reason: verdict.reason })
  const token = openToken(raw)
  const findings: DoctorFinding[] = parts.flatMap(({ name, reason }, index) => {
    if (reason === null || isMoot(reason, examined)) return []
    const isRepeated = OF_WHOLE.includes(reason) && parts.findIndex(part => part.reason === reason) < index
    if (isRepeated) return []
    return [{ level: 'error', about: 'token', ...advise({ reason, name, raw, token, examined, ...surroundings }) }]
  })
  if (verdict.reason !== 'token_too_long' && raw.length > LONG_TOKEN) {
    findings.push({
      level: 'warning',
      about: 'token',
      text: `it has ${raw.length} characters: Node.js returns 431 if all headers of a request exceed 16 kB together`,
      fix: 'put less into it: definePayload'
    })
  }
  return findings
}

/** Reasons that concern the token as a whole, although several claims may show them. */
const OF_WHOLE: readonly RefusalReason[] = ['token_kind', 'oauth_token_not_accepted']

/**
 * Some kinds of token are never accepted, and the claims of an access token, which they lack, would not help: only what
 * shows their kind matters, and why they are refused.
 */
function isMoot (reason: RefusalReason, { kind, needs, verdict }: Examined): boolean {
  if (kind === null || needs !== null || reason === verdict.reason) return false
  return reason !== 'token_kind' || verdict.reason === 'typ_not_allowed'
}

function advise (context: TokenContext): Advice {
  const { reason, name, token, options, examined: { kind, needs, asCookie } } = context
  const newToken = howToGetOne(context)
  const { header = {}, payload: claims = {} } = token
  const named = { claims, kind, needs: needs ?? userNeeds(options), options }
  switch (reason) {
    case 'issuer_mismatch': return aboutMismatch('iss', named)
    case 'audience_mismatch': return aboutMismatch('aud', named)
    case 'oauth_token_not_accepted': return aboutAccessToken(named)
    case 'algorithm_not_allowed': return aboutAlgorithm(header.alg, kind)
    case 'typ_not_allowed': return aboutType(asCookie, kind, newToken)
    case 'token_kind':
      return { text: `the claim ${name} shows that it is ${kindNamed(name)}, not an access token`, fix: newToken }
    case 'token_encrypted': return { text: `it is ${KINDS.encrypted}`, fix: newToken }
    case 'token_expired':
      return { text: 'it has expired', fix: `${newToken}; clockTolerance is for clocks that are seconds apart` }
    case 'token_not_active':
      return {
        text: `its ${name} is in the future`,
        fix: 'synchronise the clocks; clockTolerance covers a few seconds'
      }
    case 'claim_missing':
      return { text: `the claim ${name} is missing`, fix: 'the signer, or definePayload, has to set it' }
    case 'claim_invalid':
      return {
        text: `the claim ${name} has the wrong type, or is empty`,
        fix: 'the signer, or definePayload, has to fix it'
      }
    case 'signature_invalid':
      return {
        text: 'its signature is wrong',
        fix: `it was changed, or another server signed it: set authUrl, or ${newToken}`
      }
    case 'token_malformed': return aboutForm(context, newToken)
    case 'unusable_key':
      return { text: meaningOf(reason), fix: 'see the findings about the keys; fix it at the auth server' }
    case 'jwks_unavailable':
      return { text: `${meaningOf(reason)} (503)`, fix: 'see the findings about the auth server' }
    default: return { text: meaningOf(reason), fix: REASONS[reason].fix.replaceAll('`', '') }
  }
}

/** The meaning that docs/reference/errors.md gives. */
function meaningOf (reason: RefusalReason): string {
  return REASONS[reason].meaning.replaceAll('`', '')
}

/** Where whoever has this token gets one that an API accepts. */
function howToGetOne ({ examined: { kind }, options, provider }: TokenContext): string {
  if (isOAuthKind(kind)) return clientAsks(options)
  if (kind === 'dpop') return `${clientAsks(options)}, and without a DPoP proof; or set dpop: true in your API`
  const { origin } = new URL(options.authUrl)
  const base = options.authUrl === origin ? `${origin}/api/auth` : options.authUrl
  const url = provider?.tokenUrl ?? `${base}/token`
  if (provider?.tokenIsDisabled === true) return `${clientAsks(options)} (GET ${url} is disabled)`
  const fromSession = `fetch a new token: GET ${url} with the cookies of a sign-in`
  return kind === 'id' ? `${fromSession}; or ${clientAsks(options)}, and send that` : fromSession
}

function aboutAlgorithm (alg: unknown, kind: DoctorToken['kind']): Advice {
  const said = typeof alg === 'string' ? `"${printable(alg)}"` : 'missing or not a string'
  const text = `its alg is ${said}, which is not accepted`
  if (alg === 'HS256' && kind === 'cookie') {
    const fix = "sessionCookie: { secret: '...' } in your API (doctor takes none), and send it as a cookie; better, " +
      'sign with the keys of the JWKS: jwt({ sessionCookieCache: true })'
    return { text: `it is ${KINDS.cookie}; ${text}`, fix }
  }
  if (alg === 'HS256') {
    const fix = "secret: '...' in your API (doctor takes none); better, sign with the keys of the JWKS, as jwt() does"
    return { text, fix }
  }
  if ((ALGORITHMS as readonly unknown[]).includes(alg)) return { text, fix: `algorithms: ['${String(alg)}', ...]` }
  return { text, fix: `no option accepts it; sign with one of ${ALGORITHMS.join(', ')}` }
}

function aboutType (asCookie: DoctorVerdict | null, kind: DoctorToken['kind'], newToken: string): Advice {
  if (asCookie === null) {
    return { text: kind === null ? 'its typ names another kind of token' : `it is ${KINDS[kind]}`, fix: newToken }
  }
  const judged = asCookie.accepted ? 'accepted' : `refused: ${asCookie.reason}`
  return {
    text: "it is Better Auth's session cookie, which is not accepted as a bearer token",
    fix: `${newToken}; or set sessionCookie: true, and let the browser send it as a cookie (there it is ${judged})`
  }
}

/** The kind of token that a claim shows. */
function kindNamed (claim: string | undefined): string {
  if (claim === 'cnf') return "bound to its client's own key (DPoP)"
  if (claim === 'events') return 'a logout token'
  return claim === 'aud' ? "Better Auth's session cookie" : 'an ID token'
}

function aboutForm ({ raw, token, options, provider }: TokenContext, newToken: string): Advice {
  const { segments, header, payload, isBase64url } = token
  if (segments !== 3) {
    const advice = aboutOpaque(raw, segments, newToken, options)
    return provider?.tokenIsDisabled === true ? { ...advice, fix: newToken } : advice
  }
  if (isBase64url && header !== undefined && payload !== undefined) {
    return { text: 'its payload is nested too deeply (more than 100 levels)', fix: 'put less into it: definePayload' }
  }
  const part = header === undefined ? 'header is' : payload === undefined ? 'payload is' : 'segments are'
  return { text: `its ${part} not base64url of JSON, as in a JWT: it was cut or changed on its way`, fix: newToken }
}
