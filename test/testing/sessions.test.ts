import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin from '../../lib/index.js'
import { createTestIssuer, type TestIssuer } from '../../lib/testing/index.js'
import { createSessions } from '../../lib/testing/sessions.js'
import { startSessionServer } from '../fixtures/exchange.js'

async function startIssuer (t: Test): Promise<TestIssuer> {
  const issuer = await createTestIssuer()
  t.teardown(() => issuer.close())
  return issuer
}

async function startApi (t: Test, authUrl: string, maxAge = 60_000) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl, exchange: { maxAge, apiKey: { maxAge } } })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, principal: { via } }) => ({ id: user.id, via }))
  return async (headers: Record<string, string>) => {
    const response = await app.inject({ url: '/me', headers })
    return { status: response.statusCode, ...response.json() as { id?: string, via?: string } }
  }
}

t.test('sessions and API keys of the test issuer', async t => {
  const issuer = await startIssuer(t)
  const ask = await startApi(t, issuer.authUrl, 0)
  const session = issuer.session({ id: 'u_1', role: 'admin' })
  const signed = decodeURIComponent(session.cookie.split('=')[1]!)
  const key = issuer.apiKey()
  const byToken = { authorization: `Bearer ${session.token}` }
  t.strictSame(await ask(byToken), { status: 200, id: 'u_1', via: 'session-token' })
  t.match(await ask({ authorization: `Bearer ${signed}` }), { status: 200, via: 'session-token' })
  t.match(await ask({ cookie: `a=b; ${session.cookie}; c=d` }), { status: 200, id: 'u_1', via: 'session-cookie' })
  t.match(await ask({ 'x-api-key': key.key }), { status: 200, id: 'user_1', via: 'api-key' })
  t.equal(issuer.exchanges, 4)
  t.equal((await ask({ authorization: `Bearer ${'0'.repeat(32)}` })).status, 401)
  t.equal((await ask({ cookie: session.cookie.replace(/\.../, '.AA') })).status, 401)

  session.signOut()
  key.signOut()
  for (const headers of [byToken, { cookie: session.cookie }, { 'x-api-key': key.key }]) {
    t.equal((await ask(headers)).status, 401)
  }
})

t.test('an exchange fails as the JWKS does', async t => {
  const issuer = await startIssuer(t)
  const ask = await startApi(t, issuer.authUrl)
  const [known, unknown] = [1, 2].map(() => ({ authorization: `Bearer ${issuer.session().token}` }))
  t.equal((await ask(known!)).status, 200)
  issuer.fail('malformed')
  t.equal((await ask(known!)).status, 200)
  t.equal((await ask(unknown!)).status, 503)
})

t.test('anything else, and credentials of another issuer', t => {
  const sessions = createSessions('a secret')
  const { token } = sessions.create({ id: 'u_1' })
  for (const scheme of ['bearer ', 'Bearer  ']) {
    t.strictSame(sessions.find({ authorization: scheme + token }), { id: 'u_1' })
  }
  for (const headers of [
    {}, { authorization: `Basic ${token}` }, { authorization: `Bearer ${token}.x` },
    { authorization: `XBearer ${token}` }, { authorization: `Bearer ${token} x` },
    { authorization: 'Bearer %E0%A4%A' },
    { cookie: 'better-auth.session_token=%' }, { cookie: `other=${token}` }, { 'x-api-key': token }
  ]) t.equal(sessions.find(headers), undefined, JSON.stringify(headers))
  t.end()
})

t.test('a real server issues credentials of the same form, and finds them in the same places', async t => {
  const server = await startSessionServer(t)
  const issuer = await startIssuer(t)
  const ada = await server.signUp()
  const real = { token: ada.token, cookie: ada.cookie, key: await server.createKey(ada) }
  const session = issuer.session()
  const ours = { token: session.token, cookie: session.cookie, key: issuer.apiKey().key }
  const formOf = (text: string) => text.replace(/[A-Za-z0-9]{32,}/g, run => `<${run.length}>`)
  t.equal(formOf(ours.token), formOf(real.token))
  t.equal(formOf(ours.key), formOf(real.key))
  for (const [origin, { token, cookie, key }] of [[server.origin, real], [issuer.authUrl, ours]] as const) {
    const exchange = async (headers: Record<string, string>) => {
      const response = await fetch(`${origin}/api/auth/token?disableRefresh=true`, { headers })
      t.equal(response.headers.get('content-type'), 'application/json')
      return [response.status, Object.keys(await response.json() as object)]
    }
    t.strictSame(await exchange({ authorization: `Bearer ${token}` }), [200, ['token']])
    t.strictSame(await exchange({ cookie }), [200, ['token']])
    t.strictSame(await exchange({ 'x-api-key': key }), [200, ['token']])
    t.strictSame(await exchange({}), [401, ['message', 'code']])
  }
})
