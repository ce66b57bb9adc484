import { subscribe } from 'node:diagnostics_channel'
import betterAuthPlugin, { CHANNELS } from 'better-auth-fastify'
import type { Protect } from '../contender.js'
import { FEATURES, type Feature } from './features.js'

/** This plugin, with at most one feature. */
export const protect: Protect = async (app, { origin, options, feature }) => {
  const { options: more, hook, listens }: Feature = feature === undefined ? {} : FEATURES[feature]
  if (listens === true) for (const name of Object.values(CHANNELS)) subscribe(name, () => {})
  await app.register(betterAuthPlugin, { authUrl: origin, ...options, ...more })
  return { onRequest: hook?.(app) ?? app.authenticate }
}
