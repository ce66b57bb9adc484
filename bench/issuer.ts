import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerParent, readConfig } from './child.js'

/**
 * The keys that the server serves, the JWT that it exchanges credentials for, and its delay in milliseconds. The parent
 * can change all at any time.
 */
export interface JwksState { keys: object[], delay: number, token?: string }
export interface JwksHello { origin: string }
/** The number of requests so far. */
export interface JwksAnswer { hits: number }

const state = readConfig<JwksState>()
let hits = 0

const server = createServer(async (request, response) => {
  hits++
  await sleep(state.delay)
  const body = request.url!.startsWith('/api/auth/token') ? { token: state.token } : { keys: state.keys }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
})

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  answerParent<Partial<JwksState>>({ origin: `http://127.0.0.1:${port}` } satisfies JwksHello, changes => {
    Object.assign(state, changes)
    return { hits } satisfies JwksAnswer
  })
})
