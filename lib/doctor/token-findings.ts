import type { RefusalReason } from '../contract/errors.js'
import { ALGORITHMS, type ResolvedOptions } from '../contract/resolve-options.js'
import type { DoctorToken, DoctorVerdict } from './report.js'
import type { OpenToken } from './examine-token.js'
import { printable } from './terminal.js'

/** What is wrong, and what to do about it. */
export interface Advice { readonly text: string, readonly fix: string }

/** Why a request with nothing but a bearer token is refused. */
export type TokenReason = Exclude<RefusalReason,
  'token_missing' | 'forbidden' | 'role_missing' | 'scope_missing' | 'check_failed' | 'cookie_malformed' | 'session_invalid' |
  'session_expired' | 'origin_not_trusted' | 'extract_token_failed' | 'token_revoked' | 'revocation_unavailable'>

/** All that advice about a token is made of. */
export interface TokenContext {
  readonly reason: TokenReason
  /** The parameter or claim that it is about; `undefined` for the token as a whole. */
  readonly name: string | undefined
  readonly token: OpenToken
  readonly asCookie: DoctorToken['asCookie']
  readonly options: ResolvedOptions
}

/** Where nothing has to be known of the token. */
const SIMPLE = {
  banned: { text: 'its user is banned at the auth server (403)', fix: 'lift the ban there, then fetch a new token' },
  kid_invalid: {
    text: 'its kid is absent, no text, empty or too long',
    fix: 'the signer has to name its key; HS256 tokens have no kid'
  },
  critical_header: {
    text: 'its header has an extension that must be understood (crit, b64)',
    fix: 'the signer must leave it out'
  },
  token_too_long: { text: 'it is longer than 16 kB', fix: 'put less into it: definePayload' },
  authorization_malformed: {
    text: 'it is nothing, or more than one word: such an Authorization header is answered 400',
    fix: 'send one token, without spaces in it'
  },
  unknown_key: {
    text: 'the JWKS has no key of this kid',
    fix: 'set authUrl to the server that signed it; if its keys were removed, sign in again'
  },
  unusable_key: { text: 'the key of this kid is not usable', fix: 'see what is said of the keys; mend it at the auth server' },
  algorithm_mismatch: { text: 'the key of this kid is for another algorithm', fix: 'set authUrl to the server that signed it' },
  jwks_unavailable: { text: 'its key cannot be had now (503)', fix: 'see what is said of the auth server' }
} satisfies Partial<Record<TokenReason, Advice>>

/** Why a token is refused, and which option to set where one helps. */
export function tokenAdvice ({ reason, name, token, asCookie, options }: TokenContext): Advice {
  const newToken = `fetch a new token: GET ${tokenUrl(options)} with the cookies of a sign-in`
  const value = name === undefined ? undefined : token.payload?.[name]
  switch (reason) {
    case 'issuer_mismatch': return mismatch('iss', 'issuer', value, options.issuer as readonly string[])
    case 'audience_mismatch': return mismatch('aud', 'audience', value, options.audience as readonly string[])
    case 'algorithm_not_allowed': return algorithmAdvice(token.header?.alg)
    case 'typ_not_allowed': return typeAdvice(asCookie, newToken)
    case 'token_kind': return { text: `the claim ${name} shows that it is ${kindOf(name)}, not an access token`, fix: newToken }
    case 'token_encrypted': return { text: 'it is an encrypted JWT (JWE): only its issuer can read it', fix: newToken }
    case 'token_expired':
      return { text: 'it has expired', fix: `${newToken}; clockTolerance is for clocks that are seconds apart` }
    case 'token_not_active':
      return { text: `its ${name} is in the future`, fix: 'set the clocks right; clockTolerance covers a few seconds' }
    case 'claim_missing':
      return { text: `the claim ${name} is not there`, fix: 'the signer, or definePayload at the auth server, has to set it' }
    case 'claim_invalid':
      return { text: `the claim ${name} has the wrong type, or is empty`, fix: 'the signer, or definePayload, has to mend it' }
    case 'signature_invalid':
      return { text: 'its signature is wrong', fix: `it was changed, or is another server's: set authUrl, or ${newToken}` }
    case 'token_malformed': return formAdvice(token, newToken)
  }
  return SIMPLE[reason]
}

/** Where Better Auth gives tokens out. */
function tokenUrl ({ authUrl }: ResolvedOptions): string {
  return authUrl === new URL(authUrl).origin ? `${authUrl}/api/auth/token` : `${authUrl}/token`
}

function mismatch (claim: string, option: 'issuer' | 'audience', value: unknown, expected: readonly string[]): Advice {
  const accepted = expected.map(one => `"${printable(one)}"`).join(' or ')
  const received = typeof value === 'string' ? value : Array.isArray(value) && typeof value[0] === 'string' ? value[0] : undefined
  if (received === undefined) {
    return {
      text: `it has no ${claim}, and ${accepted} is expected`,
      fix: `the signer has to set it; ${option}: false accepts any, which is not safe`
    }
  }
  return {
    text: `${claim} is "${printable(received)}", and ${accepted} is expected`,
    fix: `${option}: '${printable(received)}', if it is your own: Better Auth's baseURL, or its jwt({ jwt: { ${option} } })`
  }
}

function algorithmAdvice (alg: unknown): Advice {
  const said = typeof alg === 'string' ? `"${printable(alg)}"` : 'absent or no text'
  const text = `its alg is ${said}, which is not accepted`
  if (alg === 'HS256') {
    return { text, fix: "secret: '...' in your API (doctor takes none); better, sign with the keys of the JWKS, as jwt() does" }
  }
  if ((ALGORITHMS as readonly unknown[]).includes(alg)) return { text, fix: `algorithms: ['${String(alg)}', ...]` }
  return { text, fix: `no option accepts it; sign with one of ${ALGORITHMS.join(', ')}` }
}

function typeAdvice (asCookie: DoctorVerdict | null, newToken: string): Advice {
  if (asCookie === null) return { text: 'its typ says that it is another kind of token', fix: newToken }
  const judged = asCookie.accepted ? 'accepted' : `refused: ${asCookie.reason}`
  return {
    text: "it is Better Auth's session cookie, which is not accepted as a bearer token",
    fix: `${newToken}; or sessionCookie: true, and let the browser send it as the cookie that it is (there it is ${judged})`
  }
}

function kindOf (claim: string | undefined): string {
  if (claim === 'cnf') return "bound to its client's own key (DPoP)"
  if (claim === 'events') return 'a logout token'
  return claim === 'aud' ? "Better Auth's session cookie" : 'an ID token'
}

function formAdvice ({ segments, header, payload, isBase64url }: OpenToken, newToken: string): Advice {
  if (segments !== 3) {
    return {
      text: `it is not a JWT (${segments} of 3 segments): an opaque token, such as the session token of a sign-in`,
      fix: newToken
    }
  }
  if (isBase64url && header !== undefined && payload !== undefined) {
    return { text: 'its payload is nested too deep (more than 100 levels)', fix: 'put less into it: definePayload' }
  }
  const part = header === undefined ? 'header is' : payload === undefined ? 'payload is' : 'segments are'
  return { text: `its ${part} not base64url of JSON as a JWT has it: it was cut or changed on its way`, fix: newToken }
}
