import { once } from 'node:events'
import t from 'tap'
import WebSocket from 'ws'
import { linesOf, refusesPort, signUp, stops, withoutCurl } from '../fixtures/examples.js'
import { copyProject, freePorts, paste, NODE, start } from '../fixtures/program.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/websocket.ts', async t => {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...NODE, 'examples/websocket.js'], {
    AUTH_PORT: String(authPort), PORT: String(apiPort)
  })
  await example.printed("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='\n")
  const url = `ws://localhost:${apiPort}/greeting`
  const grace = await signUp(`http://localhost:${authPort}`, 'Grace')

  interface Opened { socket: WebSocket, greeting: string }

  /** Resolves with the socket and the first message, or rejects with the status of a refused upgrade. */
  async function open (protocols: string[], headers: Record<string, string> = {}): Promise<Opened> {
    const socket = new WebSocket(url, protocols, { headers })
    t.teardown(() => { socket.terminate() })
    return await new Promise((resolve, reject) => {
      socket.once('unexpected-response', (_request, response) => { reject(new Error(String(response.statusCode))) })
      socket.once('error', reject)
      socket.once('message', text => { resolve({ socket, greeting: String(text) }) })
    })
  }

  t.test('greets a client that sends the token as a subprotocol, and never responds with the token', async t => {
    const { socket, greeting } = await open(['bearer', grace.token])
    t.equal(greeting, 'Hello Grace!')
    t.equal(socket.protocol, 'bearer')
    socket.send('good morning')
    const [text] = await once(socket, 'message')
    t.equal(String(text), 'Grace said: good morning')
    socket.close()
    await once(socket, 'close')
  })

  t.test('also accepts the token in the header, which comes first', async t => {
    t.match(await open([], { authorization: `Bearer ${grace.token}` }), { greeting: 'Hello Grace!' })
    await t.rejects(open(['bearer', grace.token], { authorization: 'Bearer a.b.c' }), { message: '401' })
  })

  t.test('refuses the upgrade without a token, and with an invalid one', async t => {
    const [header, payload] = grace.token.split('.')
    const refused = [
      [], ['bearer'], [grace.token], [grace.token, 'bearer'], ['chat', grace.token],
      ['bearer', `${header}.${payload}.AAAA`]
    ]
    for (const protocols of refused) {
      await t.rejects(open(protocols), { message: '401' })
    }
  })

  t.test('prints lines that open a WebSocket', { skip: withoutCurl }, async t => {
    const lines = linesOf(example)
    t.equal(lines.length, 4)
    const printed = paste(lines, t.testdir({})).join('\n')
    t.match(printed, /^Hello Ada!$/m)
    t.match(printed, 'HTTP/1.1 401 Unauthorized')
    t.match(printed, '"code":"FST_BETTER_AUTH_TOKEN_MISSING"')
  })

  t.test('has no token in its log', async t => {
    t.match(example.stdout, '"url":"/greeting"')
    t.notMatch(example.stdout, grace.token)
    t.notMatch(example.stdout, grace.token.split('.')[2]!)
  })

  t.test('ends with 0 on Ctrl-C, and ends its connections', async t => {
    const { socket } = await open(['bearer', grace.token])
    const closed = once(socket, 'close')
    await stops(t, example, 'SIGINT', [authPort, apiPort])
    await closed
  })
})

t.test('an invalid port is one line on stderr', t => refusesPort(t, project, 'examples/websocket.js'))
