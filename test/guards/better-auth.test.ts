import { admin } from 'better-auth/plugins'
import t from 'tap'
import { bearer, startApi } from '../fixtures/api.js'
import { fetchToken, startAuthServer, type AuthServer, type SignedUp } from '../fixtures/auth-server.js'

t.test('a real Better Auth server with the admin plugin', async t => {
  const auth = await startAuthServer({ plugins: [admin()] })
  t.teardown(() => auth.close())
  const app = await startApi(t, { authUrl: auth.origin })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => ({ id: user.id }))
  app.get('/optional', { onRequest: app.authenticateOptional }, async () => 'in')
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => ({ id: user.id }))
  app.get('/staff', { onRequest: app.authorize({ roles: ['editor', 'admin'] }) }, async () => 'in')
  const statuses = async (token: string) => Promise.all(['/me', '/optional', '/admin', '/staff'].map(
    async url => (await app.inject({ url, headers: bearer(token) })).statusCode
  ))

  const rowOf = ({ user }: SignedUp) => auth.db.user!.find(({ id }) => id === user.id)!
  const newToken = ({ cookie }: SignedUp) => fetchToken(auth.origin, cookie)

  t.test('roles', async t => {
    const ada = await auth.signUp()
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'a new user is no admin')
    rowOf(ada).role = 'admin'
    t.strictSame(await statuses(ada.token), [200, 200, 403, 403], 'an old token says what it said')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200], 'a new token says what is so now')
    t.equal((await app.inject({ url: '/admin', headers: bearer(await newToken(ada)) })).json().id, ada.user.id)
    rowOf(ada).role = 'user,editor'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 200])
    rowOf(ada).role = 'user,editor,admin'
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
    rowOf(ada).role = null
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 403, 403])
  })

  t.test('several roles as the plugin itself writes them', async t => {
    const boss = await auth.signUp()
    const ada = await auth.signUp()
    rowOf(boss).role = 'admin'
    await callAdmin(auth, boss, 'set-role', { userId: ada.user.id, role: ['user', 'admin'] })
    t.equal(rowOf(ada).role, 'user,admin')
    t.strictSame(await statuses(await newToken(ada)), [200, 200, 200, 200])
  })

  t.test('bans', async t => {
    const boss = await auth.signUp()
    rowOf(boss).role = 'admin'
    for (const [name, expiry] of [['without an end', {}], ['for an hour', { banExpiresIn: 3600 }]] as const) {
      const mallory = await auth.signUp()
      const session = { ...auth.db.session!.find(({ userId }) => userId === mallory.user.id)! }
      await callAdmin(auth, boss, 'ban-user', { userId: mallory.user.id, banReason: 'spam', ...expiry })
      t.equal(rowOf(mallory).banned, true)
      t.equal(await newToken(mallory).catch(() => undefined), undefined, `${name}: Better Auth ends the session`)
      // As if the session had outlived the ban: what the token then says is Better Auth's own wording of it.
      auth.db.session!.push(session)
      const token = await newToken(mallory)
      t.strictSame(await statuses(token), [403, 403, 403, 403], name)
      t.strictSame(await statuses(token), [403, 403, 403, 403], `${name}, cached`)
      if (name === 'for an hour') {
        rowOf(mallory).banExpires = new Date(Date.now() - 1000)
        t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], 'the hour is over')
      }
      await callAdmin(auth, boss, 'unban-user', { userId: mallory.user.id })
      t.strictSame(await statuses(await newToken(mallory)), [200, 200, 403, 403], `${name}: the ban is lifted`)
    }
  })
})

async function callAdmin (auth: AuthServer, { cookie }: SignedUp, path: string, body: object): Promise<void> {
  const response = await fetch(`${auth.origin}/api/auth/admin/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: auth.origin, cookie },
    body: JSON.stringify(body)
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
}
