import { ask, HEADERS, type JwksFetchError } from '../jwks-source.js'
import type { ResolvedOptions } from '../options.js'
import type { DoctorAddress, DoctorJwks } from './report.js'

const MAX_BYTES = 2 ** 20
/** A name that no key has: what is asked for is the JWKS. */
const ANY = ''

/** Looks for the JWKS as the plugin does: the same addresses and time, and an end at the first failure of the network. */
export async function findJwks ({ jwksUrls, jwks }: ResolvedOptions): Promise<DoctorAddress[]> {
  const signal = AbortSignal.timeout(jwks.timeout)
  const tried: Array<{ url: string, found: boolean, describe: () => string | Promise<string> }> = []
  for (const url of jwksUrls) {
    try {
      const answer = await ask(url, ANY, signal)
      const found = answer.jwks
      tried.push({ url, found, describe: async () => answer.jwks ? 'a JWKS' : (await answer.describe()).answer })
      if (found) break
    } catch (error) {
      tried.push({ url, found: false, describe: () => codeOf(error) })
      break
    }
  }
  const addresses: DoctorAddress[] = []
  for (const { url, found, describe } of tried) {
    addresses.push({ url, found, answer: await Promise.resolve().then(describe).catch(codeOf) })
  }
  return addresses
}

function codeOf (error: unknown): string {
  return (error as JwksFetchError).code
}

/**
 * Reads the whole JWKS: get-jwks, through which the plugin fetches, answers for one `kid` at a time and says nothing of the
 * others, of duplicates or of headers. One more request, no more than 1 MB, redirects not followed.
 *
 * @returns the entries of `keys` as they came; none when `jwks.fault` says why.
 */
export async function readJwks (url: string, timeout: number): Promise<{ jwks: DoctorJwks, entries: unknown[] }> {
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
    jwks.fault = signal.aborted ? 'timeout' : size > MAX_BYTES ? 'too_long' : 'unreadable'
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
