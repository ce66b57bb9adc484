import type { AuthField } from '../contract/auth-fields.js'
import { TokenInvalidError } from '../contract/errors.js'
import { readFlag } from './columns.js'
import type { JsonObject } from './jws.js'

/**
 * Reads the fields that a Better Auth instance adds to a user or a session. What is absent is `null`.
 *
 * @throws TokenInvalidError for a value of another type.
 */
export function readFields (
  record: JsonObject, fields: readonly AuthField[], reason: 'claim_invalid' | 'session_invalid' = 'claim_invalid'
): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, type }) => {
    const given = Object.hasOwn(record, name) ? record[name] ?? null : null
    const value = given === null ? null : readValue(type, given)
    if (value === undefined) throw new TokenInvalidError(reason, { claim: name })
    return [name, value]
  }))
}

/** @returns `undefined` for a value of another type. */
function readValue (type: AuthField['type'], value: unknown): unknown {
  switch (type) {
    case 'unknown': return value
    case 'string': return typeof value === 'string' ? value : undefined
    case 'number': return readNumber(value)
    case 'boolean': return readFlag(value) ?? undefined
    case 'date': return typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : undefined
    case 'string[]': return readList(value, item => typeof item === 'string')
    case 'number[]': return readList(value, item => typeof item === 'number')
    default: return type.find(allowed => allowed === value)
  }
}

/** Databases return large and decimal numbers as text. */
function readNumber (value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || !/^-?\d+(?:\.\d+)?$/.test(value)) return undefined
  const number = Number(value)
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? undefined : number
}

function readList (value: unknown, isItem: (item: unknown) => boolean): unknown {
  return Array.isArray(value) && value.every(isItem) ? value : undefined
}
