import { subscribe } from 'node:diagnostics_channel'
import { Type } from '@sinclair/typebox'
import betterAuthPlugin, { CHANNELS, UserSchema, type BetterAuthOptions } from 'better-auth-fastify'
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'
import type { Protect } from '../server.js'

interface Feature { options?: BetterAuthOptions, hook?: (app: FastifyInstance) => RouteShorthandOptions['onRequest'], listens?: boolean }

const FlatUser = Type.Object({ ...UserSchema.properties, createdAt: Type.String() })
const NestedUser = Type.Object({ ...UserSchema.properties, org: Type.Object({ id: Type.String() }, { default: { id: 'none' } }) })

/** What can be added to the plain plugin, to see what each costs. Functions cannot be sent to another process: names can. */
export const FEATURES = {
  'authenticateOptional()': { hook: app => app.authenticateOptional },
  'authorize({ check })': { hook: app => app.authorize({ check: user => user.id !== '' }) },
  'isRevoked, at once': { options: { isRevoked: () => false } },
  'isRevoked, as a promise': { options: { isRevoked: async () => false } },
  'userSchema, flat': { options: { userSchema: FlatUser } },
  'userSchema, nested': { options: { userSchema: NestedUser } },
  'sessionCookie: true, with a bearer token': { options: { sessionCookie: true } },
  'extractToken, with a bearer token': { options: { extractToken: () => undefined } },
  'diagnostics, listened to': { listens: true }
} satisfies Record<string, Feature>

export const protect: Protect = async (app, { origin, options, feature }) => {
  const { options: more, hook, listens }: Feature = feature === undefined ? {} : FEATURES[feature]
  if (listens === true) for (const name of Object.values(CHANNELS)) subscribe(name, () => {})
  await app.register(betterAuthPlugin, { authUrl: origin, ...options, ...more })
  return { onRequest: hook?.(app) ?? app.authenticate }
}
