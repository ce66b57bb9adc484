import buildGetJwks from 'get-jwks'
import type { FastifyBaseLogger } from 'fastify'

/** An entry of the JWKS, as it came. */
export type Jwk = Readonly<Record<string, unknown>>

/** Where keys come from. */
export interface JwksSource {
  /** The address of the JWKS, or `null` while it has not been found. */
  readonly url: string | null
  /**
   * Fetches the JWKS and picks one key out of it.
   *
   * @returns the JWK, or `undefined` when the JWKS was had and does not hold that key.
   * @throws JwksFetchError when the JWKS could not be had.
   */
  fetchJwk (kid: string): Promise<Jwk | undefined>
}

/** The JWKS could not be had, which says nothing about any key. */
export class JwksFetchError extends Error {
  /** A stable word: `timeout`, a network error's code such as `ECONNREFUSED`, or `no_jwks` for a server that answers otherwise. */
  readonly code: string

  constructor (code: string) {
    super(`The JWKS could not be had: ${code}`)
    this.name = 'JwksFetchError'
    this.code = code
  }
}

/** What an address answered: a JWKS with or without the key, or something else. */
type Answer = { jwks: true, jwk: Jwk | undefined } | { jwks: false, describe: () => Description | Promise<Description> }

/** What an address answered instead of a JWKS, and whether that speaks of a server in trouble rather than of a wrong address. */
interface Description { answer: string, trouble: boolean }

// No compression: a JWKS is small, and an honest server then sends nothing that could grow while it is unpacked. No kept-alive
// connection: minutes pass between two fetches, and one that the server closes just then would look like an outage.
export const HEADERS = { accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' }

/**
 * The JWKS behind one of several addresses: the first that answers with a JWKS is kept until it stops doing so.
 *
 * @param urls - the addresses, in the order in which they are tried.
 * @param timeout - milliseconds for one `fetchJwk`, however many addresses it has to try.
 */
export function createJwksSource (urls: readonly string[], timeout: number, log: FastifyBaseLogger): JwksSource {
  let found: string | undefined
  let search: Promise<Jwk | undefined> | undefined
  let reported: string | undefined

  async function fetchJwk (kid: string, signal = AbortSignal.timeout(timeout)): Promise<Jwk | undefined> {
    const url = found
    if (url !== undefined) {
      const answer = await ask(url, kid, signal)
      if (answer.jwks) return answer.jwk
      if (found === url) found = undefined
      else if (found !== undefined) return fetchJwk(kid, signal)
    }
    if (search !== undefined) {
      // Someone else is looking for the address: theirs will do.
      await search
      return fetchJwk(kid, signal)
    }
    search = find(kid, signal).finally(() => { search = undefined })
    return search
  }

  async function find (kid: string, signal: AbortSignal): Promise<Jwk | undefined> {
    const refusals: Array<{ url: string, describe: () => Description | Promise<Description> }> = []
    for (const url of urls) {
      const answer = await ask(url, kid, signal)
      if (answer.jwks) {
        found = url
        reported = undefined
        log.info({ jwksUrl: url }, 'found the JWKS of the auth server')
        return answer.jwk
      }
      refusals.push({ url, describe: answer.describe })
    }
    const tried = []
    for (const { url, describe } of refusals) tried.push({ url, ...await describe() })
    report(tried)
    throw new JwksFetchError('no_jwks')
  }

  /** Says once what is wrong, and again only when something else is. */
  function report (tried: Array<{ url: string } & Description>): void {
    const text = tried.map(({ url, answer }) => `${url} answered ${answer}`).join('; ')
    if (text === reported) return
    reported = text
    log.error({ tried: tried.map(({ url, answer }) => ({ url, answer })) }, tried.some(({ trouble }) => trouble)
      ? `the auth server does not serve its keys: ${text}`
      : `no JWKS found: ${text}. If the auth server has its keys elsewhere, set the option "jwksPath"`)
  }

  return {
    get url () { return found ?? (urls.length === 1 ? urls[0]! : null) },
    fetchJwk: kid => fetchJwk(kid)
  }
}

/** Asks one address for a JWKS and a key of it. @throws JwksFetchError when the network fails, or the time is over. */
export async function ask (url: string, kid: string, signal: AbortSignal): Promise<Answer> {
  const { origin, pathname } = new URL(url)
  // One get-jwks for one fetch: its own cache would answer for keys that are gone, and its signal serves only once.
  const jwks = buildGetJwks({ max: 1, jwksPath: pathname, fetchOptions: { signal, redirect: 'manual', headers: HEADERS } })
  // Without `alg`: a key is looked up by its name alone, and what it may be used for is judged later.
  const wanted = { domain: origin, kid } as Parameters<typeof jwks.getJwk>[0]
  try {
    return { jwks: true, jwk: await beforeAbort(jwks.getJwk(wanted), signal) }
  } catch (error) {
    return classify(error as GetJwksFailure, url, signal)
  }
}

/** What getJwk() fails with. GetJwksError is not exported; its `code` tells it. */
interface GetJwksFailure extends Error {
  code?: string
  response?: Response
}

function classify (error: GetJwksFailure, url: string, signal: AbortSignal): Answer {
  switch (error.code) {
    case 'JWK_NOT_FOUND': return { jwks: true, jwk: undefined }
    case 'NO_JWKS': return { jwks: false, describe: () => ({ answer: 'JSON without keys', trouble: false }) }
    case 'JWKS_REQUEST_FAILED': return { jwks: false, describe: () => describeStatus(error.response!.status) }
  }
  // The body is no JSON. get-jwks parses it before it looks at the status: that has to be asked for once more, if it matters.
  if (error instanceof SyntaxError) return { jwks: false, describe: async () => describeStatus(await fetchStatus(url, signal)) }
  if (signal.aborted) throw new JwksFetchError('timeout')
  // A TypeError with a cause is fetch()'s; without one it is get-jwks stumbling over what the JWKS holds.
  if (error.cause !== undefined) throw networkError(error)
  return { jwks: false, describe: () => ({ answer: 'a malformed JWKS', trouble: true }) }
}

function describeStatus (status: number): Description {
  const ok = status >= 200 && status < 300
  return { answer: ok ? `HTTP ${status} without JSON` : `HTTP ${status}`, trouble: status >= 500 || status === 429 }
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

/** A body that is being unpacked does not heed the signal: whoever waits is let go all the same. */
function beforeAbort<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => { reject(signal.reason) }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
