import type { FastifyInstance, RouteOptions } from 'fastify'
import { documentProtection, type Detail, type Protection, type RouteSchema, type SchemeName } from './route-schema.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'

/** Notes what a hook asks for, and hands it back. */
export type Describe = <T extends object>(hook: T, protection: Protection) => T

/** A route that @fastify/swagger knows, and the scope that it is in. */
interface Route { readonly options: RouteOptions, readonly scope: FastifyInstance }

type Swagger = (options?: unknown) => unknown

interface SwaggerOwner { swagger: Swagger }

const POSITIONS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

/**
 * Makes the routes of a scope say in OpenAPI how the hooks protect them, where @fastify/swagger is registered.
 *
 * The schema of a route is another one only while `fastify.swagger()` runs: Fastify itself must not see the responses, or it would
 * serialise with them what an error handler of the application sends.
 */
export function documentRoutes (fastify: FastifyInstance, { openapi, sessionCookie }: ResolvedOptions): Describe {
  const protections = new WeakMap<object, Protection>()
  const routesOf = new Map<object, Route[]>()
  const hasCookie = sessionCookie !== false
  const schemes: readonly SchemeName[] = hasCookie ? ['betterAuth', 'betterAuthCookie'] : ['betterAuth']

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
      const protectedRoutes = routes.flatMap(route => {
        // By now all hooks of the scope are known, those too that came after the route.
        const found = hooksOf(route).flatMap(hook => protections.get(hook) ?? [])
        return found.length === 0 ? [] : { options: route.options, protections: found }
      })

      for (const detail of details(schemes)) {
        const replaced: Array<() => void> = []
        try {
          for (const { options, protections } of protectedRoutes) replaced.push(replaceSchema(options, protections, detail))
          const document = swagger(options)
          if (detail.schemes.length < schemes.length) warnOfSchemes()
          return document
        } catch {
          // Thrown for a scheme that is not declared, and by a `transform` that takes no JSON Schema: say less.
        } finally {
          for (const undo of replaced) undo()
        }
      }
      const document = swagger(options)
      fastify.log.warn('OpenAPI: protected routes are documented as if they were open: a transform of @fastify/swagger does not take what would be said of them')
      return document
    }
  }

  function warnOfSchemes (): void {
    const constant = hasCookie ? 'betterAuthCookieSecuritySchemes' : 'betterAuthSecuritySchemes'
    fastify.log.warn(`OpenAPI: a security scheme is not declared, and protected routes do not show it; put ${constant} into openapi.components.securitySchemes of @fastify/swagger`)
  }

  return (hook, protection) => {
    protections.set(hook, protection)
    return hook
  }
}

/** The instance that has the decorator of @fastify/swagger: it or one that it is within. */
function swaggerOwner (scope: FastifyInstance): SwaggerOwner | undefined {
  if (!scope.hasPlugin('@fastify/swagger') || !scope.hasDecorator('swagger')) return undefined
  let owner: object = scope
  while (!Object.hasOwn(owner, 'swagger')) owner = Object.getPrototypeOf(owner)
  // Under another `decorator`, that name is free for anything of the application.
  return isSwaggerOwner(owner) ? owner : undefined
}

function isSwaggerOwner (owner: object): owner is SwaggerOwner {
  return 'swagger' in owner && typeof owner.swagger === 'function'
}

/** From all that can be said to the least. */
function details (schemes: readonly SchemeName[]): Detail[] {
  const fewerAndFewer = [schemes, ...schemes.map((_, index) => schemes.slice(0, schemes.length - 1 - index))]
  return fewerAndFewer.flatMap(schemes => [true, false].map(responses => ({ schemes, responses })))
}

/**
 * Leaves options alone that cannot be changed, such as frozen ones.
 *
 * @returns what undoes it.
 */
function replaceSchema (options: RouteOptions, protections: readonly Protection[], detail: Detail): () => void {
  const { schema } = options
  Reflect.set(options, 'schema', documentProtection(schema as RouteSchema ?? {}, protections, detail))
  return () => { Reflect.set(options, 'schema', schema) }
}

function hooksOf ({ options, scope }: Route): object[] {
  const inherited = scopeHooks(scope)
  return POSITIONS.flatMap(position => [inherited[position] ?? [], options[position] ?? []].flat())
}

/** Fastify has no list of a scope's hooks. Where it keeps them elsewhere one day, hooks of routes are still found. */
function scopeHooks (scope: object): Partial<Record<string, object[]>> {
  const key = Object.getOwnPropertySymbols(scope).find(({ description }) => description === 'fastify.hooks')
  return key === undefined ? {} : (scope as Record<symbol, Record<string, object[]>>)[key]!
}
