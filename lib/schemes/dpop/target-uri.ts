import type { FastifyRequest } from 'fastify'
import { DpopProofInvalidError } from '../../contract/dpop-errors.js'
import { isLoopback } from '../../contract/hosts.js'

/**
 * Compares the `htu` of a proof with the URL of a request, both without query and fragment (RFC 9449 §4.3).
 *
 * @returns the URL in one spelling.
 * @throws DpopProofInvalidError
 */
export type TargetCheck = (htu: string, request: FastifyRequest) => string

interface Target { readonly origin: string, readonly path: string }

/** An http(s) URL in ASCII, without credentials, back slashes and spaces, which parsers read in different ways. */
const URI = /^(https?:\/\/(?:[\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?)(\/[!-~]*)?(?:[?#].*)?$/is
const PATH = /^\/(?:[^%\\]|%[\da-f]{2})*$/i
const MAX_SHOWN = 300

/**
 * @param origins - the origins that clients may use, whatever a request says. The host of a request counts only if it
 * is one of theirs, or this machine: clients may send any host, and a proof for another server must not work here.
 */
export function createTargetCheck (origins: readonly string[]): TargetCheck {
  const hosts = origins.map(origin => new URL(origin).hostname)

  function originsFor ({ protocol, host }: FastifyRequest): readonly string[] {
    const own = URI.exec(`${protocol}://${host}`)?.[1] ?? ''
    if (!URL.canParse(own)) return origins
    const { origin, hostname } = new URL(own)
    const isMeant = hosts.includes(hostname) || isLoopback(hostname)
    return isMeant && !origins.includes(origin) ? [...origins, origin] : origins
  }

  return (htu, request) => {
    const target = readUri(htu)
    // Clients remove dot segments before they send a path, and a router may read them otherwise. No `htu` has any here,
    // so none is equal to a path that has.
    const path = normalizePath(withoutQuery(request.originalUrl))
    const accepted = originsFor(request)
    if (target !== undefined && target.path === path && accepted.includes(target.origin)) return target.origin + path
    const expected = path === undefined ? [] : accepted.map(origin => (origin + path).slice(0, MAX_SHOWN))
    throw new DpopProofInvalidError('proof_mismatch', { claim: 'htu', expected, received: show(htu) })
  }
}

/** An `htu`, normalised (RFC 3986 §6.2.2 and §6.2.3); `undefined` if it is not an http(s) URL. */
function readUri (htu: string): Target | undefined {
  const [, base = '', rest = '/'] = URI.exec(htu) ?? []
  if (!URL.canParse(base)) return undefined
  const path = normalizePath(withoutQuery(rest))
  return path === undefined ? undefined : { origin: new URL(base).origin, path: removeDotSegments(path) }
}

function withoutQuery (text: string): string {
  return text.replace(/[?#].*/s, '')
}

/** Unreserved characters plain, all other escapes in upper case (RFC 3986 §6.2.2.1 and §6.2.2.2). */
function normalizePath (path: string): string | undefined {
  if (!PATH.test(path)) return undefined
  return path.replace(/%../g, escape => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : escape.toUpperCase()
  })
}

/** RFC 3986 §5.2.4. */
function removeDotSegments (path: string): string {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  segments.forEach((segment, index) => {
    const isDots = segment === '.' || segment === '..'
    if (segment === '..') kept.pop()
    if (!isDots) kept.push(segment)
    else if (index === segments.length - 1) kept.push('')
  })
  return `/${kept.join('/')}`
}

/** For the log: bounded, and without a password or a query, which may hold a secret. */
function show (htu: string): string {
  return withoutQuery(htu).slice(0, MAX_SHOWN).replace(/^([^/]*\/\/)[^/]*@/, '$1***@')
}
