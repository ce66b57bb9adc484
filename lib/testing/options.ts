import { inspect } from 'node:util'
import { ALGORITHMS, type TestAlgorithm } from './keys.js'

/** The options of `createTestIssuer()`. All are optional. */
export interface TestIssuerOptions {
  /** What the tokens are signed with: any algorithm that the plugin verifies. Default: `EdDSA`, as Better Auth's. */
  algorithm?: TestAlgorithm | undefined
  /** The `iss` of tokens, Better Auth's `jwt.issuer`. Default: `authUrl`. */
  issuer?: string | undefined
  /** The `aud` of tokens, Better Auth's `jwt.audience`. Default: `authUrl`. */
  audience?: string | undefined
  /** The secret shared with the API, 32 bytes or more, for `algorithm: 'HS256'` only. Default: a random one. */
  secret?: string | undefined
}

/** How a token differs from Better Auth's own, its claims aside. */
export interface TestTokenOptions {
  /** Seconds from its `iat` to its `exp`. Default: 900 (15 minutes). */
  expiresIn?: number | undefined
  /** Laid over `{ alg, kid }`, such as `{ typ: 'at+jwt' }`; `undefined` takes a parameter away. Default: nothing. */
  header?: Record<string, unknown> | undefined
  /** Which of the issuer's keys signs it, revoked ones included. Default: the current one. */
  kid?: string | undefined
}

/** How a session cookie differs from Better Auth's own, its user aside. */
export interface TestCookieOptions {
  /** Seconds until the cookie's JWT expires, not the session. Default: 300 (5 minutes). */
  expiresIn?: number | undefined
  /** The cookie's name, with the prefix. Default: `better-auth.session_data`. */
  name?: string | undefined
  /** Laid over the session, such as `{ expiresAt: '2020-01-01T00:00:00.000Z' }`. Default: nothing. */
  session?: Record<string, unknown> | undefined
}

const ISSUER_OPTIONS: ReadonlyArray<keyof TestIssuerOptions> = ['algorithm', 'issuer', 'audience', 'secret']
const TOKEN_OPTIONS: ReadonlyArray<keyof TestTokenOptions> = ['expiresIn', 'header', 'kid']
const COOKIE_OPTIONS: ReadonlyArray<keyof TestCookieOptions> = ['expiresIn', 'name', 'session']

const MIN_SECRET_BYTES = 32

/** @throws TypeError that names what is not an object, or an array. */
export function checkObjects (values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`"${name}" must be an object`)
  }
}

/** @throws TypeError for a name that is none of these. */
function checkNames (options: object, known: readonly string[]): void {
  checkObjects({ options })
  const unknown = Object.keys(options).find(name => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`Unknown option "${unknown}"; the options are ${known.join(', ')}`)
}

/** @throws TypeError that names the option. */
export function checkTokenOptions (options: TestTokenOptions): void {
  checkNames(options, TOKEN_OPTIONS)
  const { expiresIn, header = {} } = options
  checkLifetime(expiresIn)
  checkObjects({ header })
}

/** @throws TypeError that names the option. */
export function checkCookieOptions (options: TestCookieOptions): void {
  checkNames(options, COOKIE_OPTIONS)
  const { expiresIn, name, session = {} } = options
  checkLifetime(expiresIn)
  checkText('name', name)
  checkObjects({ session })
}

function checkLifetime (expiresIn: number | undefined): void {
  if (expiresIn !== undefined && !Number.isFinite(expiresIn)) {
    throw new TypeError(`Option "expiresIn" must be a finite number of seconds, got ${inspect(expiresIn)}`)
  }
}

function checkText (name: string, value: unknown): void {
  if (value !== undefined && (typeof value !== 'string' || value === '')) {
    throw new TypeError(`Option "${name}" must be a non-empty string, got ${inspect(value)}`)
  }
}

/** @throws TypeError that names the option, and never shows the secret. */
export function checkIssuerOptions (options: TestIssuerOptions): void {
  checkNames(options, ISSUER_OPTIONS)
  const { algorithm = 'EdDSA', issuer, audience, secret } = options
  if (!ALGORITHMS.includes(algorithm)) {
    throw new TypeError(`Option "algorithm" must be one of ${ALGORITHMS.join(', ')}, got ${inspect(algorithm)}`)
  }
  checkText('issuer', issuer)
  checkText('audience', audience)
  if (secret === undefined) return
  if (algorithm !== 'HS256') throw new TypeError(`Option "secret" is for the algorithm HS256, not for ${algorithm}`)
  if (typeof secret !== 'string' || Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw new TypeError(`Option "secret" must be a string of at least ${MIN_SECRET_BYTES} bytes`)
  }
}
