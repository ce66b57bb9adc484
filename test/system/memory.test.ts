import type { Socket } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'
import { head, LAST_CHUNK, pour, startRawServer } from '../fixtures/raw-server.js'
import { createSigningKey } from '../fixtures/signing.js'

// Each fault needs an API of its own.
t.setTimeout(300_000)

const MB = 2 ** 20
const MAX_OVER = 64
const { jwk } = createSigningKey()
const CHUNKED = { 'transfer-encoding': 'chunked' }

/** Writes a buffer so many times, and then hangs up. */
function repeat (socket: Socket, bytes: Buffer, times: number): void {
  let left = times
  const go = (): void => {
    while (left-- > 0 && !socket.destroyed) {
      if (!socket.write(bytes)) {
        socket.once('drain', go)
        return
      }
    }
    socket.end()
  }
  go()
}

const whole = (body: string) => (socket: Socket) => {
  socket.end(head(200, { 'content-length': String(body.length) }) + body)
}

/** JSON of 1 MB: a JWKS with as many of these entries as fit. */
const entries = (entry: string) => whole(`{"keys":[${`${entry},`.repeat((MB - 100) / (entry.length + 1))}${entry}]}`)

/** A `code` of `null` means: a JWKS, though an odd one. */
const FAULTS: Record<string, { respond: (socket: Socket) => void, code: string | RegExp | null }> = {
  'nothing but the same JWKS': { respond: whole(JSON.stringify({ keys: [jwk] })), code: null },
  'an endless body': {
    respond (socket) { socket.write(head(200)); pour(socket, Buffer.alloc(65_536, 'x')) }, code: 'too_large'
  },
  '50 MB of junk': {
    respond (socket) {
      socket.write(head(200, { 'content-length': String(50 * MB) }))
      repeat(socket, Buffer.alloc(MB, 'x'), 50)
    },
    code: 'too_large'
  },
  '50 MB of valid JSON': {
    respond (socket) {
      const start = `{"keys":[${JSON.stringify(jwk)}]`
      socket.write(head(200) + start)
      repeat(socket, Buffer.alloc(MB, ' '), 50)
      socket.end('}')
    },
    code: 'too_large'
  },
  '1 MB in chunks of one byte': {
    respond: socket => { socket.end(head(200, CHUNKED) + '1\r\n \r\n'.repeat(MB) + LAST_CHUNK) },
    // It takes long on a busy machine.
    code: /^(no_jwks|timeout)$/
  },
  'a gzip bomb of 1 GiB': {
    respond (socket) {
      socket.write(head(200, { 'content-encoding': 'gzip' }))
      repeat(socket, gzipSync(Buffer.alloc(MB)), 1024)
    },
    code: 'encoded'
  },
  'a flood of headers': {
    respond (socket) { socket.write('HTTP/1.1 200 OK\r\n'); pour(socket, `x: ${'y'.repeat(1000)}\r\n`) },
    code: 'protocol'
  },
  'a flood of trailers': {
    respond (socket) { socket.write(`${head(200, CHUNKED)}0\r\n`); pour(socket, `x: ${'y'.repeat(1000)}\r\n`) },
    code: 'protocol'
  },
  'endless responses 103': {
    respond (socket) { pour(socket, head(103, { link: '</x>' }).repeat(1000)) }, code: 'timeout'
  },
  '1 MB of open brackets': { respond: whole('['.repeat(MB)), code: 'no_jwks' },
  '1 MB of nested arrays as keys': {
    respond: whole(`{"keys":${'['.repeat(MB / 2 - 10)}${']'.repeat(MB / 2 - 10)}}`), code: 'no_jwks'
  },
  '1 MB of keys': { respond: entries(JSON.stringify(jwk)), code: 'too_many_keys' },
  '1 MB of empty objects as keys': { respond: entries('{}'), code: 'too_many_keys' }
}

t.test(`what an auth server does costs an API less than ${MAX_OVER} MB`, async t => {
  for (const [name, { respond, code }] of Object.entries(FAULTS)) {
    t.test(name, async t => {
      let asked = 0
      const server = await startRawServer(t, socket => {
        // The URL of the JWKS is the first that is tried.
        if (++asked > 3) respond(socket)
        else whole(JSON.stringify({ keys: [jwk] }))(socket)
      })
      const { stdout, stderr } = await run(ROOT, [process.execPath, 'test/fixtures/memory-program.mjs'], {
        AUTH_URL: server.origin, PLUGIN: pathToFileURL(join(ROOT, 'dist/index.js')).href
      })
      t.equal(stderr, '')
      const { over, warnings } = JSON.parse(stdout) as { over: number, warnings: string[] }
      t.comment(`${over.toFixed(1)} MB`)
      t.ok(over < MAX_OVER, `${over.toFixed(1)} MB over idle`)
      t.match(warnings.at(0), code ?? undefined)
      t.equal(warnings.length, code === null ? 0 : 1, 'and one warning with a code')
    })
  }
})
