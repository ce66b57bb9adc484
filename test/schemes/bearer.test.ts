import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { FoundCredential } from '../../lib/schemes/scheme.js'
import { bearerScheme, bearerToken } from '../../lib/schemes/bearer.js'
import { isBetterAuthError } from '../../lib/index.js'
import { createExchangeWorld } from '../fixtures/exchanged-tokens.js'
import { withReason } from '../fixtures/refusals.js'

/** Sends header lines exactly as they are, and gets the token that was found or the reason why none was. */
type Send = (...headers: Array<[name: string, value: string]>) => Promise<string>

async function startServer (t: Test): Promise<Send> {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async request => {
    try {
      const token = bearerToken(request)
      return token === undefined ? 'token_missing' : `token ${token}`
    } catch (error) {
      if (isBetterAuthError(error)) return error.reason
      throw error
    }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return (...headers) => new Promise((resolve, reject) => {
    const raw = ['Host', `127.0.0.1:${port}`, 'Connection', 'close', ...headers.flat()]
    httpRequest({ port, host: '127.0.0.1', headers: raw }, response => {
      response.setEncoding('utf8').toArray().then(chunks => { resolve(chunks.join('')) }, reject)
    }).on('error', reject).end()
  })
}

const CASES: Array<[value: string, found: string]> = [
  ['Bearer a.b.c', 'token a.b.c'],
  ['bearer a.b.c', 'token a.b.c'],
  ['BEARER a.b.c', 'token a.b.c'],
  ['bEaReR a.b.c', 'token a.b.c'],
  ['Bearer   a.b.c', 'token a.b.c'],
  ['Bearer\ta.b.c', 'authorization_malformed'],
  ['Bearer \t a.b.c', 'authorization_malformed'],
  ['  Bearer a.b.c  ', 'token a.b.c'],
  ['Bearer not-even-a-jwt', 'token not-even-a-jwt'],
  ['Bearer Bearer', 'token Bearer'],
  ['Bearer "a.b.c"', 'token "a.b.c"'],
  ['Bearer a.b.c,', 'token a.b.c,'],
  ['Bearer', 'authorization_malformed'],
  ['bearer', 'authorization_malformed'],
  ['Bearer ', 'authorization_malformed'],
  ['Bearer  \t ', 'authorization_malformed'],
  ['Bearer a.b.c d', 'authorization_malformed'],
  ['Bearer a.b.c\td', 'authorization_malformed'],
  ['Bearer a.b.c, Bearer d.e.f', 'authorization_malformed'],
  ['Bearer Bearer a.b.c', 'authorization_malformed'],
  ['Bearer token= a.b.c', 'authorization_malformed'],
  ['', 'token_missing'],
  ['   ', 'token_missing'],
  ['Basic dTpw', 'token_missing'],
  ['Basic', 'token_missing'],
  ['DPoP a.b.c', 'token_missing'],
  ['Digest username="u", realm="r"', 'token_missing'],
  ['a.b.c', 'token_missing'],
  ['Bearera.b.c', 'token_missing'],
  ['Bearer,a.b.c', 'token_missing'],
  ['Bearer:a.b.c', 'token_missing'],
  ['Bearer:', 'token_missing'],
  ['"Bearer" a.b.c', 'token_missing'],
  [', Bearer a.b.c', 'token_missing'],
  ['Token a.b.c', 'token_missing'],
  ['__proto__ a.b.c', 'token_missing'],
  // In ISO 8859-1 these are letters and blanks as well, but not those of HTTP.
  ['B\u00e9arer a.b.c', 'token_missing'],
  ['Bearer\u00a0a.b.c', 'token_missing'],
  ['\u00a0Bearer a.b.c', 'token_missing'],
  ['Bearer a.b.c\u00a0', 'token a.b.c\u00a0'],
  ['Bearer \u00a0', 'token \u00a0']
]

t.test('reads the Authorization header', async t => {
  const send = await startServer(t)
  for (const [value, found] of CASES) t.equal(await send(['Authorization', value]), found, JSON.stringify(value))
})

t.test('reads a header that nothing has trimmed, as `inject()` passes it on', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async request => bearerToken(request) ?? 'none')
  for (const [authorization, expected] of [
    ['Bearer ', 400], ['Bearer  ', 400], ['Bearer \t', 400],
    ['Bearer a', 'a'], ['Bearer a ', 'a'], ['Bearer a\t ', 'a'], [' Bearer a', 'none'], ['', 'none']
  ] as const) {
    const { statusCode, body } = await app.inject({ url: '/', headers: { authorization } })
    t.equal(statusCode === 200 ? body : statusCode, expected, JSON.stringify(authorization))
  }
})

t.test('finds no token where there is no Authorization header', async t => {
  const send = await startServer(t)
  t.equal(await send(), 'token_missing')
  t.equal(
    await send(['Cookie', 'token=a.b.c'], ['X-Authorization', 'Bearer a.b.c'], ['Proxy-Authorization', 'Bearer a.b.c']),
    'token_missing'
  )
})

t.test('the name of the header may be written in any case', async t => {
  const send = await startServer(t)
  for (const name of ['authorization', 'AUTHORIZATION', 'aUTHORIZATION']) {
    t.equal(
      await send([name, 'Bearer a.b.c']), 'token a.b.c', name
    )
  }
})

t.test('refuses two Authorization headers, whichever of them is the right one', async t => {
  const send = await startServer(t)
  const pairs: Array<[string, string, string, string]> = [
    ['Authorization', 'Bearer a.b.c', 'Authorization', 'Bearer d.e.f'],
    ['Authorization', 'Bearer a.b.c', 'Authorization', 'Bearer a.b.c'],
    ['Authorization', 'Bearer a.b.c', 'authorization', ''],
    ['authorization', '', 'AUTHORIZATION', 'Bearer a.b.c'],
    ['Authorization', 'Basic dTpw', 'Authorization', 'Bearer a.b.c'],
    ['Authorization', 'Bearer a.b.c', 'Authorization', 'Basic dTpw']
  ]
  for (const [name, value, otherName, otherValue] of pairs) {
    t.equal(
      await send([name, value], [otherName, otherValue]), 'authorization_malformed',
      `${name}: ${value}, ${otherName}: ${otherValue}`
    )
  }
})

t.test('is not misled by a header value that is called Authorization, nor by a name of the same length', async t => {
  const send = await startServer(t)
  t.equal(
    await send(
      ['X-Forwarded-Headers', 'Authorization'], ['Authorization', 'Bearer a.b.c'], ['X-Thirteen-Is', 'Bearer d.e.f']
    ),
    'token a.b.c'
  )
})

t.test('refuses a header that a proxy in front of the handler made a list of', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => {
    Object.assign(request.headers, { authorization: ['Bearer a.b.c'] })
    bearerToken(request)
  })
  app.get('/', async () => 'unreachable')
  t.match((await app.inject('/')).json(), { statusCode: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID' })
})

t.test('an opaque token is exchanged if the option says so, wherever it was found', async t => {
  const token = 'aZ09_-secret-session-token'
  const { sessions, client } = await createExchangeWorld()
  const requestWith = (authorization?: string) =>
    ({ headers: { authorization }, raw: { rawHeaders: [] }, ip: '203.0.113.7' }) as unknown as FastifyRequest
  const scheme = bearerScheme(undefined as never, () => token, sessions)
  for (const request of [requestWith(`Bearer ${token}`), requestWith()]) {
    const found = scheme.find(request)
    if (typeof found !== 'object') throw new Error('not found')
    const trace = { cached: false }
    t.match(await found.verify(trace), { via: 'session-token', user: { id: 'u_1' } })
    t.equal(trace.cached, request.headers.authorization === undefined)
  }
  const header = { name: 'authorization', value: `Bearer ${token}` }
  t.strictSame(client.calls, [
    { header, address: '203.0.113.7', isKnown: false, token, maxAge: 60_000, after: -Infinity }
  ])

  const verify = (found: unknown) => (found as FoundCredential).verify()
  for (const jwt of ['a.b.c', '..', 'a.b.c.d.e']) t.equal(scheme.find(requestWith(`Bearer ${jwt}`)), jwt)
  for (const opaque of ['short', 'a.b', `${token}=`, 'x'.repeat(129), 'x'.repeat(10_000)]) {
    t.throws(() => verify(scheme.find(requestWith(`Bearer ${opaque}`))), withReason('credential_malformed'))
    t.equal(bearerScheme(undefined as never, undefined).find(requestWith(`Bearer ${opaque}`)), opaque)
  }
  t.equal(client.calls.length, 1)
})
