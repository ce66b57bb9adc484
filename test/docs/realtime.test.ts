import { once } from 'node:events'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import { PROGRAMS } from '../fixtures/docs.js'
import { copyProject } from '../fixtures/program.js'
import { createProgramStarter } from '../fixtures/programs.js'
import { startIssuer } from '../fixtures/test-issuer.js'

// The programs with sockets in the guides, with real clients.

const startProgram = createProgramStarter(copyProject(t))

t.setTimeout(120_000)

/** An open connection: what the server sent first, and why and when it ended. */
interface Connection { readonly greeting: unknown, readonly ended: Promise<End> }

interface End { readonly reason: string, readonly at: number }

/** Rejects with what the client learns of a refusal. */
type Connect = (t: Test, origin: string, token: string | undefined) => Promise<Connection>

async function endOf (socket: WebSocket): Promise<End> {
  return new Promise(resolve => {
    socket.on('close', (code, reason) => { resolve({ reason: `${code} ${String(reason)}`, at: performance.now() }) })
  })
}

function openSocket (t: Test, origin: string, path: string, protocols: string[]): WebSocket {
  const socket = new WebSocket(`${origin.replace('http', 'ws')}${path}`, protocols)
  t.teardown(() => { socket.terminate() })
  return socket
}

const connectWebSocket: Connect = async (t, origin, token) => {
  const socket = openSocket(t, origin, '/greeting', token === undefined ? [] : ['bearer', token])
  const ended = endOf(socket)
  const [text] = await once(socket, 'message')
  return { greeting: String(text), ended }
}

/** The protocol graphql-transport-ws, as the client graphql-ws speaks it. */
const connectGraphql: Connect = async (t, origin, token) => {
  const socket = openSocket(t, origin, '/graphql', ['graphql-transport-ws'])
  const ended = endOf(socket)
  const messages: Array<{ type: string, payload: unknown }> = []
  const waiting: Array<() => void> = []
  socket.on('message', text => {
    messages.push(JSON.parse(String(text)))
    for (const look of waiting) look()
  })
  const received = async (type: string): Promise<unknown> => new Promise((resolve, reject) => {
    const look = () => {
      const message = messages.find(message => [type, 'connection_error', 'error'].includes(message.type))
      if (message?.type === type) resolve(message.payload)
      else if (message !== undefined) reject(new Error(message.type))
    }
    waiting.push(look)
    look()
  })
  const send = (message: object) => { socket.send(JSON.stringify(message)) }
  await once(socket, 'open')
  send({ type: 'connection_init', payload: { token } })
  await received('connection_ack')
  const next = received('next')
  next.catch(() => {})
  send({ id: '1', type: 'subscribe', payload: { query: 'subscription { said }' } })
  const timer = setInterval(() => {
    fetch(`${origin}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'mutation { say(text: "hi") }' })
    }).catch(() => {})
  }, 20)
  try {
    return { greeting: await next, ended }
  } finally {
    clearInterval(timer)
  }
}

const connectSocketIo: Connect = async (t, origin, token) => {
  const socket = io(origin, { auth: { token }, reconnection: false, forceNew: true })
  t.teardown(() => { socket.disconnect() })
  const ended = new Promise<End>(resolve => {
    let reason = ''
    socket.on('ended', (given: string) => { reason = given })
    socket.on('disconnect', why => { resolve({ reason: `${why} ${reason}`, at: performance.now() }) })
  })
  return await new Promise((resolve, reject) => {
    socket.on('connect_error', reject)
    socket.on('greeting', greeting => { resolve({ greeting, ended }) })
  })
}

const KINDS: ReadonlyArray<{
  page: string
  heading: string
  connect: Connect
  greeting: unknown
  refusal: string | RegExp
  closed: string
  also?: (t: Test, origin: string, token: string) => Promise<void>
}> = [
  {
    page: 'docs/guides/websockets.md',
    heading: 'WebSockets and other places for a token',
    connect: connectWebSocket,
    greeting: 'Hello Ada Lovelace!',
    refusal: /401/,
    closed: '4401 '
  },
  {
    page: 'docs/guides/realtime.md',
    heading: 'GraphQL subscriptions',
    connect: connectGraphql,
    greeting: { data: { said: 'Ada Lovelace: hi' } },
    refusal: 'connection_error',
    closed: '4401 ',
    async also (t, origin, token) {
      const query = async (headers: Record<string, string>) => fetch(`${origin}/graphql?query=%7Bme%7D`, { headers })
      t.equal((await query({})).status, 401, 'over HTTP it needs a token as well')
      const response = await query({ authorization: `Bearer ${token}` })
      t.same(await response.json(), { data: { me: 'user_1' } })
    }
  },
  {
    page: 'docs/guides/realtime.md',
    heading: 'Socket.IO',
    connect: connectSocketIo,
    greeting: 'Hello Ada Lovelace!',
    refusal: /^FST_BETTER_AUTH_TOKEN_/,
    closed: 'io server disconnect '
  }
]

for (const { page, heading, connect, greeting, refusal, closed, also } of KINDS) {
  t.test(`${page}, ${heading}`, async t => {
    const issuer = await startIssuer(t)
    const program = PROGRAMS.find(program => program.page === page && program.heading === heading)!
    const code = program.code.replace('{ port: 3001 }', '{ port: 0 }')
    const running = startProgram(t, program, { BETTER_AUTH_URL: issuer.authUrl }, code)
    await running.printed('Server listening at http://127.0.0.1:')
    const [origin] = /http:\/\/127\.0\.0\.1:\d+/.exec(running.stdout)!

    for (const token of [undefined, issuer.forged(), issuer.expired(), issuer.wrongAudience()]) {
      await t.rejects(connect(t, origin, token), { message: refusal })
    }

    const short = await connect(t, origin, issuer.token({}, { expiresIn: -3 }))
    t.same(short.greeting, greeting)
    const token = issuer.token()
    const open = await connect(t, origin, token)
    await also?.(t, origin, token)
    t.equal((await short.ended).reason, `${closed}token_expired`, 'when the clock tolerance is over')

    const old = issuer.kid!
    await issuer.rotate()
    issuer.revoke(old)
    const other = await connect(t, origin, issuer.token())
    t.same(other.greeting, greeting, 'a token of the new key makes the API fetch the keys')
    const seenAt = performance.now()
    const { reason, at } = await open.ended
    t.equal(reason, `${closed}key_removed`)
    t.ok(at - seenAt < 1000, 'within a second')
    t.notMatch(running.stdout, token.split('.')[2]!, 'no token is in the log')
  })
}
