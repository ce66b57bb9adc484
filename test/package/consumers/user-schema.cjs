// The same in CommonJS, with a format alone: CommonJS has its own build of TypeBox, with its own registries.
const { FormatRegistry, Type } = require('@sinclair/typebox')
const { betterAuthPlugin, InvalidOptionError, UserSchema } = require('better-auth-fastify')
const { createTestIssuer } = require('better-auth-fastify/testing')
const Fastify = require('fastify')

FormatRegistry.Set('plan', text => text === 'free' || text === 'pro')

async function ask (issuer, plan, right, wrong) {
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

async function main () {
  const issuer = await createTestIssuer()
  console.log(JSON.stringify({
    format: await ask(issuer, Type.String({ format: 'plan' }), 'pro', 'gold'),
    unknown: await ask(issuer, Type.String({ format: 'color' })).catch(error => error instanceof InvalidOptionError)
  }))
  await issuer.close()
}

main()
