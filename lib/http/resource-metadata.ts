import type { FastifyInstance, FastifyReply } from 'fastify'
import { AlreadyRegisteredError, InvalidOptionError } from '../contract/setup-errors.js'
import { ALGORITHMS } from '../contract/options.js'
import type { ResolvedDpop } from '../contract/resolve-dpop.js'
import type { ResolvedResource } from '../contract/resolve-resource.js'
import { OPEN_ROUTE } from './open-route.js'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
const CORS = { 'access-control-allow-origin': '*' }
const PREFLIGHT = {
  ...CORS,
  'access-control-allow-methods': 'GET, HEAD',
  // The asterisk does not include `Authorization` (Fetch Standard, CORS protocol).
  'access-control-allow-headers': '*, Authorization',
  'access-control-max-age': '86400'
}

/**
 * The route is not in an OpenAPI document, unless a `transform` of the application shows it. No response: Fastify would
 * compile a serializer for it, with that of the application.
 */
const SCHEMA: object = {
  hide: true,
  summary: 'Metadata of this API as a protected resource of OAuth',
  description: 'RFC 9728: its identifier, the servers that issue tokens for it, and its scopes.',
  security: []
}

/**
 * The URL of the metadata of a resource (RFC 9728 §3.1). It follows from the identifier alone: behind a proxy, the
 * `Host` header may be another one, and a client may send any.
 */
export function metadataUrl (resource: ResolvedResource): string {
  return new URL(resource.url).origin + metadataPath(resource)
}

function metadataPath ({ url }: ResolvedResource): string {
  const { pathname } = new URL(url)
  return pathname === '/' ? WELL_KNOWN : WELL_KNOWN + pathname
}

/**
 * Publishes the metadata of this API (RFC 9728 §2) at its well-known path. The route is at the root, whatever the
 * prefix of the scope is.
 *
 * @throws AlreadyRegisteredError if there is a route already, InvalidOptionError for a path that no route can have.
 */
export function serveMetadata (fastify: FastifyInstance, resource: ResolvedResource, dpop?: ResolvedDpop): void {
  const root = rootOf(fastify)
  const url = toPattern(metadataPath(resource))
  // With `cors: false`, @fastify/cors leaves the route alone: its own rules would keep other origins out.
  const config = { ...OPEN_ROUTE, cors: false }
  const route = { url, config }

  if (root.hasRoute({ method: 'GET', url })) throw takenTwice(resource)
  // A string: hooks that change the objects of an API must not change the metadata.
  const body = JSON.stringify(describe(resource, dpop))
  root.route({
    ...route,
    schema: { ...SCHEMA },
    method: 'GET',
    exposeHeadRoute: true,
    async handler (_request, reply: FastifyReply) {
      return reply.headers({ ...CORS, 'cache-control': 'public, max-age=3600' }).type('application/json').send(body)
    }
  })
  root.route({
    ...route,
    schema: { hide: true } as object,
    method: 'OPTIONS',
    async handler (_request, reply: FastifyReply) { return reply.code(204).headers(PREFLIGHT).send() }
  })
}

/** The metadata; JSON leaves out what is undefined. */
function describe (
  { url, authorizationServers, scopes, name, documentation }: ResolvedResource, dpop: ResolvedDpop | undefined
): object {
  return {
    resource: url,
    authorization_servers: authorizationServers,
    scopes_supported: scopes.length === 0 ? undefined : scopes,
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: dpop && ALGORITHMS,
    dpop_bound_access_tokens_required: dpop?.required === true ? true : undefined,
    resource_name: name,
    resource_documentation: documentation
  }
}

/** Each scope of Fastify inherits from the one around it. */
function rootOf (scope: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(scope) as FastifyInstance
  return 'route' in parent ? rootOf(parent) : scope
}

/** The router compares decoded paths, has a meaning for `*` and `:`, and never finds `%`. */
function toPattern (path: string): string {
  let decoded = '%'
  try {
    decoded = decodeURI(path)
  } catch {}
  if (/[%*]/.test(decoded)) {
    throw new InvalidOptionError('Option "resource" must not have "*", an encoded delimiter such as "%2F" or invalid ' +
      `UTF-8 in its path: no route can serve its metadata at '${path}'`)
  }
  return decoded.replaceAll(':', '::')
}

function takenTwice (resource: ResolvedResource): Error {
  return new AlreadyRegisteredError(`The metadata of the resource "${resource.url}" needs the route ` +
    `GET ${metadataPath(resource)}, which exists already. Two registrations of better-auth-fastify need resources ` +
    'with different paths; a route of your own must give way')
}
