import type { ResolvedOptions } from '../contract/resolve-options.js'
import { duration, printable } from './terminal.js'

/** Shown in full: values that users have to compare, and that are neither personal nor a credential. */
const SHOWN = new Set([
  'alg', 'kid', 'typ', 'cty', 'crit', 'enc', 'iss', 'aud', 'azp', 'client_id', 'role', 'scope', 'scp'
])
const TIMES = new Set(['exp', 'nbf', 'iat', 'auth_time'])

/** A header parameter or a claim as text: its value, or only its type where the value may be personal. */
export function redact (name: string, value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === null || typeof value === 'boolean') return String(value)
  if (TIMES.has(name) && typeof value === 'number') return formatTime(value)
  const isShown = SHOWN.has(name) && [value].flat().every(item => typeof item === 'string')
  if (isShown) return printable(JSON.stringify(value))
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'number' ? 'a number' : 'an object'
}

function formatTime (seconds: number): string {
  const time = new Date(seconds * 1000)
  if (Number.isNaN(time.getTime())) return 'not a time'
  const left = seconds - Date.now() / 1000
  const distance = left >= 0 ? `in ${duration(left)}` : `${duration(-left)} ago`
  return `${time.toISOString().replace(/\.\d+Z/, 'Z')}, ${distance}`
}

/** The issuers that the options accept, as the report shows them. */
export function shownIssuers (issuer: ResolvedOptions['issuer']): readonly string[] | false {
  return typeof issuer === 'function' ? ['a function'] : issuer
}
