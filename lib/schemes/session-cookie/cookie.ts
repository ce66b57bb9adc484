import type { FastifyRequest } from 'fastify'
import { joinChunks, MAX_CANDIDATES, MAX_CHUNKS } from './chunks.js'

/** What the cookies of one name may be: tokens, or the reason why none of them can be verified. */
export type Candidates = readonly string[] | 'cookie_malformed' | 'cookie_ambiguous'

/**
 * Creates a function that reads the cookie, whole or in chunks (`.0`, `.1`, … in any order), from the `Cookie` header.
 * A parsed object would hide that a name came several times.
 *
 * @param names - the names that it may have, the safest first.
 * @param isChunked - whether Better Auth writes this cookie in chunks.
 * @returns for each name that is present, its candidates.
 */
export function createCookieReader (
  names: readonly string[], isChunked = true
): (request: FastifyRequest) => Candidates[] {
  const patterns = names.map(name => ({ name, pattern: patternOf(name, isChunked) }))
  return ({ headers: { cookie } }) => {
    const found: Candidates[] = []
    for (const { name, pattern } of patterns) {
      const candidates = cookie?.includes(name) === true ? readCandidates(cookie, pattern) : []
      if (candidates.length > 0) found.push(candidates)
    }
    return found
  }
}

/** Around names and values, only spaces and tabs are removed, as browsers do (RFC 6265 §5.2). */
function patternOf (name: string, isChunked: boolean): RegExp {
  const escaped = name.replace(/[.*+?^$|]/g, '\\$&')
  const number = isChunked ? '(?:\\.(0|[1-9]\\d*))?' : ''
  return new RegExp(`(?:^|;)[ \\t]*${escaped}${number}[ \\t]*=[ \\t]*([^;]*)`, 'g')
}

function readCandidates (header: string, pattern: RegExp): Candidates {
  const whole: string[] = []
  const chunks: string[][] = []
  for (const match of header.matchAll(pattern)) {
    const value = trimEnd(match.at(-1)!)
    if (value === '') continue
    const number = match.length === 3 ? match[1] : undefined
    const values = number === undefined ? whole : (chunks[Math.min(Number(number), MAX_CHUNKS)] ??= [])
    // One more than can be verified says that there are too many.
    if (values.length <= MAX_CANDIDATES && !values.includes(value)) values.push(value)
  }
  const joined = chunks.length === 0 ? [] : joinChunks(chunks, whole.length > 0)
  if (joined === 'cookie_malformed' && whole.length > 0) return whole
  if (typeof joined === 'string') return joined
  const candidates = [...new Set([...whole, ...joined])]
  return candidates.length > MAX_CANDIDATES ? 'cookie_ambiguous' : candidates
}

/** Not by a regular expression: it would take quadratic time for a value full of spaces. */
function trimEnd (text: string): string {
  let end = text.length
  while (text[end - 1] === ' ' || text[end - 1] === '\t') end--
  return text.slice(0, end)
}
