import { TypeGuard, type TObject } from '@sinclair/typebox'
import { invalid, readOptions, type Resolved } from './check-options.js'
import { checkHeaders } from './check-headers.js'
import { InvalidOptionError } from './errors.js'
import { UserSchema } from './identity.js'
import {
  JWKS_OPTIONS, MIN_SECRET_BYTES, OPTIONS, SESSION_COOKIE_OPTIONS, TOKEN_CACHE_OPTIONS
} from './option-schemas.js'
import type { BetterAuthOptions, SessionCookieOptions } from './options.js'
import { resolveResource, type ResolvedResource } from './resolve-resource.js'
import { readTrustedOrigins } from './trusted-origins.js'

const DEFAULT_AUTH_URL = 'http://localhost:3000'

type AsRead = Resolved<typeof OPTIONS>

/** Validated options with defaults applied; never modified afterwards. */
export interface ResolvedOptions extends Pick<AsRead,
  'algorithms' | 'secret' | 'clockTolerance' | 'userSchema' | 'extractToken' | 'isRevoked' | 'callbackTimeout' |
  'openapi' | 'unprotected'> {
  /** Origin and base path of the Better Auth server, without a slash at its end. */
  readonly authUrl: string
  /** The origin of the auth server as browsers see it. */
  readonly publicUrl: string
  /** Where the JWKS may be, in the order in which the URLs are tried. */
  readonly jwksUrls: readonly string[]
  readonly issuer: readonly string[] | ((iss: string) => boolean) | false
  readonly audience: readonly string[] | false
  readonly jwks: Resolved<typeof JWKS_OPTIONS>
  readonly tokenCache: Resolved<typeof TOKEN_CACHE_OPTIONS> | false
  /** The claim with the user's id; `either`: `sub`, else `id`; `equal`: the same, but both must not differ. */
  readonly userId: 'sub' | 'id' | 'either' | 'equal'
  readonly sessionCookie: ResolvedSessionCookie | false
  readonly resource: ResolvedResource | undefined
}

/** The option `sessionCookie`, resolved. */
export interface ResolvedSessionCookie {
  /** The names that the cookie may have, the safest first. */
  readonly names: readonly string[]
  readonly secret: string | undefined
  readonly version: SessionCookieOptions['version']
  readonly trustedOrigins: NonNullable<SessionCookieOptions['trustedOrigins']>
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws InvalidOptionError that names the option and what it got, except the value of a secret.
 */
export function resolveOptions (given: BetterAuthOptions, env: NodeJS.ProcessEnv = process.env): ResolvedOptions {
  const options = readOptions(OPTIONS, given)
  const jwks = readOptions(JWKS_OPTIONS, options.jwks, 'jwks.')
  const tokenCache = options.tokenCache && readOptions(TOKEN_CACHE_OPTIONS, options.tokenCache, 'tokenCache.')
  const cookieOptions = options.sessionCookie === true ? {} : options.sessionCookie
  const sessionCookie = cookieOptions && readOptions(SESSION_COOKIE_OPTIONS, cookieOptions, 'sessionCookie.')

  const isFromEnv = options.authUrl === undefined && env.BETTER_AUTH_URL !== undefined
  const source = isFromEnv ? ' (from the environment variable BETTER_AUTH_URL)' : ''
  const authUrl = parseUrl('authUrl', options.authUrl ?? env.BETTER_AUTH_URL ?? defaultAuthUrl(given, env), source)
  const base = authUrl.href.replace(/\/+$/, '')
  const publicUrl = options.publicUrl === undefined ? undefined : parseUrl('publicUrl', options.publicUrl)
  const { origin } = publicUrl ?? authUrl

  return {
    authUrl: base,
    publicUrl: origin,
    jwksUrls: options.jwksPath === undefined ? discoveryUrls(authUrl, base) : [jwksUrl(base, options.jwksPath)],
    issuer: typeof options.issuer === 'function' ? options.issuer : exact(toList(options.issuer, origin)),
    audience: toList(options.audience, origin),
    algorithms: [...options.algorithms],
    secret: checkSecret('secret', options.secret),
    clockTolerance: options.clockTolerance,
    jwks: { ...jwks, headers: checkHeaders(jwks.headers) },
    tokenCache,
    userSchema: checkUserSchema(options.userSchema),
    userId: resolveUserId(options),
    sessionCookie: sessionCookie && resolveSessionCookie(sessionCookie, isHttps(publicUrl, options.issuer, authUrl)),
    resource: resolveResource(options.resource, oauthIssuer(authUrl, publicUrl)),
    extractToken: options.extractToken,
    isRevoked: options.isRevoked,
    callbackTimeout: options.callbackTimeout,
    openapi: options.openapi,
    unprotected: options.unprotected
  }
}

/** For development only: in production, an API without `authUrl` would trust whatever listens on its own machine. */
function defaultAuthUrl (given: BetterAuthOptions, { NODE_ENV }: NodeJS.ProcessEnv): string {
  if (NODE_ENV !== 'production') return DEFAULT_AUTH_URL
  const mistake = 'authUrl' in given ? 'is given, but undefined' : 'is missing'
  throw new InvalidOptionError(`Option "authUrl" ${mistake}, and BETTER_AUTH_URL is not set: with ` +
    'NODE_ENV=production there is no default')
}

function parseUrl (name: 'authUrl' | 'publicUrl', text: string, source = ''): URL {
  // The URL parser accepts mistakes: missing slashes, back slashes, surrounding spaces, an empty query.
  const url = /^https?:\/\/[^\s/?#\\][^\s?#\\]*$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.password !== '' || text.split('/', 3)[2]?.includes('@')) {
    throw invalid(name, OPTIONS[name].expects, text, source)
  }
  const [, base, path] = /^(.*?)((?:\/\.well-known)?\/jwks(?:\.json)?|\/\.well-known\/[^/]*)\/*$/.exec(text) ?? []
  if (base !== undefined) {
    throw new InvalidOptionError(`Option "${name}"${source} must be the URL of the auth server, not of its JWKS: ` +
      `set it to "${base}", and if the keys are not found "jwksPath" to "${path}"`)
  }
  return url
}

/** The issuer identifier of Better Auth's OAuth provider: its `baseURL` with the base path. */
function oauthIssuer (authUrl: URL, publicUrl = authUrl): string {
  const [basePath = '/api/auth'] = [publicUrl, authUrl].map(url => url.pathname.replace(/\/+$/, '')).filter(Boolean)
  return publicUrl.origin + basePath
}

/** Whether browsers reach the auth server over https: by the first option that says so. */
function isHttps (publicUrl: URL | undefined, issuer: AsRead['issuer'], authUrl: URL): boolean {
  if (publicUrl !== undefined) return publicUrl.protocol === 'https:'
  const urls = [issuer].flat().filter(value => typeof value === 'string' && /^https?:\/\//i.test(value))
  if (urls.length === 0) return authUrl.protocol === 'https:'
  return urls.some(url => /^https:/i.test(String(url)))
}

function discoveryUrls (authUrl: URL, base: string): string[] {
  // Better Auth's own default comes first. At an origin, others may publish a JWKS too.
  const paths = base === authUrl.origin
    ? ['/api/auth/jwks', '/.well-known/jwks.json', '/api/auth/.well-known/jwks.json', '/jwks']
    : ['/jwks', '/.well-known/jwks.json']
  return paths.map(path => base + path)
}

function jwksUrl (base: string, path: string): string {
  const url = base + path
  // A path that the URL parser would read as anything else than a path below `authUrl` is refused.
  if (!/^\/[^\s?#\\]+$/.test(path) || new URL(url).href !== url) {
    throw invalid('jwksPath', OPTIONS.jwksPath.expects, path)
  }
  return url
}

function toList (value: AsRead['audience'], origin: string): readonly string[] | false {
  if (value === false) return false
  return Object.freeze(value === undefined ? [origin] : [value].flat())
}

/** A pattern would be compared as text, and match nothing. */
function exact (issuers: readonly string[] | false): readonly string[] | false {
  const pattern = issuers && issuers.find(issuer => issuer.includes('*'))
  if (typeof pattern !== 'string') return issuers
  throw new InvalidOptionError(`Option "issuer" must be exact, got '${pattern}': patterns are not supported. To ` +
    'accept many issuers, give a function: iss => boolean')
}

function checkSecret (name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  if (Buffer.byteLength(value) < MIN_SECRET_BYTES) throw invalid(name, OPTIONS.secret.expects, value)
  // With a public key as HMAC secret anyone could sign tokens.
  if (/-----BEGIN |"kty"/.test(value)) {
    throw new InvalidOptionError(`Option "${name}" must be a shared secret, got a PEM or a JWK`)
  }
  return value
}

function checkUserSchema (schema: TObject | undefined): TObject | undefined {
  if (schema === undefined) return undefined
  if (!TypeGuard.IsObject(schema)) throw invalid('userSchema', OPTIONS.userSchema.expects, schema)
  const missing = Object.keys(UserSchema.properties).find(name => !Object.hasOwn(schema.properties, name))
  if (missing !== undefined) {
    throw new InvalidOptionError(`Option "userSchema" must have all properties of UserSchema, and lacks "${missing}"`)
  }
  return schema
}

function resolveUserId ({ userId, sessionCookie }: AsRead): ResolvedOptions['userId'] {
  if (sessionCookie === false) return userId ?? 'either'
  if (userId === 'sub') {
    throw new InvalidOptionError('Option "userId" must be "id" or unset with "sessionCookie", got \'sub\': a session ' +
      'cookie has the id of the user only')
  }
  return userId ?? 'equal'
}

function resolveSessionCookie (
  { prefix, name, secure, secret, version, trustedOrigins }: Resolved<typeof SESSION_COOKIE_OPTIONS>, isHttps: boolean
): ResolvedSessionCookie {
  return {
    names: cookieNames(name ?? `${prefix}.session_data`, secure ?? isHttps),
    secret: checkSecret('sessionCookie.secret', secret),
    version,
    trustedOrigins: typeof trustedOrigins === 'function' ? trustedOrigins : readTrustedOrigins(trustedOrigins)
  }
}

/** The names of the cookie, the safest first: an http page can set a name without a prefix. */
function cookieNames (name: string, isSecure: boolean): readonly string[] {
  if (/^__(?:Secure|Host)-/.test(name)) return [name]
  const names = [`__Host-${name}`, `__Secure-${name}`]
  return isSecure ? names : [...names, name]
}
