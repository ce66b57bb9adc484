import { jwt } from 'better-auth/plugins'
import t from 'tap'
import type { BetterAuthOptions } from '../../../lib/index.js'
import { bearer, captureLog } from '../../fixtures/api.js'
import { fetchToken } from '../../fixtures/auth-server.js'
import { cookieHeader, startCookieServer } from '../../fixtures/cookie-server.js'
import { startCookieApi } from '../../fixtures/session-cookie.js'

t.test('a real Better Auth server whose `sub` is not the id of the row', async t => {
  const server = await startCookieServer({
    plugins: [jwt({ sessionCookieCache: true, jwt: { getSubject: ({ user }) => user.email } })]
  })
  t.teardown(() => server.close())
  const { user, cookies } = await server.signUp({ name: 'Ada' })
  const cookie = cookieHeader(cookies)
  const headers = bearer(await fetchToken(server.origin, cookie.cookie as string))

  /** The id of the user by bearer token and by cookie, or the reason of the refusal. */
  async function idsWith (options: BetterAuthOptions): Promise<unknown[]> {
    const log = captureLog()
    const app = await startCookieApi(t, { authUrl: server.origin, ...options }, log)
    app.get('/jwt-verify', async request => ({ user: await request.jwtVerify() }))
    const ids: unknown[] = []
    for (const [url, sent] of [['/me', headers], ['/jwt-verify', headers], ['/me', cookie]] as const) {
      log.lines.length = 0
      const response = await app.inject({ url, headers: { ...sent } as Record<string, string> })
      const { user } = response.json() as { user?: { id: string } }
      ids.push(user?.id ?? log.refusals()[0]?.reason)
    }
    return ids
  }

  t.strictSame(
    await idsWith({}), ['subject_ambiguous', 'subject_ambiguous', user.id],
    'nobody is two people, or somebody else, by mistake'
  )
  t.strictSame(await idsWith({ userId: 'id' }), [user.id, user.id, user.id], 'one person has one id')
  t.strictSame(
    (await idsWith({ sessionCookie: false })).slice(0, 2), [user.email, user.email], 'without cookies, it is `sub`'
  )
  t.strictSame(
    (await idsWith({ sessionCookie: false, userId: 'sub' })).slice(0, 2), [user.email, user.email]
  )
})
