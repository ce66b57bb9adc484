import { VERSION } from '../contract/version.js'
import { describeFailure, failureOf } from './failure.js'
import { recordResponse, type Recording } from './record-response.js'

/** How something is fetched from the auth server. */
export interface AuthServerRequest {
  /** Headers of the application's own. */
  readonly headers: Readonly<Record<string, string>>
  /** Ends the fetch, body included. */
  readonly signal: AbortSignal
}

/** What a URL returned. */
export interface JsonResponse extends ReadJson {
  readonly url: string
  /** The HTTP status; `null` without a response. */
  readonly status: number | null
}

/** The body of a response. */
export interface ReadJson {
  /** The parsed body; `undefined` for anything but JSON. */
  readonly value: unknown
  /** What came, in a few words: `JSON`, `HTTP 404`, `timeout`. */
  readonly text: string
}

// No compression: such responses are small. No keep-alive: minutes pass between two fetches, and a connection that the
// server closes at that moment would look like an outage.
const FIXED_HEADERS = { 'accept-encoding': 'identity', connection: 'close' }
const DEFAULT_HEADERS = { accept: 'application/json', 'user-agent': `better-auth-fastify/${VERSION}` }
/** Deeper JSON is neither a JWKS nor metadata, and would take many times its length of memory. */
const MAX_DEPTH = 16

/**
 * Fetches JSON from one URL, without following redirects and no more than 1 MB. Nothing is thrown: what went wrong is
 * part of the response.
 */
export async function fetchJson (url: string, { headers, signal }: AuthServerRequest): Promise<JsonResponse> {
  try {
    const response = fetch(url, { ...requestOptions(headers), signal })
    const recording = await beforeAbort(response.then(recordResponse), signal)
    return { url, status: recording.status, ...readJson(recording) }
  } catch (error) {
    const { code, systemCode } = failureOf(error, signal)
    return { url, status: null, value: undefined, text: describeFailure(code, systemCode) }
  }
}

/** The options of every fetch from the auth server. */
export function requestOptions (ownHeaders: AuthServerRequest['headers']): { redirect: 'manual', headers: Headers } {
  const headers = new Headers(DEFAULT_HEADERS)
  for (const [name, value] of Object.entries({ ...ownHeaders, ...FIXED_HEADERS })) headers.set(name, value)
  return { redirect: 'manual', headers }
}

/** The JSON of a response, or what came instead of it. */
export function readJson ({ status, refused, body }: Recording): ReadJson {
  const no = (text: string): ReadJson => ({ value: undefined, text })
  switch (refused) {
    case 'too_large': return no('longer than 1 MB')
    case 'encoded': return no('a compressed response')
    case 'status': return no(`HTTP ${status}`)
  }
  if (isDeep(body)) return no('JSON that is nested too deeply')
  try {
    return { value: JSON.parse(new TextDecoder().decode(body)), text: 'JSON' }
  } catch {
    return no(`HTTP ${status} without JSON`)
  }
}

/**
 * Whether brackets are nested deeper than {@link MAX_DEPTH}. Those in strings do not count. A `\` outside of strings is
 * invalid JSON, whatever its depth.
 */
function isDeep (json: Buffer): boolean {
  let depth = 0
  let isString = false
  for (let i = 0; i < json.length && depth <= MAX_DEPTH; i++) {
    const char = json[i]
    if (char === 0x22) isString = !isString // "
    else if (char === 0x5c) i++ // \
    else if (!isString && (char === 0x5b || char === 0x7b)) depth++ // [ {
    else if (!isString && (char === 0x5d || char === 0x7d)) depth-- // ] }
  }
  return depth > MAX_DEPTH
}

/** Rejects as soon as the signal aborts, whatever `fetch` does with its signal. */
export function beforeAbort<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => { reject(signal.reason) }
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
