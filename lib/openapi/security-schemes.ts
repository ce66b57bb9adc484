import type { Guard } from '../guards/clauses.js'

/**
 * The security scheme that protected routes refer to, for the options of @fastify/swagger.
 *
 * @example
 * await app.register(swagger, { openapi: { components: { securitySchemes: betterAuthSecuritySchemes } } })
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
 * The same, and the session cookie, for an API with the option `sessionCookie`. On https the name of the cookie starts
 * with `__Secure-`.
 *
 * @example
 * // Another name of the cookie:
 * const securitySchemes = {
 *   ...betterAuthCookieSecuritySchemes,
 *   betterAuthCookie: { type: 'apiKey', in: 'cookie', name: '__Secure-acme.session_data' }
 * }
 */
export const betterAuthCookieSecuritySchemes = {
  ...betterAuthSecuritySchemes,
  betterAuthCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'better-auth.session_data',
    description: 'The signed session cookie of the Better Auth server; on https its name starts with `__Secure-`'
  }
} as const

/**
 * The security scheme of OAuth clients, for an API with the option `resource`: where they ask for consent and for
 * tokens, at Better Auth's OAuth provider.
 *
 * @param issuer - the issuer identifier of the provider: the URL of the auth server with its base path.
 * @param scopes - the scopes of the API, each with a description.
 *
 * @example
 * const securitySchemes = {
 *   ...betterAuthSecuritySchemes,
 *   ...betterAuthOAuthSecurityScheme('https://id.example.com/api/auth', { 'orders:read': 'Read orders' })
 * }
 */
export function betterAuthOAuthSecurityScheme (issuer: string, scopes: Readonly<Record<string, string>>) {
  const base = issuer.replace(/\/+$/, '')
  const tokenUrl = `${base}/oauth2/token`
  return {
    betterAuthOAuth: {
      type: 'oauth2',
      description: 'An access token of the OAuth provider of the Better Auth server, for this API',
      flows: {
        authorizationCode: { authorizationUrl: `${base}/oauth2/authorize`, tokenUrl, scopes: { ...scopes } },
        clientCredentials: { tokenUrl, scopes: { ...scopes } }
      }
    }
  } as const
}

/**
 * The security schemes of the credentials that are exchanged, for an API with the option `exchange`. A session token is
 * a bearer token.
 *
 * @example
 * const securitySchemes = { ...betterAuthSecuritySchemes, ...betterAuthExchangeSecuritySchemes }
 */
export const betterAuthExchangeSecuritySchemes = {
  betterAuthSessionCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'better-auth.session_token',
    description: 'The session cookie of the Better Auth server; on https its name starts with `__Secure-`'
  },
  betterAuthApiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'An API key of the Better Auth server'
  }
} as const

/**
 * The security scheme of OAuth clients whose tokens are bound to a key, for an API with the option `dpop`.
 *
 * @example
 * const securitySchemes = {
 *   ...betterAuthSecuritySchemes,
 *   ...betterAuthOAuthSecurityScheme('https://id.example.com/api/auth', { 'orders:read': 'Read orders' }),
 *   ...betterAuthDpopSecuritySchemes
 * }
 */
export const betterAuthDpopSecuritySchemes = {
  betterAuthDpop: {
    type: 'http',
    scheme: 'dpop',
    description: 'An access token of the OAuth provider that is bound to a key of the client, with a proof in the ' +
      'header `DPoP` (RFC 9449)'
  }
} as const

/** A scheme that a route may refer to. */
export type SchemeName =
  keyof typeof betterAuthCookieSecuritySchemes | keyof typeof betterAuthExchangeSecuritySchemes | ClientSchemeName

/** The schemes that only OAuth clients use. */
type ClientSchemeName = 'betterAuthOAuth' | keyof typeof betterAuthDpopSecuritySchemes

const CLIENT_SCHEMES: readonly string[] = ['betterAuthOAuth', 'betterAuthDpop'] satisfies ClientSchemeName[]

/** Whether only OAuth clients use a scheme. */
export function isForClients (name: SchemeName): boolean {
  return CLIENT_SCHEMES.includes(name)
}

/** One alternative of a route's `security`: the name of a scheme, and the scopes that it needs. */
type Requirement = Readonly<Record<string, readonly string[]>>

/**
 * The alternatives in which a route with these guards can be called.
 *
 * @param schemes - those that the document declares.
 */
export function securityOf (guards: readonly Guard[], schemes: readonly SchemeName[]): Requirement[] {
  const admitsUsers = guards.every(({ users = true }) => users)
  const alternatives = schemes.flatMap((name): Requirement[] => {
    if (!isForClients(name)) return admitsUsers ? [{ [name]: [] }] : []
    const [first, second] = [scopesFor(guards, 'delegated'), scopesFor(guards, 'clients')]
      .filter(scopes => scopes !== undefined)
    if (first === undefined) return []
    // OpenAPI 3.0 allows a list of scopes for OAuth 2 only. All scopes are in `x-better-auth-guards`.
    if (name === 'betterAuthDpop') return [{ [name]: [] }]
    const isSame = second === undefined || JSON.stringify(first) === JSON.stringify(second)
    return [first, ...isSame ? [] : [second]].map(scopes => ({ [name]: scopes }))
  })
  // No alternative would say that the route is public. Every access token is a bearer token.
  return alternatives.length > 0 ? alternatives : schemes.slice(0, 1).map(name => ({ [name]: [] }))
}

/** The scopes that an OAuth client needs; `undefined` if a guard, or its absence, keeps such clients out. */
function scopesFor (guards: readonly Guard[], kind: 'delegated' | 'clients'): readonly string[] | undefined {
  if (guards.length === 0 || guards.some(guard => guard[kind] === undefined)) return undefined
  return [...new Set(guards.flatMap(guard => [...guard[kind]!, ...guard.scopes ?? []]))]
}
