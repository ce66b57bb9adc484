import type { FastifyInstance, RouteOptions } from 'fastify'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { hooksOf, scopeHooks, type Protection, type Protections } from '../routes/protections.js'
import { documentProtection, type Detail, type RouteSchema } from './route-schema.js'
import type { SchemeName } from './security-schemes.js'

/** A route that @fastify/swagger knows, and its scope. */
interface Route { readonly options: RouteOptions, readonly scope: FastifyInstance }

type Swagger = (options?: unknown) => unknown

interface SwaggerOwner { swagger: Swagger }

/**
 * Documents in OpenAPI how hooks protect the routes of a scope, where @fastify/swagger is registered.
 *
 * The schema of a route is replaced only while `fastify.swagger()` runs: Fastify itself must not see the added
 * responses, or it would use them to serialise what an error handler of the application sends.
 */
export function documentRoutes (
  fastify: FastifyInstance, options: ResolvedOptions, protections: Protections
): void {
  const { openapi, sessionCookie, exchange, resource, dpop } = options
  const routesOf = new Map<object, Route[]>()
  const hasCookie = sessionCookie !== false
  // Whoever documents an API without OAuth clients need not declare their scheme: it comes last.
  const schemes: readonly SchemeName[] = [
    'betterAuth',
    ...hasCookie ? ['betterAuthCookie' as const] : [],
    ...exchange?.sessionCookie ? ['betterAuthSessionCookie' as const] : [],
    ...exchange?.apiKey ? ['betterAuthApiKey' as const] : [],
    // Its tokens are bearer tokens. Without the option `resource`, no guard lets OAuth clients in.
    ...dpop?.required === true ? [] : ['betterAuthOAuth' as const],
    ...dpop ? ['betterAuthDpop' as const] : []
  ]

  if (openapi) {
    fastify.addHook('onRoute', function (options) {
      const owner = swaggerOwner(this)
      if (owner === undefined) return
      const routes = routesOf.get(owner) ?? watch(owner)
      routes.push({ options, scope: this })
    })
  }

  function watch (owner: SwaggerOwner): Route[] {
    const routes: Route[] = []
    routesOf.set(owner, routes)
    owner.swagger = withProtections(owner.swagger, routes)
    return routes
  }

  function withProtections (swagger: Swagger, routes: readonly Route[]): Swagger {
    return options => {
      const protectedRoutes = routes.flatMap(({ options, scope }) => {
        // By now all hooks of the scope are known, including those that were added after the route.
        const found = protections.of([...scopeHooks(scope), ...hooksOf(options)], options.config)
        return found.length === 0 ? [] : { options, protections: found }
      })

      for (const detail of details(schemes)) {
        const replaced: Array<() => void> = []
        try {
          for (const { options, protections } of protectedRoutes) {
            replaced.push(replaceSchema(options, protections, detail))
          }
          const document = swagger(options)
          if (detail.schemes.length < schemes.length) warnOfSchemes()
          return document
        } catch {
          // A scheme is not declared, or a `transform` accepts no JSON Schema: document less.
        } finally {
          for (const undo of replaced) undo()
        }
      }
      const document = swagger(options)
      fastify.log.warn('OpenAPI: protected routes appear as public, because the `transform` passed to ' +
        '@fastify/swagger rejects the schema this plugin adds. Set `security` on these routes.')
      return document
    }
  }

  function warnOfSchemes (): void {
    const constant = hasCookie ? 'betterAuthCookieSecuritySchemes' : 'betterAuthSecuritySchemes'
    const opaque = exchange === undefined ? '' : ', betterAuthExchangeSecuritySchemes'
    const bound = dpop === undefined ? '' : ', betterAuthDpopSecuritySchemes'
    const oauth = resource === undefined ? '' : ', and what betterAuthOAuthSecurityScheme() returns,'
    const all = `${constant}${opaque}${bound}${oauth}`
    fastify.log.warn(`OpenAPI: protected routes lack their security requirement. Add ${all} to ` +
      'openapi.components.securitySchemes in the options of @fastify/swagger.')
  }
}

/** The instance that has the decorator of @fastify/swagger: this one or an ancestor. */
function swaggerOwner (scope: FastifyInstance): SwaggerOwner | undefined {
  if (!scope.hasPlugin('@fastify/swagger') || !scope.hasDecorator('swagger')) return undefined
  let owner: object = scope
  while (!Object.hasOwn(owner, 'swagger')) owner = Object.getPrototypeOf(owner)
  // With another `decorator`, the application may use this name for anything.
  return isSwaggerOwner(owner) ? owner : undefined
}

function isSwaggerOwner (owner: object): owner is SwaggerOwner {
  return 'swagger' in owner && typeof owner.swagger === 'function'
}

/** From the most detailed to the least. */
function details (schemes: readonly SchemeName[]): Detail[] {
  const fewerAndFewer = [schemes, ...schemes.map((_, index) => schemes.slice(0, schemes.length - 1 - index))]
  return fewerAndFewer.flatMap(schemes => [true, false].map(responses => ({ schemes, responses })))
}

/**
 * Replaces the schema of a route. Options that cannot be changed, such as frozen ones, stay as they are.
 *
 * @returns a function that undoes it.
 */
function replaceSchema (options: RouteOptions, protections: readonly Protection[], detail: Detail): () => void {
  const { schema } = options
  Reflect.set(options, 'schema', documentProtection(schema as RouteSchema ?? {}, protections, detail))
  return () => { Reflect.set(options, 'schema', schema) }
}
