import type { FastifyInstance } from 'fastify'

/** One method of a route. */
export interface Route {
  readonly method: string
  readonly url: string
  /** What Fastify keeps of it: its `config`, and the hooks of its scope and its own. */
  readonly context: RouteContext
}

interface RouteContext extends Record<string, unknown> {
  readonly server: FastifyInstance
  /** Fastify adds the URL, as it was registered, to what the application has set. */
  readonly config: { readonly url: string }
}

/** An entry of Fastify's router. */
interface Entry { readonly method: string, readonly path: string, readonly store: RouteContext }

/** What `printRoutes()` prints of a router without routes. */
const NO_ROUTES = '(empty tree)'

/**
 * The routes of a scope and of its children, those included that were registered before the plugin. Call it when the
 * application is ready: only then Fastify knows the hooks of each route.
 *
 * Fastify has no public list of routes, and `onRoute` tells only of later ones. `printRoutes()` visits them all, and
 * asks a function of the router what to print of each; this replaces the function.
 *
 * @throws Error if this version of Fastify does it in another way.
 */
export function listRoutes (scope: FastifyInstance): Route[] {
  const entries: Entry[] = []
  const visitor = {
    includeMeta: true,
    get buildPrettyMeta () {
      return ({ method, path, store }: Entry) => {
        entries.push({ method, path, store })
        return {}
      }
    },
    // The router assigns its own function.
    set buildPrettyMeta (_) {}
  }
  const printed = scope.printRoutes(visitor as object)

  const routes = entries.map(({ method, path, store }) => ({ method, url: path, context: store }))
  const isComplete = routes.length === 0 ? printed === NO_ROUTES : routes.every(({ context }) => 'server' in context)
  if (!isComplete) throw new Error('better-auth-fastify cannot list the routes of this version of Fastify')
  return routes.filter(({ context: { server } }) => {
    return server === scope || Object.prototype.isPrototypeOf.call(scope, server)
  })
}
