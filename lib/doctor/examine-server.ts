import { fetchJwks, HEADERS, type Jwk, type JwksFetchError } from '../auth-server/fetch-jwks.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { importJwk, type UnusableJwkError, type VerificationKey } from '../keys/jwk.js'
import type { HeaderPolicy } from '../tokens/jws.js'
import { judgeHeader, reasonOf } from './examine-token.js'
import type { DoctorJwks, DoctorKey, DoctorKeyFault, DoctorSearchResult } from './report.js'

const MAX_BYTES = 2 ** 20
/** A `kid` that no key has, for fetching the JWKS without a key. */
const NO_KEY = ''

/** What the search for the JWKS found. */
export interface Search {
  readonly tried: DoctorSearchResult[]
  /** The JWKS, or a response that is too long; `undefined` if neither was found. */
  readonly read: Read | undefined
  /** The URLs that may be fetched again: their responses were not too long. */
  readonly asked: readonly string[]
}

/** A whole response. The entries are those of `keys`, as received; there are none if `jwks.fault` is set. */
export interface Read { readonly jwks: DoctorJwks, readonly entries: readonly unknown[] }

/**
 * Searches for the JWKS as the plugin does: same URLs, same timeout, stopping at the first network error. The plugin's
 * own code judges each response, after a bounded read has shown that it ends.
 */
export async function findJwks ({ jwksUrls, jwks: { timeout } }: ResolvedOptions): Promise<Search> {
  const tried: DoctorSearchResult[] = []
  const asked: string[] = []
  let left = timeout
  for (const url of jwksUrls) {
    const read = await readJwks(url, timeout)
    if (read === undefined) {
      tried.push({ url, found: false, response: 'timeout' })
      break
    }
    const { status, fault } = read.jwks
    if (fault === 'too_long') {
      // The plugin accepts a JWKS only with such a status, whatever the body is.
      const isRefused = status! < 200 || status! > 299
      tried.push({ url, found: false, response: isRefused ? `HTTP ${status}` : 'longer than 1 MB' })
      if (isRefused) continue
      return { tried, read, asked }
    }
    asked.push(url)
    const startedAt = performance.now()
    const { isLast, ...result } = await judge(url, AbortSignal.timeout(Math.max(0, Math.ceil(left))))
    left -= performance.now() - startedAt
    tried.push({ url, ...result })
    if (result.found) return { tried, read, asked }
    if (isLast) break
  }
  return { tried, read: undefined, asked }
}

/** @returns `isLast`: whether the plugin tries no further URL. */
async function judge (
  url: string, signal: AbortSignal
): Promise<Pick<DoctorSearchResult, 'found' | 'response'> & { isLast: boolean }> {
  let isLast = true
  try {
    const response = await fetchJwks(url, NO_KEY, signal)
    if (response.isJwks) return { found: true, response: 'a JWKS', isLast }
    isLast = false
    return { found: false, response: (await response.describe()).response, isLast }
  } catch (error) {
    return { found: false, response: (error as JwksFetchError).code, isLast }
  }
}

/**
 * Reads a whole response, at most 1 MB, without following redirects. The plugin fetches through get-jwks, which reads
 * without a limit, returns one key at a time, and does not report other keys, duplicates or headers.
 *
 * @returns `undefined` if the timeout expired.
 */
async function readJwks (url: string, timeout: number): Promise<Read | undefined> {
  const signal = AbortSignal.timeout(timeout)
  const startedAt = performance.now()
  let jwks: DoctorJwks = { url, status: null, milliseconds: 0, ...freshness(new Headers()), fault: null }
  let entries: unknown[] = []
  let size = 0
  try {
    const response = await fetch(url, { signal, redirect: 'manual', headers: HEADERS })
    jwks = { ...jwks, status: response.status, ...freshness(response.headers) }
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body!) {
      size += chunk.length
      if (size > MAX_BYTES) throw new RangeError('too long')
      chunks.push(chunk)
    }
    entries = parseEntries(Buffer.concat(chunks).toString())
  } catch {
    if (signal.aborted) return undefined
    jwks.fault = size > MAX_BYTES ? 'too_long' : 'unreadable'
  }
  jwks.milliseconds = Math.round(performance.now() - startedAt)
  return { jwks, entries }
}

/** @throws TypeError, SyntaxError */
function parseEntries (body: string): unknown[] {
  const { keys } = JSON.parse(body) as { keys: unknown }
  if (!Array.isArray(keys)) throw new TypeError('not a JWKS')
  return keys
}

function freshness (headers: Headers): Pick<DoctorJwks, 'ageSeconds' | 'maxAgeSeconds' | 'clockAheadSeconds'> {
  const cacheControl = headers.get('cache-control') ?? ''
  const maxAge = /\bs-maxage="?(\d{1,10})/i.exec(cacheControl) ?? /\bmax-age="?(\d{1,10})/i.exec(cacheControl)
  const age = /^\d{1,10}$/.exec(headers.get('age') ?? '')
  const date = Date.parse(headers.get('date') ?? '')
  return {
    ageSeconds: age === null ? null : Number(age[0]),
    maxAgeSeconds: maxAge === null ? null : Number(maxAge[1]),
    clockAheadSeconds: age !== null || Number.isNaN(date) ? null : Math.round((date - Date.now()) / 1000)
  }
}

/** Lists the algorithms that each entry of the JWKS verifies here. The plugin's own code imports the keys. */
export async function listKeys (entries: readonly unknown[], policy: HeaderPolicy): Promise<DoctorKey[]> {
  const seen = new Set<unknown>()
  const keys: DoctorKey[] = []
  for (const entry of entries) {
    const jwk = (typeof entry === 'object' && entry !== null ? entry : {}) as Jwk
    const { algorithms, fault } = await judgeKey(jwk, seen, policy)
    seen.add(jwk.kid)
    const { kid, alg, kty, crv } = jwk
    keys.push({ kid: asString(kid), alg: asString(alg), kty: asString(kty), crv: asString(crv), algorithms, fault })
  }
  return keys
}

async function judgeKey (
  jwk: Jwk, seen: ReadonlySet<unknown>, policy: HeaderPolicy
): Promise<Pick<DoctorKey, 'algorithms' | 'fault'>> {
  const unusable = (fault: DoctorKeyFault) => ({ algorithms: [], fault })
  let key: VerificationKey
  try {
    key = importJwk('', jwk)
  } catch (error) {
    return unusable((error as UnusableJwkError).fault)
  }
  const { kid } = jwk
  if (typeof kid !== 'string') return unusable('kid_missing')
  // get-jwks picks the first entry with a `kid`, usable or not.
  if (seen.has(kid)) return unusable('kid_duplicate')
  const judged = await Promise.all(key.algorithms.map(async alg => {
    return { alg, reason: await reasonOf(() => judgeHeader({ alg, kid }, policy)) }
  }))
  const algorithms = judged.filter(({ reason }) => reason === null).map(({ alg }) => alg)
  return algorithms.length > 0 ? { algorithms, fault: null } : unusable(judged[0]!.reason as DoctorKeyFault)
}

function asString (value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
