import type { JwksResponse } from '../auth-server/fetch-jwks.js'
import { searchJwks } from '../auth-server/search-jwks.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { Jwk } from '../keys/jwk.js'
import { judgeEntry, MAX_ENTRIES } from '../keys/key-set.js'
import type { HeaderPolicy } from '../tokens/jws.js'
import type { DoctorJwks, DoctorKey, DoctorKeyFault, DoctorSearchResult } from './report.js'
import { judgeHeader, reasonOf } from './token-parts.js'

/** What the search for the JWKS found. */
export interface ServerExamination {
  readonly tried: DoctorSearchResult[]
  /** The JWKS; `null` if none was found. */
  readonly jwks: DoctorJwks | null
  /** The entries of the JWKS, as received; `undefined` if none was found. */
  readonly entries: readonly unknown[] | undefined
}

/** Searches for the JWKS with the plugin's own code. */
export async function examineServer (
  { jwksUrls, jwks: { headers, timeout } }: Pick<ResolvedOptions, 'jwksUrls' | 'jwks'>
): Promise<ServerExamination> {
  const { found, tried } = await searchJwks(jwksUrls, headers, timeout)
  return {
    tried: tried.map(({ url, entries, text }) => ({ url, found: entries !== undefined, response: text })),
    jwks: found === undefined ? null : describe(found),
    entries: found?.entries
  }
}

function describe ({ url, status, duration, headers }: JwksResponse): DoctorJwks {
  const cacheControl = headers.get('cache-control') ?? ''
  const maxAge = /\bs-maxage="?(\d{1,10})/i.exec(cacheControl) ?? /\bmax-age="?(\d{1,10})/i.exec(cacheControl)
  const age = /^\d{1,10}$/.exec(headers.get('age') ?? '')
  const date = Date.parse(String(headers.get('date')))
  return {
    url,
    status,
    milliseconds: duration,
    ageSeconds: age === null ? null : Number(age[0]),
    maxAgeSeconds: maxAge === null ? null : Number(maxAge[1]),
    clockAheadSeconds: age !== null || Number.isNaN(date) ? null : Math.round((date - Date.now()) / 1000)
  }
}

/** Lists the algorithms that each entry of the JWKS verifies here. The plugin's own code imports the keys. */
export async function listKeys (entries: readonly unknown[], policy: HeaderPolicy): Promise<DoctorKey[]> {
  const seen = new Set<string>()
  const keys: DoctorKey[] = []
  for (const entry of entries.slice(0, MAX_ENTRIES)) {
    const { kid, alg, kty, crv } = (typeof entry === 'object' && entry !== null ? entry : {}) as Jwk
    const judged = await judgeKey(entry, seen, policy)
    keys.push({ kid: asString(kid), alg: asString(alg), kty: asString(kty), crv: asString(crv), ...judged })
  }
  return keys
}

/** @param seen - the `kid` and algorithm of each key before this one: the first that fits a token counts. */
async function judgeKey (
  entry: unknown, seen: Set<string>, policy: HeaderPolicy
): Promise<Pick<DoctorKey, 'algorithms' | 'fault'>> {
  const unusable = (fault: DoctorKeyFault) => ({ algorithms: [], fault })
  const key = judgeEntry(entry)
  if ('fault' in key) return unusable(key.fault)
  const { kid } = key
  const isAccepted = await Promise.all(key.algorithms.map(async alg => {
    return await reasonOf(() => judgeHeader({ alg, kid }, policy)) === null
  }))
  const accepted = key.algorithms.filter((_, i) => isAccepted[i])
  if (accepted.length === 0) return unusable('algorithm_not_allowed')
  const algorithms = accepted.filter(alg => !seen.has(`${alg} ${kid}`))
  for (const alg of algorithms) seen.add(`${alg} ${kid}`)
  return algorithms.length > 0 ? { algorithms, fault: null } : unusable('kid_duplicate')
}

function asString (value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
