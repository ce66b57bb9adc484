import autocannon from 'autocannon'
import { quantile } from './stats.js'

/** Requests per second, and the duration of a request in milliseconds. */
export interface Timing { rps: number, p50: number, p99: number }

const CONNECTIONS = 10

/**
 * Sends a number of requests with the tokens in turn.
 *
 * @throws Error if a response is not 200.
 */
export async function sendLoad (url: string, tokens: readonly string[], amount: number): Promise<Timing> {
  let sent = 0
  function setupRequest (request: autocannon.Request): autocannon.Request {
    request.headers = { authorization: `Bearer ${tokens[sent++ % tokens.length]}` }
    return request
  }

  // autocannon rounds its latencies to milliseconds and its duration up to the next sample.
  const times: number[] = []
  const start = performance.now()
  let end = start
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const connections = Math.min(CONNECTIONS, amount)
    const options = { url, amount, connections, requests: [{ setupRequest }], sampleInt: 50 }
    const instance = autocannon(options, (error, result) => { error ? reject(error) : resolve(result) })
    instance.on('response', (_client, _status, _bytes, time) => {
      times.push(time)
      end = performance.now()
    })
  })
  if (result['2xx'] !== amount || result.errors > 0) {
    const statuses = JSON.stringify(result.statusCodeStats)
    throw new Error(`${result['2xx']} of ${amount} responses were 200: ${statuses}`)
  }
  return { rps: amount / (end - start) * 1000, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}
