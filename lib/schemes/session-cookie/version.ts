import { RevocationUnavailableError, TokenInvalidError } from '../../contract/errors.js'
import type { Session } from '../../contract/identity.js'
import type { SessionCookieOptions, SessionCookieUser } from '../../contract/options.js'
import { isPending, settle } from '../../contract/settle.js'
import type { JsonObject } from '../../tokens/jws.js'
import { claimsOf, type VerifiedToken } from '../../tokens/verified-token.js'
import type { Verifier } from '../../tokens/verifier.js'

type Version = NonNullable<SessionCookieOptions['version']>
type VersionFunction = Extract<Version, (...args: never[]) => unknown>

/** The version of a cookie without one, as Better Auth reads it. */
const DEFAULT_VERSION = '1'

/**
 * Compares the version of a cookie with the option `sessionCookie.version`. A function is not called here: see
 * `askVersions()`.
 *
 * @throws TokenInvalidError
 */
export function checkVersion ({ version = DEFAULT_VERSION }: JsonObject, expected: Version | undefined): void {
  if (typeof version !== 'string') throw new TokenInvalidError('session_invalid', { claim: 'version' })
  if (typeof expected === 'string') compare(version, expected)
}

/**
 * The same verifier, but a function decides which version the cookie must have. It is asked for every request: what it
 * returns may change while the cookie is cached.
 */
export function askVersions (verifier: Verifier, versionOf: VersionFunction): Verifier {
  function judge (verified: VerifiedToken): VerifiedToken | Promise<VerifiedToken> {
    const { session, user, version = DEFAULT_VERSION } = claimsOf(verified)

    function accept (expected: unknown): VerifiedToken {
      if (typeof expected !== 'string') failed(new TypeError('sessionCookie.version must return a string'))
      compare(version as string, expected)
      return verified
    }

    let returned: unknown
    try {
      returned = versionOf(session as Session, user as SessionCookieUser)
    } catch (error) {
      failed(error)
    }
    if (!isPending(returned)) return accept(returned)
    return settle('sessionCookie.version', returned, verified.options.callbackTimeout).then(accept, failed)
  }

  return {
    ...verifier,
    verify (token, trace) {
      const verified = verifier.verify(token, trace)
      return verified instanceof Promise ? verified.then(judge) : judge(verified)
    }
  }
}

function compare (version: string, expected: string): void {
  // Better Auth reads an empty one as none.
  const received = version === '' ? DEFAULT_VERSION : version
  if (received === expected) return
  throw new TokenInvalidError('cookie_version', { claim: 'version', expected: [expected], received })
}

function failed (cause: unknown): never {
  throw new RevocationUnavailableError(cause)
}
