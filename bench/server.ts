import Fastify from 'fastify'
import { answerParent, readConfig } from './child.js'
import type { ContenderName, Protect, ServerConfig, ServerHello, Usage } from './contender.js'

// Each server loads only its own contender, so that its memory has no other.
const CONTENDERS: Record<ContenderName, () => Promise<{ protect: Protect }>> = {
  open: () => import('./contenders/open.js'),
  bare: () => import('./contenders/bare.js'),
  ours: () => import('./contenders/ours.js'),
  earlier: () => import('./contenders/earlier.js'),
  jose: () => import('./contenders/jose.js'),
  'fastify-jwt-jwks': () => import('./contenders/fastify-jwt-jwks.js'),
  recipe: () => import('./contenders/recipe.js')
}

/** As long as the user id in a token, so that all responses have the same size. */
const NOBODY = '0'.repeat(32)

const config = readConfig<ServerConfig>()
const app = Fastify({ logger: false })
const { protect } = await CONTENDERS[config.contender]()
app.get('/me', await protect(app, config), async ({ user }) => ({ id: user?.id ?? NOBODY }))
app.get('/open', async () => ({ id: NOBODY }))
const url = await app.listen({ port: 0, host: '127.0.0.1' })

answerParent({ url: `${url}/me`, openUrl: `${url}/open` } satisfies ServerHello, () => {
  const { user, system } = process.cpuUsage()
  const peak = process.resourceUsage().maxRSS * 1024
  return { cpu: user + system, rss: process.memoryUsage.rss(), peak } satisfies Usage
})
