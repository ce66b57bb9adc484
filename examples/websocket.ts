// In a clone, after `npm install && npm run build`: npx tsx examples/websocket.ts
import fastifyWebsocket from '@fastify/websocket'
import betterAuthPlugin from 'better-auth-fastify'
import Fastify, { type FastifyRequest } from 'fastify'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)

const auth = await startAuthServer('AUTH_PORT', authPort)
const api = Fastify({ logger: true, forceCloseConnections: true })

// A browser cannot set `Authorization` on a WebSocket. It can send subprotocols: new WebSocket(url, ['bearer', token]).
function extractToken (request: FastifyRequest): string | undefined {
  const [scheme, token] = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim()) ?? []
  return scheme === 'bearer' ? token : undefined
}

await api.register(betterAuthPlugin, { authUrl: auth.url, extractToken })
// The response names one of the subprotocols. It must never be the token.
await api.register(fastifyWebsocket, {
  options: { maxPayload: 4096, handleProtocols: names => names.has('bearer') && 'bearer' }
})

// The hook runs before the upgrade: a request without a valid token gets a normal 401.
api.get('/greeting', { websocket: true, onRequest: [api.authenticate] }, (socket, { user, principal }) => {
  // The connection outlives the request. It ends with its token: when that expires, or when its key is removed.
  const end = api.betterAuth.onEnd(principal, reason => { socket.close(4401, reason) })
  socket.on('close', end.stop)
  socket.on('error', error => { api.log.info(error) })

  socket.on('message', text => {
    // A client that ignores the end can still send, until the socket is destroyed after 30 seconds.
    if (socket.readyState === socket.OPEN) socket.send(`${user.name ?? user.id} said: ${text.toString()}`)
  })
  socket.send(`Hello ${user.name ?? user.email ?? user.id}!`)
})

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  auth.close()
  await api.close()
})

const url = `ws://localhost:${apiPort}/greeting`
const client = "new (require('ws'))(process.argv[1], ['bearer', process.argv[2]])" +
  ".on('message', function (text) { console.log(String(text)); this.close() })"
const upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' " +
  "-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='"

console.log(`
Better Auth runs at ${auth.url}, the API at http://localhost:${apiPort}. Ctrl-C stops both.

To sign up, fetch a token and open a WebSocket, paste this into another terminal, in this folder:

${signUpLines(auth.url)}
node -e "${client}" ${url} $TOKEN

In a browser, call new WebSocket('${url}', ['bearer', token]).

Without a token, the API responds with 401:

curl -sS -w '\\n' -i http://localhost:${apiPort}/greeting ${upgrade}
`)
