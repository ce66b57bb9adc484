import { randomBytes } from 'node:crypto'
import { apiKey } from '@better-auth/api-key'
import cors from '@fastify/cors'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { fromNodeHeaders } from 'better-auth/node'
import { admin, bearer, jwt } from 'better-auth/plugins'
import Fastify, { type FastifyInstance } from 'fastify'

/** A Better Auth server for pages of other origins: users sign up there, and it signs their tokens. */
export type AuthServer = ReturnType<typeof createAuthServer>

/**
 * Creates a Better Auth server inside its own Fastify server. Its tables are in memory and disappear with the process.
 *
 * @param pages - origins of the pages that may call it.
 */
export function createAuthServer (port: number, pages: readonly string[]) {
  const url = `http://localhost:${port}`
  const tables = {
    user: [] as Array<{ id: string, role: string }>,
    session: [],
    account: [],
    verification: [],
    apikey: [],
    jwks: [] as Array<{ createdAt: Date, expiresAt?: Date }>
  }
  const auth = betterAuth({
    baseURL: url,
    secret: randomBytes(32).toString('hex'),
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    trustedOrigins: [...pages],
    // Makes the session cookie a JWT, signed with the keys of jwt(), so that the API can verify it too.
    session: { cookieCache: { enabled: true, strategy: 'jwt' } },
    plugins: [
      jwt({ sessionCookieCache: true }),
      admin(),
      // Lets the API exchange session tokens.
      bearer(),
      // Lets the API exchange API keys. The default of 10 uses a day is too few to try a key out.
      apiKey({ enableSessionForAPIKeys: true, rateLimit: { enabled: false } })
    ]
  })
  let app: FastifyInstance | undefined

  async function createApp (): Promise<FastifyInstance> {
    const app = Fastify({ forceCloseConnections: true })
    // Both are needed: `trustedOrigins` makes Better Auth accept these pages, CORS makes the browser let them call it.
    await app.register(cors, {
      origin: [...pages], methods: ['GET', 'POST'], allowedHeaders: ['Content-Type'], credentials: true
    })

    // Better Auth parses the body itself.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
    app.route<{ Body?: Buffer }>({
      method: ['GET', 'POST'],
      url: '/api/auth/*',
      handler: ({ method, url: path, headers, body }) => auth.handler(new Request(new URL(path, url), {
        method, headers: fromNodeHeaders(headers), ...body && { body: new Uint8Array(body) }
      }))
    })
    return app
  }

  return {
    url,
    auth,
    tables,
    get isUp () { return app !== undefined },
    /** Starts to listen. After `down()` it can start again, with the same users and keys. */
    async up (): Promise<void> {
      if (app !== undefined) return
      const created = await createApp()
      await created.listen({ port, host: 'localhost' })
      app = created
    },
    async down (): Promise<void> {
      const closing = app
      app = undefined
      await closing?.close()
    }
  }
}
