import type { FastifyBaseLogger } from 'fastify'
import type { FetchFailure } from '../contract/fetch-failures.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { fetchJwks, type JwksResponse } from './fetch-jwks.js'
import { httpTransport } from './http-transport.js'
import { searchJwks, type Search } from './search-jwks.js'
import type { Transport } from './transport.js'

/** Where keys come from. */
export interface JwksSource {
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly url: string | null
  /**
   * Fetches the JWKS.
   *
   * @param mayMove - whether to search again if the URL that was found returns 404. Only if no key is trusted any more:
   * otherwise whoever publishes another JWKS at the same origin could take over.
   * @returns the entries of the JWKS, as received.
   * @throws JwksFetchError
   */
  fetchJwks (mayMove: boolean): Promise<readonly unknown[]>
}

/** Thrown if the JWKS could not be fetched. It says nothing about any key. */
export class JwksFetchError extends Error {
  readonly code: FetchFailure
  /** The code of Node.js for a network error. */
  readonly systemCode: string | undefined
  /** How long the server asks to wait, in milliseconds; 0 if it does not. */
  readonly retryAfter: number

  constructor (code: FetchFailure, retryAfter = 0, systemCode?: string) {
    super(`The JWKS could not be fetched: ${code}`)
    this.name = 'JwksFetchError'
    this.code = code
    this.retryAfter = retryAfter
    this.systemCode = systemCode
  }
}

/** Failures where a server returned something other than a JWKS. */
const READ: ReadonlyArray<FetchFailure | null> = ['no_jwks', 'http_4xx', 'http_5xx']

/**
 * Finds the JWKS at one of several URLs, and keeps the URL that it found.
 *
 * @param log - is told where the JWKS is, and what is there instead of it: once per change.
 */
export function createJwksSource (
  { jwksUrls: urls, jwks: { timeout, headers } }: Pick<ResolvedOptions, 'jwksUrls' | 'jwks'>, log: FastifyBaseLogger,
  transport: Transport = httpTransport
): JwksSource {
  let found: string | undefined
  let reported: string | undefined

  async function ask (mayMove: boolean): Promise<Search> {
    let remaining = timeout
    if (found !== undefined) {
      const response = await fetchJwks(found, { headers, signal: AbortSignal.timeout(timeout) }, transport)
      const tried = [response]
      if (response.entries !== undefined) return { found: response, tried }
      if (urls.length === 1 || !mayMove || response.status !== 404) return { found: undefined, tried }
      remaining -= response.duration
    }
    return searchJwks(urls, headers, remaining, transport)
  }

  function keep (url: string): void {
    if (found === undefined) log.info({ jwksUrl: url }, 'found the JWKS of the auth server')
    else if (found !== url) log.warn({ jwksUrl: url, previous: found }, 'the JWKS of the auth server has moved')
    found = url
  }

  /** Logs once what is wrong, and again only when that changes. */
  function report (responses: readonly JwksResponse[]): void {
    const tried = responses.map(({ url, text }) => ({ url, response: text }))
    const text = tried.map(({ url, response }) => `${url} returned ${response}`).join('; ')
    if (text === reported) return
    reported = text
    log.error({ tried }, responses.some(({ isTrouble }) => isTrouble)
      ? `the auth server does not serve its keys: ${text}`
      : `no JWKS found: ${text}. Add the plugin jwt() to the Better Auth server; if it has a base path other than ` +
        '/api/auth, add that to "authUrl"; if it has its keys elsewhere, set the option "jwksPath"')
  }

  return {
    get url () { return found ?? (urls.length === 1 ? urls[0]! : null) },
    async fetchJwks (mayMove) {
      const { found: response, tried } = await ask(mayMove)
      if (response?.entries !== undefined) {
        reported = undefined
        keep(response.url)
        return response.entries
      }
      const unread = tried.find(({ code }) => !READ.includes(code))
      if (unread === undefined) report(tried)
      const { code, systemCode } = unread ?? tried.find(({ isTrouble }) => isTrouble) ?? tried[0]!
      throw new JwksFetchError(code!, Math.max(...tried.map(({ retryAfter }) => retryAfter)), systemCode)
    }
  }
}
