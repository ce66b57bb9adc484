import fastifyWebsocket from '@fastify/websocket'
import betterAuthPlugin from 'better-auth-fastify'
import Fastify, { type FastifyRequest } from 'fastify'
import { listen, readPort, signUpLines, startAuthServer, stopOnSignal } from './support.js'

const authPort = readPort('AUTH_PORT', 3000)
const apiPort = readPort('PORT', 3001)

const auth = await startAuthServer('AUTH_PORT', authPort)
const api = Fastify({ logger: true, forceCloseConnections: true })

// A browser cannot set `Authorization` on a WebSocket. It can name subprotocols: new WebSocket(url, ['bearer', token]).
function extractToken (request: FastifyRequest): string | undefined {
  const [scheme, token] = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim()) ?? []
  return scheme === 'bearer' ? token : undefined
}

await api.register(betterAuthPlugin, { authUrl: auth.url, extractToken })
// The answer names one of the subprotocols: never the one that is the token.
await api.register(fastifyWebsocket, { options: { maxPayload: 4096, handleProtocols: names => names.has('bearer') && 'bearer' } })

const LONGEST_TIMEOUT = 2 ** 31 - 1

// Refused before the upgrade: with 401, as any other request.
api.get('/greeting', { websocket: true, onRequest: api.authenticate }, (socket, { user, claims }) => {
  // The connection outlives the request: it has to end with the token.
  const end = setTimeout(() => { socket.close(4401, 'token expired') }, Math.min(claims.exp * 1000 - Date.now(), LONGEST_TIMEOUT))
  socket.on('close', () => { clearTimeout(end) })
  socket.on('error', error => { api.log.info(error) })

  socket.on('message', text => { socket.send(`${user.name ?? user.id} said: ${text.toString()}`) })
  socket.send(`Hello ${user.name ?? user.email ?? user.id}!`)
})

await listen('PORT', apiPort, () => api.listen({ port: apiPort, host: 'localhost' }))

stopOnSignal(async () => {
  auth.close()
  await api.close()
})

console.log(`
Better Auth is at ${auth.url}, the API at http://localhost:${apiPort}. Stop both with Ctrl-C.

Paste into another terminal, in this folder, to sign up, fetch a token, and open a WebSocket:

${signUpLines(auth.url)}
node -e "new (require('ws'))(process.argv[1], ['bearer', process.argv[2]]).on('message', function (text) { console.log(String(text)); this.close() })" ws://localhost:${apiPort}/greeting $TOKEN

In a browser it is new WebSocket('ws://localhost:${apiPort}/greeting', ['bearer', token]). Without a token the answer is 401:

curl -sS -w '\\n' -i http://localhost:${apiPort}/greeting -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='
`)
