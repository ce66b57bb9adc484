import { ask, HEADERS, type JwksFetchError } from '../auth-server/fetch-jwks.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { DoctorAddress, DoctorJwks } from './report.js'

const MAX_BYTES = 2 ** 20
/** A name that no key has: what is asked for is the JWKS. */
const ANY = ''

/** What was found at the addresses of the JWKS. */
export interface Search {
  readonly tried: DoctorAddress[]
  /** The JWKS, or what is too long to be looked at; `undefined` when neither was found. */
  readonly read: Read | undefined
  /** The addresses that may be asked again: what they answered was not too long. */
  readonly asked: readonly string[]
}

/** An answer as a whole. The entries of `keys` are as they came; there are none when `jwks.fault` says why. */
export interface Read { readonly jwks: DoctorJwks, readonly entries: readonly unknown[] }

/**
 * Looks for the JWKS as the plugin does: the same addresses and time, and an end at the first failure of the network. What an
 * address answers is judged by the plugin, once a bounded reading has shown that it ends.
 */
export async function findJwks ({ jwksUrls, jwks: { timeout } }: ResolvedOptions): Promise<Search> {
  const tried: DoctorAddress[] = []
  const asked: string[] = []
  let left = timeout
  for (const url of jwksUrls) {
    const read = await readJwks(url, timeout)
    if (read === undefined) {
      tried.push({ url, found: false, answer: 'timeout' })
      break
    }
    const { status, fault } = read.jwks
    if (fault === 'too_long') {
      // The plugin takes no other status for a JWKS, whatever comes with it.
      const isRefused = status! < 200 || status! > 299
      tried.push({ url, found: false, answer: isRefused ? `HTTP ${status}` : 'longer than 1 MB' })
      if (isRefused) continue
      return { tried, read, asked }
    }
    asked.push(url)
    const startedAt = performance.now()
    const { end, ...answer } = await judge(url, AbortSignal.timeout(Math.max(0, Math.ceil(left))))
    left -= performance.now() - startedAt
    tried.push({ url, ...answer })
    if (answer.found) return { tried, read, asked }
    if (end) break
  }
  return { tried, read: undefined, asked }
}

/** @returns `end`: whether the plugin asks no further address. */
async function judge (url: string, signal: AbortSignal): Promise<Pick<DoctorAddress, 'found' | 'answer'> & { end: boolean }> {
  let end = true
  try {
    const answer = await ask(url, ANY, signal)
    if (answer.jwks) return { found: true, answer: 'a JWKS', end }
    end = false
    return { found: false, answer: (await answer.describe()).answer, end }
  } catch (error) {
    return { found: false, answer: (error as JwksFetchError).code, end }
  }
}

/**
 * Reads a whole answer: get-jwks, through which the plugin fetches, reads without a bound, answers for one `kid` at a time and
 * says nothing of the others, of duplicates or of headers. No more than 1 MB, redirects not followed.
 *
 * @returns `undefined` when the time is over.
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
    entries = entriesOf(Buffer.concat(chunks).toString())
  } catch {
    if (signal.aborted) return undefined
    jwks.fault = size > MAX_BYTES ? 'too_long' : 'unreadable'
  }
  jwks.milliseconds = Math.round(performance.now() - startedAt)
  return { jwks, entries }
}

/** @throws TypeError, SyntaxError */
function entriesOf (body: string): unknown[] {
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
