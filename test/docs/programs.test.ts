import t from 'tap'
import { BLOCKS, PROGRAMS, read, type PageBlock } from '../fixtures/docs.js'
import { copyProject, freePorts, isInstalled, paste, start } from '../fixtures/program.js'
import { createProgramStarter } from '../fixtures/programs.js'
import { startIssuer } from '../fixtures/test-issuer.js'

// The blocks that are whole programs, each started as its first line says. code-blocks.test.ts has the others, and
// realtime.test.ts those with sockets.

const project = copyProject(t)
const startProgram = createProgramStarter(project)

t.setTimeout(600_000)

const isQuickStart = ({ page, heading }: PageBlock): boolean => page === 'README.md' && heading === 'Quick start'
const APPS = PROGRAMS.filter(program => {
  return !program.isTest && !isQuickStart(program) && program.page !== 'docs/guides/realtime.md'
})

/** A request to an app, and its response. */
interface Expectation {
  readonly request: string
  /** The claims of its token; none is a request without one. */
  readonly claims?: Record<string, unknown>
  /** The user in its session cookie. */
  readonly cookie?: Record<string, unknown>
  readonly headers?: Record<string, string>
  readonly status: number
  readonly match?: unknown
}

const USER = { id: 'user_1', email: 'ada@example.com', name: 'Ada Lovelace', emailVerified: true, image: null }
const PUBLIC_ROUTES: readonly Expectation[] = [
  { request: 'GET /health', status: 200 },
  { request: 'GET /orders', status: 401 },
  { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } }
]

/** What the apps of a page respond below each heading, one after the other. All others have to start. */
const EXPECTED: Record<string, Record<string, ReadonlyArray<readonly Expectation[]>>> = {
  'README.md': {
    'Protecting routes': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: USER },
      { request: 'GET /hello', status: 200, match: 'stranger' },
      { request: 'GET /hello', claims: {}, status: 200, match: 'Ada Lovelace' },
      { request: 'GET /hello', claims: { exp: 1 }, status: 401 },
      { request: 'DELETE /users/1', claims: { role: 'user' }, status: 403 },
      { request: 'DELETE /users/1', claims: { role: 'admin' }, status: 200 },
      { request: 'GET /orders', status: 401 },
      { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } }
    ]]
  },
  'docs/guides/protecting-routes.md': {
    'Where `authenticate` goes': [[
      { request: 'GET /orders', status: 401 },
      { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } },
      { request: 'GET /reports', claims: {}, status: 403 },
      { request: 'GET /reports', claims: { role: 'admin' }, status: 200 }
    ]],
    'All routes but the public ones': [
      [...PUBLIC_ROUTES, { request: 'GET /orders/1', status: 401 }, { request: 'GET /nowhere', status: 404 }],
      [...PUBLIC_ROUTES, { request: 'GET /nowhere', status: 401 }, { request: 'GET /nowhere', claims: {}, status: 404 }]
    ],
    'Optional authentication': [[
      { request: 'GET /articles', status: 200, match: { reader: null } },
      { request: 'GET /articles', claims: {}, status: 200, match: { reader: 'user_1' } },
      { request: 'GET /articles', claims: { exp: 1 }, status: 401 }
    ]],
    'Roles, scopes and your own rules': [[
      { request: 'DELETE /users/1', claims: { role: 'user' }, status: 403 },
      { request: 'DELETE /users/1', claims: { role: 'user,support' }, status: 200 },
      { request: 'POST /orders', claims: {}, status: 403 },
      { request: 'POST /orders', claims: { scope: 'read write:orders' }, status: 200 },
      { request: 'POST /orders', claims: { scope: 'write:orders', emailVerified: false }, status: 403 }
    ]]
  },
  'docs/guides/permissions.md': {
    Permissions: [[
      { request: 'POST /projects', status: 401 },
      { request: 'POST /projects', claims: { role: 'user' }, status: 403 },
      { request: 'POST /projects', claims: { role: 'user,editor' }, status: 200 },
      { request: 'GET /invoices', claims: { role: 'editor' }, status: 403 },
      { request: 'GET /invoices', claims: { role: 'user' }, status: 200 }
    ]],
    Organizations: [[
      { request: 'GET /organization', claims: {}, status: 403 },
      { request: 'GET /organization', claims: { o: { id: 'org_1' } }, status: 200, match: { id: 'org_1' } },
      {
        request: 'DELETE /organizations/org_1/projects', claims: { o: { id: 'org_1', role: 'owner' } }, status: 200
      },
      {
        request: 'DELETE /organizations/org_1/projects', claims: { o: { id: 'org_1', role: 'member' } }, status: 403
      },
      {
        request: 'DELETE /organizations/org_2/projects', claims: { o: { id: 'org_1', role: 'owner' } }, status: 403
      },
      {
        request: 'DELETE /organizations/org_1/projects', claims: { role: 'owner', o: { id: 'org_1' } }, status: 403
      }
    ]]
  },
  'docs/guides/users.md': {
    '`request.user` and `request.claims`': [[{ request: 'GET /me', claims: {}, status: 200, match: USER }]],
    'Your own fields': [[
      { request: 'GET /plan', claims: {}, status: 200, match: 'free' },
      { request: 'GET /reports', claims: {}, status: 403 },
      { request: 'GET /reports', claims: { plan: 'pro' }, status: 200 }
    ]]
  },
  'docs/guides/session-cookies.md': {
    'The session cookie': [[
      { request: 'POST /orders', cookie: {}, status: 403 },
      {
        request: 'POST /orders',
        cookie: {},
        headers: { origin: 'https://app.example.com' },
        status: 200,
        match: { by: 'cookie' }
      },
      { request: 'POST /orders', claims: {}, status: 200, match: { by: 'token' } }
    ]],
    'Native apps and servers': [[
      { request: 'POST /orders', cookie: {}, status: 403 },
      { request: 'POST /orders', cookie: {}, headers: { origin: 'https://evil.example.com' }, status: 403 },
      { request: 'POST /orders', cookie: {}, headers: { origin: 'null', 'x-client': 'shop-app' }, status: 403 },
      { request: 'POST /orders', cookie: {}, headers: { origin: 'capacitor://localhost' }, status: 200 },
      { request: 'POST /orders', cookie: {}, headers: { 'x-client': 'shop-app' }, status: 200 }
    ]],
    Strategies: [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', cookie: {}, status: 200 }
    ]]
  },
  'docs/guides/exchange.md': {
    'Session tokens, session cookies and API keys': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: { id: 'user_1', via: 'bearer' } },
      { request: 'GET /me', headers: { 'x-api-key': 'too short' }, status: 401 }
    ]]
  },
  'docs/guides/revocation.md': {
    'Back-channel logout': [[
      { request: 'GET /me', claims: {}, status: 200, match: USER },
      { request: 'POST /back-channel-logout', status: 400, match: { error: 'invalid_request' } }
    ]]
  },
  'docs/guides/websockets.md': {
    'WebSockets and other places for a token': [[{ request: 'GET /nowhere', status: 404 }]]
  },
  'docs/guides/openapi.md': {
    OpenAPI: [[
      { request: 'GET /me', status: 401 },
      {
        request: 'GET /docs/json',
        status: 200,
        match: { paths: { '/me': { get: { security: [{ betterAuth: [] }] } } } }
      },
      { request: 'GET /docs/', status: 200, match: /swagger-ui/ }
    ]],
    'With OAuth clients': [[
      {
        request: 'GET /openapi.json',
        status: 200,
        match: { paths: { '/.well-known/oauth-protected-resource': { get: { summary: /protected resource/ } } } }
      }
    ]]
  },
  'docs/guides/oauth-clients.md': {
    'OAuth clients, agents and machines': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } },
      { request: 'POST /sync', claims: {}, status: 403 }
    ]],
    'What the API publishes': [[
      { request: 'GET /v1/orders', status: 401 },
      { request: 'GET /v1/orders', claims: {}, status: 200, match: { owner: 'user_1' } },
      {
        request: 'GET /.well-known/oauth-protected-resource/v1',
        status: 200,
        match: {
          resource: 'https://api.example.com/v1',
          scopes_supported: ['orders:read', 'orders:write'],
          bearer_methods_supported: ['header'],
          resource_name: 'Orders',
          resource_documentation: 'https://docs.example.com'
        }
      }
    ]]
  },
  'docs/guides/dpop.md': {
    'DPoP: tokens that are bound to a key': [[
      { request: 'GET /orders', status: 401 },
      { request: 'GET /orders', headers: { authorization: 'DPoP x' }, status: 401 },
      { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1', via: 'bearer' } },
      {
        request: 'GET /.well-known/oauth-protected-resource',
        status: 200,
        match: { dpop_signing_alg_values_supported: Array }
      }
    ]],
    'Several instances': [[{ request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } }]]
  },
  'docs/guides/mcp.md': {
    'MCP servers': [[
      { request: 'POST /mcp', status: 401 },
      { request: 'POST /mcp', claims: {}, status: 403 },
      { request: 'GET /mcp', status: 405 },
      {
        request: 'GET /.well-known/oauth-protected-resource/mcp',
        status: 200,
        match: { resource: 'http://localhost:0/mcp', scopes_supported: ['notes:read'], resource_name: 'Notes' }
      }
    ]]
  },
  'docs/guides/several-auth-servers.md': {
    'Several auth servers': [[{ request: 'GET /staff/me', status: 401 }, { request: 'GET /shop/me', status: 401 }]],
    'Two auth servers on one route': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: USER },
      { request: 'DELETE /users/1', claims: {}, status: 403 },
      { request: 'DELETE /users/1', claims: { role: 'admin' }, status: 200 }
    ]]
  },
  'docs/guides/other-plugins.md': {
    'With @fastify/auth': [[
      { request: 'POST /comments', claims: {}, status: 200 },
      { request: 'POST /comments', claims: { emailVerified: false }, status: 403 },
      { request: 'POST /comments', status: 401 }
    ]],
    'With `request.jwtVerify()`': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: USER }
    ]],
    CommonJS: [[{ request: 'GET /me', status: 401 }]]
  },
  'docs/guides/migrating.md': {
    'From the FastAPI recipe': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: USER }
    ]],
    'From fastify-jwt-jwks': [[{ request: 'GET /me', status: 401 }], [{ request: 'GET /me', status: 401 }]]
  },
  'docs/operations/deployment.md': {
    'Startup probe and health': [[
      { request: 'GET /ready', status: 200, match: { ready: true } },
      { request: 'GET /health', status: 200, match: { keys: 1 } }
    ]]
  }
}

const withoutCurl = isInstalled('curl') ? false : 'curl is not installed'

t.test('the quick start', async t => {
  const [auth, api] = PROGRAMS.filter(isQuickStart)

  t.test('is examples/minimal.ts as it is, but for the first line', async t => {
    const rest = (code: string) => code.slice(code.indexOf('\n'))
    t.equal(rest(api!.code), rest(read('examples/minimal.ts')))
  })

  t.test('works as it is written', { skip: withoutCurl }, async t => {
    const [authPort, apiPort] = await freePorts(t)
    const moved = (code: string) => code.replaceAll(':3000', `:${authPort}`)
      .replace('listen(3000,', `listen(${authPort},`).replaceAll('3001', String(apiPort))
    const startProgram = createProgramStarter(project, true)
    const authServer = startProgram(t, auth!, {}, moved(auth!.code))
    await authServer.printed(`Listening at http://localhost:${authPort}\n`)
    await startProgram(t, api!, {}, moved(api!.code)).printed('Server listening at')
    const client = BLOCKS.filter(isQuickStart).at(-1)!
    const [signUp, me] = paste(moved(client.code).trimEnd().split('\n'), t.testdir({}))
    const { user } = JSON.parse(signUp!) as { user: { id: string } }
    const expected = { id: user.id, email: 'ada@example.com', name: 'Ada', emailVerified: false, image: null }
    t.strictSame(JSON.parse(me!), expected)
  })
})

t.test('each app listens after its command, and responds as the text says', async t => {
  const [issuer, sharing] = await Promise.all([startIssuer(t), startIssuer(t, { algorithm: 'HS256' })])
  const withoutRedis = isInstalled('redis-server') ? false : 'redis-server is not installed'
  let redisPort = 6379
  if (withoutRedis === false) {
    [redisPort] = await freePorts(t)
    const redis = start(t, t.testdir({}), ['redis-server', '--port', String(redisPort), '--save', ''])
    await redis.printed('Ready to accept connections')
  }
  const met: Array<readonly Expectation[]> = []

  for (const app of APPS) {
    const { code, heading, page } = app
    const skip = code.includes("from 'redis'") && withoutRedis
    await t.test(`${page}, ${heading}`, { skip }, async t => {
      const ofHeading = APPS.filter(app => app.page === page && app.heading === heading)
      const expected = EXPECTED[page]?.[heading]?.[ofHeading.indexOf(app)] ?? []
      if (expected.length > 0) met.push(expected)
      const { authUrl, secret, token, sessionCookie } = code.includes('BETTER_AUTH_SECRET') ? sharing : issuer
      const env = { BETTER_AUTH_URL: authUrl, PORT: '0', ...secret === undefined ? {} : { BETTER_AUTH_SECRET: secret } }
      const moved = code.replace('{ port: 3001 }', '{ port: 0 }').replace(':6379', `:${redisPort}`)
      const program = startProgram(t, app, env, moved)
      await program.printed('Server listening at http://127.0.0.1:')
      const [origin] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.stdout)!
      for (const { request, claims, cookie, headers, status, match } of expected) {
        const [method, url] = request.split(' ') as [string, string]
        const response = await fetch(`${origin}${url}`, {
          method,
          headers: {
            ...claims && { authorization: `Bearer ${token(claims)}` },
            ...cookie && { cookie: sessionCookie(cookie) },
            ...headers
          }
        })
        const body = await response.text()
        const title = JSON.stringify({ request, claims, cookie, headers })
        t.equal(response.status, status, title)
        if (match !== undefined) t.match(body.startsWith('{') ? JSON.parse(body) : body, match, title)
      }
      // undici 6 warns; the text says so.
      t.equal(program.stderr.replace(/^.*UNDICI-EHPA.*\n.*--trace-warnings.*\n/, ''), '')
    })
  }
  const all = Object.values(EXPECTED).flatMap(page => Object.values(page).flat())
  t.strictSame(all.filter(one => !met.includes(one)), [], 'every expectation is about an app')
})

t.test('the tests of routes run with their commands', async t => {
  const tests = PROGRAMS.filter(({ isTest }) => isTest)
  for (const runner of ['node:test', 'tap', 'vitest']) {
    t.ok(tests.some(({ code }) => code.includes(`from '${runner}'`)), runner)
  }
  for (const test of tests) {
    await t.test(`${test.page}, ${test.heading}`, async t => {
      const program = startProgram(t, test)
      t.match(await program.exit, { code: 0 }, program.stdout + program.stderr)
      t.match(program.stdout, /# (?:tests|subtests)|Tests {2}\d passed|ok 1/)
    })
  }
})
