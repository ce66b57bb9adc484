import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What can be wrong with an auth server:
 *
 * - `down`: each connection is reset
 * - `hang`: it accepts connections and never answers
 * - `slow`: it answers as it should, after a second
 * - `error`: 500, with a page of HTML
 * - `html`: 200, with a page of HTML
 * - `empty`: 200, with no body
 * - `redirect`: 302, to where the JWKS is; a client that follows it has its keys from another address than it was told
 * - `malformed`: 200, with JSON that ends too early
 */
export type Fault = 'down' | 'hang' | 'slow' | 'error' | 'html' | 'empty' | 'redirect' | 'malformed'

/** A JWKS server on loopback that fails on demand. */
export interface JwksServer {
  readonly origin: string
  /** How often the JWKS was asked for. */
  readonly requests: number
  /** What is wrong with it now. */
  fault: Fault | undefined
  /** Ends all connections, those that hang included. */
  close (): Promise<void>
}

/** Better Auth's default address. */
const JWKS_PATH = '/api/auth/jwks'
const REDIRECTED_PATH = '/redirected/jwks'
const DELAY = 1000
const PAGE = '<!doctype html><title>Auth server</title><h1>Something went wrong</h1>'

/** What is answered instead of a JWKS. */
const FAULTS: Record<Fault, (response: ServerResponse, sendJwks: () => void, jwks: string) => void> = {
  down: response => { response.req.socket.resetAndDestroy() },
  hang: () => {},
  slow (response, sendJwks) {
    const timer = setTimeout(sendJwks, DELAY)
    response.on('close', () => { clearTimeout(timer) })
  },
  error: response => { response.writeHead(500, { 'content-type': 'text/html' }).end(PAGE) },
  html: response => { response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE) },
  empty: response => { response.writeHead(200).end() },
  redirect: response => { response.writeHead(302, { location: REDIRECTED_PATH }).end() },
  malformed (response, _sendJwks, jwks) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(jwks.slice(0, -3))
  }
}

/** All kinds of fault. */
export const FAULT_KINDS = Object.keys(FAULTS) as readonly Fault[]

/** @param keys - the published keys; none where there is no JWKS, which is 404 then. */
export async function startJwksServer (keys: () => readonly unknown[]): Promise<JwksServer> {
  let requests = 0

  const server = createServer(({ method, url }, response) => {
    if (url === JWKS_PATH) requests++
    const { fault } = state
    const published = keys()
    const jwks = JSON.stringify({ keys: published })
    // Better Auth does not say how long its JWKS may be kept, and nothing at all in a 404.
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
    fault: undefined,
    async close () {
      const closed = new Promise(resolve => { server.close(resolve) })
      server.closeAllConnections()
      await closed
    }
  }
  return state
}
