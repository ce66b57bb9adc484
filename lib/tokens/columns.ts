/**
 * Reads a flag as databases and signers spell it: SQLite and MySQL have 0 and 1.
 *
 * @returns `undefined` if there is none, `null` for anything else.
 */
export function readFlag (value: unknown): boolean | null | undefined {
  if (value === undefined || value === null) return undefined
  if (value === true || value === 1 || value === 'true' || value === '1') return true
  if (value === false || value === 0 || value === 'false' || value === '0') return false
  return null
}

/** A date with a time, as ISO 8601 and as SQL write it. Databases keep times without a zone in UTC. */
const DATE_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?$/
const DAY = /^\d{4}-\d\d-\d\d$/
const DAY_MS = 86_400_000

/**
 * Reads a time as databases spell it: ISO 8601, SQL, a day alone, or a number of seconds or milliseconds since the
 * epoch, also as text.
 *
 * @returns milliseconds since the epoch, the end of a day that has no time; NaN for anything else.
 */
export function readTime (value: unknown): number {
  if (typeof value === 'number') return readNumber(value)
  if (typeof value !== 'string') return NaN
  if (/^\d{10,13}$/.test(value)) return readNumber(Number(value))
  if (DAY.test(value)) return Date.parse(value) + DAY_MS
  const [, day, time, zone = 'Z'] = DATE_TIME.exec(value) ?? []
  const offset = zone.replace(/(...):?(\d\d)?/, (_, hours: string, minutes = '00') => `${hours}:${minutes}`)
  return Date.parse(`${day}T${time}${offset}`)
}

/** No time of an account is before 2001: the ranges of seconds and milliseconds do not overlap. */
function readNumber (value: number): number {
  if (value >= 1e9 && value < 1e11) return value * 1000
  return value >= 1e12 && value <= 8.64e15 ? value : NaN
}
