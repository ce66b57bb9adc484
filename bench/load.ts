import autocannon from 'autocannon'
import { quantile } from './stats.js'

/** Requests a second, and milliseconds that a request took. */
export interface Timing { rps: number, p50: number, p99: number }

const CONNECTIONS = 10

/** Sends so many requests with the tokens in turn. @throws when one of them is not answered 200. */
export async function sendLoad (url: string, tokens: readonly string[], amount: number): Promise<Timing> {
  let sent = 0
  function setupRequest (request: autocannon.Request): autocannon.Request {
    request.headers = { authorization: `Bearer ${tokens[sent++ % tokens.length]}` }
    return request
  }

  // autocannon's own latencies are whole milliseconds, and its duration goes on to the next sample.
  const times: number[] = []
  const start = performance.now()
  let end = start
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const options = { url, amount, connections: Math.min(CONNECTIONS, amount), requests: [{ setupRequest }], sampleInt: 50 }
    const instance = autocannon(options, (error, result) => { error ? reject(error) : resolve(result) })
    instance.on('response', (_client, _status, _bytes, time) => {
      times.push(time)
      end = performance.now()
    })
  })
  if (result['2xx'] !== amount || result.errors > 0) {
    throw new Error(`of ${amount} requests ${result['2xx']} were answered well: ${JSON.stringify(result.statusCodeStats)}`)
  }
  return { rps: amount / (end - start) * 1000, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}
