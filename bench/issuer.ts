import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerParent, readConfig } from './child.js'

/** The keys that the JWKS server serves, and its delay in milliseconds. The parent can change both at any time. */
export interface JwksState { keys: object[], delay: number }
export interface JwksHello { origin: string }
/** The number of requests so far. */
export interface JwksAnswer { hits: number }

const state = readConfig<JwksState>()
let hits = 0

const server = createServer(async (_request, response) => {
  hits++
  await sleep(state.delay)
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: state.keys }))
})

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  answerParent<Partial<JwksState>>({ origin: `http://127.0.0.1:${port}` } satisfies JwksHello, changes => {
    Object.assign(state, changes)
    return { hits } satisfies JwksAnswer
  })
})
