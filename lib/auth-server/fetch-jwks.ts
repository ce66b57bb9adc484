import type { FetchFailure } from '../contract/fetch-failures.js'
import { describeFailure, failureOf, statusFailure } from './failure.js'
import { beforeAbort, readJson, type AuthServerRequest } from './fetch-json.js'
import { httpTransport } from './http-transport.js'
import type { Recording } from './record-response.js'
import { readRetryAfter } from './retry-after.js'
import type { Transport } from './transport.js'

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

/** Fetches the JWKS from one URL, whole. Nothing is thrown: what went wrong is part of the response. */
export async function fetchJwks (
  url: string, request: AuthServerRequest, transport: Pick<Transport, 'fetchJwks'> = httpTransport
): Promise<JwksResponse> {
  const { signal } = request
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
    const recording = await beforeAbort(transport.fetchJwks(url, request), signal)
    return respond(judge(recording), recording)
  } catch (error) {
    const { code, systemCode } = failureOf(error, signal)
    const text = describeFailure(code, systemCode)
    return respond({ entries: undefined, code, systemCode, text, isTrouble: true })
  }
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
