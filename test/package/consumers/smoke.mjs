// What the installed package promises, tried in whichever runtime starts this file. It prints TAP.
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'
import betterAuthPlugin from 'better-auth-fastify'
import { createTestIssuer } from 'better-auth-fastify/testing'
import Fastify from 'fastify'

const ALGORITHMS = ['EdDSA', 'ES256', 'ES512', 'RS256', 'PS256', 'HS256']

// Deno's fetch gives its errors no codes, so the plugin cannot tell them apart.
const isDeno = 'Deno' in globalThis

let total = 0
let failed = 0

function equal (found, wanted, name) {
  total++
  const [a, b] = [found, wanted].map(value => JSON.stringify(value))
  if (a !== b) failed++
  console.log(a === b ? `ok ${total} - ${name}` : `not ok ${total} - ${name}: found ${a}, wanted ${b}`)
}

const bearer = token => ({ authorization: `Bearer ${token}` })

/** An API that listens, and a function that says what its route responds to a request with these headers. */
async function start (options) {
  const app = Fastify()
  await app.register(betterAuthPlugin, options)
  app.get('/me', { onRequest: app.authenticate }, async ({ user, principal }) => `${user.id} ${principal.via}`)
  const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/me`
  return {
    app,
    async ask (headers = {}) {
      const response = await fetch(url, { headers })
      const text = await response.text()
      if (response.status === 200) return text
      return [response.status, JSON.parse(text).code.replace('FST_BETTER_AUTH_', '')]
    }
  }
}

for (const algorithm of ALGORITHMS) {
  const issuer = await createTestIssuer({ algorithm })
  const { authUrl, secret } = issuer
  const { app, ask } = await start({
    authUrl, ...secret && { secret }, sessionCookie: secret === undefined ? true : { secret }
  })
  equal(await ask(bearer(issuer.token({ sub: 'ada' }))), 'ada bearer', `${algorithm}: a token`)
  equal(await ask({ cookie: issuer.sessionCookie({ id: 'eve' }) }), 'eve cookie', `${algorithm}: a session cookie`)
  equal(await ask(), [401, 'TOKEN_MISSING'], `${algorithm}: no token`)
  equal(await ask(bearer(issuer.expired())), [401, 'TOKEN_EXPIRED'], `${algorithm}: an expired token`)
  for (const kind of ['forged', 'wrongAudience', 'notYetValid']) {
    equal(await ask(bearer(issuer[kind]())), [401, 'TOKEN_INVALID'], `${algorithm}: ${kind}`)
  }
  await app.close()
  await issuer.close()
}

const issuer = await createTestIssuer()
const { authUrl } = issuer

{
  const { app, ask } = await start({ authUrl, exchange: true })
  const [session, key] = [issuer.session({ sub: 'ada' }), issuer.apiKey({ sub: 'eve' })]
  equal(await ask(bearer(session.token)), 'ada session-token', 'a session token')
  equal(await ask({ cookie: session.cookie }), 'ada session-cookie', 'the cookie of a session')
  equal(await ask({ 'x-api-key': key.key }), 'eve api-key', 'an API key')
  await app.close()
}

{
  const { app, ask } = await start({ authUrl, jwks: { maxAge: 0, staleWhileRevalidate: 0 } })
  const old = issuer.token({ sub: 'ada' })
  const { kid } = issuer
  equal(await ask(bearer(old)), 'ada bearer', 'a token before the rotation')
  await issuer.rotate()
  equal(await ask(bearer(issuer.token({ sub: 'ada' }))), 'ada bearer', 'a token of the new key')
  equal(await ask(bearer(old)), 'ada bearer', 'a token of the old key')
  issuer.revoke(kid)
  equal(await ask(bearer(old)), [401, 'TOKEN_INVALID'], 'a token of a revoked key')
  await app.close()
}

for (const [fault, word] of Object.entries({
  down: isDeno ? 'network' : 'connection_reset',
  hang: 'timeout',
  error: 'http_5xx',
  html: 'no_jwks',
  empty: 'no_jwks',
  redirect: 'no_jwks',
  malformed: 'no_jwks'
})) {
  issuer.fail(fault)
  const { app, ask } = await start({ authUrl, jwks: { timeout: 500 } })
  equal(await ask(bearer(issuer.token())), [503, 'JWKS_UNAVAILABLE'], `an auth server in the state "${fault}"`)
  equal(app.betterAuth.status().lastError, word, `the status says "${word}"`)
  issuer.recover()
  await app.close()
}

const token = issuer.token()
await issuer.close()

/** What the status says after a fetch from a server that responds like this. */
async function wordOf (name, respond, wanted) {
  const server = createServer(respond)
  await new Promise(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { app, ask } = await start({ authUrl: `http://127.0.0.1:${server.address().port}` })
  if (respond === undefined) await new Promise(resolve => { server.close(resolve) })
  await ask(bearer(token))
  equal(app.betterAuth.status().lastError, wanted, `${name}: the status says "${wanted}"`)
  await app.close()
  server.closeAllConnections()
  server.close()
}

const respondWith = (body, headers) => (_, response) => { response.writeHead(200, headers).end(body) }
await wordOf('no server', undefined, isDeno ? 'network' : 'connection_refused')
await wordOf('a long body', respondWith(Buffer.alloc(2_000_000, ' ')), 'too_large')
await wordOf('a compressed body', respondWith(gzipSync('{"keys":[]}'), { 'content-encoding': 'gzip' }), 'encoded')
await wordOf(
  'another protocol', request => { request.socket.end('SSH-2.0-OpenSSH_9.6\r\n') }, isDeno ? 'network' : 'protocol'
)

console.log(`1..${total}`)
console.log(`# { total: ${total}, pass: ${total - failed}, fail: ${failed} }`)
process.exitCode = failed > 0 ? 1 : 0
