import { fetchJson, type JsonResponse } from '../auth-server/fetch-json.js'
import { isLoopback } from '../contract/hosts.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { DoctorFinding, DoctorProvider } from './report.js'
import { printable } from './terminal.js'

/**
 * Searches for the OAuth provider of the auth server, and asks its `GET /token` without a session. All URLs are asked
 * at once, and the timeout is for all of them.
 *
 * @param jwksUrl - where the JWKS was found.
 * @param expectedIssuer - the issuer that the plugin expects of OAuth access tokens.
 */
export async function examineProvider (
  { authUrl, jwks: { headers, timeout } }: Pick<ResolvedOptions, 'authUrl' | 'jwks'>, jwksUrl: string,
  expectedIssuer: string
): Promise<DoctorProvider> {
  const base = baseUrl(authUrl, jwksUrl)
  const tokenUrl = `${base}/token`
  const request = { headers, signal: AbortSignal.timeout(timeout) }
  const [token, ...responses] = await Promise.all([tokenUrl, ...metadataUrls(base, expectedIssuer)].map(url => {
    return fetchJson(url, request)
  }))
  const searched = responses.map(response => ({ ...response, issuer: issuerOf(response, base, jwksUrl) }))
  const found = searched.find(({ issuer }) => issuer !== null)
  return {
    tried: searched.map(({ url, issuer, value, text }) => {
      const other = value === undefined ? text : 'JSON that is not its metadata'
      return { url, found: issuer !== null, response: issuer === null ? other : 'metadata' }
    }),
    url: found?.url ?? null,
    issuer: found?.issuer ?? null,
    expectedIssuer,
    tokenUrl,
    tokenResponse: token!.text,
    // Elsewhere than below the base path, nobody has said what is there.
    tokenIsDisabled: token!.status === 404 && jwksUrl.startsWith(`${base}/`)
  }
}

/** Origin and base path of Better Auth: with `basePath: '/'`, its JWKS is at the root. */
function baseUrl (authUrl: string, jwksUrl: string): string {
  const hasBasePath = authUrl !== new URL(authUrl).origin || jwksUrl === `${authUrl}/jwks`
  return hasBasePath ? authUrl : `${authUrl}/api/auth`
}

/**
 * Where Better Auth serves the metadata: below its base path, and at the well-known path of the origin (RFC 8414 §3);
 * with `jwt: { issuer }`, the path of that issuer replaces the base path.
 */
function metadataUrls (base: string, expectedIssuer: string): string[] {
  const { origin, pathname } = new URL(base)
  const paths = [pathname, URL.canParse(expectedIssuer) ? new URL(expectedIssuer).pathname : '', '']
  const urls = [...new Set(paths.map(path => path.replace(/\/+$/, '')))].flatMap(path => [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/oauth-authorization-server`,
    `${origin}${path}/.well-known/openid-configuration`
  ])
  return [...new Set(urls)]
}

/**
 * The issuer that metadata names; `null` for anything else. At the root of the origin, others may publish metadata of
 * their own: there it must name the JWKS that was found.
 */
function issuerOf ({ url, value }: JsonResponse, base: string, jwksUrl: string): string | null {
  const { issuer, jwks_uri: uri } = Object(value) as { issuer?: unknown, jwks_uri?: unknown }
  if (typeof issuer !== 'string') return null
  const { pathname } = new URL(base)
  const isOwn = pathname !== '/' && new URL(url).pathname.includes(pathname)
  const namesJwks = typeof uri === 'string' && URL.canParse(uri) &&
    new URL(uri).pathname === new URL(jwksUrl).pathname
  return isOwn || namesJwks ? issuer : null
}

/** What is wrong about the OAuth provider, for an API with these options. */
export function aboutProvider (
  provider: DoctorProvider, { publicUrl, resource }: Pick<ResolvedOptions, 'publicUrl' | 'resource'>
): DoctorFinding[] {
  const { issuer, expectedIssuer, tokenIsDisabled, tokenUrl, tried } = provider
  const warn = (text: string, fix: string): DoctorFinding => ({ level: 'warning', about: 'auth server', text, fix })
  if (issuer === null) {
    if (resource === undefined) return []
    const others = [...new Set(tried.map(({ response }) => response))].filter(response => response !== 'HTTP 404')
    return [warn(
      `resource is set, but no metadata of an OAuth provider was found: ${['HTTP 404', ...others].at(-1)!}`,
      'add oauthProvider() or mcp() to the Better Auth server, and route its /.well-known paths to it: OAuth clients ' +
      'look there'
    )]
  }
  const findings: DoctorFinding[] = []
  if (tokenIsDisabled && resource === undefined) {
    findings.push(warn(
      `GET ${tokenUrl} is disabled (HTTP 404): users get no token there, and resource is not set, so OAuth access ` +
      'tokens are refused',
      "resource: '<the URL of this API>' (--resource), to accept OAuth access tokens; or remove '/token' from Better " +
      "Auth's disabledPaths"
    ))
  }
  const text = `its metadata says issuer "${printable(issuer)}", and this API expects iss "${expectedIssuer}" of ` +
    'OAuth access tokens'
  if (isRewritten(issuer, expectedIssuer)) {
    const { origin } = new URL(issuer)
    findings.push(warn(
      text,
      "nothing here, if Better Auth's baseURL is http: its tokens have http, only its metadata says https, and OAuth " +
      `clients that compare the two refuse the server; else publicUrl: '${origin}' (--public-url)`
    ))
  } else if (issuer !== expectedIssuer && resource !== undefined) {
    findings.push(warn(text, adviseIssuer(issuer, expectedIssuer, publicUrl)))
  }
  return findings
}

/** Whether an issuer is https only because Better Auth writes https into its metadata, except for loopback hosts. */
export function isRewritten (metadataIssuer: string, tokenIssuer: string): boolean {
  return tokenIssuer.startsWith('http:') && URL.canParse(tokenIssuer) && !isLoopback(new URL(tokenIssuer).hostname) &&
    metadataIssuer === tokenIssuer.replace('http:', 'https:')
}

/** Which option makes the plugin expect an issuer. */
export function adviseIssuer (issuer: string, expected: string, publicUrl: string): string {
  const [received, accepted] = [issuer, expected].map(text => URL.canParse(text) ? new URL(text) : undefined)
  const isOtherOrigin = received !== undefined && received.pathname === accepted?.pathname &&
    received.origin !== accepted.origin && accepted.origin === publicUrl
  return isOtherOrigin
    ? `publicUrl: '${received.origin}' (--public-url), if that is where browsers reach the auth server`
    : `resource: { url, issuer: '${printable(issuer)}' } (--resource-issuer), if the Better Auth server sets it as ` +
      'jwt({ jwt: { issuer } })'
}
