import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'

/**
 * How the auth server of a test issuer fails:
 *
 * - `down`: it resets every connection
 * - `hang`: it accepts connections and never responds
 * - `slow`: it responds correctly, after a second
 * - `error`: 500 with an HTML page
 * - `html`: 200 with an HTML page
 * - `empty`: 200 without a body
 * - `redirect`: 302 to another URL that serves the JWKS; a client that follows it uses a URL it was not given
 * - `malformed`: 200 with truncated JSON
 */
export type Fault = 'down' | 'hang' | 'slow' | 'error' | 'html' | 'empty' | 'redirect' | 'malformed'

/** A JWKS server on loopback that fails on demand. */
export interface JwksServer {
  readonly origin: string
  /** The number of requests to the URL of the JWKS. */
  readonly requests: number
  /** The number of requests to `/token`. */
  readonly exchanges: number
  /** The fault that it shows now. */
  fault: Fault | undefined
  /** Stops the server and ends all connections, hanging ones included. */
  close (): Promise<void>
}

/** Better Auth's default path. */
const JWKS_PATH = '/api/auth/jwks'
const TOKEN_PATH = '/api/auth/token'
const UNAUTHORIZED = { message: 'Unauthorized', code: 'UNAUTHORIZED' }
const REDIRECTED_PATH = '/redirected/jwks'
const DELAY = 1000
const PAGE = '<!doctype html><title>Auth server</title><h1>Something went wrong</h1>'

/** The response of each fault, in place of the right one. */
const FAULTS: Record<Fault, (response: ServerResponse, send: () => void, body: string) => void> = {
  down: response => { response.req.socket.resetAndDestroy() },
  hang: () => {},
  slow (response, send) {
    const timer = setTimeout(send, DELAY)
    response.on('close', () => { clearTimeout(timer) })
  },
  error: response => { response.writeHead(500, { 'content-type': 'text/html' }).end(PAGE) },
  html: response => { response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE) },
  empty: response => { response.writeHead(200).end() },
  redirect: response => { response.writeHead(302, { location: REDIRECTED_PATH }).end() },
  malformed (response, _send, body) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(body.slice(0, -3))
  }
}

/** @throws TypeError for an unknown fault. */
export function checkFault (kind: Fault): void {
  const known = Object.keys(FAULTS)
  if (!known.includes(kind)) throw new TypeError(`Unknown fault ${inspect(kind)}. Known faults: ${known.join(', ')}`)
}

/**
 * Starts the server on a free port of 127.0.0.1.
 *
 * @param keys - returns the published keys; if there are none, the JWKS is a 404.
 * @param exchange - returns the JWT for the credential of a request to `/token`; `undefined` is a 401.
 */
export async function startJwksServer (
  keys: () => readonly unknown[], exchange: (headers: IncomingHttpHeaders) => string | undefined
): Promise<JwksServer> {
  let requests = 0
  let exchanges = 0

  const server = createServer(({ method, url, headers }, response) => {
    const { fault } = state
    if (method === 'GET' && url!.split('?')[0] === TOKEN_PATH) {
      exchanges++
      const token = exchange(headers)
      const [status, body] = token === undefined ? [401, UNAUTHORIZED] as const : [200, { token }] as const
      const json = JSON.stringify(body)
      const send = () => { response.writeHead(status, { 'content-type': 'application/json' }).end(json) }
      if (fault === undefined) send()
      else FAULTS[fault](response, send, json)
      return
    }
    if (url === JWKS_PATH) requests++
    const published = keys()
    const jwks = JSON.stringify({ keys: published })
    // As Better Auth does: a JWKS without cache headers, a 404 without a body.
    const sendJwks = (path: string) => {
      if (method !== 'GET' || url !== path || published.length === 0) response.writeHead(404).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(jwks)
    }
    if (fault === undefined) sendJwks(JWKS_PATH)
    else if (fault === 'redirect' && url === REDIRECTED_PATH) sendJwks(REDIRECTED_PATH)
    else FAULTS[fault](response, () => { sendJwks(JWKS_PATH) }, jwks)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })

  const { port } = server.address() as AddressInfo
  const state: JwksServer = {
    origin: `http://127.0.0.1:${port}`,
    get requests () { return requests },
    get exchanges () { return exchanges },
    fault: undefined,
    async close () {
      const closed = new Promise(resolve => { server.close(resolve) })
      server.closeAllConnections()
      await closed
    }
  }
  return state
}
