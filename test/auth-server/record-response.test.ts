import type { Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { createRecorder, MAX_BODY, recordResponse, type Recording } from '../../lib/auth-server/record-response.js'
import { chunked, head, LAST_CHUNK, pour, startRawServer } from '../fixtures/raw-server.js'
import { soon } from '../fixtures/waiting.js'

// Also run under other versions of Node.js: see test/matrix/run.ts.

t.setTimeout(120_000)

const GLOBAL_DISPATCHER = Symbol.for('undici.globalDispatcher.1')
const globals = globalThis as unknown as Record<symbol, unknown>
const BODY = '{"keys":[]}'
const CHUNKED = { 'transfer-encoding': 'chunked' }
const LONGEST = Buffer.alloc(MAX_BODY, 'abc')
const TOO_LONG = Buffer.alloc(MAX_BODY + 1, 'abc')

type Outcome = Recording | { readonly failure: string }

// Without it, a connection stays open for some seconds.
const headers = { connection: 'close' }

/** The two ways in which a response is recorded. */
const WAYS: Record<string, (url: string) => Promise<Outcome>> = {
  'by the dispatcher': async url => {
    const recorder = createRecorder()
    const options = { dispatcher: recorder.dispatcher, signal: recorder.signal, redirect: 'manual', headers }
    const failure = await fetch(url, options as unknown as RequestInit).then(() => undefined, (error: unknown) => error)
    return recorder.recording ?? failed(failure)
  },
  'from a Response': async url => {
    try {
      return await recordResponse(await fetch(url, { redirect: 'manual', headers }))
    } catch (error) {
      return failed(error)
    }
  }
}

function failed (error: unknown): Outcome {
  const { cause, message } = error as Error
  return { failure: (cause as { code?: string } | undefined)?.code ?? message }
}

/** What a server writes, and what is recorded of it. */
type Case = [name: string, write: (socket: Socket) => void, expected: {
  status?: number
  refused?: Recording['refused']
  body?: Buffer | string
  headers?: Record<string, string>
  failure?: RegExp
}]

const write = (...parts: Array<string | Buffer>) => (socket: Socket) => { for (const part of parts) socket.write(part) }
const end = (...parts: Array<string | Buffer>) => (socket: Socket) => { write(...parts)(socket); socket.end() }
const length = (body: string | Buffer) => ({ 'content-length': String(body.length) })
const begin = (start: string, endless: string | Buffer) => (socket: Socket) => {
  socket.write(start)
  pour(socket, endless)
}

const JUNK = Buffer.alloc(65_536, 'junk')

const BODIES: Case[] = [
  ['no body', write(head(200, length(''))), { body: '' }],
  ...[204, 299].map((status): Case => [String(status), write(head(status, length(''))), { status, body: '' }]),
  ['a body in one piece', write(head(200, length(BODY)), BODY), { body: BODY }],
  ['a body in chunks of one byte', write(head(200, CHUNKED), chunked(BODY, 1), LAST_CHUNK), { body: BODY }],
  ['a body that the end of the connection ends', end(head(200), BODY), { body: BODY }],
  ['exactly 1 MB, with its length', write(head(200, length(LONGEST)), LONGEST), { body: LONGEST }],
  ['exactly 1 MB, chunked', write(head(200, CHUNKED), chunked(LONGEST, 999), LAST_CHUNK), { body: LONGEST }],
  ['exactly 1 MB, until the end', end(head(200), LONGEST), { body: LONGEST }],
  ['1 MB and a byte, with its length', write(head(200, length(TOO_LONG)), TOO_LONG), { refused: 'too_large' }],
  ['1 MB and a byte, chunked', write(head(200, CHUNKED), chunked(TOO_LONG, 999), LAST_CHUNK), { refused: 'too_large' }],
  ['1 MB and a byte, until the end', end(head(200), TOO_LONG), { refused: 'too_large' }],
  ['an endless body', begin(head(200), JUNK), { refused: 'too_large' }],
  ['an endless body with an endless length', begin(head(200, { 'content-length': '999999999999999' }), JUNK), {
    refused: 'too_large'
  }],
  ['an endless body, chunked', begin(head(200, CHUNKED), chunked(JUNK, 4096)), { refused: 'too_large' }],
  ['a truncated body', end(head(200, length(TOO_LONG)), BODY), { failure: /UND_ERR|terminated/ }],
  ['truncated chunks', end(head(200, CHUNKED), chunked(BODY, 4)), { failure: /UND_ERR|terminated/ }],
  ['a truncated head', end('HTTP/1.1 200 OK\r\ncontent-le'), { failure: /UND_ERR/ }],
  ['no response', end(), { failure: /UND_ERR/ }],
  ['a flood of headers', begin('HTTP/1.1 200 OK\r\n', `x: ${'y'.repeat(1000)}\r\n`), {
    failure: /UND_ERR_HEADERS_OVERFLOW/
  }],
  ['a flood of trailers', begin(`${head(200, CHUNKED)}0\r\n`, `x: ${'y'.repeat(1000)}\r\n`), {
    failure: /UND_ERR_HEADERS_OVERFLOW|terminated/
  }],
  ['junk', write('junk\r\n\r\n'), { failure: /HPE_INVALID|fetch failed/ }]
]

const ENCODINGS: Case[] = [
  ...([['gzip', gzipSync(BODY)], ['br', brotliCompressSync(BODY)], ['deflate', deflateSync(BODY)], ['zstd', BODY],
    ['unknown', BODY], ['identity, gzip', gzipSync(BODY)], ['gzip, gzip', BODY], ['GZIP', BODY], ['x-identity', BODY]
  ] as const).map(([encoding, body]): Case => {
    return [encoding, write(head(200, { 'content-encoding': encoding, ...length(body) }), body), { refused: 'encoded' }]
  }),
  ['two lines', write('HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n'), {
    refused: 'encoded'
  }],
  ['gzip without a byte of its body', write(head(200, { 'content-encoding': 'gzip' })), { refused: 'encoded' }],
  ...['identity', 'Identity', ''].map((encoding): Case => {
    return [`"${encoding}"`, write(head(200, { 'content-encoding': encoding, ...length(BODY) }), BODY), { body: BODY }]
  })
]

const STATUSES: Case[] = [
  ...[300, 301, 302, 303, 307, 308, 400, 401, 404, 429, 500, 502, 503].flatMap((status): Case[] => [
    [`${status}, whole`, write(head(status, length(BODY)), BODY), { status, refused: 'status' }],
    [`${status} without a byte of its body`, write(head(status, length(BODY))), { status, refused: 'status' }],
    [`${status} with an endless body`, begin(head(status), JUNK), { status, refused: 'status' }]
  ]),
  ['a redirect to nowhere', write(head(302, { location: 'http://127.0.0.1:1/', ...length('') })), {
    status: 302, refused: 'status'
  }],
  ['404, compressed', write(head(404, { 'content-encoding': 'gzip' })), { status: 404, refused: 'status' }],
  ['100, which nobody asked for', write(head(100), head(200, length(BODY)), BODY), { failure: /UND_ERR_SOCKET/ }],
  ...[102, 103].map((status): Case => {
    return [`${status} and then 200`, write(head(status).repeat(3), head(200, length(BODY)), BODY), { body: BODY }]
  }),
  ['103 with headers of its own', write(
    head(103, { 'content-encoding': 'gzip', 'retry-after': '5' }), head(200, { age: '1', ...length(BODY) }), BODY
  ), { body: BODY, headers: { age: '1' } }]
]

const HEADERS: Case[] = [
  ['those that matter, and no others', write([
    'HTTP/1.1 200 OK', 'AGE: 7', 'Cache-Control: max-age=60', 'Date: Thu, 01 Jan 2026 00:00:00 GMT', 'Retry-After: 3',
    'X-Retry-After: 4', 'Set-Cookie: secret', 'X-Other: secret', 'Content-Length: 0', '', ''
  ].join('\r\n')), {
    body: '',
    headers: {
      age: '7',
      'cache-control': 'max-age=60',
      date: 'Thu, 01 Jan 2026 00:00:00 GMT',
      'retry-after': '3',
      'x-retry-after': '4'
    }
  }],
  ['two lines as one', write('HTTP/1.1 503 X\r\nAge: 1\r\nX: y\r\nage: 2\r\nContent-Length: 0\r\n\r\n'), {
    status: 503, refused: 'status', headers: { age: /^1, ?2$/ as unknown as string }
  }]
]

for (const [way, record] of Object.entries(WAYS)) {
  t.test(`${way} is recorded`, async t => {
    for (const [title, cases] of Object.entries({ BODIES, ENCODINGS, STATUSES, HEADERS })) {
      await t.test(title.toLowerCase(), async t => {
        for (const [name, respond, { failure, headers, body, ...expected }] of cases) {
          await t.test(name, async t => {
            const server = await startRawServer(t, respond)
            const outcome = await soon(record(server.origin))
            if (failure !== undefined) return t.match(outcome, { failure })
            if ('failure' in outcome) return t.fail(outcome.failure)
            t.match(outcome, { status: 200, refused: null, ...expected })
            t.ok(outcome.body.equals(Buffer.from(body ?? '')), `a body of ${body?.length ?? 0} bytes`)
            if (headers !== undefined) t.match(Object.fromEntries(outcome.headers), headers)
            if (headers !== undefined) t.equal([...outcome.headers].length, Object.keys(headers).length)
            t.equal(server.requests.length, 1)
            if (outcome.refused === null) return
            await soon(server.allClosed())
            t.pass('and the connection is closed')
          })
        }
      })
    }
  })
}

/** Puts a dispatcher below `fetch`, as undici's `setGlobalDispatcher` does. */
function setGlobalDispatcher (t: Pick<Test, 'teardown'>, dispatcher: unknown): void {
  const before = globals[GLOBAL_DISPATCHER]
  t.teardown(() => { globals[GLOBAL_DISPATCHER] = before })
  globals[GLOBAL_DISPATCHER] = dispatcher
}

const record = WAYS['by the dispatcher']!

type Handler = Record<string, (...args: unknown[]) => unknown>

/** A handler that fails if it sees a response. */
class Unseeing {
  readonly status = 1
  readonly #name = 'other'
  onOther (text: string) { return `${this.#name} ${text}` }
  onHeaders () { t.fail('onHeaders') }
  onData () { t.fail('onData') }
  onComplete () { t.fail('onComplete') }
  onResponseStart () { t.fail('onResponseStart') }
  onResponseData () { t.fail('onResponseData') }
  onResponseEnd () { t.fail('onResponseEnd') }
}

t.test('the dispatcher of the application makes the request', async t => {
  const server = await startRawServer(t, write(head(200, length(BODY)), BODY))
  await fetch(server.origin)
  const next = globals[GLOBAL_DISPATCHER] as { dispatch: (...args: unknown[]) => unknown }
  const origins: unknown[] = []
  setGlobalDispatcher(t, {
    dispatch (options: { origin: unknown }, handler: unknown) {
      origins.push(String(options.origin))
      return next.dispatch(options, handler)
    }
  })
  t.match(await record(server.origin), { status: 200, refused: null })
  t.strictSame(origins, [server.origin])
})

t.test('if the dispatcher of fetch is out of reach, as in the sandbox of Jest, ours counts as ignored', async t => {
  setGlobalDispatcher(t, undefined)
  const recorder = createRecorder()
  t.throws(() => recorder.dispatcher.dispatch({}, {}), TypeError)
  t.equal(recorder.isUsed, false)
})

t.test('a dispatcher that delivers the rest of a response that was refused', async t => {
  const raw = ['retry-after', '5'].map(text => Buffer.from(text))
  const FAKES: Record<string, (handler: Handler, status: number) => void> = {
    'Node.js 20 to 24': (handler, status) => {
      t.equal(handler.onHeaders!(103, [], () => {}, ''), true, 'undici is told whether to read on')
      t.equal(handler.onHeaders!(status, raw, () => {}, ''), status === 200)
      handler.onData!(Buffer.from(BODY))
      handler.onComplete!([])
    },
    'Node.js 26': (handler, status) => {
      const controller = {}
      handler.onResponseStart!(controller, status, { 'retry-after': '5' }, '')
      handler.onResponseData!(controller, Buffer.from(BODY))
      handler.onResponseEnd!(controller, {})
    }
  }
  for (const [name, deliver] of Object.entries(FAKES)) {
    t.test(`with the handlers of ${name}`, async t => {
      setGlobalDispatcher(t, {
        dispatch (_: unknown, handler: Handler) {
          t.equal(handler.status, 1, 'whatever is no function stays the same')
          t.equal(handler.onOther!('x'), 'other x', 'and so does every other function')
          deliver(handler, 404)
        }
      })
      const recorder = createRecorder()
      recorder.dispatcher.dispatch({}, new Unseeing())
      t.match(recorder.recording, { status: 404, refused: 'status', body: { length: 0 } })
      t.equal(recorder.recording!.headers.get('retry-after'), '5')
      t.equal(recorder.signal.aborted, true)
    })

    t.test(`with a whole response and the handlers of ${name}`, async t => {
      setGlobalDispatcher(t, { dispatch: (_: unknown, handler: Handler) => { deliver(handler, 200) } })
      const recorder = createRecorder()
      t.equal(recorder.isUsed, false)
      recorder.dispatcher.dispatch({}, new Unseeing())
      t.equal(recorder.isUsed, true)
      t.match(recorder.recording, { status: 200, refused: null })
      t.equal(recorder.recording!.body.toString(), BODY)
    })
  }
})

t.test('a chunk is copied: its memory may be used again', async t => {
  setGlobalDispatcher(t, {
    dispatch (_: unknown, handler: Handler) {
      handler.onHeaders!(200, [], () => {}, '')
      const chunk = Buffer.from('abc')
      handler.onData!(chunk)
      chunk.fill('x')
      handler.onComplete!([])
    }
  })
  const recorder = createRecorder()
  recorder.dispatcher.dispatch({}, new Unseeing())
  t.equal(recorder.recording!.body.toString(), 'abc')
})

t.test('a redirect that fetch hides, as the standard has it, is no success', async t => {
  t.match(await recordResponse(Response.error()), { status: 0, refused: 'status', body: { length: 0 } })
})
