import * as Type from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { ForbiddenError } from '../contract/errors.js'
import { ignoreRejection } from '../contract/settle.js'
import type { Clause } from './clause.js'

/** A request whose `params` may have any name: a guard is made before its route. */
type AnyRequest = FastifyRequest<{ Params: Readonly<Record<string, string | undefined>> }>

/** Any active organization, or the one whose id a function reads from the request. */
export type OrganizationRule = true | { ask (request: AnyRequest): string | undefined }['ask']

export const organizationClause: Clause<OrganizationRule> = {
  schema: Type.Union([Type.Literal(true), Type.Function([], Type.Unknown())]),
  expects: 'true, or a function that returns the id of an organization',
  judge (rule, { authorization: { organization, organizationFailure } }, request) {
    if (organizationFailure !== undefined) throw new ForbiddenError('organization_from_failed', [], organizationFailure)
    if (organization === undefined) throw new ForbiddenError('organization_missing')
    if (rule === true) return
    let id: unknown
    try {
      id = rule(request as AnyRequest)
    } catch (error) {
      throw new ForbiddenError('organization_mismatch', [], error)
    }
    if (id === organization.id) return
    ignoreRejection(id)
    const cause = typeof id === 'string'
      ? undefined
      : new TypeError(`The organization of a guard must return the id of an organization, got ${typeof id}`)
    throw new ForbiddenError('organization_mismatch', [], cause)
  },
  describe: rule => rule === true
    ? 'Needs an active organization'
    : 'Needs the organization of the request to be active'
}
