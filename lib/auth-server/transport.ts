import type { AuthServerRequest } from './fetch-json.js'
import type { Recording } from './record-response.js'

/** A response whose body was read whole. */
export interface WholeResponse {
  readonly status: number
  readonly headers: Headers
  /** `undefined` if it is longer than {@link MAX_TEXT}. */
  readonly body: string | undefined
}

/**
 * How requests reach the auth server: over HTTP, or as calls in this process. Both follow no redirect, bound the body,
 * and end with the signal. If there is no response, both reject with an error for `failureOf()`.
 */
export interface Transport {
  /** Whether the auth server runs in this process. Then its rate limiter does not count these calls. */
  readonly isLocal: boolean
  /** Fetches the JWKS. The body of a failure is not read. */
  fetchJwks (url: string, request: AuthServerRequest): Promise<Recording>
  /** Sends a GET request with exactly these headers. */
  get (url: string, headers: Headers, signal: AbortSignal): Promise<WholeResponse>
}

/** The longest body of `get()`, in bytes: a JWT has to fit into the headers of a request. */
export const MAX_TEXT = 65_536

/** Reads a response, but no more than {@link MAX_TEXT} of it. */
export async function readWhole ({ status, headers, body }: Response): Promise<WholeResponse> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += (chunk as Uint8Array).length
    // Leaving the loop cancels the rest.
    if (size > MAX_TEXT) return { status, headers, body: undefined }
    chunks.push(chunk as Uint8Array)
  }
  return { status, headers, body: Buffer.concat(chunks).toString() }
}
