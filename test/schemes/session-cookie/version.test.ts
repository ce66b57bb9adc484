import t from 'tap'
import type { SessionCookieOptions } from '../../../lib/index.js'
import { captureLog } from '../../fixtures/api.js'
import { SECRET, startSecretApi, STRATEGIES } from '../../fixtures/cookie-strategies.js'
import { startJwks } from '../../fixtures/jwks-server.js'
import {
  createContent, createCookie, getWith, KEY, NAME, startCookieApi, type Fields
} from '../../fixtures/session-cookie.js'

type Version = SessionCookieOptions['version']
const withVersion = (version: Version, more: Fields = {}) => ({ sessionCookie: { secret: SECRET, version }, ...more })
/** Versions that a cookie may have, and what Better Auth takes them for. */
const VERSIONS = [['1', '1'], ['2', '2'], [undefined, '1'], ['', '1'], ['01', '01'], ['2 ', '2 ']] as const

// The timers under test keep no process alive.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

for (const [strategy, mint] of Object.entries(STRATEGIES)) {
  t.test(`the version of a cookie of the strategy ${strategy}`, async t => {
    await t.test('is compared if the option is set', async t => {
      for (const [version, read] of VERSIONS) {
        const cookie = mint({ ...createContent(), version })
        for (const wanted of ['1', '2', '3']) {
          for (const option of [wanted, () => wanted, async () => wanted]) {
            const log = captureLog()
            const app = await startSecretApi(t, withVersion(option), log)
            for (const url of ['/me', '/me', '/maybe']) {
              const { status } = await getWith(app, [[NAME, cookie]], url)
              t.equal(status, read === wanted ? 200 : 401, `${version} where ${wanted} is wanted`)
            }
            if (read === wanted) continue
            t.match(log.refusals()[0], {
              reason: 'cookie_version', claim: 'version', expected: [wanted], received: read
            })
          }
        }
        t.equal((await getWith(await startSecretApi(t), [[NAME, cookie]])).status, 200, 'any is accepted without it')
      }
    })

    await t.test('is asked for on every request, also for a cookie that is cached', async t => {
      const asked: unknown[] = []
      let wanted = '1'
      const app = await startSecretApi(t, withVersion((session, user) => {
        asked.push([session.token, user.id, user.plan])
        Object.assign(user, { plan: 'changed' })
        return wanted
      }))
      const cookie = mint(createContent({ plan: 'free' }))
      for (let round = 0; round < 3; round++) t.equal((await getWith(app, [[NAME, cookie]])).status, 200)
      wanted = '2'
      t.equal((await getWith(app, [[NAME, cookie]])).status, 401)
      wanted = '1'
      t.equal((await getWith(app, [[NAME, cookie]])).status, 200)
      t.strictSame(asked, Array.from({ length: 5 }, () => ['session-token', 'u_1', 'free']))
    })

    await t.test('of which nobody knows the right one ends in 503', async t => {
      const failures: Array<() => unknown> = [
        () => { throw new Error('down') }, async () => { throw new Error('down') }, () => new Promise(() => {}),
        () => 1, () => undefined, () => null, () => ['1'], async () => 1, () => () => '1'
      ]
      for (const version of failures) {
        const log = captureLog()
        const options = withVersion(version as Version, { callbackTimeout: 20 })
        const app = await startSecretApi(t, options, log)
        for (const url of ['/me', '/maybe']) {
          t.match(await getWith(app, [[NAME, mint(createContent())]], url), {
            status: 503, body: { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' }
          })
        }
        const [line] = log.refusals()
        t.match(line, { reason: 'revocation_unavailable' }, String(version))
        if (String(version).includes('throw')) t.match(line!.err, { message: 'down' })
      }
    })

    await t.test('makes one of several cookies invalid', async t => {
      for (const version of ['2', () => '2', async () => '2']) {
        const log = captureLog()
        const app = await startSecretApi(t, withVersion(version), log)
        const old = mint({ ...createContent({ name: 'old' }), version: '1' })
        const current = mint({ ...createContent({ name: 'current' }), version: '2' })
        for (const cookies of [[old, current], [current, old]]) {
          const { status, body } = await getWith(app, cookies.map(cookie => [NAME, cookie]))
          t.match({ status, name: body.user?.name }, { status: 200, name: 'current' })
        }
        t.equal((await getWith(app, [[NAME, old], [NAME, 'x']])).status, 401)
        t.match(log.refusals(), [{ reason: 'cookie_version' }])
      }
    })

    t.test('does not matter for a cookie that is invalid', async t => {
      let calls = 0
      const app = await startSecretApi(t, withVersion(() => { calls++; return '1' }))
      t.equal((await getWith(app, [[NAME, mint(createContent({ id: 'u_2' }))]])).status, 401)
      t.equal(calls, 0)
    })
  })
}

t.test('the version of a cookie that a key of the JWKS signs', async t => {
  const jwks = await startJwks(t, KEY)
  const cookie = createCookie(jwks.origin, { version: '2' })
  for (const [version, status] of [['2', 200], ['1', 401], [() => '2', 200], [async () => '1', 401]] as const) {
    const app = await startCookieApi(t, { authUrl: jwks.origin, sessionCookie: { version } })
    // The first one waits for the keys.
    for (let round = 0; round < 3; round++) t.equal((await getWith(app, [[NAME, cookie]])).status, status)
  }
})
