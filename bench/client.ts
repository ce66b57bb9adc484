import { answerParent, readConfig } from './child.js'
import { inTurn, sendFor, type Timing } from './load.js'
import { createForger } from './tokens.js'

/** A client in a process of its own: its event loop does nothing but send these requests and take their times. */
export interface ClientConfig {
  url: string
  token: string
  /** Whether each request has another forgery of the token, or always the token itself. */
  forge: boolean
  connections: number
}

/** Asks the client to send requests for a time in seconds. */
export interface ClientQuestion { seconds: number }
export interface ClientAnswer extends Timing { statuses: Record<string, number> }

const { url, token, forge, connections } = readConfig<ClientConfig>()
const nextToken = forge ? createForger(token) : inTurn([token])

answerParent<ClientQuestion>({}, ({ seconds }) => sendFor(url, nextToken, seconds, connections))
