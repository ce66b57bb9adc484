import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { JsonObject } from '../tokens/jws.js'
import { adviseIssuer, isRewritten } from './provider.js'
import type { DoctorFinding, DoctorNeeds, DoctorToken } from './report.js'
import { printable } from './terminal.js'
import { isOAuthKind, isUserinfo, KINDS } from './token-kind.js'

/** What is wrong, and what to change. */
export type Advice = Pick<DoctorFinding, 'text' | 'fix'>

const THIS_API = '<the URL of this API>'

/** How an OAuth client gets a token that an API accepts (RFC 8707 §2). */
export function clientAsks ({ resource }: Pick<ResolvedOptions, 'resource'>): string {
  return `the OAuth client: ask for a new access token, with resource=${resource?.url ?? THIS_API}`
}

/** What the advice about an issuer or an audience depends on. */
interface Named {
  readonly claims: JsonObject
  readonly kind: DoctorToken['kind']
  readonly needs: DoctorNeeds
  readonly options: Pick<ResolvedOptions, 'publicUrl' | 'resource'>
}

/** About a token that lacks the issuer or the audience of its kind. */
export function aboutMismatch (claim: 'iss' | 'aud', { claims, kind, needs, options }: Named): Advice {
  const isIssuer = claim === 'iss'
  const expected = (isIssuer ? needs.issuer : needs.audience) as readonly string[]
  const received = firstOf(claims[claim])
  const shown = printable(received ?? '')
  const accepted = `${expected.map(item => `"${printable(item)}"`).join(' or ')} is expected`
  const text = `${received === undefined ? `it has no ${claim}` : `${claim} is "${shown}"`}, and ${accepted}`
  const asks = clientAsks(options)
  if (kind === 'userinfo' && !isIssuer) return { text: `it is ${KINDS.userinfo}, and ${accepted}`, fix: asks }
  if (isOAuthKind(kind)) {
    if (received === undefined) return { text, fix: asks }
    const fix = isIssuer
      ? adviseTokenIssuer(received, expected[0]!, options.publicUrl)
      : `${asks}; or resource: '${shown}' (--resource), if that is this API`
    return { text, fix }
  }
  const option = isIssuer ? 'issuer' : 'audience'
  if (received === undefined) {
    return { text, fix: `the signer has to set it; ${option}: false accepts any, which is not safe` }
  }
  const own = `${option}: '${shown}', if it is your own: Better Auth's baseURL, or its jwt({ jwt: { ${option} } })`
  const isNeither = [needs.issuer, needs.audience].every(accepted => accepted !== false && !accepted.includes(received))
  const isBoth = isNeither && claims.iss === claims.aud && /^https?:\/\/[^/]+$/.test(received)
  return { text, fix: isBoth ? `${own}; publicUrl: '${shown}' (--public-url) sets issuer and audience` : own }
}

function adviseTokenIssuer (received: string, expected: string, publicUrl: string): string {
  return isRewritten(expected, received)
    ? 'leave resource.issuer out: tokens keep http, only the metadata of the auth server says https'
    : adviseIssuer(received, expected, publicUrl)
}

/** About an access token of an OAuth client, where the option `resource` is not set. */
export function aboutAccessToken ({ claims, kind, needs, options: { publicUrl } }: Named): Advice {
  const what = kind === null ? 'an access token of an OAuth client' : KINDS[kind]
  const audience = firstOf(claims.aud) ?? ''
  const issuer = firstOf(claims.iss)
  const [expected] = needs.options[0] === 'resource.issuer' ? needs.issuer as readonly string[] : []
  const isNamed = /^https?:\/\//.test(audience) && !isUserinfo(audience)
  const resource = isNamed
    ? `resource: '${printable(audience)}' (--resource), if that is this API`
    : `resource: '${THIS_API}' (--resource), and the client has to ask for a token with that as resource`
  const isOther = issuer !== undefined && expected !== undefined && issuer !== expected
  return {
    text: `it is ${what}; and the option resource is not set`,
    fix: isOther ? `${resource}; and ${adviseIssuer(issuer, expected, publicUrl)}` : resource
  }
}

/** The first string; of several audiences, the first that an API can have. */
function firstOf (value: unknown): string | undefined {
  const all = [value].flat().filter(item => typeof item === 'string')
  return all.find(item => !isUserinfo(item)) ?? all[0]
}

/**
 * About a token that is not a JWT. Better Auth's session tokens are 32 letters and digits; its opaque access tokens
 * are 32 letters, so that a session token may look like one.
 */
export function aboutOpaque (
  token: string, segments: number, newToken: string, options: Pick<ResolvedOptions, 'resource'>
): Advice {
  const form = `it is not a JWT (${segments} of 3 segments), but an opaque token`
  const asks = `${clientAsks(options)}: without it, the token is opaque`
  const session = 'the session token of a sign-in'
  const oauth = 'an access token of an OAuth client that named no resource'
  if (/^[A-Za-z]{32}$/.test(token)) {
    return { text: `${form}: ${oauth}, or else ${session}`, fix: `${asks}; for a session token, ${newToken}` }
  }
  if (/^[A-Za-z\d]{32}$/.test(token)) {
    return { text: `${form}: ${session}, or else ${oauth}`, fix: `${newToken}; for an OAuth token, ${asks}` }
  }
  if (/^[A-Za-z\d]{32}\.[\w+/%-]{43,}={0,2}$/.test(token)) {
    return { text: `${form}: ${session}, signed as in its cookie`, fix: newToken }
  }
  return { text: `${form}, such as ${session}, an API key, or ${oauth}`, fix: `${newToken}; or ${asks}` }
}
