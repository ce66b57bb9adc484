import { invalid } from './check-options.js'
import { InvalidOptionError } from './setup-errors.js'
import { OPTIONS } from './option-schemas.js'
import type { BetterAuthOptions } from './options.js'

/** @throws InvalidOptionError */
export function parseUrl (
  name: 'authUrl' | 'publicUrl' | 'auth.options.baseURL', text: string, source = ''
): URL {
  // The URL parser accepts mistakes: missing slashes, back slashes, surrounding spaces, an empty query.
  const url = /^https?:\/\/[^\s/?#\\][^\s?#\\]*$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  // Whoever has credentials has an "@" before the path.
  if (url === undefined || text.split('/', 3)[2]!.includes('@')) {
    throw invalid(name, OPTIONS.authUrl.expects, text, source)
  }
  const jwks = /(?<!:\/)((?:\/\.well-known)?\/jwks(?:\.json)?|\/\.well-known\/[^/]*)\/*$/.exec(text)
  if (jwks !== null) {
    throw new InvalidOptionError(`Option "${name}"${source} must be the URL of the auth server, not of its JWKS: ` +
      `set it to "${text.slice(0, jwks.index)}", and if the keys are not found "jwksPath" to "${jwks[1]}"`)
  }
  return url
}

/** The issuer identifier of Better Auth's OAuth provider: its `baseURL` with the base path. */
export function oauthIssuer (authUrl: URL, publicUrl = authUrl): string {
  const [basePath = '/api/auth'] = [publicUrl, authUrl].map(url => url.pathname.replace(/\/+$/, '')).filter(Boolean)
  return publicUrl.origin + basePath
}

/** Whether browsers reach the auth server over https: by the first option that says so. */
export function isHttps (publicUrl: URL | undefined, issuer: BetterAuthOptions['issuer'], authUrl: URL): boolean {
  if (publicUrl !== undefined) return publicUrl.protocol === 'https:'
  const urls = [issuer].flat().map(String).filter(text => /^https?:\/\//i.test(text))
  if (urls.length === 0) return authUrl.protocol === 'https:'
  return urls.some(url => /^https:/i.test(url))
}

export function discoveryUrls (authUrl: URL, base: string): string[] {
  // Better Auth's own default comes first. At an origin, others may publish a JWKS too.
  const paths = base === authUrl.origin
    ? ['/api/auth/jwks', '/.well-known/jwks.json', '/api/auth/.well-known/jwks.json', '/jwks']
    : ['/jwks', '/.well-known/jwks.json']
  return paths.map(path => base + path)
}

export function jwksUrl (base: string, path: string): string {
  const url = base + path
  // A path that the URL parser would read as anything else than a path below `authUrl` is refused.
  if (!/^\/[^\s?#\\]+$/.test(path) || new URL(url).href !== url) {
    throw invalid('jwksPath', OPTIONS.jwksPath.expects, path)
  }
  return url
}
