import { ALGORITHMS } from '../contract/options.js'
import { REASONS, type RefusalReason } from '../contract/reasons.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { openToken, type OpenToken } from './pasted-token.js'
import { shownIssuers } from './redact.js'
import type { DoctorFinding, DoctorToken, DoctorVerdict } from './report.js'
import { printable } from './terminal.js'

/** A token of more characters than this leaves little room for other headers. */
const LONG_TOKEN = 15_000

/** What is wrong, and what to change. */
type Advice = Pick<DoctorFinding, 'text' | 'fix'>

interface TokenContext {
  readonly reason: RefusalReason
  /** The parameter or claim; `undefined` for the token as a whole. */
  readonly name: string | undefined
  readonly token: OpenToken
  readonly asCookie: DoctorToken['asCookie']
  readonly options: ResolvedOptions
}

/** Why a token is refused, part by part, and which option to set where one helps. */
export function aboutToken (
  token: string, { verdict, header, claims, asCookie }: Omit<DoctorToken, 'notes'>, options: ResolvedOptions
): DoctorFinding[] {
  const parts: Array<{ name?: string, reason: RefusalReason | null }> = [...header, ...claims]
  // If no single part explains the verdict, report it for the token as a whole.
  if (!parts.some(({ reason }) => reason === verdict.reason)) parts.unshift({ reason: verdict.reason })
  const opened = openToken(token)
  const findings: DoctorFinding[] = parts.flatMap(({ name, reason }) => {
    if (reason === null) return []
    return [{ level: 'error', about: 'token', ...advise({ reason, name, token: opened, asCookie, options }) }]
  })
  if (verdict.reason !== 'token_too_long' && token.length > LONG_TOKEN) {
    findings.push({
      level: 'warning',
      about: 'token',
      text: `it has ${token.length} characters: Node.js returns 431 if all headers of a request exceed 16 kB together`,
      fix: 'put less into it: definePayload'
    })
  }
  return findings
}

function advise ({ reason, name, token, asCookie, options }: TokenContext): Advice {
  const newToken = `fetch a new token: GET ${tokenUrl(options)} with the cookies of a sign-in`
  const value = name === undefined ? undefined : token.payload?.[name]
  switch (reason) {
    case 'issuer_mismatch': return mismatch('iss', 'issuer', value, shownIssuers(options.issuer) as readonly string[])
    case 'audience_mismatch': return mismatch('aud', 'audience', value, options.audience as readonly string[])
    case 'algorithm_not_allowed': return aboutAlgorithm(token.header?.alg)
    case 'typ_not_allowed': return aboutType(asCookie, newToken)
    case 'token_kind':
      return { text: `the claim ${name} shows that it is ${kindOf(name)}, not an access token`, fix: newToken }
    case 'token_encrypted': return { text: 'it is an encrypted JWT (JWE): only its issuer can read it', fix: newToken }
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
    case 'token_malformed': return aboutForm(token, newToken)
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

/** Where Better Auth issues tokens. */
function tokenUrl ({ authUrl }: ResolvedOptions): string {
  return authUrl === new URL(authUrl).origin ? `${authUrl}/api/auth/token` : `${authUrl}/token`
}

function mismatch (
  claim: string, option: 'issuer' | 'audience', value: unknown, expected: readonly string[]
): Advice {
  const accepted = expected.map(item => `"${printable(item)}"`).join(' or ')
  const first: unknown = Array.isArray(value) ? value[0] : value
  if (typeof first !== 'string') {
    return {
      text: `it has no ${claim}, and ${accepted} is expected`,
      fix: `the signer has to set it; ${option}: false accepts any, which is not safe`
    }
  }
  const received = printable(first)
  return {
    text: `${claim} is "${received}", and ${accepted} is expected`,
    fix: `${option}: '${received}', if it is your own: Better Auth's baseURL, or its jwt({ jwt: { ${option} } })`
  }
}

function aboutAlgorithm (alg: unknown): Advice {
  const said = typeof alg === 'string' ? `"${printable(alg)}"` : 'missing or not a string'
  const text = `its alg is ${said}, which is not accepted`
  if (alg === 'HS256') {
    const fix = "secret: '...' in your API (doctor takes none); better, sign with the keys of the JWKS, as jwt() does"
    return { text, fix }
  }
  if ((ALGORITHMS as readonly unknown[]).includes(alg)) return { text, fix: `algorithms: ['${String(alg)}', ...]` }
  return { text, fix: `no option accepts it; sign with one of ${ALGORITHMS.join(', ')}` }
}

function aboutType (asCookie: DoctorVerdict | null, newToken: string): Advice {
  if (asCookie === null) return { text: 'its typ names another kind of token', fix: newToken }
  const judged = asCookie.accepted ? 'accepted' : `refused: ${asCookie.reason}`
  return {
    text: "it is Better Auth's session cookie, which is not accepted as a bearer token",
    fix: `${newToken}; or set sessionCookie: true, and let the browser send it as a cookie (there it is ${judged})`
  }
}

function kindOf (claim: string | undefined): string {
  if (claim === 'cnf') return "bound to its client's own key (DPoP)"
  if (claim === 'events') return 'a logout token'
  return claim === 'aud' ? "Better Auth's session cookie" : 'an ID token'
}

function aboutForm ({ segments, header, payload, isBase64url }: OpenToken, newToken: string): Advice {
  if (segments !== 3) {
    return {
      text: `it is not a JWT (${segments} of 3 segments), but an opaque token, such as the session token of a sign-in`,
      fix: newToken
    }
  }
  if (isBase64url && header !== undefined && payload !== undefined) {
    return { text: 'its payload is nested too deeply (more than 100 levels)', fix: 'put less into it: definePayload' }
  }
  const part = header === undefined ? 'header is' : payload === undefined ? 'payload is' : 'segments are'
  return { text: `its ${part} not base64url of JSON, as in a JWT: it was cut or changed on its way`, fix: newToken }
}
