import { connect, type Socket } from 'node:net'
import { quantile } from './stats.js'

/** Requests per second, and the duration of a request in milliseconds. */
export interface Timing { rps: number, p50: number, p99: number }

// Plain sockets: on two cores, a client that parses and counts more takes as much time as the server that it measures.

/** How many requests are sent at the same time, unless a scenario says otherwise. */
export const CONNECTIONS = 32

/** How the tokens are sent. */
const BEARER = 'Authorization: Bearer '

/**
 * Sends a number of requests with the tokens in turn.
 *
 * @param header - what stands before a token, such as `Cookie: `.
 * @throws Error if a response is not 200.
 */
export async function sendLoad (
  url: string, tokens: readonly string[], amount: number, connections = CONNECTIONS, header = BEARER
): Promise<Timing> {
  const options = { url, amount, connections: Math.min(connections, amount), header }
  const { statuses, ...timing } = await send(options, inTurn(tokens))
  if (statuses['200'] !== amount) throw new Error(`not all ${amount} were 200: ${JSON.stringify(statuses)}`)
  return timing
}

/** Sends requests for a time in seconds. The result has the number of responses by status. */
export async function sendFor (
  url: string, nextToken: () => string, seconds: number, connections: number
): Promise<Timing & { statuses: Record<string, number> }> {
  return await send({ url, duration: seconds, connections }, nextToken)
}

/** A function that returns the tokens one after the other, and then starts again. */
export function inTurn (tokens: readonly string[]): () => string {
  let sent = 0
  return () => tokens[sent++ % tokens.length]!
}

interface LoadOptions {
  readonly url: string
  readonly connections: number
  /** How many requests to send; or for how many seconds to send them. */
  readonly amount?: number
  readonly duration?: number
  readonly header?: string
}

async function send (
  { url, connections, amount = Infinity, duration = Infinity, header = BEARER }: LoadOptions, nextToken: () => string
): Promise<Timing & { statuses: Record<string, number> }> {
  const { hostname, port, pathname } = new URL(url)
  const head = `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n${header}`
  const statuses: Record<string, number> = {}
  const times: number[] = []
  const start = performance.now()
  let end = start
  let sent = 0

  /** Sends one request after the other over one connection. */
  function keepSending (socket: Socket, resolve: () => void, reject: (error: Error) => void): void {
    let received = ''
    let sentAt = 0

    function sendNext (): void {
      if (sent >= amount || performance.now() - start >= duration * 1000) {
        socket.destroy()
        resolve()
        return
      }
      sent++
      received = ''
      sentAt = performance.now()
      socket.write(`${head}${nextToken()}\r\n\r\n`)
    }

    socket.on('data', (text: string) => {
      received += text
      if (!isComplete(received)) return
      const status = received.slice(9, 12)
      statuses[status] = (statuses[status] ?? 0) + 1
      end = performance.now()
      times.push(end - sentAt)
      sendNext()
    })
    socket.on('error', reject)
    socket.on('end', () => { reject(new Error('the server closed a connection')) })
    socket.setEncoding('latin1')
    sendNext()
  }

  await Promise.all(Array.from({ length: connections }, () => new Promise<void>((resolve, reject) => {
    const socket = connect({ port: Number(port), host: hostname, noDelay: true }, () => {
      keepSending(socket, resolve, reject)
    }).once('error', reject)
  })))
  return {
    rps: times.length / (end - start) * 1000, p50: quantile(times, 0.5), p99: quantile(times, 0.99), statuses
  }
}

/** Whether a response is complete: all responses of the servers here have a `Content-Length`. */
function isComplete (response: string): boolean {
  const headEnd = response.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const length = /^content-length: (\d+)$/im.exec(response.slice(0, headEnd))?.[1]
  if (length === undefined) throw new Error(`a response without Content-Length: ${response.slice(0, headEnd)}`)
  return response.length >= headEnd + 4 + Number(length)
}
