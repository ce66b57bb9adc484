import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin from '../lib/index.js'
import { startAuthServer } from './fixtures/auth-server.js'

t.test('end to end', async t => {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: auth.origin })
  app.get('/me', { onRequest: [app.authenticate] }, async request => ({ user: request.user, claims: request.claims }))
  const { token, user } = await auth.signUp()
  const response = await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })
  t.equal(response.statusCode, 200)
  t.match(response.json(), { user: { id: user.id } })
  console.error(response.body, auth.hits)
})
