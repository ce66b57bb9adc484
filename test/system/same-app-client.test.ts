import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { createAuthClient } from 'better-auth/client'
import { genericOAuth } from 'better-auth/plugins'
import t, { type Test } from 'tap'
import betterAuthPlugin from '../../lib/index.js'
import { close, importBetterAuth, listen } from '../fixtures/auth-server.js'

/** A provider of OAuth over a socket, which lets everybody in as the same person. */
async function startProvider (t: Test): Promise<string> {
  const server = createServer((request, response) => {
    const body = request.url!.startsWith('/token')
      ? { access_token: 'at', token_type: 'Bearer' }
      : { sub: 'p_1', id: 'p_1', email: 'social@example.com', name: 'Social', email_verified: true }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  t.teardown(() => close(server))
  return `http://localhost:${await listen(server)}`
}

t.test('Better Auth\'s own client works through the mounted routes', async t => {
  const { betterAuth, memoryAdapter, jwt } = await importBetterAuth()
  const provider = await startProvider(t)
  // The port is part of the baseURL.
  const probe = createServer()
  const port = await listen(probe)
  await close(probe)
  const url = `http://localhost:${port}`
  const auth = betterAuth({
    baseURL: url,
    secret: 's'.repeat(16) + process.hrtime.bigint().toString().padStart(32, '0'),
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    logger: { disabled: true },
    rateLimit: { enabled: true, window: 60, max: 100, customRules: { '/sign-in/email': { window: 60, max: 3 } } },
    plugins: [jwt(), genericOAuth({
      config: [{
        providerId: 'fake',
        clientId: 'id',
        clientSecret: 'secret',
        authorizationUrl: `${provider}/authorize`,
        tokenUrl: `${provider}/token`,
        userInfoUrl: `${provider}/userinfo`
      }]
    })]
  })
  const app: FastifyInstance = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { auth })
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user)
  app.post('/avatar', { onRequest: [app.authenticate] }, async ({ body, user }) => {
    return { id: user.id, size: (body as Buffer).length }
  })
  await app.listen({ host: 'localhost', port })

  /** What a browser does for its page. */
  const jar = new Map<string, string>()
  const cookies = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const browse: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers)
    headers.set('origin', url)
    headers.set('cookie', cookies())
    const response = await fetch(input, { ...init, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!
      if (value === '' || /max-age=0/i.test(cookie)) jar.delete(name!)
      else jar.set(name!, value!)
    }
    return response
  }
  const client = createAuthClient({ baseURL: url, fetchOptions: { customFetchImpl: browse } })
  const person = { email: 'ada@example.com', password: 'correct horse battery staple' }
  const me = async () => (await browse(`${url}/me`)).status

  t.test('sign-up, getSession, sign-out, sign-in', async t => {
    t.equal((await client.signUp.email({ ...person, name: 'Ada' })).data?.user.email, person.email)
    t.equal((await client.getSession()).data?.user.email, person.email)
    t.equal(await me(), 200)
    t.equal((await client.signOut()).data?.success, true)
    t.equal((await client.getSession()).data, null)
    t.equal(await me(), 401)
    t.equal((await client.signIn.email({ ...person, password: 'wrong' })).error?.status, 401)
    t.equal((await client.signIn.email(person)).data?.user.email, person.email)
    t.equal(await me(), 200)
  })

  t.test('an upload beside it', async t => {
    const body = new FormData()
    body.set('avatar', new Blob(['x'.repeat(1000)]))
    const response = await browse(`${url}/avatar`, { method: 'POST', body })
    t.equal(response.status, 200)
    t.ok((await response.json() as { size: number }).size > 1000)
    const foreign = await fetch(`${url}/avatar`, {
      method: 'POST', body, headers: { origin: 'https://evil.example', cookie: cookies() }
    })
    t.equal(foreign.status, 403, 'not from a page of another origin')
  })

  t.test('a social sign-in', async t => {
    await client.signOut()
    const started = await browse(`${url}/api/auth/sign-in/social`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'fake', callbackURL: '/welcome' })
    })
    const { url: target } = await started.json() as { url: string }
    const { searchParams, origin } = new URL(target)
    t.equal(origin, provider)
    const callback = new URL(searchParams.get('redirect_uri')!)
    t.equal(callback.origin, url)
    callback.searchParams.set('code', 'code')
    callback.searchParams.set('state', searchParams.get('state')!)
    const back = await browse(callback)
    t.equal(back.status, 302)
    t.equal(back.headers.get('location'), '/welcome')
    t.match(await (await browse(`${url}/me`)).json(), { email: 'social@example.com' })
  })

  t.test('the rate limit, with X-Retry-After', async t => {
    let response
    for (let i = 0; i < 4; i++) {
      response = await browse(`${url}/api/auth/sign-in/email`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': `203.0.113.${i}` },
        body: JSON.stringify({ ...person, password: 'wrong' })
      })
    }
    t.equal(response!.status, 429)
    t.ok(Number(response!.headers.get('x-retry-after')) > 0)
    t.equal(await me(), 200)
    t.equal((app.server.address() as AddressInfo).port, port)
  })
})
