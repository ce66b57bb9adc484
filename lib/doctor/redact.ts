import { duration, printable } from './terminal.js'

/** What is shown in full: what a person has to compare, and nothing that is about a person or opens a door. */
const SHOWN = new Set(['alg', 'kid', 'typ', 'cty', 'crit', 'enc', 'iss', 'aud', 'azp', 'client_id', 'role', 'scope', 'scp'])
const TIMES = new Set(['exp', 'nbf', 'iat', 'auth_time'])

/** A parameter of the header or a claim in a few words: its value, or only its type where that may be personal. */
export function say (name: string, value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === null || typeof value === 'boolean') return String(value)
  if (TIMES.has(name) && typeof value === 'number') return sayTime(value)
  if (SHOWN.has(name) && [value].flat().every(one => typeof one === 'string')) return printable(JSON.stringify(value))
  if (typeof value === 'string') return `text of ${value.length} characters`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'number' ? 'a number' : 'an object'
}

function sayTime (seconds: number): string {
  const time = new Date(seconds * 1000)
  if (Number.isNaN(time.getTime())) return 'no time'
  const left = seconds - Date.now() / 1000
  return `${time.toISOString().slice(0, 19)}Z, ${left >= 0 ? `in ${duration(left)}` : `${duration(-left)} ago`}`
}
