import { pathToFileURL } from 'node:url'
import type { Protect } from '../contender.js'

/** Another build of this plugin: the entry file in `BENCH_EARLIER`. */
export const protect: Protect = async (app, { origin }) => {
  const entry = pathToFileURL(process.env.BENCH_EARLIER!).href
  const { default: betterAuthPlugin } = await import(entry) as typeof import('better-auth-fastify')
  await app.register(betterAuthPlugin, { authUrl: origin })
  return { onRequest: app.authenticate }
}
