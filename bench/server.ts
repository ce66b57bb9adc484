import Fastify, { type FastifyInstance, type RouteShorthandOptions } from 'fastify'
import type { BetterAuthOptions } from 'better-auth-fastify'
import { answerParent, readConfig } from './child.js'
import type { FEATURES } from './contenders/ours.js'
import type { Algorithm } from './tokens.js'

/** What a server is to be: one contender, for the tokens of one issuer. */
export interface ServerConfig {
  contender: keyof typeof CONTENDERS
  alg: Algorithm
  /** Issuer and audience of the tokens, and where their keys are. */
  origin: string
  jwksUrl: string
  options?: BetterAuthOptions | undefined
  feature?: keyof typeof FEATURES | undefined
}

/** Makes an API ask for tokens. What it returns belongs to the route that is protected. */
export type Protect = (app: FastifyInstance, config: ServerConfig) => Promise<RouteShorthandOptions>

export interface ServerHello { url: string }

/** CPU time in microseconds, memory in bytes. */
export interface Usage { cpu: number, rss: number, peak: number }

// Each is loaded only in its own server, so that it alone is in that server's memory.
const CONTENDERS = {
  open: () => import('./contenders/open.js'),
  bare: () => import('./contenders/bare.js'),
  ours: () => import('./contenders/ours.js'),
  jose: () => import('./contenders/jose.js'),
  'fastify-jwt-jwks': () => import('./contenders/fastify-jwt-jwks.js'),
  recipe: () => import('./contenders/recipe.js')
}

/** As long as the id of a user in a token: all answers have one size. */
const NOBODY = '0'.repeat(32)

const config = readConfig<ServerConfig>()
const app = Fastify({ logger: false })
const { protect } = await CONTENDERS[config.contender]()
app.get('/me', await protect(app, config), async ({ user }) => ({ id: user?.id ?? NOBODY }))
const url = await app.listen({ port: 0, host: '127.0.0.1' })

answerParent({ url: `${url}/me` } satisfies ServerHello, () => {
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, rss: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 } satisfies Usage
})
