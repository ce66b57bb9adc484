import { Type } from '@sinclair/typebox'
import { UserSchema, type BetterAuthOptions } from 'better-auth-fastify'
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'

export interface Feature {
  options?: BetterAuthOptions
  hook?: (app: FastifyInstance) => RouteShorthandOptions['onRequest']
  /** Whether something subscribes to the channels of the plugin. */
  listens?: boolean
}

export type FeatureName = keyof typeof FEATURES

const FlatUser = Type.Object({ ...UserSchema.properties, createdAt: Type.String() })
const NestedUser = Type.Object({
  ...UserSchema.properties,
  org: Type.Object({ id: Type.String() }, { default: { id: 'none' } })
})

/** The features whose cost is measured. They have names because a function cannot be sent to another process. */
export const FEATURES = {
  'authenticateOptional()': { hook: app => app.authenticateOptional },
  'authorize({ check })': { hook: app => app.authorize({ check: user => user.id !== '' }) },
  'isRevoked, synchronous': { options: { isRevoked: () => false } },
  'isRevoked, as a promise': { options: { isRevoked: async () => false } },
  'userSchema, flat': { options: { userSchema: FlatUser } },
  'userSchema, nested': { options: { userSchema: NestedUser } },
  'sessionCookie: true, with a bearer token': { options: { sessionCookie: true } },
  'extractToken, with a bearer token': { options: { extractToken: () => undefined } },
  'diagnostics, with subscribers': { listens: true },
  'exchange, with a bearer token': { options: { exchange: true } },
  'exchange, with a session token': { options: { exchange: true } }
} satisfies Record<string, Feature>
