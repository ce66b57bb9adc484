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

interface Options { readonly apiUrl: string, readonly auth: AuthServer, readonly isSameApp: boolean }

/** Serves the page, and the controls with which it breaks the auth server. For the demo alone: do not copy this. */
export async function controls (api: FastifyInstance, { apiUrl, auth, isSameApp }: Options): Promise<void> {
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
      // Cookies and origins depend on the host name: at 127.0.0.1, the auth server would be another site.
      if (request.host !== new URL(apiUrl).host) return reply.redirect(apiUrl)
      return reply.headers(headers).type(type).send(content)
    })
  }

  api.get('/demo/state', quiet, async () => ({
    authUrl: auth.url, isSameApp, isUp: auth.isUp || isSameApp, keys: api.betterAuth.status()
  }))

  // A protected route that writes no log lines: the page calls it every second with each key.
  api.get('/demo/pulse', { ...quiet, onRequest: [api.authenticate] }, async () => ({ alive: true }))

  await api.register(async scope => {
    scope.addHook('onRequest', async (request, reply) => {
      if (!isFromPage(request, apiUrl)) return refuse(reply)
    })

    if (!isSameApp) {
      scope.post('/up', quiet, async (_request, reply) => {
        await auth.up()
        return reply.code(204).send()
      })

      scope.post('/down', quiet, async (_request, reply) => {
        await auth.down()
        return reply.code(204).send()
      })
    }

    // As if `rotationInterval` had passed: a new key signs the next token, and the old key stays published.
    scope.post('/rotate', quiet, async (_request, reply) => {
      for (const key of auth.tables.jwks) key.expiresAt ??= new Date()
      return reply.code(204).send()
    })

    // As after a leak: all keys but the current one leave the JWKS at once.
    scope.post('/withdraw', quiet, async (_request, reply) => {
      auth.tables.jwks = auth.tables.jwks.filter(({ expiresAt }) => expiresAt === undefined)
      return reply.code(204).send()
    })

    // Signs a token while the auth server is down, as if the API alone could not reach it.
    scope.post('/token', quiet, async ({ headers }) => auth.auth.api.getToken({ headers: fromNodeHeaders(headers) }))

    // Better Auth's admin plugin lets only an admin change roles: this writes to the table instead. The API would see
    // the new role only at the next exchange of a session token or API key.
    scope.post<{ Body: { role: 'admin' | 'user' } }>('/role', {
      ...quiet,
      schema: {
        hide: true,
        body: { type: 'object', required: ['role'], properties: { role: { enum: ['admin', 'user'] } } }
      },
      onRequest: [api.authenticate]
    }, async ({ user, body }, reply) => {
      for (const row of auth.tables.user) if (row.id === user.id) row.role = body.role
      await api.betterAuth.revoke({ userId: user.id })
      return reply.code(204).send()
    })
  }, { prefix: '/demo' })
}

/** A page of another site can send a form here, but its `Origin` differs. */
function isFromPage ({ ip, headers }: FastifyRequest, apiUrl: string): boolean {
  return ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(ip) && headers.origin === apiUrl
}

function refuse (reply: FastifyReply): FastifyReply {
  return reply.code(403).send({ statusCode: 403, error: 'Forbidden', message: 'Only the demo page may do this' })
}
