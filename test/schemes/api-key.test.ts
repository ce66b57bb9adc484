import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { apiKeyScheme } from '../../lib/schemes/api-key.js'
import type { FoundCredential } from '../../lib/schemes/scheme.js'
import { createExchangeWorld } from '../fixtures/exchanged-tokens.js'
import { withReason } from '../fixtures/refusals.js'

const KEY = 'shop_aZ09_.~+/=:-secret'
const requestWith = (headers: Record<string, unknown>) => ({ headers, ip: '203.0.113.7' }) as unknown as FastifyRequest

t.test('the key in its header is exchanged as it is, in the same header', async t => {
  const { sessions, client } = await createExchangeWorld()
  const verifier = { name: 'the verifier' } as never
  const scheme = apiKeyScheme(verifier, sessions, 'x-shop-key')
  t.match(scheme, { name: 'api-key', verifier, checkUse: undefined })
  const found = scheme.find(requestWith({ 'x-shop-key': KEY }))
  if (typeof found !== 'object') throw new Error('not found')
  t.equal(client.calls.length, 0, 'finding it calls nobody')
  const trace = { cached: false }
  t.match(await found.verify(trace), { via: 'api-key', user: { id: 'u_1' } })
  const header = { name: 'x-shop-key', value: KEY }
  t.strictSame(client.calls, [
    { header, address: '203.0.113.7', isKnown: false, token: KEY, maxAge: 900_000, after: -Infinity }
  ])
  t.equal(trace.cached, false)
  await found.verify(trace)
  t.equal(trace.cached, true)
})

t.test('no header is no credential, and no other header counts', async t => {
  const { sessions } = await createExchangeWorld()
  const scheme = apiKeyScheme(undefined as never, sessions, 'x-shop-key')
  for (const headers of [{}, { 'x-api-key': KEY }, { authorization: `Bearer ${KEY}` }]) {
    t.equal(scheme.find(requestWith(headers)), undefined)
  }
})

t.test('what cannot be a key is refused without a call', async t => {
  const { sessions, client } = await createExchangeWorld()
  const scheme = apiKeyScheme(undefined as never, sessions, 'x-api-key')
  for (const value of ['', 'short', `${KEY}, ${KEY}`, `${KEY} `, `${KEY}\r\nx: y`, [KEY], [KEY, KEY], {}, 7, null]) {
    const verify = () => (scheme.find(requestWith({ 'x-api-key': value })) as FoundCredential).verify()
    t.throws(verify, withReason('credential_malformed'), JSON.stringify(value))
  }
  t.strictSame(client.calls, [])
})
