import buildGetJwks from 'get-jwks'
import { requestOptions, type AuthServerRequest } from './fetch-json.js'
import { createRecorder, recordResponse, type Recording } from './record-response.js'
import { readWhole, type Transport } from './transport.js'

/** get-jwks picks one key. All keys are read from the recorded response, so any `kid` will do. */
const ANY_KID = ''

/** Reaches the auth server over the network. */
export const httpTransport: Transport = {
  isLocal: false,
  fetchJwks,
  async get (url, headers, signal) {
    // Redirects are not followed, so that a credential goes to no other host.
    return readWhole(await fetch(url, { headers, redirect: 'manual', signal }))
  }
}

async function fetchJwks (url: string, { headers, signal }: AuthServerRequest): Promise<Recording> {
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
