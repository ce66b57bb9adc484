import { TypeGuard, type TObject } from '@sinclair/typebox'
import { discoveryUrls, isHttps, jwksUrl, oauthIssuer, parseUrl } from './auth-server-urls.js'
import { checkSecret, invalid, readOptions, withDefaults, type Resolved } from './check-options.js'
import { checkHeaders } from './check-headers.js'
import { cookieNames } from './cookie-names.js'
import { InvalidOptionError } from './setup-errors.js'
import { UserSchema } from './identity.js'
import {
  JWKS_OPTIONS, OPTIONS, SESSION_COOKIE_OPTIONS, TOKEN_CACHE_OPTIONS
} from './option-schemas.js'
import type { BetterAuthOptions, SessionCookieOptions } from './options.js'
import { resolveAuth, type ResolvedAuth } from './resolve-auth.js'
import { resolveDpop, type ResolvedDpop } from './resolve-dpop.js'
import { resolveExchange, type ResolvedExchange } from './resolve-exchange.js'
import { resolveResource, type ResolvedResource } from './resolve-resource.js'
import { resolveRoles, type ResolvedRoles } from './resolve-roles.js'
import { readTrustedOrigins } from './trusted-origins.js'

const DEFAULT_AUTH_URL = 'http://localhost:3000'

type AsRead = Resolved<typeof OPTIONS>

/** Validated options with defaults applied; never modified afterwards. */
export interface ResolvedOptions extends Pick<AsRead,
  'algorithms' | 'secret' | 'clockTolerance' | 'userSchema' | 'rolesFrom' | 'organizationFrom' | 'extractToken' |
  'isRevoked' | 'callbackTimeout' | 'openapi' | 'unprotected'> {
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
  readonly exchange: ResolvedExchange | undefined
  readonly dpop: ResolvedDpop | undefined
  readonly roles: ResolvedRoles | undefined
  /** The Better Auth instance in this process; `undefined` if it is behind `authUrl`. */
  readonly auth: ResolvedAuth | undefined
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
  const auth = options.auth && resolveAuth(options.auth, { ...options, env })
  if (auth === undefined && options.mount !== undefined) {
    throw new InvalidOptionError('Option "mount" needs the option "auth": a Better Auth instance in this app')
  }
  const cookieOptions = options.sessionCookie === true ? {} : options.sessionCookie
  const cookieSchemas = withDefaults(SESSION_COOKIE_OPTIONS, {
    prefix: auth?.cookiePrefix, name: auth?.cookieNames.sessionData
  })
  const sessionCookie = cookieOptions && readOptions(cookieSchemas, cookieOptions, 'sessionCookie.')

  const authUrl = auth === undefined ? readAuthUrl(options.authUrl, given, env) : new URL(auth.url)
  const base = authUrl.href.replace(/\/+$/, '')
  const publicUrl = options.publicUrl === undefined ? undefined : parseUrl('publicUrl', options.publicUrl)
  const { origin } = publicUrl ?? authUrl
  const headersOfFetch = checkHeaders(jwks.headers)
  const isSecure = auth?.isSecure ?? isHttps(publicUrl, options.issuer, authUrl)
  const { prefix = cookieSchemas.prefix.default, secure = isSecure } = { ...sessionCookie }
  const resource = resolveResource(options.resource, auth?.issuer ?? oauthIssuer(authUrl, publicUrl))
  const { issuer = auth?.issuer, audience = auth?.audience, jwksPath = auth?.jwksPath } = options

  return {
    authUrl: base,
    publicUrl: origin,
    jwksUrls: jwksPath === undefined ? discoveryUrls(authUrl, base) : [jwksUrl(base, jwksPath)],
    issuer: typeof issuer === 'function' ? issuer : exact(toList(issuer, origin)),
    audience: toList(audience, origin),
    algorithms: [...options.algorithms],
    secret: checkSecret('secret', options.secret),
    clockTolerance: options.clockTolerance,
    jwks: { ...jwks, headers: headersOfFetch },
    tokenCache,
    userSchema: checkUserSchema(options.userSchema),
    userId: resolveUserId(options),
    sessionCookie: sessionCookie && resolveSessionCookie(sessionCookie, isSecure),
    exchange: resolveExchange(options.exchange ?? auth !== undefined, {
      auth,
      authUrl: base,
      prefix,
      isSecure: secure,
      headers: headersOfFetch
    }),
    resource,
    dpop: resolveDpop(options.dpop, resource),
    roles: options.roles === undefined ? rolesOfAuth(auth, options) : resolveRoles(options.roles),
    auth,
    rolesFrom: options.rolesFrom,
    organizationFrom: options.organizationFrom,
    extractToken: options.extractToken,
    isRevoked: options.isRevoked,
    callbackTimeout: options.callbackTimeout,
    openapi: options.openapi,
    unprotected: options.unprotected
  }
}

function readAuthUrl (option: string | undefined, given: BetterAuthOptions, env: NodeJS.ProcessEnv): URL {
  const source = option === undefined ? ' (from the environment variable BETTER_AUTH_URL)' : ''
  return parseUrl('authUrl', option ?? env.BETTER_AUTH_URL ?? defaultAuthUrl(given, env), source)
}

/** For development only: in production, an API without `authUrl` would trust whatever listens on its own machine. */
function defaultAuthUrl (given: BetterAuthOptions, { NODE_ENV }: NodeJS.ProcessEnv): string {
  if (NODE_ENV !== 'production') return DEFAULT_AUTH_URL
  const mistake = 'authUrl' in given ? 'is given, but undefined' : 'is missing'
  throw new InvalidOptionError(`Option "authUrl" ${mistake}, and BETTER_AUTH_URL is not set: with ` +
    'NODE_ENV=production there is no default')
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

/** With `rolesFrom`, roles may be those of an organization, which any user can name like those of `admin()`. */
function rolesOfAuth (auth: ResolvedAuth | undefined, { rolesFrom }: AsRead): ResolvedRoles | undefined {
  return rolesFrom === undefined ? resolveRoles(auth?.roles, 'auth.options.plugins.admin.roles') : undefined
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
