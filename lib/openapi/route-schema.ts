import { givenClauses, type Guard } from '../guards/clauses.js'
import type { Protection } from '../routes/protections.js'
import { isForClients, securityOf, type SchemeName } from './security-schemes.js'

/** How much to document. */
export interface Detail {
  /** Without any, `security` is left out. */
  readonly schemes: readonly SchemeName[]
  readonly responses: boolean
}

/** The part of a route's schema that this file reads. */
export interface RouteSchema {
  readonly security?: unknown
  readonly 'x-better-auth-guards'?: unknown
  readonly response?: Readonly<Record<string, unknown>> | null
  readonly produces?: readonly string[]
}

const ErrorSchema = {
  type: 'object',
  required: ['statusCode', 'code', 'error', 'message'],
  properties: {
    statusCode: { type: 'integer' },
    code: { type: 'string' },
    error: { type: 'string' },
    message: { type: 'string' }
  }
}

const Challenge = { 'WWW-Authenticate': { type: 'string', description: 'A Bearer challenge (RFC 6750 §3)' } }
const RetryAfter = { 'Retry-After': { type: 'integer', description: 'Seconds until the next try makes sense' } }

/**
 * A copy of a route's schema that documents how the route is protected. The route's own `security`, and its own
 * response for a status, stay as they are; `undefined` counts as absent.
 */
export function documentProtection (
  schema: RouteSchema, protections: readonly Protection[], { schemes, responses }: Detail
): object {
  const guards = protections.flatMap(({ guard }) => guard ?? [])
  const isOptional = protections.every(protection => protection.isOptional)
  // A hook without a guard lets in users only.
  const admitsClients = protections.every(({ guard }) => guard !== undefined)
  const alternatives = securityOf(guards, admitsClients ? schemes : schemes.filter(name => !isForClients(name)))
  const needed = [...alternatives, ...isOptional ? [{}] : []]
  const { security = schemes.length > 0 ? needed : undefined } = schema
  const { 'x-better-auth-guards': named = guards.length > 0 ? guards.map(toJson) : undefined } = schema
  return {
    ...schema,
    ...security !== undefined && { security },
    ...named !== undefined && { 'x-better-auth-guards': named },
    ...responses && { response: addResponses(schema, guards) }
  }
}

/** A guard as JSON, in which a function is `true`. */
function toJson (guard: Guard): object {
  return Object.fromEntries(givenClauses(guard).map(({ name, value }) => {
    // A copy: whoever transforms the document must not change what a guard asks for.
    return [name, typeof value === 'function' ? true : structuredClone(value)]
  }))
}

function describeGuard (guard: Guard): string[] {
  return givenClauses(guard).map(({ clause, value }) => clause.describe(value))
}

function addResponses ({ response, produces }: RouteSchema, guards: readonly Guard[]): object {
  const own = Object.keys(response ?? {}).map(status => status.toUpperCase())
  const forbidden = ['Insufficient permissions', ...guards.flatMap(describeGuard)].join('. ')
  const added = {
    401: { description: 'No valid credentials', headers: Challenge },
    ...guards.length > 0 && { 403: { description: forbidden, headers: Challenge } },
    503: { description: 'The auth server cannot be reached', headers: RetryAfter }
  }
  const missing = Object.entries(added).filter(([status]) => {
    return ![status, `${status[0]}XX`, 'DEFAULT'].some(name => own.includes(name))
  })
  return {
    // As @fastify/swagger documents a route without responses.
    ...response ?? { 200: { type: 'null', description: 'Default Response' } },
    ...Object.fromEntries(missing.map(([status, parts]) => [status, { ...parts, ...errorBody(produces) }]))
  }
}

/** @param produces - the media types of the route's own responses, which an error does not have. */
function errorBody (produces: RouteSchema['produces'] = []): object {
  return produces.length === 0 ? ErrorSchema : { content: { 'application/json': { schema: ErrorSchema } } }
}
