import type { FastifyBaseLogger } from 'fastify'
import { fetchJwks, JwksFetchError, type Description, type Jwk, type JwksResponse } from './fetch-jwks.js'

/** Where keys come from. */
export interface JwksSource {
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly url: string | null
  /**
   * Fetches the JWKS and picks one key from it.
   *
   * @returns the JWK, or `undefined` if the JWKS was fetched and does not hold that key.
   * @throws JwksFetchError if the JWKS could not be fetched.
   */
  fetchJwk (kid: string): Promise<Jwk | undefined>
}

/**
 * Finds the JWKS at one of several URLs. It uses the first URL that returns a JWKS, until that URL stops doing so.
 *
 * @param urls - in the order in which they are tried.
 * @param timeout - milliseconds for one `fetchJwk`, however many URLs it has to try.
 */
export function createJwksSource (urls: readonly string[], timeout: number, log: FastifyBaseLogger): JwksSource {
  let found: string | undefined
  let search: Promise<Jwk | undefined> | undefined
  let reported: string | undefined

  async function fetchJwk (kid: string, signal = AbortSignal.timeout(timeout)): Promise<Jwk | undefined> {
    const url = found
    if (url !== undefined) {
      const response = await fetchJwks(url, kid, signal)
      if (response.isJwks) return response.jwk
      if (found === url) found = undefined
      else if (found !== undefined) return fetchJwk(kid, signal)
    }
    if (search !== undefined) {
      // Another request is already searching, and this one uses its result.
      await search
      return fetchJwk(kid, signal)
    }
    search = find(kid, signal).finally(() => { search = undefined })
    return search
  }

  async function find (kid: string, signal: AbortSignal): Promise<Jwk | undefined> {
    const others: Array<{ url: string, response: Extract<JwksResponse, { isJwks: false }> }> = []
    for (const url of urls) {
      const response = await fetchJwks(url, kid, signal)
      if (response.isJwks) {
        found = url
        reported = undefined
        log.info({ jwksUrl: url }, 'found the JWKS of the auth server')
        return response.jwk
      }
      others.push({ url, response })
    }
    const tried = []
    for (const { url, response } of others) tried.push({ url, ...await response.describe() })
    report(tried)
    throw new JwksFetchError('no_jwks')
  }

  /** Logs once what is wrong, and again only when that changes. */
  function report (tried: Array<{ url: string } & Description>): void {
    const text = tried.map(({ url, response }) => `${url} returned ${response}`).join('; ')
    if (text === reported) return
    reported = text
    log.error(
      { tried: tried.map(({ url, response }) => ({ url, response })) },
      tried.some(({ isTrouble }) => isTrouble)
        ? `the auth server does not serve its keys: ${text}`
        : `no JWKS found: ${text}. If the auth server has its keys elsewhere, set the option "jwksPath"`
    )
  }

  return {
    get url () { return found ?? (urls.length === 1 ? urls[0]! : null) },
    fetchJwk: kid => fetchJwk(kid)
  }
}
