import { isWholeCompact } from './compact.js'

/** Better Auth's own limit (`MAX_COOKIE_CHUNKS`). */
export const MAX_CHUNKS = 100
/** How many values of one cookie are verified. */
export const MAX_CANDIDATES = 4

/** The different values of each chunk, by its number. One browser can send several: a sibling host can set its own. */
export type Chunks = ReadonlyArray<readonly string[] | undefined>

/**
 * Every cookie that the chunks can make. Better Auth fills every chunk but the last, so that a shorter one is the last,
 * and chunks after it are not part of the cookie.
 *
 * @param isContested - whether there is another candidate.
 * @returns the reason, if chunks are missing or there are too many ways to join them.
 */
export function joinChunks (
  chunks: Chunks, isContested = false
): string[] | 'cookie_malformed' | 'cookie_ambiguous' {
  isContested ||= chunks.some(values => values !== undefined && values.length > 1)
  const joined: string[] = []
  let open = (chunks[0] ?? []).map(text => ({ text, size: text.length }))
  let index = 1
  for (; open.length > 0 && index < MAX_CHUNKS && chunks[index] !== undefined; index++) {
    const longer: typeof open = []
    for (const { text, size } of open) {
      const next = chunks[index]!.filter(value => value.length <= size)
      if (next.length === 0 || (isContested && isComplete(text))) joined.push(text)
      for (const value of next) {
        if (value.length === size) longer.push({ text: text + value, size })
        else joined.push(text + value)
      }
    }
    open = longer
    if (open.length + joined.length > MAX_CANDIDATES) return 'cookie_ambiguous'
  }
  const isIncomplete = open.length === 0 || index < chunks.length
  if (joined.length === 0 && isIncomplete) return 'cookie_malformed'
  joined.push(...open.map(({ text }) => text))
  return joined.sort((one, other) => other.length - one.length)
}

/** Whether it may be a whole cookie. Then a full chunk may be the last, and the next one another host's. */
function isComplete (text: string): boolean {
  // The three parts of a JWS, and more.
  return text.indexOf('.', text.indexOf('.') + 1) !== -1 || isWholeCompact(text)
}
