import buildGetJwks from 'get-jwks'
import { createRecorder, recordResponse, type Recording } from './record-response.js'
import { readRetryAfter } from './retry-after.js'
import { VERSION } from './version.js'

/** What a URL returned. */
export interface JwksResponse {
  readonly url: string
  /** The entries of the JWKS, as received; `undefined` for anything but a JWKS. */
  readonly entries: readonly unknown[] | undefined
  /** A stable word for what is wrong; `null` for a JWKS. */
  readonly code: string | null
  /** What came, in a few words: `a JWKS`, `HTTP 404`, `timeout`. */
  readonly text: string
  /** Whether the server failed. If not, it has no JWKS at this URL. */
  readonly isTrouble: boolean
  /** The HTTP status; `null` without a response. */
  readonly status: number | null
  readonly headers: Headers
  /** How long the server asks to wait, in milliseconds; 0 if it does not. */
  readonly retryAfter: number
  /** How long the response took, including its body, in milliseconds. */
  readonly duration: number
}

/** How a JWKS is fetched. */
export interface JwksRequest {
  /** Headers of the application's own. */
  readonly headers: Readonly<Record<string, string>>
  /** Ends the fetch, body included. */
  readonly signal: AbortSignal
}

type Verdict = Pick<JwksResponse, 'entries' | 'code' | 'text' | 'isTrouble'>

// No compression: a JWKS is small. No keep-alive: minutes pass between two fetches, and a connection that the server
// closes at that moment would look like an outage.
const FIXED_HEADERS = { 'accept-encoding': 'identity', connection: 'close' }
const DEFAULT_HEADERS = { accept: 'application/json', 'user-agent': `better-auth-fastify/${VERSION}` }
/** get-jwks picks one key. All keys are read from the recorded response, so any `kid` will do. */
const ANY_KID = ''
/** Deeper JSON is not a JWKS, and would take many times its length of memory. */
const MAX_DEPTH = 16

/** Fetches the JWKS from one URL, whole. Nothing is thrown: what went wrong is part of the response. */
export async function fetchJwks (url: string, { headers, signal }: JwksRequest): Promise<JwksResponse> {
  const startedAt = performance.now()
  const respond = (verdict: Verdict, recording?: Recording): JwksResponse => ({
    url,
    ...verdict,
    status: recording?.status ?? null,
    headers: recording?.headers ?? new Headers(),
    retryAfter: recording === undefined ? 0 : readRetryAfter(recording.headers, Date.now()),
    duration: Math.round(performance.now() - startedAt)
  })
  try {
    const recording = await beforeAbort(receive(url, headers, signal), signal)
    return respond(judge(recording), recording)
  } catch (error) {
    const code = signal.aborted ? 'timeout' : networkCode(error as Error)
    return respond({ entries: undefined, code, text: code, isTrouble: true })
  }
}

async function receive (
  url: string, ownHeaders: JwksRequest['headers'], signal: AbortSignal
): Promise<Recording> {
  const { origin, pathname } = new URL(url)
  const recorder = createRecorder()
  const headers = new Headers(DEFAULT_HEADERS)
  for (const [name, value] of Object.entries({ ...ownHeaders, ...FIXED_HEADERS })) headers.set(name, value)
  const request = { redirect: 'manual', headers } as const
  // A new get-jwks for each fetch: its own cache would return removed keys, and its signal works only once. It rejects
  // as soon as the response is recorded.
  const fetchOptions = {
    ...request, dispatcher: recorder.dispatcher, signal: AbortSignal.any([signal, recorder.signal])
  }
  const jwks = buildGetJwks({ max: 1, jwksPath: pathname, fetchOptions: fetchOptions as RequestInit })
  // Without `alg`: the key is found by its `kid` alone, and judged later.
  const wanted = { domain: origin, kid: ANY_KID } as Parameters<typeof jwks.getJwk>[0]
  const failure: unknown = await jwks.getJwk(wanted).then(() => undefined, (error: unknown) => error)
  if (recorder.recording !== undefined) return recorder.recording
  if (recorder.isUsed) throw failure
  // This `fetch` ignores dispatchers, and get-jwks tells no more than one key.
  return recordResponse(await fetch(url, { ...request, signal }))
}

function judge ({ status, refused, body }: Recording): Verdict {
  const no = (text: string, code = 'no_jwks', isTrouble = code !== 'no_jwks') => {
    return { entries: undefined, code, text, isTrouble }
  }
  switch (refused) {
    case 'too_large': return no('longer than 1 MB', refused)
    case 'encoded': return no('a compressed response', refused)
    case 'status': return status === 429
      ? no('HTTP 429', 'rate_limited')
      : no(`HTTP ${status}`, 'no_jwks', status >= 500 || status === 408 || status === 425)
  }
  if (isDeep(body)) return no('JSON that is nested too deeply')
  try {
    const { keys } = Object(JSON.parse(new TextDecoder().decode(body))) as { keys?: unknown }
    if (Array.isArray(keys)) return { entries: keys, code: null, text: 'a JWKS', isTrouble: false }
    return no('JSON without keys')
  } catch {
    return no(`HTTP ${status} without JSON`)
  }
}

/** Whether brackets are nested deeper than {@link MAX_DEPTH}. Those in strings do not count. */
function isDeep (json: Buffer): boolean {
  let depth = 0
  let isString = false
  for (let i = 0; i < json.length && depth <= MAX_DEPTH; i++) {
    const char = json[i]
    if (char === 0x22) isString = !isString // "
    else if (isString && char === 0x5c) i++ // \
    else if (!isString && (char === 0x5b || char === 0x7b)) depth++ // [ {
    else if (!isString && (char === 0x5d || char === 0x7d)) depth-- // ] }
  }
  return depth > MAX_DEPTH
}

function networkCode (error: Error): string {
  const code = (error.cause as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : 'network'
}

/** Rejects as soon as the signal aborts, whatever `fetch` does with its signal. */
function beforeAbort<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => { reject(signal.reason) }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
