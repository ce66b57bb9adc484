import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { parsePage, read } from '../fixtures/docs.js'
import { createAgent, LOOPBACK_URI } from '../fixtures/mcp-agent.js'
import type { Fields } from '../fixtures/oauth-packages.js'
import { startOAuthServer, type OAuthServer } from '../fixtures/oauth-server.js'
import { OTHER_RESOURCE } from '../fixtures/oauth-tokens.js'
import { copyProject, freePorts, NODE, start, toJavaScript, type Running } from '../fixtures/program.js'

const project = copyProject(t)
const { blocks } = parsePage('docs/guides/mcp.md')
const blockWith = (text: string): string => blocks.find(({ code }) => code.includes(text))!.code
const RESOURCE = 'http://localhost:3001/mcp'
/** What the SDK throws once it has sent the user to the auth server. */
const UNAUTHORIZED = { message: 'Unauthorized' }
/** How the client finds the auth server. */
const DISCOVERY = [
  'GET /.well-known/oauth-protected-resource/mcp 200', 'GET auth/.well-known/oauth-authorization-server/api/auth 200'
]
const PAGE = 'https://agent.example.com'

t.setTimeout(300_000)

t.test('the guide shows the program as it is, but for the first line', async t => {
  const rest = (code: string) => code.slice(code.indexOf('\n'))
  t.equal(rest(blockWith('createServer')), rest(read('examples/mcp.ts')))
})

interface Started { example: Running, url: string, server: OAuthServer }

/** A real Better Auth server with the options of `mcp()` that the guide shows, and the example beside it. */
async function startBoth (t: Test, file = 'examples/mcp.js', more: Fields = {}): Promise<Started> {
  const [port] = await freePorts(t)
  const url = RESOURCE.replace('3001', String(port))
  const [, options] = /mcp\((.*)\)/s.exec(blockWith('loginPage'))!
  const provider = runInNewContext(`(${options})`) as Fields
  t.equal(provider.resource, RESOURCE)
  const server = await startOAuthServer(t, {
    plugin: 'mcp', resources: [url, OTHER_RESOURCE], provider: { ...provider, resource: url, ...more }
  })
  const example = start(t, project, [...NODE, file], { BETTER_AUTH_URL: server.origin, PORT: String(port) })
  await example.printed('Server listening at')
  return { example, url, server }
}

t.test('examples/mcp.ts, with a client of the official SDK', async t => {
  const { example, url, server } = await startBoth(t)
  const agent = createAgent(server, url)
  await agent.signUp()

  t.test('a 401 leads the client to the auth server, where it registers, and asks for what the 401 names', async t => {
    await t.rejects(agent.connect(), UNAUTHORIZED)
    t.strictSame(agent.requests.splice(0), ['POST /mcp 401', ...DISCOVERY, 'POST auth/api/auth/oauth2/register 201'])
    t.strictSame(agent.shown.splice(0), ['notes:read', 'sign-in', 'consent'])
    t.match(agent.registered(), { redirect_uris: [LOOPBACK_URI], client_secret: undefined })
  })

  t.test('with the code, it gets a token for this server alone, and connects', async t => {
    await agent.finish()
    await agent.connect()
    t.equal(agent.scope(), 'notes:read')
    const claims = JSON.parse(Buffer.from(agent.token().split('.')[1]!, 'base64url').toString()) as Fields
    t.equal(claims.aud, url)
    const { tools } = await agent.client().listTools()
    t.strictSame(tools.map(({ name }) => name), ['whoami', 'list_notes', 'add_note'])
    t.strictSame(agent.requests.splice(0), [
      ...DISCOVERY, 'POST auth/api/auth/oauth2/token 200',
      'POST /mcp 200', 'POST /mcp 202', 'POST /mcp 200'
    ])
  })

  t.test('a tool sees the principal', async t => {
    const principal = await agent.call('whoami')
    const { client_id: clientId } = agent.registered()
    t.match(principal, { kind: 'delegated', user: { id: /^\w{32}$/ }, clientId, scopes: ['notes:read'] })
    t.strictSame(await agent.call('list_notes'), [])
    agent.requests.length = 0
  })

  t.test('a tool that needs another scope is a 403; the client asks for all scopes, and then succeeds', async t => {
    await t.rejects(agent.call('add_note', { text: 'milk' }), UNAUTHORIZED)
    t.strictSame(agent.requests.splice(0), ['POST /mcp 403', ...DISCOVERY])
    t.strictSame(agent.shown.splice(0), ['notes:read notes:write', 'consent'])
    await agent.finish()
    t.equal(agent.scope(), 'notes:read notes:write')
    t.equal(await agent.call('add_note', { text: 'milk' }), 'added')
    t.strictSame(await agent.call('list_notes'), ['milk'])
    t.match(await agent.call('whoami'), { scopes: ['notes:read', 'notes:write'] })
  })

  t.test('another user has other notes, and consents once', async t => {
    const other = createAgent(server, url)
    await other.signUp()
    await t.rejects(other.connect(), UNAUTHORIZED)
    t.strictSame(other.shown.splice(0), ['notes:read', 'sign-in', 'consent'])
    await t.rejects(other.connect(), UNAUTHORIZED)
    t.strictSame(other.shown.splice(0), ['notes:read'])
    await other.finish()
    await other.connect()
    t.strictSame(await other.call('list_notes'), [])
    await other.client().close()
  })

  t.test('who comes in, and how far', async t => {
    const person = await server.signUp()
    const client = await server.registerClient()
    const machine = await server.createClient(person, ['notes:read', 'notes:write'])
    const delegate = async (scopes: readonly string[], resource = url): Promise<string> =>
      (await server.delegate(person, client, { scopes, resource })).access_token
    const [reader, writer] = [await delegate(['notes:read']), await delegate(['notes:write'])]
    const tokens: Record<string, string> = {
      reader,
      writer,
      elsewhere: await delegate(['notes:read'], OTHER_RESOURCE),
      user: await server.firstPartyToken(person),
      machine: (await server.clientCredentials(machine, { resource: url })).access_token,
      forged: `${reader.slice(0, -4)}AAAA`
    }

    const metadata = `resource_metadata="${new URL('/.well-known/oauth-protected-resource/mcp', url)}"`
    const whoami = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }
    const addNote = { ...whoami, params: { name: 'add_note', arguments: { text: 'milk' } } }
    const initialize = {
      ...whoami,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'agent', version: '1' } }
    }
    const named = (name: unknown) => ({ ...addNote, params: { ...addNote.params, name } })
    const NEEDS_READ = `Bearer scope="notes:read", ${metadata}`
    const INVALID = `Bearer error="invalid_token", scope="notes:read", ${metadata}`
    const NEEDS_WRITE = `Bearer error="insufficient_scope", scope="notes:read notes:write", ${metadata}`
    const NOT_ALLOWED = `Bearer error="insufficient_scope", ${metadata}`

    const rows: Array<[string | undefined, unknown, Record<string, string>, number, string | null]> = [
      [undefined, initialize, {}, 401, NEEDS_READ],
      [undefined, addNote, {}, 401, NEEDS_READ],
      [undefined, 'not JSON', {}, 401, NEEDS_READ],
      ['forged', whoami, {}, 401, INVALID],
      ['elsewhere', whoami, {}, 401, INVALID],
      ['user', whoami, {}, 403, NOT_ALLOWED],
      ['machine', whoami, {}, 403, NOT_ALLOWED],
      ['reader', initialize, {}, 200, null],
      ['reader', whoami, {}, 200, null],
      ['reader', addNote, {}, 403, NEEDS_WRITE],
      ['reader', named('no_such_tool'), {}, 403, NEEDS_WRITE],
      ['reader', named('__proto__'), {}, 403, NEEDS_WRITE],
      ['reader', named(['whoami']), {}, 403, NEEDS_WRITE],
      ['reader', named(null), {}, 403, NEEDS_WRITE],
      ['reader', [addNote], {}, 400, null],
      ['reader', [whoami, addNote], {}, 400, null],
      ['reader', { ...addNote, params: [addNote.params] }, {}, 400, null],
      ['reader', null, {}, 400, null],
      ['reader', JSON.stringify(addNote).replace('{', '{"method":"ping",'), {}, 403, NEEDS_WRITE],
      ['writer', whoami, {}, 200, null],
      ['writer', addNote, {}, 200, null],
      ['writer', addNote, { 'content-type': 'text/plain' }, 400, null],
      ['writer', addNote, { accept: 'application/json' }, 406, null],
      ['writer', whoami, { 'mcp-protocol-version': '2025-11-25' }, 200, null],
      ['writer', whoami, { 'mcp-protocol-version': '2026-07-28' }, 400, null],
      ['writer', whoami, { origin: PAGE }, 403, null],
      ['writer', whoami, { origin: 'null' }, 403, null],
      [undefined, whoami, { origin: PAGE }, 403, null]
    ]
    for (const [token, body, headers, status, challenge] of rows) {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          ...token !== undefined && { authorization: `Bearer ${tokens[token]}` },
          ...headers
        },
        body: typeof body === 'string' ? body : JSON.stringify(body)
      })
      const got = [response.status, response.headers.get('www-authenticate')]
      t.strictSame(got, [status, challenge], JSON.stringify([token, body, headers]))
      await response.body?.cancel()
    }

    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(url, { method })
      t.strictSame([response.status, response.headers.get('allow')], [405, 'POST'])
    }
    const inQuery = await fetch(`${url}?access_token=${writer}`, { method: 'POST', body: '{}' })
    t.equal(inQuery.status, 401)
  })

  t.test('the metadata names the scopes to start with', async t => {
    const response = await fetch(new URL('/.well-known/oauth-protected-resource/mcp', url))
    t.strictSame(await response.json(), {
      resource: url,
      authorization_servers: [server.baseURL],
      scopes_supported: ['notes:read'],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes'
    })
  })

  t.test('the auth server refuses a redirect to localhost without `application_type`', async t => {
    const registered = server.registerClient({ redirect_uris: [LOOPBACK_URI] })
    await t.rejects(registered, { message: /400 .*invalid_redirect_uri/ })
    await t.resolves(server.registerClient({ redirect_uris: [LOOPBACK_URI], application_type: 'native' }))
  })

  t.test('has no token in its log', async t => {
    t.match(example.stdout, '"reason":"scope_missing"')
    t.notMatch(example.stdout, agent.token().split('.')[2]!)
    await agent.client().close()
  })
})

t.test('what the guide says beside the program', async t => {
  // Responses are streams of events here.
  const code = read('examples/mcp.ts')
    .replace('import Fastify,', "import fastifyCors from '@fastify/cors'\nimport Fastify,")
    .replace('{ enableJsonResponse: true }', '')
    .replace('() => result(own)', "() => { throw new Error('no') }")
    .replace('() => result(principal)', '({ requestInfo }) => result(requestInfo!.headers)')
    .replace('origins: readonly string[] = []', `origins = ['${PAGE}']\n${blockWith('fastifyCors')}`)
  writeFileSync(join(project, 'examples/mcp-pages.js'), toJavaScript(code))
  const { url, server } = await startBoth(t, 'examples/mcp-pages.js', { scopes: ['offline_access', 'notes:read'] })

  t.test('a page of a known origin can read responses and challenges, and no other page can', async t => {
    const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
    const rows: Array<[string, string, number, string | null]> = [
      ['OPTIONS', PAGE, 204, PAGE],
      ['POST', PAGE, 401, PAGE],
      ['OPTIONS', 'https://evil.example.com', 204, null],
      ['POST', 'https://evil.example.com', 403, null]
    ]
    for (const [method, origin, status, allowed] of rows) {
      const response = await fetch(url, { method, headers: { origin, ...method === 'OPTIONS' && preflight } })
      const { headers } = response
      t.strictSame([response.status, headers.get('access-control-allow-origin')], [status, allowed])
      if (status === 401) t.match(headers.get('access-control-expose-headers'), 'WWW-Authenticate')
    }
  })

  t.test('a client of version 1 of the SDK that has a refresh token refreshes, and does no step-up', async t => {
    const client = await server.registerClient()
    const scopes = ['notes:read', 'offline_access']
    const tokens = await server.delegate(await server.signUp(), client, { scopes, resource: url })
    const agent = createAgent(server, url)
    agent.useTokens({ ...tokens, issuer: server.baseURL }, client.clientId)
    await agent.connect()

    agent.requests.length = 0
    await t.rejects(agent.call('add_note', { text: 'milk' }), { message: /403 after trying upscoping/ })
    const refresh = [...DISCOVERY, 'POST auth/api/auth/oauth2/token 200']
    t.strictSame(agent.requests.splice(0), ['POST /mcp 403', ...refresh, 'POST /mcp 403'])
    t.strictSame(agent.shown, [])

    t.match(await agent.client().callTool({ name: 'list_notes' }), { isError: true, content: [{ text: 'no' }] })
    t.strictSame(agent.requests, ['POST /mcp 200'], 'what a handler throws is no 403')
    const headers = await agent.call('whoami') as Fields
    t.match(headers, { 'content-type': 'application/json' })
    t.notOk('authorization' in headers, 'tools do not see the token')
    await agent.client().close()
  })
})
