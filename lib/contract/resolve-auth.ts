import * as Type from '@sinclair/typebox'
import { readAuthFields, SESSION_FIELDS, USER_FIELDS, type AuthField } from './auth-fields.js'
import { parseUrl } from './auth-server-urls.js'
import type { AuthInstance, MountOptions } from './auth-options.js'
import { invalid, option, readOptions, type OptionSchema } from './check-options.js'
import type { AccessRole } from './permissions.js'
import { pluginOf, recordOf, type UnknownRecord } from './record.js'
import { InvalidOptionError } from './setup-errors.js'

/** The option `auth`, resolved: what follows from the options of Better Auth itself. */
export interface ResolvedAuth {
  readonly server: AuthInstance
  /** Its `baseURL` with its base path, without a slash at its end. */
  readonly url: string
  /** Where its routes begin; empty for the root. */
  readonly basePath: string
  /** Whether its `baseURL` depends on each request. */
  readonly isDynamic: boolean
  /** What `jwt()` writes into its tokens, if not the origin of the `baseURL`. */
  readonly issuer: string | undefined
  readonly audience: string | readonly string[] | undefined
  readonly jwksPath: string
  readonly cookiePrefix: string
  /** Its names for cookies that do not follow from the prefix. */
  readonly cookieNames: { readonly sessionToken: string | undefined, readonly sessionData: string | undefined }
  /** Whether the names of its cookies start with `__Secure-`. */
  readonly isSecure: boolean
  /** Whether it exchanges session tokens and API keys: whether it has the plugins for them. */
  readonly exchanges: { readonly sessionToken: boolean, readonly apiKey: boolean }
  /** The headers from which it reads the IP address of a client. */
  readonly ipHeaders: readonly string[]
  /** What a user and a session have beyond Better Auth's own columns. */
  readonly fields: { readonly user: readonly AuthField[], readonly session: readonly AuthField[] }
  /** The role objects of its `admin()`. */
  readonly roles: Readonly<Record<string, AccessRole>> | undefined
  readonly mount: { readonly openapi: boolean } | false
}

/** Every option of {@link MountOptions}: what it may be, and its default. */
export const MOUNT_OPTIONS = {
  openapi: option(Type.Boolean(), 'true or false', false)
} satisfies Record<keyof MountOptions, OptionSchema>

/** The other options that matter for the option `auth`. */
interface AuthContext {
  readonly authUrl: string | undefined
  readonly publicUrl: string | undefined
  readonly mount: boolean | MountOptions | undefined
  readonly env: NodeJS.ProcessEnv
}

const BASE_URL = 'auth.options.baseURL'
const DEFAULT_BASE_PATH = '/api/auth'
/** Characters that have no meaning for the router, and that a URL parser leaves alone. */
const ROUTABLE = /^(?:\/[\w.~-]*[\w~-])*$/

/** @throws InvalidOptionError */
export function resolveAuth (server: AuthInstance, { authUrl, publicUrl, mount, env }: AuthContext): ResolvedAuth {
  if (authUrl !== undefined) {
    throw new InvalidOptionError('Option "authUrl" must not be set with "auth": the URL is the baseURL of ' +
      'betterAuth(). "authUrl" is for a Better Auth server in another process')
  }
  const options = recordOf(server.options)
  const base = readBaseUrl(options, publicUrl, env)
  const jwt = recordOf(pluginOf(options, 'jwt'))
  const { issuer, audience } = recordOf(recordOf(jwt.options).jwt)
  const { jwksPath = '/jwks', remoteUrl } = recordOf(recordOf(jwt.options).jwks)
  if (jwt.id === undefined) {
    throw new InvalidOptionError('Option "auth" needs the plugin jwt(): betterAuth({ plugins: [jwt()] }), and a ' +
      'table for its keys')
  }
  if (remoteUrl !== undefined) {
    throw new InvalidOptionError('Option "auth" must have its own keys, and not jwt({ jwks: { remoteUrl } }): set ' +
      '"authUrl" and "jwksPath" instead')
  }
  const advanced = recordOf(options.advanced)
  const cookies = recordOf(advanced.cookies)
  return {
    server,
    ...base,
    issuer: textOf(issuer),
    audience: Array.isArray(audience) ? audience as string[] : textOf(audience),
    jwksPath: jwksPath as string,
    cookiePrefix: textOf(advanced.cookiePrefix) ?? 'better-auth',
    cookieNames: {
      sessionToken: textOf(recordOf(cookies.session_token).name),
      sessionData: textOf(recordOf(cookies.session_data).name)
    },
    isSecure: typeof advanced.useSecureCookies === 'boolean' ? advanced.useSecureCookies : isHttps(options, base, env),
    exchanges: {
      sessionToken: pluginOf(options, 'bearer') !== undefined, apiKey: pluginOf(options, 'api-key') !== undefined
    },
    fields: {
      user: readAuthFields(options, 'user', USER_FIELDS), session: readAuthFields(options, 'session', SESSION_FIELDS)
    },
    roles: rolesOf(recordOf(recordOf(pluginOf(options, 'admin')).options).roles),
    ipHeaders: ipHeadersOf(recordOf(advanced.ipAddress).ipAddressHeaders),
    mount: resolveMount(mount, base.basePath)
  }
}

/** Finds the URL as Better Auth does, but never takes it from a request, where a client can forge it. */
function readBaseUrl (
  { baseURL, basePath = DEFAULT_BASE_PATH }: UnknownRecord, publicUrl: string | undefined, env: NodeJS.ProcessEnv
): Pick<ResolvedAuth, 'url' | 'basePath' | 'isDynamic'> {
  if (typeof basePath !== 'string') throw invalid('auth.options.basePath', 'a string', basePath)
  if (typeof baseURL === 'object' && baseURL !== null) {
    const { fallback } = recordOf(baseURL)
    const url = publicUrl ?? fallback
    if (typeof url !== 'string') {
      throw new InvalidOptionError(`Option "${BASE_URL}" depends on each request, so that the issuer of the tokens ` +
        'is unknown: set its "fallback", or the option "publicUrl", to the URL whose tokens this API accepts')
    }
    const { origin } = parseUrl(publicUrl === undefined ? BASE_URL : 'publicUrl', url)
    return { ...locate(origin, basePath), isDynamic: true }
  }
  if (publicUrl !== undefined) {
    throw new InvalidOptionError('Option "publicUrl" must not be set with "auth", unless its baseURL depends on each ' +
      'request: the URL is the baseURL of betterAuth()')
  }
  // Better Auth treats an empty string as unset, too.
  const url = baseURL || env.BETTER_AUTH_URL
  if (url === undefined || url === '') {
    throw new InvalidOptionError(`Option "${BASE_URL}" is not set, and neither is BETTER_AUTH_URL: the issuer of the ` +
      'tokens is unknown. Set the baseURL of betterAuth()')
  }
  const source = baseURL ? '' : ' (from the environment variable BETTER_AUTH_URL)'
  if (typeof url !== 'string') throw invalid(BASE_URL, 'a string or an object', url)
  const { origin, pathname } = parseUrl(BASE_URL, url, source)
  // A path in the `baseURL` takes the place of the base path.
  return { ...locate(origin, pathname === '/' ? basePath : pathname), isDynamic: false }
}

function locate (origin: string, path: string): Pick<ResolvedAuth, 'url' | 'basePath'> {
  const basePath = `/${path}`.replace(/\/+/, '/').replace(/\/+$/, '')
  if (!ROUTABLE.test(basePath)) {
    throw invalid('auth.options.basePath', 'a path of letters, digits and "._~-", such as "/api/auth"', path)
  }
  return { url: origin + basePath, basePath }
}

/** As Better Auth decides it. */
function isHttps ({ baseURL }: UnknownRecord, { url, isDynamic }: Pick<ResolvedAuth, 'url' | 'isDynamic'>,
  { NODE_ENV }: NodeJS.ProcessEnv
): boolean {
  const { protocol } = recordOf(baseURL)
  if (!isDynamic) return url.startsWith('https:')
  return protocol === 'https' || (protocol !== 'http' && NODE_ENV === 'production')
}

function ipHeadersOf (headers: unknown): readonly string[] {
  const names = Array.isArray(headers) ? headers.filter(name => typeof name === 'string') : []
  return [...new Set(['x-forwarded-for', ...names.map(name => name.toLowerCase())])]
}

function rolesOf (roles: unknown): ResolvedAuth['roles'] {
  return Object.keys(recordOf(roles)).length > 0 ? roles as Record<string, AccessRole> : undefined
}

function resolveMount (given: boolean | MountOptions = true, basePath: string): ResolvedAuth['mount'] {
  if (given === false) return false
  if (basePath === '') {
    throw new InvalidOptionError('Option "auth" has the base path "/": Better Auth would respond to every request ' +
      'that no route takes. Set its basePath, or mount it yourself with "mount: false"')
  }
  return readOptions(MOUNT_OPTIONS, given === true ? {} : given, 'mount.')
}

function textOf (value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
