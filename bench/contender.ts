import type { BetterAuthOptions } from 'better-auth-fastify'
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'
import type { FeatureName } from './contenders/features.js'
import type { Algorithm } from './tokens.js'

/** The ways to verify a token that are measured, each a file in `contenders/`. */
export type ContenderName = 'open' | 'bare' | 'ours' | 'earlier' | 'jose' | 'fastify-jwt-jwks' | 'recipe'

/** The configuration of a server: one contender, for the tokens of one issuer. */
export interface ServerConfig {
  contender: ContenderName
  alg: Algorithm
  /** Issuer and audience of the tokens. */
  origin: string
  jwksUrl: string
  options?: BetterAuthOptions | undefined
  feature?: FeatureName | undefined
}

/** Prepares an API that requires tokens. Returns the options of its protected route. */
export type Protect = (app: FastifyInstance, config: ServerConfig) => Promise<RouteShorthandOptions>

/** The URLs of the protected route, and of a route without protection. */
export interface ServerHello { url: string, openUrl: string }

/** CPU time in microseconds, memory in bytes. */
export interface Usage { cpu: number, rss: number, peak: number }
