import { setTimeout as sleep } from 'node:timers/promises'
import { fetchJwks, type JwksResponse } from './fetch-jwks.js'
import type { AuthServerRequest } from './fetch-json.js'
import { httpTransport } from './http-transport.js'
import type { Transport } from './transport.js'

/** What a search for the JWKS came to. */
export interface Search {
  /** The response that holds the JWKS. */
  readonly found: JwksResponse | undefined
  /** The responses of all URLs that were tried, in their order; `found` among them. */
  readonly tried: readonly JwksResponse[]
}

/** Where others than Better Auth may publish a JWKS of their own: at the root of the origin. */
const SHARED_PATHS = ['/.well-known/jwks.json', '/jwks']

/**
 * Tries URLs in order until one returns a JWKS. After its share of the timeout, the next URL is tried beside it; a
 * later response of the first one still counts.
 *
 * A JWKS at a URL that others may share with Better Auth counts only if no URL before it failed: while Better Auth's
 * own URL fails, nobody can tell whose JWKS that is.
 *
 * @param timeout - milliseconds for all URLs together.
 */
export async function searchJwks (
  urls: readonly string[], headers: AuthServerRequest['headers'], timeout: number,
  transport: Pick<Transport, 'fetchJwks'> = httpTransport
): Promise<Search> {
  const end = new AbortController()
  const { signal } = end
  AbortSignal.timeout(Math.max(0, timeout)).addEventListener('abort', () => { end.abort() })
  const attempts: Array<Promise<JwksResponse>> = []
  let isClear = true
  try {
    for (const url of urls) {
      const attempt = fetchJwks(url, { headers, signal }, transport)
      attempts.push(attempt)
      const share = sleep(timeout / urls.length, undefined, { signal })
      const early = await Promise.race([attempt, share.catch(() => {})])
      if (early !== undefined && endsSearch(early, isClear)) break
      isClear &&= early !== undefined && !early.isTrouble
    }
    return await choose(attempts)
  } finally {
    end.abort()
  }
}

/**
 * A JWKS that counts, or a failure that the other URLs share: the server cannot be reached, or asks to wait.
 *
 * @param isClear - whether each URL before this one has said that it has no JWKS.
 */
function endsSearch ({ url, entries, status, code }: JwksResponse, isClear: boolean): boolean {
  if (entries !== undefined) return isClear || !isShared(url)
  return code === 'rate_limited' || status === null
}

function isShared (url: string): boolean {
  return SHARED_PATHS.includes(new URL(url).pathname)
}

async function choose (attempts: ReadonlyArray<Promise<JwksResponse>>): Promise<Search> {
  const tried: JwksResponse[] = []
  for (const attempt of attempts) {
    const response = await attempt
    const { url, entries } = response
    const mayBeForeign = isShared(url) && tried.some(({ isTrouble }) => isTrouble)
    if (entries !== undefined && mayBeForeign) {
      tried.push({ ...response, entries: undefined, code: 'no_jwks', text: 'a JWKS that may be of somebody else' })
    } else {
      tried.push(response)
      if (entries !== undefined) return { found: response, tried }
    }
  }
  return { found: undefined, tried }
}
