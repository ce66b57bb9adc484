import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import { isResponse } from '../auth-server/in-process.js'
import { describeThrown } from '../auth-server/thrown.js'
import type { ResolvedAuth } from '../contract/resolve-auth.js'
import { AlreadyRegisteredError, InvalidOptionError } from '../contract/setup-errors.js'
import type { Authenticator } from './authenticate.js'
import { isOpenRoute, OPEN_ROUTE } from './open-route.js'
import { toWebRequest } from './web-request.js'
import { sendWebResponse } from './web-response.js'

/** HEAD is not GET here: the links of Better Auth work once, and whoever only looks at them must not use them up. */
const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']

/**
 * Mounts Better Auth below its base path. Its routes have a parser of their own, which leaves the body as it is; the
 * `bodyLimit` of the application holds.
 *
 * @throws InvalidOptionError, AlreadyRegisteredError
 */
export async function mountAuth (
  fastify: FastifyInstance, auth: ResolvedAuth, { openapi }: { readonly openapi: boolean }
): Promise<void> {
  const url = routeUrl(fastify, auth.basePath)

  async function handle (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { signal } = clientOf(reply)
    let webRequest
    try {
      webRequest = toWebRequest(request, auth, signal)
    } catch {
      return sendError(reply, 400, 'Bad Request')
    }
    if (hasOtherRoute(fastify, webRequest)) return sendError(reply, 404, 'Not Found')
    try {
      const response: unknown = await auth.server.handler(webRequest)
      if (!isResponse(response)) throw new TypeError('Better Auth returned no Response')
      return sendWebResponse(reply, response)
    } catch (error) {
      if (!signal.aborted) request.log.error({ thrown: describeThrown(error) }, 'Better Auth threw an error')
      return sendError(reply, 500, 'Internal Server Error')
    }
  }

  await fastify.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
    scope.route({
      url,
      method: METHODS,
      exposeHeadRoute: false,
      config: OPEN_ROUTE,
      schema: { hide: !openapi } as object,
      logSerializers: { req: withoutSecrets(fastify.log) },
      handler: handle
    })
  })
}

/** An authenticator that leaves requests to Better Auth alone: most of them come from nobody yet. */
export function unlessMounted (authenticate: Authenticator): Authenticator {
  return request => isOpenRoute(request.routeOptions.config) ? undefined : authenticate(request)
}

function routeUrl (fastify: FastifyInstance, basePath: string): string {
  // Fastify ignores one slash at the end of a prefix, and no more.
  const prefix = fastify.prefix.replace(/\/$/, '')
  if (!`${basePath}/`.startsWith(`${prefix}/`)) {
    throw new InvalidOptionError(`Option "auth" has the base path "${basePath}", and cannot be mounted below the ` +
      `prefix "${prefix}": register the plugin outside of it, change the basePath, or set "mount" to false`)
  }
  const url = `${basePath}/*`
  if (METHODS.some(method => fastify.hasRoute({ method, url }))) {
    throw new AlreadyRegisteredError(`Better Auth needs the route ${url}, which exists already. If that is Better ` +
      'Auth itself, set "mount" to false')
  }
  return url.slice(prefix.length)
}

/**
 * Whether a slash at the end of the path leads past a route that the application has in the place of one of Better
 * Auth, which ignores that slash with `advanced.skipTrailingSlashes`.
 */
function hasOtherRoute (fastify: FastifyInstance, { method, url }: Request): boolean {
  const [path] = url.split(/[?#]/, 1)
  if (!path!.endsWith('/')) return false
  return fastify.hasRoute({ method: method as HTTPMethods, url: new URL(path!).pathname.replace(/\/+$/, '') })
}

/** Ends when the client goes before it has its response. */
function clientOf ({ raw }: FastifyReply): AbortController {
  const controller = new AbortController()
  raw.once('close', () => { if (!raw.writableEnded) controller.abort() })
  return controller
}

function sendError (reply: FastifyReply, statusCode: number, message: string): FastifyReply {
  return reply.code(statusCode).send({ statusCode, error: message, message })
}

/** A part of a path that may be a token, as in `/reset-password/<token>`. Names of routes have only small letters. */
const TOKEN = /(?<=\/)(?=[^/]*[A-Z0-9])[^/]{16,}/g
const kSerializers = Symbol.for('pino.serializers')

type Serialize = (request: FastifyRequest) => unknown

/** What the application logs about a request, with a URL that lets nobody in: links of Better Auth are credentials. */
function withoutSecrets (log: FastifyBaseLogger): Serialize {
  const { req = describe } = (log as unknown as Record<symbol, { req?: Serialize } | undefined>)[kSerializers] ?? {}
  return request => {
    const shown = req(request)
    const { url } = Object(shown) as { url?: unknown }
    if (typeof url !== 'string') return shown
    const [path] = url.split('?')
    return { ...shown as object, url: path!.replace(TOKEN, '***') + (path === url ? '' : '?***') }
  }
}

/** As Fastify describes it. */
function describe ({ method, url, host, ip, socket }: FastifyRequest): object {
  return { method, url, host, remoteAddress: ip, remotePort: socket.remotePort }
}
