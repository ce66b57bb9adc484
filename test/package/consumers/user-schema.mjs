// An API with a schema of its own, which uses a format and a type that it has registered in its TypeBox.
import { FormatRegistry, Kind, Type, TypeRegistry } from '@sinclair/typebox'
import betterAuthPlugin, { InvalidOptionError, UserSchema } from 'better-auth-fastify'
import { createTestIssuer } from 'better-auth-fastify/testing'
import Fastify from 'fastify'

FormatRegistry.Set('plan', text => text === 'free' || text === 'pro')
TypeRegistry.Set('Even', (_, value) => value % 2 === 0)

const issuer = await createTestIssuer()

async function ask (plan, right, wrong) {
  const app = Fastify()
  const userSchema = Type.Object({ ...UserSchema.properties, plan })
  await app.register(betterAuthPlugin, { authUrl: issuer.authUrl, userSchema })
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user.plan)
  const statuses = []
  for (const value of [right, wrong]) {
    const authorization = `Bearer ${issuer.token({ plan: value })}`
    statuses.push((await app.inject({ url: '/', headers: { authorization } })).statusCode)
  }
  await app.close()
  return statuses
}

console.log(JSON.stringify({
  format: await ask(Type.String({ format: 'plan' }), 'pro', 'gold'),
  type: await ask(Type.Unsafe({ [Kind]: 'Even' }), 2, 3),
  unknown: await ask(Type.String({ format: 'color' })).catch(error => error instanceof InvalidOptionError)
}))
await issuer.close()
