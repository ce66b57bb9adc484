// An API that esbuild makes one file of, with a format that it has registered in its TypeBox.
import { FormatRegistry, Type } from '@sinclair/typebox'
import betterAuthPlugin, { UserSchema } from 'better-auth-fastify'
import Fastify from 'fastify'

FormatRegistry.Set('plan', text => text === 'free' || text === 'pro')

const { AUTH_URL, TOKEN, WRONG } = process.env

async function ask (plan) {
  const app = Fastify()
  const userSchema = plan && Type.Object({ ...UserSchema.properties, plan })
  await app.register(betterAuthPlugin, { authUrl: AUTH_URL, ...plan && { userSchema } })
  app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)
  const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/me`
  const statuses = []
  for (const token of [TOKEN, WRONG, '']) {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
    statuses.push((await fetch(url, { headers })).status)
  }
  await app.close()
  return statuses
}

async function main () {
  console.log(JSON.stringify({
    plain: await ask(),
    userSchema: await ask(Type.String({ format: 'plan' })),
    unknown: await ask(Type.String({ format: 'color' })).catch(error => error.code)
  }))
}

main()
