import { readFileSync } from 'node:fs'
import { fromNodeHeaders } from 'better-auth/node'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthServer } from './auth-server.js'

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page/auth.js': ['auth.js', 'text/javascript; charset=utf-8'],
  '/page/calls.js': ['calls.js', 'text/javascript; charset=utf-8'],
  '/page/dom.js': ['dom.js', 'text/javascript; charset=utf-8'],
  '/page/lanes.js': ['lanes.js', 'text/javascript; charset=utf-8'],
  '/page/token.js': ['token.js', 'text/javascript; charset=utf-8'],
  '/page/icon.svg': ['icon.svg', 'image/svg+xml']
} as const

/** Serves the page in examples/demo/page, and what its buttons do to the auth server. Not for copying: it is all for show. */
export async function demo (api: FastifyInstance, { apiUrl, auth }: { apiUrl: string, auth: AuthServer }): Promise<void> {
  const headers = {
    'cache-control': 'no-cache',
    'content-security-policy': [
      "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", `connect-src 'self' ${auth.url}`,
      "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"
    ].join('; '),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff'
  }
  const quiet = { logLevel: 'silent', schema: { hide: true } } as const

  for (const [url, [name, type]] of Object.entries(FILES)) {
    const content = readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8')
    api.get(url, quiet, async (request, reply) => {
      // Cookies and origins go by the name: at 127.0.0.1 the page would be another site than the auth server's.
      if (request.host !== new URL(apiUrl).host) return reply.redirect(apiUrl)
      return reply.headers(headers).type(type).send(content)
    })
  }

  api.get('/demo/state', quiet, async () => ({ authUrl: auth.url, isUp: auth.isUp, keys: api.betterAuth.status() }))

  // The live strip asks for this once a second and key: a protected route that does not fill the log.
  api.get('/demo/pulse', { ...quiet, onRequest: api.authenticate }, async () => ({ alive: true }))

  await api.register(async controls => {
    controls.addHook('onRequest', async (request, reply) => { if (!isFromPage(request, apiUrl)) return refuse(reply) })

    controls.post('/up', quiet, async (_request, reply) => {
      await auth.up()
      return reply.code(204).send()
    })

    controls.post('/down', quiet, async (_request, reply) => {
      await auth.down()
      return reply.code(204).send()
    })

    // As if `rotationInterval` had passed: with the next token comes a new key. The old one stays published.
    controls.post('/rotate', quiet, async (_request, reply) => {
      for (const key of auth.tables.jwks) key.expiresAt ??= new Date()
      return reply.code(204).send()
    })

    // As after a leak: the keys that sign no more leave the JWKS at once.
    controls.post('/withdraw', quiet, async (_request, reply) => {
      auth.tables.jwks = auth.tables.jwks.filter(({ expiresAt }) => expiresAt === undefined)
      return reply.code(204).send()
    })

    // While the auth server is down, as one would that this API alone cannot reach: a token for whoever has the session.
    controls.post('/token', quiet, async request => auth.auth.api.getToken({ headers: fromNodeHeaders(request.headers) }))

    // Better Auth's admin plugin would ask for an admin who does it.
    controls.post<{ Body: { role: 'admin' | 'user' } }>('/role', {
      ...quiet,
      schema: { hide: true, body: { type: 'object', required: ['role'], properties: { role: { enum: ['admin', 'user'] } } } },
      onRequest: api.authenticate
    }, async ({ user, body }, reply) => {
      for (const row of auth.tables.user) if (row.id === user.id) row.role = body.role
      return reply.code(204).send()
    })
  }, { prefix: '/demo' })
}

/** Another site's page may send a form here; its `Origin` gives it away. */
function isFromPage ({ ip, headers }: FastifyRequest, apiUrl: string): boolean {
  return ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(ip) && headers.origin === apiUrl
}

function refuse (reply: FastifyReply): FastifyReply {
  return reply.code(403).send({ statusCode: 403, error: 'Forbidden', message: 'Only for the page of the example' })
}
