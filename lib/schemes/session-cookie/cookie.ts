import type { FastifyRequest } from 'fastify'
import { TokenInvalidError } from '../../contract/errors.js'

/** Better Auth's own limit (`MAX_COOKIE_CHUNKS`). */
const MAX_CHUNKS = 100

/**
 * Reads the cookie, whole or in chunks (`.0`, `.1`, … in any order).
 *
 * @param names - the names it may have, the safest first; the first one that is present is used.
 * @returns `undefined` if there is none.
 * @throws TokenInvalidError if chunks are missing, or there are too many.
 */
export function readSessionCookie (request: FastifyRequest, names: readonly string[]): string | undefined {
  const cookies = parseCookies(request)
  for (const name of names) {
    const value = cookies.get(name) ?? joinChunks(cookies, name)
    if (value !== undefined && value !== '') return value
  }
}

function joinChunks (cookies: ReadonlyMap<string, string>, name: string): string | undefined {
  const chunks: string[] = []
  let count = 0
  for (const [key, value] of cookies) {
    if (!key.startsWith(`${name}.`)) continue
    const suffix = key.slice(name.length + 1)
    if (!/^(?:0|[1-9]\d{0,3})$/.test(suffix)) continue
    if (++count > MAX_CHUNKS || Number(suffix) >= MAX_CHUNKS) throw new TokenInvalidError('cookie_malformed')
    chunks[Number(suffix)] = value
  }
  if (count === 0) return undefined
  if (chunks.length !== count) throw new TokenInvalidError('cookie_malformed')
  return chunks.join('')
}

/** The cookies by name; of several with one name, the first. @fastify/cookie parsed them if it is registered. */
function parseCookies (request: FastifyRequest): ReadonlyMap<string, string> {
  const parsed = (request as { cookies?: Record<string, string | undefined> | null }).cookies
  if (parsed !== undefined && parsed !== null) return new Map(Object.entries(parsed) as Array<[string, string]>)
  const cookies = new Map<string, string>()
  for (const pair of request.headers.cookie?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, equals).trim()
    if (equals > 0 && !cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim())
  }
  return cookies
}
