import autocannon from 'autocannon'
import { quantile } from './stats.js'

/** Requests per second, and the duration of a request in milliseconds. */
export interface Timing { rps: number, p50: number, p99: number }

/** How many requests are sent at the same time, unless a scenario says otherwise. */
export const CONNECTIONS = 32

/**
 * Sends a number of requests with the tokens in turn.
 *
 * @throws Error if a response is not 200.
 */
export async function sendLoad (
  url: string, tokens: readonly string[], amount: number, connections = CONNECTIONS
): Promise<Timing> {
  const options = { url, amount, connections: Math.min(connections, amount) }
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

async function send (
  options: autocannon.Options, nextToken: () => string
): Promise<Timing & { statuses: Record<string, number> }> {
  function setupRequest (request: autocannon.Request): autocannon.Request {
    request.headers = { authorization: `Bearer ${nextToken()}` }
    return request
  }

  // autocannon rounds its latencies to milliseconds and its duration up to the next sample.
  const times: number[] = []
  const start = performance.now()
  let end = start
  const { errors, statusCodeStats = {} } = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon({ ...options, requests: [{ setupRequest }], sampleInt: 50 }, (error, result) => {
      error ? reject(error) : resolve(result)
    })
    instance.on('response', (_client, _status, _bytes, time) => {
      times.push(time)
      end = performance.now()
    })
  })
  if (errors > 0) throw new Error(`${errors} requests of ${times.length + errors} failed`)
  return {
    rps: times.length / (end - start) * 1000,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    statuses: Object.fromEntries(Object.entries(statusCodeStats).map(([status, { count }]) => [status, count ?? 0]))
  }
}
