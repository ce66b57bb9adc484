import buildGetJwks from 'get-jwks'

/** An entry of the JWKS, as received: any member may be of any type. */
export type Jwk = Readonly<Record<string, unknown>>

/** Thrown if the JWKS could not be fetched. It says nothing about any key. */
export class JwksFetchError extends Error {
  /**
   * A stable word: `timeout`, the code of a network error such as `ECONNREFUSED`, or `no_jwks` for a response that is
   * not a JWKS.
   */
  readonly code: string

  constructor (code: string) {
    super(`The JWKS could not be fetched: ${code}`)
    this.name = 'JwksFetchError'
    this.code = code
  }
}

/** What a URL returned: a JWKS, with the key or without it, or something else. */
export type JwksResponse =
  | { readonly isJwks: true, readonly jwk: Jwk | undefined }
  | { readonly isJwks: false, readonly describe: () => Description | Promise<Description> }

/** What a URL returned instead of a JWKS, and whether that points to a failing server rather than to a wrong URL. */
export interface Description { readonly response: string, readonly isTrouble: boolean }

// No compression: a JWKS is small, and an honest server then sends nothing that could grow during decompression. No
// keep-alive: minutes pass between two fetches, and a connection that the server closes at that moment would look like
// an outage.
export const HEADERS = { accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' }

/**
 * Fetches the JWKS from one URL, and picks one key from it.
 *
 * @throws JwksFetchError if the network fails, or the timeout expires.
 */
export async function fetchJwks (url: string, kid: string, signal: AbortSignal): Promise<JwksResponse> {
  const { origin, pathname } = new URL(url)
  // A new get-jwks for each fetch: its own cache would return removed keys, and its signal works only once.
  const fetchOptions = { signal, redirect: 'manual', headers: HEADERS } as const
  const jwks = buildGetJwks({ max: 1, jwksPath: pathname, fetchOptions })
  // Without `alg`: the key is found by its `kid` alone, and judged later.
  const wanted = { domain: origin, kid } as Parameters<typeof jwks.getJwk>[0]
  try {
    return { isJwks: true, jwk: await beforeAbort(jwks.getJwk(wanted), signal) }
  } catch (error) {
    return classify(error as GetJwksFailure, url, signal)
  }
}

/** The error of getJwk(). GetJwksError is not exported; its `code` identifies it. */
interface GetJwksFailure extends Error {
  code?: string
  response?: Response
}

function classify (error: GetJwksFailure, url: string, signal: AbortSignal): JwksResponse {
  switch (error.code) {
    case 'JWK_NOT_FOUND': return { isJwks: true, jwk: undefined }
    case 'NO_JWKS': return not(() => ({ response: 'JSON without keys', isTrouble: false }))
    case 'JWKS_REQUEST_FAILED': return not(() => describeStatus(error.response!.status))
  }
  // The body is not JSON. get-jwks parses it before it reads the status, so a second request finds out the status if it
  // matters.
  if (error instanceof SyntaxError) return not(async () => describeStatus(await fetchStatus(url, signal)))
  if (signal.aborted) throw new JwksFetchError('timeout')
  // A TypeError with a cause comes from fetch(). Without one it comes from get-jwks, which failed on an entry of the
  // JWKS.
  if (error.cause !== undefined) throw networkError(error)
  return not(() => ({ response: 'a malformed JWKS', isTrouble: true }))
}

function not (describe: () => Description | Promise<Description>): JwksResponse {
  return { isJwks: false, describe }
}

function describeStatus (status: number): Description {
  const isOk = status >= 200 && status < 300
  const isTrouble = status >= 500 || status === 429
  return { response: isOk ? `HTTP ${status} without JSON` : `HTTP ${status}`, isTrouble }
}

async function fetchStatus (url: string, signal: AbortSignal): Promise<number> {
  try {
    const response = await fetch(url, { signal, redirect: 'manual', headers: HEADERS })
    response.body?.cancel().catch(() => {})
    return response.status
  } catch (error) {
    throw signal.aborted ? new JwksFetchError('timeout') : networkError(error as Error)
  }
}

function networkError (error: Error): JwksFetchError {
  const code = (error.cause as { code?: unknown } | undefined)?.code
  return new JwksFetchError(typeof code === 'string' ? code : 'network')
}

/** Rejects as soon as the signal aborts. A body that is being decompressed ignores the signal. */
function beforeAbort<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => { reject(signal.reason) }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
