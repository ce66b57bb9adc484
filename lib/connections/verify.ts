import type { FastifyRequest } from 'fastify'
import { TokenInvalidError, TokenMissingError } from '../contract/errors.js'
import type { Claims, User } from '../contract/identity.js'
import type { Principal, UserPrincipal } from '../contract/principal.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import { createAdmission, neededScopes } from '../guards/admission.js'
import { givenClauses, type Guard } from '../guards/clauses.js'
import { snapshotGuard } from '../guards/guard.js'
import type { StatusCheck } from '../http/account-status.js'
import { admitUsers, publishVerification, type Admission, type VerificationTrace } from '../http/authenticate.js'
import { createPrincipal } from '../http/principal.js'
import { copyUser } from '../http/request-decorators.js'
import type { BearerScheme } from '../schemes/bearer.js'
import { claimsOf, type VerifiedToken } from '../tokens/verified-token.js'

/** Whom a token stands for, and what it says. It belongs to the caller, who may change the user and the claims. */
export interface VerifiedIdentity<P extends Principal = Principal> {
  /** As `request.principal`. */
  readonly principal: P
  /** As `request.user`; `null` for an OAuth client that acts for itself. */
  readonly user: P extends { readonly user: User } ? User : null
  /** As `request.claims`. */
  readonly claims: Claims
}

/** The conditions of a {@link Guard} that can be judged without a request. */
export type TokenGuard = Pick<Guard, typeof WITHOUT_REQUEST[number]>

/** `fastify.betterAuth.verify()`. */
export interface Verify {
  (token: unknown): Promise<VerifiedIdentity<UserPrincipal>>
  (token: unknown, guard: TokenGuard | undefined): Promise<VerifiedIdentity>
}

export interface VerifyContext {
  readonly bearer: BearerScheme
  readonly checkStatus: StatusCheck
  readonly authUrl: string
}

const WITHOUT_REQUEST = ['roles', 'permissions', 'scopes', 'delegated', 'clients', 'users'] as const
/** The clauses above do not use the request. */
const NO_REQUEST = undefined as unknown as FastifyRequest

type Judge = (verified: VerifiedToken) => void | Promise<void>

/** Creates `fastify.betterAuth.verify()`: what `authenticate` does, for a token that no request has. */
export function createVerify ({ bearer, checkStatus, authUrl }: VerifyContext, options: ResolvedOptions): Verify {
  async function authenticate (token: unknown, admit: Admission, trace: VerificationTrace): Promise<VerifiedToken> {
    if (token === undefined || token === null || token === '') throw new TokenMissingError()
    trace.credential = bearer.name
    if (typeof token !== 'string') throw new TokenInvalidError('token_malformed')
    const found = bearer.read(token)
    const verified = await (typeof found === 'string' ? bearer.verifier.verify(found, trace) : found.verify(trace))
    admit(verified)
    await checkStatus(undefined, verified)
    return verified
  }

  async function verify (token: unknown, given?: TokenGuard): Promise<VerifiedIdentity> {
    const { admit, judges } = given === undefined ? { admit: admitUsers, judges: [] } : readGuard(given, options)
    const verified = await publishVerification(authUrl, async trace => authenticate(token, admit, trace))
    for (const judge of judges) await judge(verified)
    const [user, claims] = [copyUser(verified), claimsOf(verified)]
    return { principal: createPrincipal(verified, user as User, claims), user, claims }
  }

  return verify as Verify
}

/** @throws InvalidOptionError */
function readGuard (given: TokenGuard, options: ResolvedOptions): { admit: Admission, judges: readonly Judge[] } {
  const names: readonly string[] = WITHOUT_REQUEST
  const other = Object.keys(Object(given)).find(name => !names.includes(name))
  if (other !== undefined) {
    throw new InvalidOptionError(`verify() does not accept "${other}", only conditions that need no request: ` +
      names.join(', '))
  }
  const guard = snapshotGuard(given, options)
  const judges = givenClauses(guard).flatMap(({ clause, value }): Judge[] => {
    return clause.judge === undefined ? [] : [verified => clause.judge!(value, verified, NO_REQUEST)]
  })
  return { admit: createAdmission(neededScopes(guard)), judges }
}
