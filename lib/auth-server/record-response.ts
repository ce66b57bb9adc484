/** The part of undici's dispatcher (the `dispatcher` of `fetch`) that is used here. */
interface Dispatcher { dispatch (options: unknown, handler: object): unknown }

/** A response as it came over the wire. */
export interface Recording {
  readonly status: number
  readonly headers: Headers
  /** Why its body was not read to the end. `status`: only the body of a success matters. */
  readonly refused: 'too_large' | 'encoded' | 'status' | null
  readonly body: Buffer
}

/**
 * Records the response to a request that another client makes. The client itself never sees the response: it would
 * parse it once more, and keep it piece by piece.
 */
export interface Recorder {
  /** For the options of `fetch`. Runtimes whose `fetch` is not undici's ignore it. */
  readonly dispatcher: Dispatcher
  /** Aborts when the response was recorded, or must not be read any further. */
  readonly signal: AbortSignal
  /** Whether `fetch` used the dispatcher. */
  readonly isUsed: boolean
  /** The response, if it was refused, or has come to its end. */
  readonly recording: Recording | undefined
}

/** The longest body that is read, in bytes as they come over the wire. */
export const MAX_BODY = 2 ** 20

const kGlobalDispatcher = Symbol.for('undici.globalDispatcher.1')

/** @returns whether to read on. */
type Tap = (...args: never[]) => boolean

export function createRecorder (): Recorder {
  const controller = new AbortController()
  const body = createBody()
  let head: Pick<Recording, 'status' | 'headers'> | undefined
  let isUsed = false
  let recording: Recording | undefined

  function finish (refused: Recording['refused']): false {
    // Some dispatchers, such as undici's MockAgent, deliver the rest of a response that was aborted.
    recording ??= { ...head!, refused, body: refused === null ? body.bytes() : Buffer.alloc(0) }
    controller.abort()
    return false
  }

  function onHead (status: number, headers: Headers): boolean {
    // 103 and others of its kind come before the response.
    if (status < 200) return true
    head = { status, headers }
    const refused = refuseHead(status, headers)
    return refused === null || finish(refused)
  }

  function onChunk (chunk: Uint8Array): boolean {
    return body.add(chunk) || finish('too_large')
  }

  const taps: Record<string, Tap> = {
    // The handlers of Node.js 20 to 24.
    onHeaders: (status: number, raw: readonly Buffer[]) => onHead(status, fromRaw(raw)),
    onData: onChunk,
    onComplete: () => finish(null),
    // Those of Node.js 26.
    onResponseStart: (_: unknown, status: number, headers: HeaderRecord) => onHead(status, fromRecord(headers)),
    onResponseData: (_: unknown, chunk: Uint8Array) => onChunk(chunk),
    onResponseEnd: () => finish(null)
  }

  const dispatcher: Dispatcher = {
    dispatch (options, handler) {
      // Looked up at each fetch: an application may set a dispatcher of its own, such as one for its proxy.
      const { [kGlobalDispatcher]: next } = globalThis as unknown as Record<symbol, Dispatcher>
      // In the sandbox of Jest there is none, although `fetch` has one. The next line throws then.
      isUsed = next !== undefined
      return next!.dispatch(options, tapped(handler, taps))
    }
  }

  return {
    dispatcher,
    signal: controller.signal,
    get isUsed () { return isUsed },
    get recording () { return recording }
  }
}

/** The same without a dispatcher, from a `Response`. */
export async function recordResponse (response: Response): Promise<Recording> {
  const { status, headers, body } = response
  const head = { status, headers: pick(name => headers.get(name)) }
  let refused: Recording['refused'] = refuseHead(status, headers)
  const reader = refused === null ? body?.getReader() : undefined
  const bytes = createBody()
  for (let read = await reader?.read(); read?.value !== undefined; read = await reader!.read()) {
    if (bytes.add(read.value)) continue
    refused = 'too_large'
    break
  }
  if (refused === null) return { ...head, refused, body: bytes.bytes() }
  await (reader ?? body)?.cancel()
  return { ...head, refused, body: Buffer.alloc(0) }
}

/** Collects a body in one buffer: a list of its chunks could be a million objects. */
function createBody (): { add (chunk: Uint8Array): boolean, bytes (): Buffer } {
  let buffer: Buffer | undefined
  let size = 0
  return {
    /** @returns whether it fits. */
    add (chunk) {
      if (size + chunk.length > MAX_BODY) return false
      buffer ??= Buffer.alloc(MAX_BODY)
      buffer.set(chunk, size)
      size += chunk.length
      return true
    },
    bytes: () => buffer?.subarray(0, size) ?? Buffer.alloc(0)
  }
}

function refuseHead (status: number, headers: Headers): 'status' | 'encoded' | null {
  if (status < 200 || status > 299) return 'status'
  const encoding = headers.get('content-encoding') ?? ''
  return /^(?:identity)?$/i.test(encoding) ? null : 'encoded'
}

/** The handler, but for what the taps take. */
function tapped (handler: object, taps: Readonly<Record<string, Tap>>): object {
  return new Proxy(handler, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return taps[name as string] ?? member.bind(target) as unknown
    }
  })
}

type HeaderRecord = Readonly<Record<string, string | readonly string[] | undefined>>

/** The headers that anybody asks for. The others are not kept. */
const RECORDED = ['age', 'cache-control', 'content-encoding', 'date', 'retry-after', 'x-retry-after']

function pick (read: (name: string) => string | null | undefined): Headers {
  const headers = new Headers()
  for (const name of RECORDED) {
    const value = read(name)
    if (value !== null && value !== undefined) headers.set(name, value)
  }
  return headers
}

function fromRecord (record: HeaderRecord): Headers {
  return pick(name => record[name]?.toString())
}

/** Names and values in turn. */
function fromRaw (raw: readonly Buffer[]): Headers {
  const record: Record<string, string[]> = {}
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toString('latin1').toLowerCase()
    if (RECORDED.includes(name)) (record[name] ??= []).push(raw[i + 1]!.toString('latin1'))
  }
  return fromRecord(record)
}
