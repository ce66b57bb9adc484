import t, { type Test } from 'tap'
import type { BetterAuthOptions } from '../../lib/index.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { fetchToken } from '../fixtures/auth-server.js'
import { parsePage } from '../fixtures/docs.js'
import { startSessionServer, type SessionServer } from '../fixtures/exchange.js'
import { VERSIONS, type Fields, type Version } from '../fixtures/oauth-packages.js'
import { readLock } from '../fixtures/packages.js'
import { segment } from '../fixtures/test-issuer.js'

/** Each cell of the table of docs/reference/compatibility.md, tried with a real server of that version. */

interface World {
  readonly t: Test
  readonly version: Version
  /** All rows share it, so each signs up its own users. */
  readonly server: SessionServer
}

/** Whom an API sees and how, or the status and the reason of its refusal. */
type Ask = (headers: Record<string, string>, url?: string) => Promise<string>

async function startAsking (t: Test, { origin }: SessionServer, options: BetterAuthOptions = {}): Promise<Ask> {
  const log = captureLog()
  const app = await startApi(t, { authUrl: origin, ...options }, log)
  app.get('/me', { onRequest: app.authenticate }, async ({ user, principal }) => `${user.id} ${principal!.via}`)
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async ({ user }) => `${user.id} admin`)
  return async (headers, url = '/me') => {
    const before = log.refusals().length
    const { statusCode, body } = await app.inject({ url, headers })
    return statusCode === 200 ? body : [statusCode, ...log.refusals().slice(before).map(line => line.reason)].join(' ')
  }
}

/**
 * The session cookie of a server with this strategy.
 *
 * @param options - of the API, given the secret.
 * @param refusal - the reason if this version has another kind of cookie.
 */
async function tryCookie (
  { t, version }: World,
  { strategy, jwt = {} }: { strategy: string, jwt?: Fields },
  options: (secret: string) => BetterAuthOptions,
  refusal: RegExp
): Promise<boolean> {
  const server = await startSessionServer(t, { version, jwt, session: { cookieCache: { enabled: true, strategy } } })
  const ask = await startAsking(t, server, options(server.secret))
  const { id, cookies } = await server.signUp()
  t.match(cookies, /better-auth\.session_data=/)
  const found = await ask({ cookie: cookies })
  if (found === `${id} cookie`) return true
  t.match(found, refusal, 'what does not work is refused')
  return false
}

const bySecret = (secret: string): BetterAuthOptions => ({ sessionCookie: { secret } })

const ROWS: ReadonlyArray<readonly [feature: string, tryIt: (world: World) => Promise<boolean>]> = [
  ['bearer tokens', async ({ t, server }) => {
    const ask = await startAsking(t, server)
    const { id, cookie } = await server.signUp()
    const token = await fetchToken(server.origin, cookie)
    t.equal(await ask(bearer(`${token.slice(0, -8)}AAAAAAAA`)), '401 signature_invalid')
    t.equal(await ask({ cookie }), '401 token_missing')
    return await ask(bearer(token)) === `${id} bearer`
  }],
  ['roles of the plugin `admin()`', async ({ t, server }) => {
    const ask = await startAsking(t, server)
    const { id, cookie } = await server.signUp()
    t.equal(await ask(bearer(await fetchToken(server.origin, cookie)), '/admin'), '403 role_missing')
    server.db.user!.find(user => user.id === id)!.role = 'user,admin'
    return await ask(bearer(await fetchToken(server.origin, cookie)), '/admin') === `${id} admin`
  }],
  ['a new key because of `rotationInterval`', async ({ t, server }) => {
    const ask = await startAsking(t, server)
    const { id, cookie } = await server.signUp()
    const old = await fetchToken(server.origin, cookie)
    t.equal(await ask(bearer(old)), `${id} bearer`)
    for (const key of server.db.jwks!) key.expiresAt = new Date(Date.now() - 1000)
    const token = await fetchToken(server.origin, cookie)
    const accepted = [await ask(bearer(token)), await ask(bearer(old))]
    t.strictSame(accepted, [`${id} bearer`, `${id} bearer`], 'both keys')
    return segment(token, 0).kid !== segment(old, 0).kid
  }],
  ['a new key because all others were deleted', async ({ t, server }) => {
    const ask = await startAsking(t, server, { jwks: { maxAge: 0, staleWhileRevalidate: 0 } })
    const { id, cookie } = await server.signUp()
    const old = await fetchToken(server.origin, cookie)
    t.equal(await ask(bearer(old)), `${id} bearer`)
    server.db.jwks!.length = 0
    const token = await fetchToken(server.origin, cookie)
    t.not(segment(token, 0).kid, segment(old, 0).kid)
    const isAccepted = await ask(bearer(token)) === `${id} bearer`
    t.equal(await ask(bearer(old)), '401 unknown_key', 'the old key is over')
    return isAccepted
  }],
  ['session tokens, by the exchange', async ({ t, server }) => {
    const ask = await startAsking(t, server, { exchange: true })
    const { id, token } = await server.signUp()
    return await ask(bearer(token)) === `${id} session-token`
  }],
  ['the cookie `session_token`, by the exchange', async ({ t, server }) => {
    const ask = await startAsking(t, server, { exchange: true })
    const { id, cookie } = await server.signUp()
    return await ask({ cookie }) === `${id} session-cookie`
  }],
  ['API keys, by the exchange', async ({ t, server }) => {
    const ask = await startAsking(t, server, { exchange: true })
    const person = await server.signUp()
    return await ask({ 'x-api-key': await server.createKey(person) }) === `${person.id} api-key`
  }],
  ...(['compact', 'jwt', 'jwe'] as const).map(strategy => [
    `the cookie \`session_data\` by the secret: \`${strategy}\``,
    // Up to 1.3, there is no strategy: its cookie is like `compact`, without the time at which it was written.
    (world: World) => tryCookie(world, { strategy }, bySecret, /^401 session_invalid$/)
  ] as const),
  ['the cookie `session_data` by the JWKS', world => tryCookie(
    world,
    { strategy: 'jwt', jwt: { sessionCookieCache: true } },
    () => ({ sessionCookie: true }),
    // The option is ignored in silence, so the secret signs.
    world.version === '1.3' ? /^401 cookie_strategy$/ : /^401 algorithm_not_allowed$/
  )]
]

const TABLE = parsePage('docs/reference/compatibility.md').table('Better Auth')

function installedOf (version: Version): string {
  const lock = readLock(`better-auth-${version}`)
  const { packages } = JSON.parse(lock) as { packages: Record<string, { version: string }> }
  return packages['node_modules/better-auth']!.version
}

const columns: string[][] = await Promise.all(VERSIONS.toReversed().map(async version => {
  const cells = [installedOf(version)]
  await t.test(`Better Auth ${version}`, async t => {
    const server = await startSessionServer(t, { version })
    for (const [feature, tryIt] of ROWS) {
      await t.test(feature, async t => { cells.push(await tryIt({ t, version, server }) ? 'yes' : 'no') })
    }
  })
  return cells
}))

t.test('the table in the reference says what these servers do', async t => {
  const rows = ['tested with', ...ROWS.map(([feature]) => feature)].map((feature, index) => [
    feature, ...columns.map(cells => cells[index]!)
  ])
  t.strictSame(TABLE, rows)
})
