import { inspect } from 'node:util'
import { ALGORITHMS, type TestAlgorithm } from './signers.js'

/** The options of `createTestIssuer()`. All are optional. */
export interface TestIssuerOptions {
  /** The algorithm that signs tokens and cookies: any of the plugin's `algorithms`, or `HS256`. Default: `EdDSA`. */
  algorithm?: TestAlgorithm | undefined
  /**
   * The `iss` of tokens, as Better Auth's `jwt.issuer` sets it. Set the plugin's `issuer` to the same value, and
   * `resource.issuer` for the tokens of OAuth clients.
   * Default: `authUrl`, and for the tokens of OAuth clients `authUrl` with `/api/auth`.
   */
  issuer?: string | undefined
  /**
   * The `aud` of tokens, as Better Auth's `jwt.audience` sets it. Set the plugin's `audience` to the same value.
   * Default: `authUrl`.
   */
  audience?: string | undefined
  /**
   * The secret shared with the API, at least 32 bytes; only for `algorithm: 'HS256'`. Default: a random secret.
   */
  secret?: string | undefined
}

/** The options of `token()`: how a token differs from one of Better Auth, apart from its claims. */
export interface TestTokenOptions {
  /** Seconds from `iat` to `exp`; negative for an expired token. Default: `900`. */
  expiresIn?: number | undefined
  /**
   * Header parameters that override `{ alg, kid }`, such as `{ typ: 'JWT' }`; `undefined` removes one.
   * Default: none.
   */
  header?: Record<string, unknown> | undefined
  /** The `kid` of the issuer's key that signs the token; revoked keys still sign. Default: the current key. */
  kid?: string | undefined
}

/** The options of `clientToken()`. */
export interface TestClientTokenOptions {
  /** The id of the OAuth client: the claims `client_id` and `azp`, and in a token of its own `sub`. */
  clientId: string
  /**
   * The scopes that the token was granted: the claim `scope`. With `openid`, `aud` also names the auth server's
   * userinfo endpoint, as Better Auth does.
   */
  scopes: readonly string[]
  /** The API that the token is for, or several: the claim `aud`. Set the plugin's `resource` to the same value. */
  resource: string | readonly string[]
  /** Claims that override or extend the others, such as `{ banned: true }`; `undefined` removes one. Default: none. */
  claims?: Record<string, unknown> | undefined
  /** Seconds from `iat` to `exp`; negative for an expired token. Default: `3600`. */
  expiresIn?: number | undefined
  /** Header parameters that override `{ alg, kid, typ: 'at+jwt' }`; `undefined` removes one. Default: none. */
  header?: Record<string, unknown> | undefined
  /** The `kid` of the issuer's key that signs the token; revoked keys still sign. Default: the current key. */
  kid?: string | undefined
}

/** The options of `accessToken()`: those of `clientToken()`, and the user. */
export interface TestAccessTokenOptions extends TestClientTokenOptions {
  /** The id of the user for whom the client acts: the claim `sub`. Default: `user_1`. */
  user?: string | undefined
}

/** The options of `sessionCookie()`: how a cookie differs from one of Better Auth, apart from its user. */
export interface TestCookieOptions {
  /** Seconds until the JWT in the cookie expires; the session itself lasts 7 days. Default: `300`. */
  expiresIn?: number | undefined
  /** The full name of the cookie, including the prefix. Default: `better-auth.session_data`. */
  name?: string | undefined
  /**
   * Fields that override those of the session, such as `{ expiresAt: '2020-01-01T00:00:00.000Z' }`. Default: none.
   */
  session?: Record<string, unknown> | undefined
}

const ISSUER_OPTIONS: ReadonlyArray<keyof TestIssuerOptions> = ['algorithm', 'issuer', 'audience', 'secret']
const TOKEN_OPTIONS: ReadonlyArray<keyof TestTokenOptions> = ['expiresIn', 'header', 'kid']
const CLIENT_TOKEN_OPTIONS: ReadonlyArray<keyof TestClientTokenOptions> = [
  'clientId', 'scopes', 'resource', 'claims', 'expiresIn', 'header', 'kid'
]
const ACCESS_TOKEN_OPTIONS: ReadonlyArray<keyof TestAccessTokenOptions> = [...CLIENT_TOKEN_OPTIONS, 'user']
const COOKIE_OPTIONS: ReadonlyArray<keyof TestCookieOptions> = ['expiresIn', 'name', 'session']

const MIN_SECRET_BYTES = 32

/** @throws TypeError that names the first value that is not an object, or is an array. */
export function checkObjects (values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isObject) throw new TypeError(`"${name}" must be an object`)
  }
}

/** @throws TypeError that names the first unknown option, and lists the known ones. */
function checkNames (options: object, known: readonly string[]): void {
  checkObjects({ options })
  const unknown = Object.keys(options).find(name => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`Unknown option "${unknown}". Known options: ${known.join(', ')}`)
}

/** @throws TypeError that names the option. */
export function checkTokenOptions (options: TestTokenOptions): void {
  checkNames(options, TOKEN_OPTIONS)
  const { expiresIn, header = {} } = options
  checkLifetime(expiresIn)
  checkObjects({ header })
}

/** @throws TypeError that names the option. */
export function checkClientTokenOptions (options: TestClientTokenOptions): void {
  checkNames(options, CLIENT_TOKEN_OPTIONS)
  checkOAuthOptions(options)
}

/** @throws TypeError that names the option. */
export function checkAccessTokenOptions (options: TestAccessTokenOptions): void {
  checkNames(options, ACCESS_TOKEN_OPTIONS)
  checkOAuthOptions(options)
  checkString('user', options.user)
}

function checkOAuthOptions (
  { clientId, scopes, resource, claims = {}, expiresIn, header = {} }: TestClientTokenOptions
): void {
  if (!isText(clientId)) throw new TypeError(`Option "clientId" must be a non-empty string, got ${inspect(clientId)}`)
  if (!Array.isArray(scopes) || !scopes.every(isText)) {
    throw new TypeError(`Option "scopes" must be an array of non-empty strings, got ${inspect(scopes)}`)
  }
  const resources = [resource].flat()
  if (resources.length === 0 || !resources.every(isText)) {
    throw new TypeError('Option "resource" must be a non-empty string, or a non-empty array of them, got ' +
      inspect(resource))
  }
  checkLifetime(expiresIn)
  checkObjects({ claims, header })
}

/** @throws TypeError that names the option. */
export function checkCookieOptions (options: TestCookieOptions): void {
  checkNames(options, COOKIE_OPTIONS)
  const { expiresIn, name, session = {} } = options
  checkLifetime(expiresIn)
  checkString('name', name)
  checkObjects({ session })
}

function checkLifetime (expiresIn: number | undefined): void {
  if (expiresIn !== undefined && !Number.isFinite(expiresIn)) {
    throw new TypeError(`Option "expiresIn" must be a finite number of seconds, got ${inspect(expiresIn)}`)
  }
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function checkString (name: string, value: unknown): void {
  if (value !== undefined && !isText(value)) {
    throw new TypeError(`Option "${name}" must be a non-empty string, got ${inspect(value)}`)
  }
}

/** @throws TypeError that names the option, and never contains the secret. */
export function checkIssuerOptions (options: TestIssuerOptions): void {
  checkNames(options, ISSUER_OPTIONS)
  const { algorithm = 'EdDSA', issuer, audience, secret } = options
  if (!ALGORITHMS.includes(algorithm)) {
    throw new TypeError(`Option "algorithm" must be one of ${ALGORITHMS.join(', ')}, got ${inspect(algorithm)}`)
  }
  checkString('issuer', issuer)
  checkString('audience', audience)
  if (secret === undefined) return
  if (algorithm !== 'HS256') throw new TypeError(`Option "secret" is for the algorithm HS256, not for ${algorithm}`)
  if (typeof secret !== 'string' || Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw new TypeError(`Option "secret" must be a string of at least ${MIN_SECRET_BYTES} bytes`)
  }
}
