import type { Session } from '../contract/identity.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { ignoreRejection } from '../contract/settle.js'
import { readOrganization, splitRoles, type AuthorizationClaims } from './authorization-claims.js'
import { claimsOf, type VerifiedToken } from './verified-token.js'

/** Calls the functions of the application for a verified token. */
export type AskApplication = (
  verified: Pick<VerifiedToken, 'token' | 'form' | 'principal' | 'session' | 'authorization'>
) => AuthorizationClaims

type Sources = Pick<ResolvedOptions, 'rolesFrom' | 'organizationFrom'>

/**
 * Replaces where roles and the organization come from, by the options `rolesFrom` and `organizationFrom`.
 *
 * OAuth clients get neither: apart from scopes, the claims of their tokens may come from the client's registration.
 *
 * @returns `undefined` without these options.
 */
export function createAuthorizationSources ({ rolesFrom, organizationFrom }: Sources): AskApplication | undefined {
  if (rolesFrom === undefined && organizationFrom === undefined) return undefined
  return ({ token, form, principal, session, authorization }) => {
    if (principal.kind !== 'user') return rolesFrom === undefined ? authorization : { ...authorization, roles: [] }

    /** Each gets a copy of its own: requests share the session. @throws whatever the function throws. */
    function ask (source: (...args: Parameters<NonNullable<Sources['rolesFrom']>>) => unknown): unknown {
      const returned = source(claimsOf({ token, form }), structuredClone(session) as Session | null) ?? undefined
      ignoreRejection(returned)
      return returned
    }

    return {
      ...authorization,
      ...rolesFrom && askRoles(() => ask(rolesFrom)),
      ...organizationFrom && askOrganization(() => ask(organizationFrom))
    }
  }
}

function askRoles (ask: () => unknown): Pick<AuthorizationClaims, 'roles' | 'rolesFailure'> {
  try {
    const returned = ask()
    const roles = returned === undefined ? [] : splitRoles(returned)
    if (roles === undefined) throw new TypeError('rolesFrom must return a string, an array of strings, or nothing')
    return { roles: Object.freeze([...roles]) }
  } catch (error) {
    return { roles: [], rolesFailure: toError('rolesFrom', error) }
  }
}

function askOrganization (ask: () => unknown): Pick<AuthorizationClaims, 'organization' | 'organizationFailure'> {
  try {
    const returned = ask()
    const organization = readOrganization(returned)
    if (returned !== undefined && organization === undefined) {
      throw new TypeError('organizationFrom must return { id, slug?, role? }, all strings, or nothing')
    }
    return { organization }
  } catch (error) {
    return { organization: undefined, organizationFailure: toError('organizationFrom', error) }
  }
}

function toError (name: string, thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`${name} threw something other than an Error`)
}
