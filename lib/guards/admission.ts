import { ForbiddenError } from '../contract/errors.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { Principal } from '../contract/principal.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Admission } from '../http/authenticate.js'
import type { Guard } from './clauses.js'

/** The scopes that a guard asks of each kind of principal; `undefined` for a kind that it keeps out. */
export type NeededScopes = Readonly<Record<Principal['kind'], readonly string[] | undefined>>

export function neededScopes ({ delegated, clients, users = true, scopes = [] }: Guard): NeededScopes {
  // With what the clause `scopes` asks for, so that the challenge names all that is needed.
  const withScopes = (own: readonly string[] | undefined) => own && [...new Set([...own, ...scopes])]
  return { user: users ? [] : undefined, delegated: withScopes(delegated), client: withScopes(clients) }
}

/**
 * The scopes for the challenge of a request without a valid token: what clients that act for a user need, else what
 * clients that act for themselves need. None where only users may come: no scope would help a client.
 */
export function challengeScopes (guard: Guard): readonly string[] {
  const { delegated, client = [] } = neededScopes(guard)
  return delegated ?? client
}

/**
 * Whom a guard lets in at all: users, unless `users` is `false`, and OAuth clients only if the guard names the scopes
 * that they need.
 *
 * @throws ForbiddenError at a request of anyone else.
 */
export function createAdmission (needed: NeededScopes): Admission {
  return ({ principal: { kind }, authorization }) => {
    const scopes = needed[kind]
    if (scopes === undefined) throw new ForbiddenError('principal_not_allowed')
    if (!scopes.every(scope => authorization.scopes.includes(scope))) throw new ForbiddenError('scope_missing', scopes)
  }
}

/** Refuses a guard that nobody can pass, or that lets in whom the plugin never accepts. @throws InvalidOptionError */
export function checkAdmission (
  { delegated, clients, users }: Guard, { resource }: Pick<ResolvedOptions, 'resource'>
): void {
  const name = delegated !== undefined ? 'delegated' : clients !== undefined ? 'clients' : undefined
  if (name === undefined && users === false) {
    throw new InvalidOptionError('Option "authorize.users" must not be false without "delegated" or "clients": ' +
      'nobody could pass')
  }
  if (name !== undefined && resource === undefined) {
    throw new InvalidOptionError(`Option "authorize.${name}" needs the option "resource": without it, access tokens ` +
      'of OAuth clients are refused')
  }
}
