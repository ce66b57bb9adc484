import betterAuthPlugin from 'better-auth-fastify'
import type { Protect } from '../server.js'

export const protect: Protect = async (app, { origin, options }) => {
  await app.register(betterAuthPlugin, { authUrl: origin, ...options })
  return { onRequest: [app.authenticate] }
}
