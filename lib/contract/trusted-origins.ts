import { inspect } from 'node:util'
import { InvalidOptionError } from './setup-errors.js'

/** No longer than an origin with the longest host name (RFC 1035 §2.3.4) can be. */
const MAX_LENGTH = 300
/** Only ASCII, and nothing that URL parsers read in different ways: credentials, back slashes, escapes. */
const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/([a-z0-9._-]+|\[[0-9a-f:.]+\]|)(?::(\d{1,5}))?$/i
const PATTERN = /^(https?):\/\/(?:(\*\*)\.)?((?:(?!\.)[a-z0-9_-]*\*?[a-z0-9_-]*\.)*[a-z0-9_*-]+)(?::(\d{1,5}|\*))?$/
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' }

/**
 * One spelling for each origin (RFC 6454 §6.2): in lower case, without the default port.
 *
 * @returns `undefined` if it is no origin; `null`, which stands for many origins, is none.
 */
export function normalizeOrigin (text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined
  // Not in lower case before it matches: the lower case of the Kelvin sign is a "k".
  const [, scheme, host, port] = ORIGIN.exec(text)?.map(part => part?.toLowerCase()) ?? []
  if (scheme === undefined || (host === '' && (port !== undefined || scheme in DEFAULT_PORTS))) return undefined
  return `${scheme}://${host}${suffix(scheme, port)}`
}

/** An origin for a log line or a message: bounded, and without a password. */
export function showOrigin (text: string): string {
  return text.slice(0, MAX_LENGTH).replace(/\/\/.*@/s, '//***@')
}

/**
 * Checks a list of trusted origins and patterns.
 *
 * @throws InvalidOptionError that says what is wrong with one of them.
 */
export function readTrustedOrigins (texts: readonly string[]): readonly string[] {
  return Object.freeze(texts.map(text => {
    const origin = normalizeOrigin(text)
    const problem = text.includes('*') ? problemOfPattern(text) : problemOf(text, origin)
    if (problem === undefined) return origin ?? text.toLowerCase()
    throw new InvalidOptionError(
      `Option "sessionCookie.trustedOrigins" contains ${inspect(showOrigin(text))}, which ${problem}`
    )
  }))
}

/** A function that tells whether an origin, as `normalizeOrigin()` returns it, is on the list. */
export function matchOrigins (trusted: readonly string[]): (origin: string) => boolean {
  const exact = new Set(trusted.filter(text => !text.includes('*')))
  const patterns = trusted.filter(text => text.includes('*')).map(patternOf)
  return origin => exact.has(origin) || patterns.some(pattern => pattern.test(origin))
}

function suffix (scheme: string, port: string | undefined): string {
  return port === undefined || port === DEFAULT_PORTS[scheme] ? '' : `:${port}`
}

/** `*` stands for one label or a part of one, `**.` for one or more labels. */
function patternOf (text: string): RegExp {
  const [, scheme, many, host, port] = PATTERN.exec(text)!
  const labels = host!.replaceAll('.', '\\.').replaceAll('*', '[a-z0-9_-]+')
  const anyPort = port === '*' ? '(?::\\d{1,5})?' : suffix(scheme!, port)
  return new RegExp(`^${scheme}://${many === undefined ? '' : '(?:[a-z0-9_-]+\\.)+'}${labels}${anyPort}$`)
}

function problemOf (text: string, origin: string | undefined): string | undefined {
  const problem = problemOfForm(text)
  if (problem !== undefined) return problem
  if (origin === undefined) return 'is not an origin such as "https://app.example.com"'
  if (!/^https?:/.test(origin)) return undefined
  const sent = URL.canParse(origin) ? new URL(origin).origin : 'nothing'
  return sent === origin ? undefined : `no browser sends: it sends ${sent}`
}

function problemOfPattern (text: string): string | undefined {
  const problem = problemOfForm(text)
  if (problem !== undefined) return problem
  const [, , , host] = PATTERN.exec(text.toLowerCase()) ?? []
  if (!/^https?:/i.test(text)) return 'has a wildcard: only origins with http or https can have one'
  if (host === undefined) return 'is not a pattern such as "https://*.example.com", or "https://**.example.com"'
  const [last, ...others] = host.split('.').reverse()
  const isAnyPort = !host.includes('*') && !text.includes('**')
  const isLocal = last === 'localhost'
  const isDomain = /^[a-z][a-z0-9-]*$/.test(last!) && others.length > 0 && !others[0]!.includes('*')
  return isAnyPort || isLocal || isDomain ? undefined : 'trusts too much: "*" can stand only before a domain'
}

function problemOfForm (text: string): string | undefined {
  if (text === 'null') return 'is what every sandboxed page sends'
  if (/[^\x21-\x7e]/.test(text)) {
    const isName = URL.canParse(text) && !/\s/.test(text)
    return isName ? `no browser sends: it sends ${new URL(text).origin}` : 'has a character that no origin has'
  }
  const [, scheme, rest] = /^([^/?#]*):\/\/(.*)/.exec(text) ?? []
  if (rest === undefined) return 'has no scheme, such as "https://"'
  if (scheme!.includes('*')) return 'trusts too much: a scheme cannot have a wildcard'
  if (scheme!.toLowerCase() === 'file') return 'no browser sends: the origin of a file is null'
  if (rest.includes('@')) return 'has credentials'
  if (/[?#]/.test(rest)) return 'has a query or a fragment'
  if (/^[^/\\]*\/$/.test(rest)) return 'ends with a slash'
  return /[/\\]/.test(rest) ? 'has a path' : undefined
}
