import buildGetJwks from 'get-jwks'
import type { FetchFailure } from '../contract/fetch-failures.js'
import { describeFailure, failureOf, statusFailure } from './failure.js'
import { beforeAbort, readJson, requestOptions, type AuthServerRequest } from './fetch-json.js'
import { createRecorder, recordResponse, type Recording } from './record-response.js'
import { readRetryAfter } from './retry-after.js'

/** What a URL returned. */
export interface JwksResponse {
  readonly url: string
  /** The entries of the JWKS, as received; `undefined` for anything but a JWKS. */
  readonly entries: readonly unknown[] | undefined
  /** What is wrong; `null` for a JWKS. */
  readonly code: FetchFailure | null
  /** The code of Node.js for a network error. */
  readonly systemCode?: string | undefined
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

type Verdict = Pick<JwksResponse, 'entries' | 'code' | 'systemCode' | 'text' | 'isTrouble'>

/** get-jwks picks one key. All keys are read from the recorded response, so any `kid` will do. */
const ANY_KID = ''

/** Fetches the JWKS from one URL, whole. Nothing is thrown: what went wrong is part of the response. */
export async function fetchJwks (url: string, { headers, signal }: AuthServerRequest): Promise<JwksResponse> {
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
    const { code, systemCode } = failureOf(error, signal)
    const text = describeFailure(code, systemCode)
    return respond({ entries: undefined, code, systemCode, text, isTrouble: true })
  }
}

async function receive (
  url: string, headers: AuthServerRequest['headers'], signal: AbortSignal
): Promise<Recording> {
  const { origin, pathname } = new URL(url)
  const recorder = createRecorder()
  const request = requestOptions(headers)
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

function judge (recording: Recording): Verdict {
  const { status, refused } = recording
  const { value, text } = readJson(recording)
  const { keys } = Object(value) as { keys?: unknown }
  if (Array.isArray(keys)) return { entries: keys, code: null, text: 'a JWKS', isTrouble: false }
  const no = (code: FetchFailure, isTrouble: boolean): Verdict => ({
    entries: undefined, code, text: value === undefined ? text : 'JSON without keys', isTrouble
  })
  if (refused === 'too_large' || refused === 'encoded') return no(refused, true)
  return no(statusFailure(status, 'no_jwks'), status >= 500 || [408, 425, 429].includes(status))
}
