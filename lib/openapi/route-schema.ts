import type { Guard } from '../guards/guard.js'

/**
 * The security scheme that protected routes refer to, for the options of @fastify/swagger:
 * `openapi: { components: { securitySchemes: betterAuthSecuritySchemes } }`.
 */
export const betterAuthSecuritySchemes = {
  betterAuth: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A JWT of the Better Auth server'
  }
} as const

/**
 * The same, and the session cookie, for an API with the option `sessionCookie`. On https the name of the cookie begins with
 * `__Secure-`; to say so, or another prefix: `{ ...betterAuthCookieSecuritySchemes, betterAuthCookie: { type: 'apiKey', in:
 * 'cookie', name: '__Secure-acme.session_data' } }`.
 */
export const betterAuthCookieSecuritySchemes = {
  ...betterAuthSecuritySchemes,
  betterAuthCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'better-auth.session_data',
    description: 'The signed session cookie of the Better Auth server; on https its name begins with `__Secure-`'
  }
} as const

/** A scheme that a route may refer to. */
export type SchemeName = keyof typeof betterAuthCookieSecuritySchemes

/** What one hook asks of a request, for its documentation. */
export interface Protection {
  /** Lets visitors pass. */
  readonly isOptional: boolean
  /** What `authorize()` was given. */
  readonly guard?: Guard
}

/** How much of it to say. */
export interface Detail {
  /** Without any, nothing is said of `security`. */
  readonly schemes: readonly SchemeName[]
  readonly responses: boolean
}

/** The schema of a route, as far as it is read here. */
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
 * A copy of a route's schema that says how the route is protected. What the route says itself of `security` and of a status
 * stands as it is; `undefined` says nothing.
 */
export function documentProtection (schema: RouteSchema, protections: readonly Protection[], { schemes, responses }: Detail): object {
  const guards = protections.flatMap(({ guard }) => guard ?? [])
  // The lists are empty: OpenAPI 3.0 allows names in them for OAuth 2 and OpenID Connect alone. The names are below.
  const needed = [...schemes.map(name => ({ [name]: [] })), ...protections.every(({ isOptional }) => isOptional) ? [{}] : []]
  const { security = schemes.length > 0 ? needed : undefined } = schema
  const { 'x-better-auth-guards': named = guards.length > 0 ? guards.map(plain) : undefined } = schema
  return {
    ...schema,
    ...security !== undefined && { security },
    ...named !== undefined && { 'x-better-auth-guards': named },
    ...responses && { response: addResponses(schema, guards) }
  }
}

function plain ({ roles, scopes, check }: Guard): object {
  return { ...roles && { roles }, ...scopes && { scopes }, ...check && { check: true } }
}

function addResponses ({ response, produces }: RouteSchema, guards: readonly Guard[]): object {
  const own = Object.keys(response ?? {}).map(status => status.toUpperCase())
  const added = {
    401: { description: 'No valid credentials', headers: Challenge },
    ...guards.length > 0 && { 403: { description: ['Insufficient permissions', ...guards.flatMap(demands)].join('. '), headers: Challenge } },
    503: { description: 'The auth server cannot be reached', headers: RetryAfter }
  }
  const missing = Object.entries(added).filter(([status]) => ![status, `${status[0]}XX`, 'DEFAULT'].some(name => own.includes(name)))
  return {
    // What @fastify/swagger says of a route without responses.
    ...response ?? { 200: { type: 'null', description: 'Default Response' } },
    ...Object.fromEntries(missing.map(([status, parts]) => [status, { ...parts, ...errorBody(produces) }]))
  }
}

/** @param produces - the media types of the route's own answers: an error is none of them. */
function errorBody (produces: RouteSchema['produces'] = []): object {
  return produces.length === 0 ? ErrorSchema : { content: { 'application/json': { schema: ErrorSchema } } }
}

function demands ({ roles, scopes, check }: Guard): string[] {
  return [
    ...roles === undefined ? [] : [`Needs ${roles.length > 1 ? 'one of the roles' : 'the role'} ${roles.join(', ')}`],
    ...scopes === undefined ? [] : [`Needs ${scopes.length > 1 ? 'the scopes' : 'the scope'} ${scopes.join(', ')}`],
    ...check === undefined ? [] : ['Needs to pass a check of the application']
  ]
}
