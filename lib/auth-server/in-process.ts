import type { FastifyBaseLogger } from 'fastify'
import { requestOptions } from './fetch-json.js'
import { recordResponse } from './record-response.js'
import { describeThrown } from './thrown.js'
import { readWhole, type Transport } from './transport.js'

/** A Better Auth server in this process. */
export interface LocalServer {
  readonly handler: (request: Request) => Promise<Response>
  /** Its server-side calls, `auth.api`. */
  readonly api?: object | undefined
}

/** A member of `auth.api`. */
type Endpoint = (call: {
  readonly request: Request
  readonly headers: Headers
  readonly query: Readonly<Record<string, string>>
  readonly asResponse: true
}) => unknown

/**
 * Calls a Better Auth server in this process. Endpoints of `auth.api` come before `auth.handler`: Better Auth's rate
 * limiter does not count them (https://better-auth.com/docs/concepts/rate-limit), so they neither use up the limit of
 * the users, nor can users make them fail.
 *
 * @param basePath - where the paths of the endpoints begin; empty for the root.
 * @param log - is told of errors that the server throws. They are a status of 500 for the caller, as over HTTP.
 */
export function createInProcessTransport (
  server: LocalServer, basePath: string, log: FastifyBaseLogger
): Transport {
  const endpoints = endpointsOf(server.api ?? {})
  let reported: string | undefined

  async function call (request: Request): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url)
    const endpoint = endpoints.get(pathname.slice(basePath.length))
    if (endpoint === undefined) return server.handler(request)
    const query = Object.fromEntries(searchParams)
    try {
      return await endpoint({ request, headers: request.headers, query, asResponse: true })
    } catch (error) {
      return refusalOf(error)
    }
  }

  async function respond (url: string, headers: Headers, signal: AbortSignal): Promise<Response> {
    try {
      const response = await call(new Request(url, { headers, signal }))
      if (!isResponse(response)) throw new TypeError('Better Auth returned no Response')
      reported = undefined
      return response
    } catch (error) {
      report(error)
      return new Response(null, { status: 500 })
    }
  }

  /** Once, and again only when something else is thrown. */
  function report (error: unknown): void {
    const thrown = describeThrown(error)
    const place = `${thrown.name} ${thrown.code} ${thrown.at[0]}`
    if (place === reported) return
    reported = place
    log.error({ thrown }, 'Better Auth threw an error where it should return a response')
  }

  return {
    isLocal: true,
    async fetchJwks (url, { headers, signal }) {
      return recordResponse(await respond(url, requestOptions(headers).headers, signal))
    },
    async get (url, headers, signal) {
      return readWhole(await respond(url, headers, signal))
    }
  }
}

/** The endpoints that respond to GET, by their path below the base path. */
function endpointsOf (api: object): ReadonlyMap<unknown, Endpoint> {
  const endpoints = new Map<unknown, Endpoint>()
  for (const endpoint of Object.values(api)) {
    const { path, options } = Object(endpoint) as { path?: unknown, options?: { method?: unknown } }
    const isGet = typeof endpoint === 'function' && [options?.method].flat().includes('GET')
    // Of several with one path, the router of Better Auth takes the first.
    if (isGet && !endpoints.has(path)) endpoints.set(path, endpoint as Endpoint)
  }
  return endpoints
}

/**
 * What `auth.handler` returns where a hook of Better Auth has refused a request, as for an API key that has reached its
 * limit: `auth.api` throws the refusal, even with `asResponse`.
 *
 * @throws the error itself, if it is none.
 */
function refusalOf (error: unknown): Response {
  const { name, statusCode, body, headers } = Object(error) as {
    name?: unknown, statusCode?: unknown, body?: unknown, headers?: Record<string, string>
  }
  const isRefusal = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  if (name !== 'APIError' || !isRefusal) throw error
  return Response.json(body ?? null, { status: statusCode, ...headers && { headers } })
}

/** A `Response` of this realm, of another one or of a polyfill. */
export function isResponse (value: unknown): value is Response {
  const { status, headers } = Object(value) as { status?: unknown, headers?: unknown }
  return typeof status === 'number' && typeof Object(headers).get === 'function'
}
