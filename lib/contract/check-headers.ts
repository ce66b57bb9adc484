import { InvalidOptionError } from './setup-errors.js'

/** Headers that the plugin or `fetch` sets itself, that `fetch` drops, or that would make every fetch fail. */
const RESERVED = new Set([
  '__proto__', 'accept-encoding', 'connection', 'content-length', 'expect', 'host', 'keep-alive', 'sec-fetch-mode',
  'te', 'trailer', 'transfer-encoding', 'upgrade'
])
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
/** Printable text without spaces around it (RFC 9110 §5.5). */
const VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/

/**
 * Checks the option `jwks.headers`, and copies it with names in lower case.
 *
 * @throws InvalidOptionError that names the header. No message has a value: it may be a secret.
 */
export function checkHeaders (headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const prototype: unknown = Object.getPrototypeOf(headers)
  // The entries of an instance of Headers or Map are not its properties.
  if (prototype !== Object.prototype && prototype !== null) {
    throw refuse('must be a plain object, got an instance of a class')
  }
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase()
    if (!TOKEN.test(name)) throw refuse('must have valid header names, got one that is empty or has invalid characters')
    if (RESERVED.has(key)) throw refuse(`must not have "${name}", which is reserved for the HTTP client`)
    if (Object.hasOwn(checked, key)) throw refuse(`must not have "${name}" twice; upper and lower case are the same`)
    checked[key] = checkValue(name, value)
  }
  return Object.freeze(checked)
}

function checkValue (name: string, value: unknown): string {
  if (typeof value !== 'string') {
    const type = value === null ? 'null' : typeof value
    throw refuse(`must have a string as "${name}", got a value of type ${type}`)
  }
  if (!VALUE.test(value)) {
    const fault = value === '' ? 'an empty one' : 'one with invalid characters, or with spaces around it'
    throw refuse(`must have a valid value as "${name}", got ${fault}`)
  }
  return value
}

function refuse (text: string): Error {
  return new InvalidOptionError(`Option "jwks.headers" ${text}`)
}
