import type { FastifyInstance } from 'fastify'
import { InvalidOptionError, UnprotectedRouteError } from '../contract/setup-errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Guard } from '../guards/clauses.js'
import { listRoutes, type Route } from './list-routes.js'
import { hooksOf, isPublic, POSITIONS, scopeHooks, type Protection, type Protections } from './protections.js'

/** How one method of a route is protected. */
export interface RouteProtection {
  readonly method: string
  /** With the prefix of its scope. */
  readonly url: string
  /**
   * - `required`: a request needs a valid credential.
   * - `optional`: `authenticateOptional` lets anonymous requests through.
   * - `public`: no hook protects it, and none has to: it says `config: { public: true }`, or its method is OPTIONS.
   * - `none`: no hook protects it.
   */
  readonly protection: 'required' | 'optional' | 'public' | 'none'
  /** What its hooks of `authorize()` were given. A request has to meet them all. */
  readonly guards: readonly Guard[]
}

/**
 * Looks for routes that are open by mistake, in a scope and in its children: at once for a hook that cannot be one, and
 * when the application is ready for routes that nothing protects.
 *
 * @returns `fastify.betterAuth.routes()`.
 */
export function watchRoutes (
  fastify: FastifyInstance, { unprotected }: Pick<ResolvedOptions, 'unprotected'>, protections: Protections
): () => RouteProtection[] {
  /** By method and URL: the option of the route whose value is `undefined`. */
  const undefinedHooks = new Map<string, string>()
  const scopes = new Set<FastifyInstance>()
  let isReady = false

  fastify.addHook('onRoute', function (options) {
    const names = [options.method].flat().map(method => `${method} ${options.url}`)
    if (hooksOf(options).includes(fastify.authorize)) throw uncalledAuthorize(`of ${names[0]}`)
    scopes.add(this)
    const position = POSITIONS.find(position => position in options && options[position] === undefined)
    if (position !== undefined) for (const name of names) undefinedHooks.set(name, position)
  })

  fastify.addHook('onReady', async () => {
    isReady = true
    // Fastify adds the hooks of a scope after its routes.
    if ([...scopes].some(scope => scopeHooks(scope).includes(fastify.authorize))) throw uncalledAuthorize('of a scope')
    if (unprotected === 'allow' || (unprotected === undefined && undefinedHooks.size === 0)) return
    const open = listRoutes(fastify).filter(route => judgeRoute(route).protection === 'none')
      .map(({ method, url, context: { config } }) => {
        // The router may spell the URL in another way: without a slash at its end, or as two for `/:id?`.
        return { method, url, undefinedHook: undefinedHooks.get(`${method} ${config.url}`) }
      })
    const reported = open.filter(({ undefinedHook }) => unprotected !== undefined || undefinedHook !== undefined)
    if (reported.length === 0) return
    const message = describeOpenRoutes(reported)
    if (unprotected === 'error') throw new UnprotectedRouteError(message)
    fastify.log.warn(message)
  })

  function routes (): RouteProtection[] {
    if (!isReady) throw new Error('betterAuth.routes() works when all routes are known: await app.ready() first')
    return listRoutes(fastify).map(judgeRoute)
  }

  function judgeRoute ({ method, url, context }: Route): RouteProtection {
    const found = protections.of(hooksOf(context), context.config)
    const guards = found.flatMap(({ guard }) => guard === undefined ? [] : { ...guard })
    // The preflight request of a browser has method OPTIONS, and never a credential.
    const isOpen = isPublic(context.config) || method === 'OPTIONS'
    return { method, url, protection: judge(found, isOpen), guards }
  }

  return routes
}

function uncalledAuthorize (place: string): Error {
  return new InvalidOptionError(
    `A hook ${place} is app.authorize itself. Call it: onRequest: [app.authorize({ roles: ['admin'] })]`
  )
}

function judge (protections: readonly Protection[], isOpen: boolean): RouteProtection['protection'] {
  if (protections.some(({ isOptional }) => !isOptional)) return 'required'
  if (protections.length > 0) return 'optional'
  return isOpen ? 'public' : 'none'
}

interface OpenRoute { readonly method: string, readonly url: string, readonly undefinedHook: string | undefined }

function describeOpenRoutes (routes: readonly OpenRoute[]): string {
  const methods = new Map<string, string[]>()
  for (const { method, url, undefinedHook } of routes) {
    const name = `${url}${undefinedHook === undefined ? '' : ` (its ${undefinedHook} is undefined)`}`
    methods.set(name, [...methods.get(name) ?? [], method])
  }
  const list = [...methods].map(([name, methods]) => `${methods.join(', ')} ${name}`).join('; ')
  const hint = routes.some(({ undefinedHook }) => undefinedHook !== undefined)
    ? ' A hook is undefined if it is misspelt, or if the plugin is not loaded yet: await its registration.'
    : ''
  return `Open to everyone: ${list}. Protect each route, for example with onRequest: [app.authenticate], ` +
    `or declare it with config: { public: true }.${hint}`
}
