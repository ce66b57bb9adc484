import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import type { Algorithm } from '../contract/options.js'
import { bindCookieClaims, COOKIE_TYPE, createCookieClaims, createTokenClaims, now } from './claims.js'
import { FAULT_KINDS, startJwksServer, type Fault } from './jwks-server.js'
import { createKeySigner, createKeySignerSync, createSecretSigner, signJwt, type Signer } from './keys.js'
import {
  checkCookieOptions, checkIssuerOptions, checkObjects, checkTokenOptions,
  type TestCookieOptions, type TestIssuerOptions, type TestTokenOptions
} from './options.js'

const DEFAULT_COOKIE_NAME = 'better-auth.session_data'
const HOUR = 3600
const ANOTHER_AUDIENCE = 'https://another-api.example.com'

type Claims = Record<string, unknown>

/** An auth server for tests: it signs tokens as Better Auth does, publishes their keys on loopback, and fails on demand. */
export interface TestIssuer extends AsyncDisposable {
  /** For the plugin's option `authUrl`: `http://127.0.0.1:<port>`. The JWKS is at Better Auth's default address below it. */
  readonly authUrl: string
  /** For the plugin's option `secret`: what HS256 tokens are signed with; `undefined` for every other algorithm. */
  readonly secret: string | undefined
  /** The `kid` of the key that signs now; `undefined` for HS256. */
  readonly kid: string | undefined
  /** How often the JWKS was asked for, at its own address. */
  readonly requests: number
  /**
   * A token as Better Auth issues it: for a user `user_1`, good for 15 minutes, from and for `authUrl`.
   *
   * @param claims - laid over its claims; `undefined` takes one away. An `id` or a `sub` alone stands for both.
   * @throws TypeError for an unknown option or `kid`, and for what is of no use; the message names it.
   */
  token (claims?: Claims, options?: TestTokenOptions): string
  /** A token that expired an hour ago: `token_expired`. */
  expired (claims?: Claims): string
  /** A token that is not good before an hour from now (`nbf`): `token_not_active`. */
  notYetValid (claims?: Claims): string
  /** A token for another API: `audience_mismatch`. */
  wrongAudience (claims?: Claims): string
  /** A token that names a key of the JWKS, the current one if it is there, and is signed with another: `signature_invalid`. */
  forged (claims?: Claims): string
  /**
   * The `Cookie` header of a browser that is signed in: Better Auth's session cookie as `jwt({ sessionCookieCache: true })` and
   * `session.cookieCache.strategy: 'jwt'` make it, or for HS256 as the strategy alone makes it. Each is another session.
   *
   * @param user - laid over the user that is in it.
   * @throws TypeError for an unknown option, and for one of no use; the message names it.
   */
  sessionCookie (user?: Claims, options?: TestCookieOptions): string
  /**
   * Signs with a new key from now on. The old one stays published, as in Better Auth's grace period.
   *
   * @returns the new `kid`.
   * @throws TypeError for HS256.
   */
  rotate (): Promise<string>
  /**
   * Takes a key out of the JWKS. It still signs tokens, so that a test can see them refused: once the API has looked for the key
   * again, so register the plugin with `jwks: { maxAge: 0, staleWhileRevalidate: 0 }`. A JWKS that would be empty gets another
   * key, as Better Auth's does.
   *
   * @param kid - Default: the current key.
   * @throws TypeError for an unknown `kid`, and for HS256.
   */
  revoke (kid?: string): void
  /**
   * Makes every answer of the server a fault, until `recover()`.
   *
   * @throws TypeError for an unknown kind.
   */
  fail (kind: Fault): void
  /**
   * Ends what `fail()` began; what hangs goes on hanging. After a failure the plugin pauses before it asks again, for half a
   * second at first: `fastify.betterAuth.status().nextTryAt` says until when.
   */
  recover (): void
  /** Stops the server and ends all its connections. */
  close (): Promise<void>
}

/**
 * Starts an auth server for tests on a free port of 127.0.0.1, with keys of its own. Several share nothing.
 *
 * @throws TypeError for an unknown option, or one of no use; the message names it.
 */
export async function createTestIssuer (options: TestIssuerOptions = {}): Promise<TestIssuer> {
  checkIssuerOptions(options)
  const { algorithm = 'EdDSA', secret = randomSecret() } = options
  const createSigner = async (secret = randomSecret()) => {
    return algorithm === 'HS256' ? createSecretSigner(secret) : createKeySigner(algorithm)
  }

  const [first, forger] = await Promise.all([createSigner(secret), createSigner()])
  const signers = [first]
  const published = new Set(signers)
  let current = first

  const server = await startJwksServer(() => [...published].flatMap(({ jwk }) => jwk ?? []))
  const { origin } = server
  const { issuer = origin, audience = origin } = options

  function sign (claims: Claims, options: TestTokenOptions = {}): string {
    checkTokenOptions(options)
    const { expiresIn, header, kid } = options
    const signer = kid === undefined ? current : signerOf(kid)
    return signJwt(signer, createTokenClaims(issuer, audience, claims, expiresIn), header)
  }

  function signerOf (kid: string | undefined): Signer {
    const signer = signers.find(known => known.kid === kid)
    if (signer === undefined) throw new TypeError(`This issuer has no key ${inspect(kid)}`)
    return signer
  }

  function claimsOf (claims: Claims = {}): Claims {
    checkObjects({ claims })
    return claims
  }

  function keyAlgorithm (method: string): Algorithm {
    if (algorithm === 'HS256') throw new TypeError(`${method}() is for keys of the JWKS, and HS256 has a secret`)
    return algorithm
  }

  const testIssuer: TestIssuer = {
    authUrl: origin,
    secret: algorithm === 'HS256' ? secret : undefined,
    get kid () { return current.kid },
    get requests () { return server.requests },

    token: (claims, options) => sign(claimsOf(claims), options),
    expired: claims => sign({ ...claimsOf(claims), iat: now() - 2 * HOUR, exp: now() - HOUR }),
    notYetValid: claims => sign({ ...claimsOf(claims), nbf: now() + HOUR, exp: now() + 2 * HOUR }),
    wrongAudience: claims => sign({ ...claimsOf(claims), aud: ANOTHER_AUDIENCE }),
    forged (claims) {
      // A key that is revoked would be refused for that.
      const { kid } = published.has(current) ? current : [...published].at(-1)!
      return signJwt(forger, createTokenClaims(issuer, audience, claimsOf(claims)), { kid })
    },

    sessionCookie (user = {}, options = {}) {
      checkObjects({ user })
      checkCookieOptions(options)
      const { expiresIn, name = DEFAULT_COOKIE_NAME, session } = options
      const claims = createCookieClaims(user, session, expiresIn)
      // Its issuer is the address of the server, whatever `issuer` its tokens have.
      const jwt = algorithm === 'HS256'
        ? signJwt(current, claims)
        : signJwt(current, bindCookieClaims(origin, claims), { typ: COOKIE_TYPE })
      return `${name}=${jwt}`
    },

    async rotate () {
      current = await createKeySigner(keyAlgorithm('rotate'))
      signers.push(current)
      published.add(current)
      return current.kid!
    },
    revoke (kid) {
      const algorithm = keyAlgorithm('revoke')
      published.delete(kid === undefined ? current : signerOf(kid))
      if (published.size === 0) published.add(createKeySignerSync(algorithm))
    },

    fail (kind) {
      if (!FAULT_KINDS.includes(kind)) {
        throw new TypeError(`The kinds of fault are ${FAULT_KINDS.join(', ')}, got ${inspect(kind)}`)
      }
      server.fault = kind
    },
    recover () { server.fault = undefined },
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close()
  }
  return testIssuer
}

function randomSecret (): string {
  return randomBytes(32).toString('base64url')
}
