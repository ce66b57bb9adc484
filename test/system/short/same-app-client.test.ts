import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { createAuthClient } from 'better-auth/client'
import { genericOAuth } from 'better-auth/plugins'
import t, { type Test } from 'tap'
import betterAuthPlugin from '../../../lib/index.js'
import { close, importBetterAuth, listen, PLAIN_PASSWORDS } from '../../fixtures/auth-server.js'
import { assertUpToDate } from '../../fixtures/packages.js'

/** What @fastify/multipart adds to a request. */
interface Upload { file (): Promise<{ filename: string, mimetype: string, toBuffer (): Promise<Buffer> }> }

interface Provider {
  readonly origin: string
  /** Whether the person at the provider says no. */
  denies: boolean
  /** The paths that were asked for. */
  readonly paths: string[]
}

/** A provider of OAuth over a socket: it sends everybody back at once, as the same person. */
async function startProvider (t: Test): Promise<Provider> {
  const provider: Provider & { origin: string } = { origin: '', denies: false, paths: [] }
  const codes = new Set<string>()
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, provider.origin)
    const body = new URLSearchParams((await request.setEncoding('utf8').toArray()).join(''))
    provider.paths.push(pathname)
    const json = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (pathname === '/authorize') {
      const back = new URL(searchParams.get('redirect_uri')!)
      const code = `code-${codes.size}`
      codes.add(code)
      if (provider.denies) back.searchParams.set('error', 'access_denied')
      else back.searchParams.set('code', code)
      back.searchParams.set('state', searchParams.get('state')!)
      response.writeHead(302, { location: back.href }).end()
    } else if (pathname === '/token') {
      if (!codes.delete(body.get('code')!)) return json(400, { error: 'invalid_grant' })
      json(200, { access_token: 'access', token_type: 'Bearer' })
    } else {
      if (request.headers.authorization !== 'Bearer access') return json(401, {})
      json(200, { sub: 'p_1', id: 'p_1', email: 'social@example.com', name: 'Social', email_verified: true })
    }
  })
  t.teardown(() => close(server))
  provider.origin = `http://localhost:${await listen(server)}`
  return provider
}

t.test('Better Auth\'s own client works through the mounted routes', async t => {
  const { betterAuth, memoryAdapter, jwt } = await importBetterAuth()
  assertUpToDate('better-auth-1.7')
  const { multipart } = await import('../../fixtures/better-auth-1.7/mounts.js' as string) as {
    multipart: FastifyPluginAsync<{ limits: object }>
  }
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
    emailAndPassword: { enabled: true, password: PLAIN_PASSWORDS },
    telemetry: { enabled: false },
    logger: { disabled: true },
    rateLimit: { enabled: true, window: 60, max: 100, customRules: { '/sign-in/email': { window: 60, max: 3 } } },
    plugins: [jwt(), genericOAuth({
      config: [{
        providerId: 'fake',
        clientId: 'id',
        clientSecret: 'secret',
        authorizationUrl: `${provider.origin}/authorize`,
        tokenUrl: `${provider.origin}/token`,
        userInfoUrl: `${provider.origin}/userinfo`
      }]
    })]
  })
  const app: FastifyInstance = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(multipart, { limits: { fileSize: 2000 } })
  await app.register(betterAuthPlugin, { auth })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user)
  app.post('/avatar', { onRequest: [app.authenticate] }, async (request, reply) => {
    const file = await (request as unknown as Upload).file()
    const { length } = await file.toBuffer()
    const { filename, mimetype } = file
    return reply.code(201).send({ url: `/avatars/${request.user.id}/${filename}`, mimetype, length })
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

  t.test('an upload of an avatar beside it, with the session of Better Auth', async t => {
    const upload = (size: number) => {
      const body = new FormData()
      body.set('avatar', new Blob(['x'.repeat(size)], { type: 'image/png' }), 'ada.png')
      return body
    }
    const { data } = await client.$fetch<{ url: string, mimetype: string, length: number }>(`${url}/avatar`, {
      method: 'POST', body: upload(1000)
    })
    t.match(data, { url: /^\/avatars\/\w+\/ada\.png$/, mimetype: 'image/png', length: 1000 })
    t.equal((await client.updateUser({ image: data!.url })).data?.status, true)
    t.equal((await client.getSession()).data?.user.image, data!.url)
    t.match(await (await browse(`${url}/me`)).json(), { image: data!.url }, 'for the API, at once')

    const tooLarge = await client.$fetch(`${url}/avatar`, { method: 'POST', body: upload(2001) })
    t.equal(tooLarge.error?.status, 413)
    const foreign = await fetch(`${url}/avatar`, {
      method: 'POST', body: upload(1000), headers: { origin: 'https://evil.example', cookie: cookies() }
    })
    t.equal(foreign.status, 403, 'not from a page of another origin')
    t.equal((await browse(`${url}/api/auth/update-user`, { method: 'POST', body: upload(10) })).status, 415,
      'Better Auth takes no upload, and its routes do not parse it')
  })

  /** Follows the redirects as a browser does, up to the page of the application. */
  async function follow (from: string): Promise<URL> {
    let target = new URL(from)
    while (target.origin === provider.origin || target.pathname.startsWith('/api/auth/')) {
      const response = await browse(target)
      t.equal(response.status, 302, target.pathname)
      target = new URL(response.headers.get('location')!, target)
    }
    return target
  }

  t.test('a social sign-in, at a provider that redirects back', async t => {
    await client.signOut()
    const { data } = await client.signIn.social({
      provider: 'fake', callbackURL: '/welcome', errorCallbackURL: '/sorry', disableRedirect: true
    })
    const target = new URL(data!.url!)
    t.equal(target.origin, provider.origin)
    t.equal(target.searchParams.get('redirect_uri'), `${url}/api/auth/callback/fake`)
    t.equal((await follow(target.href)).href, `${url}/welcome`)
    t.strictSame(provider.paths, ['/authorize', '/token', '/userinfo'])
    t.equal((await client.getSession()).data?.user.email, 'social@example.com')
    t.match(await (await browse(`${url}/me`)).json(), { email: 'social@example.com' })
    t.match((await client.listAccounts()).data, [{ providerId: 'fake', accountId: 'p_1' }])

    await client.signOut()
    t.equal(await me(), 401)
    provider.denies = true
    const again = await client.signIn.social({ provider: 'fake', callbackURL: '/welcome', errorCallbackURL: '/sorry' })
    const { pathname, searchParams } = await follow(again.data!.url!)
    t.strictSame([pathname, searchParams.get('error')], ['/sorry', 'access_denied'])
    t.equal(await me(), 401, 'nobody')
  })

  t.test('the rate limit: 429 with X-Retry-After, whatever address a client invents', async t => {
    const { user } = (await client.signIn.email(person)).data!
    t.equal(user.email, person.email)
    let response: Response | undefined
    for (let i = 0; i < 3; i++) {
      const { error } = await client.signIn.email({ ...person, password: 'wrong' }, {
        headers: { 'x-forwarded-for': `203.0.113.${i}` },
        onError (context) { response = context.response }
      })
      t.ok(error)
    }
    t.equal(response!.status, 429)
    t.ok(Number(response!.headers.get('x-retry-after')) > 0)
    t.equal(response!.headers.get('retry-after'), null, 'as Better Auth sends it')
    t.equal(await me(), 200, 'the API does not count')
    t.equal((app.server.address() as AddressInfo).port, port)
  })
})
