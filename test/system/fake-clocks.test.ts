import { mock } from 'node:test'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin from '../../lib/index.js'
import { createTestIssuer } from '../../lib/testing/index.js'

type Api = 'Date' | 'setTimeout' | 'setInterval' | 'setImmediate'

/** Fakes the clock before or after the app is made, and asks the app for the same things. */
async function useApp (t: Test, when: 'before' | 'after', apis: Api[]): Promise<void> {
  t.teardown(() => { mock.timers.reset() })
  const fake = () => { mock.timers.enable({ apis, now: Date.now() }) }
  if (when === 'before') fake()
  const issuer = await createTestIssuer()
  t.teardown(() => issuer.close())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  await app.ready()
  if (when === 'after') fake()
  const statusOf = async (token: string) => {
    return (await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })).statusCode
  }

  const token = issuer.token()
  t.equal(await statusOf(token), 200)
  mock.timers.setTime(Date.now() + 14 * 60_000)
  t.equal(await statusOf(token), 200, 'a token of 14 minutes')
  mock.timers.setTime(Date.now() + 2 * 60_000)
  t.equal(await statusOf(token), 401, 'a token of 16 minutes has expired')
  t.equal(await statusOf(issuer.token()), 200, 'a new one passes')
  const rotated = issuer.rotate()
  t.equal(await rotated.then(() => statusOf(issuer.token())), 200, 'and one that a new key signed')
}

for (const when of ['before', 'after'] as const) {
  for (const apis of [['Date'], ['Date', 'setTimeout', 'setInterval']] satisfies Api[][]) {
    t.test(`a clock that was faked ${when} the app was made: ${apis.join(', ')}`, t => useApp(t, when, apis))
  }
}
