// In a clone, after `npm install && npm run build`: npx tsx examples/mcp.ts
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import betterAuthPlugin from 'better-auth-fastify'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import * as z from 'zod'

const port = Number(process.env.PORT ?? 3001)
/** The public URL of this server. The auth server has to know it, letter by letter. */
const url = `http://localhost:${port}/mcp`

const app = Fastify({ logger: true })

await app.register(betterAuthPlugin, {
  authUrl: process.env.BETTER_AUTH_URL ?? 'http://localhost:3000',
  resource: { url, name: 'Notes', scopes: ['notes:read'], scopeIncludes: { 'notes:write': ['notes:read'] } }
})

// OAuth clients only: a token of the jwt() plugin is not made for this server, and MCP forbids such tokens.
const read = app.authorize({ delegated: ['notes:read'], users: false })
const write = app.authorize({ delegated: ['notes:write'], users: false })
/** What each tool needs; `write` for a tool that is missing here. */
const guards = new Map([['whoami', read], ['list_notes', read], ['add_note', write]])

const notes = new Map<string, string[]>()

/** One for each request: there are no sessions, and the tools know whom the request comes from. */
function createServer ({ principal, user }: FastifyRequest): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const own = notes.get(user.id) ?? []
  const result = (value: unknown) => ({ content: [{ type: 'text' as const, text: JSON.stringify(value) }] })

  server.registerTool('whoami', { description: 'Says who is calling' }, () => result(principal))
  server.registerTool('list_notes', { description: 'Lists the notes of the user' }, () => result(own))
  server.registerTool('add_note', {
    description: 'Adds a note', inputSchema: { text: z.string().max(1000) }
  }, ({ text }) => {
    notes.set(user.id, [...own, text])
    return result('added')
  })
  return server
}

/** The pages that may call: none. Programs send no `Origin`. */
const origins: readonly string[] = []

async function checkOrigin ({ headers: { origin } }: FastifyRequest): Promise<void> {
  if (origin !== undefined && !origins.includes(origin)) {
    throw Object.assign(new Error('Origin not allowed'), { statusCode: 403 })
  }
}

async function authorizeTool (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { method, params } = request.body as { method?: unknown, params?: { name?: string } }
  if (method === 'tools/call') await (guards.get(params?.name ?? '') ?? write)(request, reply)
}

app.post('/mcp', {
  // One message, never a batch: `authorizeTool` looks at one.
  schema: { body: { type: 'object', properties: { params: { type: 'object' } } } },
  onRequest: [checkOrigin, read],
  preHandler: [authorizeTool]
}, async request => {
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await createServer(request).connect(transport)
  // Tools see the headers. They need no token.
  const { authorization, ...headers } = request.headers
  const init = { method: 'POST', headers: headers as Record<string, string> }
  return transport.handleRequest(new Request(url, init), { parsedBody: request.body })
})

// Without sessions, there is no stream to open and no session to end.
app.route({
  method: ['GET', 'DELETE'],
  url: '/mcp',
  config: { public: true },
  handler: async (_request, reply) => reply.code(405).header('allow', 'POST').send()
})

await app.listen({ port })
