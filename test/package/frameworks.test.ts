import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createFrameworksProject, pageFiles, TSC } from '../fixtures/frameworks.js'
import { deadOrigin } from '../fixtures/jwks-server.js'
import { run } from '../fixtures/package.js'
import { start } from '../fixtures/program.js'
import { startIssuer } from '../fixtures/test-issuer.js'

// The blocks of docs/guides/frameworks.md, as they are there, in a project with the built package and the frameworks.

t.setTimeout(300_000)

const issuer = await startIssuer(t)
const project = createFrameworksProject(t)
const NODE = process.execPath

/** Where the sections are put, with the settings for TypeScript. */
const SECTIONS: Record<string, { folder: string, type: 'commonjs' | 'module', tsconfig?: object }> = {
  NestJS: {
    folder: 'nest', type: 'commonjs', tsconfig: { experimentalDecorators: true, emitDecoratorMetadata: true }
  },
  'fastify-cli and @fastify/autoload': { folder: 'cli', type: 'module' },
  tRPC: { folder: 'trpc', type: 'module', tsconfig: {} },
  'fastify-type-provider-zod': { folder: 'zod', type: 'module', tsconfig: {} },
  'AWS Lambda': { folder: 'lambda', type: 'module' }
}

const compiled: string[] = []
for (const [heading, { folder, type, tsconfig }] of Object.entries(SECTIONS)) {
  const files = pageFiles('docs/guides/frameworks.md', heading)
  for (const [name, code] of Object.entries({ 'package.json': JSON.stringify({ private: true, type }), ...files })) {
    mkdirSync(dirname(join(project, folder, name)), { recursive: true })
    writeFileSync(join(project, folder, name), code
      .replace('{ port: 3001 }', '{ port: 0 }')
      .replace('app.listen(3001)', "app.listen(0)\n  console.log('Server listening at ' + await app.getUrl())"))
  }
  if (tsconfig === undefined) continue
  const include = Object.keys(files)
  const compilerOptions = { module: 'nodenext', strict: true, skipLibCheck: true, types: ['node'], ...tsconfig }
  writeFileSync(join(project, folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  compiled.push(folder)
}

const tsc = await run(project, [NODE, TSC['7'], '-b', ...compiled])
t.strictSame(tsc, { code: 0, stdout: '', stderr: '' }, 'the blocks compile')

/** Starts a program of a section, and returns a function that calls it. */
async function startApp (
  t: Test, folder: string, command: readonly string[], authUrl = issuer.authUrl
): Promise<(call: string, token?: string, payload?: unknown) => Promise<[number, Record<string, unknown>, unknown]>> {
  const program = start(t, join(project, folder), [NODE, ...command], { BETTER_AUTH_URL: authUrl })
  await program.printed('Server listening at http')
  const [origin] = /http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost):\d+/.exec(program.stdout)!
  return async (call, token, payload) => {
    const [method, path] = call.split(' ') as [string, string]
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: {
        ...token !== undefined && { authorization: `Bearer ${token}` },
        ...payload !== undefined && { 'content-type': 'application/json' }
      },
      ...payload !== undefined && { body: JSON.stringify(payload) }
    })
    return [response.status, Object.fromEntries(response.headers), await response.json()]
  }
}

const token = issuer.token()
const CHALLENGE = { 'www-authenticate': 'Bearer error="invalid_token"' }
const missing = {
  statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', error: 'Unauthorized', message: 'Missing bearer token'
}
const forbidden = {
  statusCode: 403, code: 'FST_BETTER_AUTH_FORBIDDEN', error: 'Forbidden', message: 'Insufficient permissions'
}

t.test('NestJS: status, headers and body are those of plain Fastify', async t => {
  const ask = await startApp(t, 'nest', ['src/main.js'])
  t.match(await ask('GET /me', token), [200, {}, { id: 'user_1' }])
  t.match(await ask('DELETE /users/1', issuer.token({ role: 'admin' })), [200, {}, { deleted: true }])
  t.match(await ask('GET /me'), [401, { 'www-authenticate': 'Bearer' }, missing])
  t.match(await ask('GET /me', issuer.expired()), [401, CHALLENGE, { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' }])
  t.match(await ask('GET /me', issuer.forged()), [401, CHALLENGE, { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }])
  const [status, headers, body] = await ask('DELETE /users/1', token)
  t.match([status, headers, body], [403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }, forbidden])
})

t.test('NestJS: without the catch of the guard, the headers are there as well, and the code is not', async t => {
  const folder = join(project, 'nest-plain')
  cpSync(join(project, 'nest'), folder, { recursive: true })
  const file = join(folder, 'src/auth.js')
  writeFileSync(file, readFileSync(file, 'utf8').replace('catch (cause) {', 'catch (cause) { throw cause;'))
  const ask = await startApp(t, 'nest-plain', ['src/main.js'], await deadOrigin())
  const [status, headers, body] = await ask('GET /me')
  t.match([status, headers], [401, { 'www-authenticate': 'Bearer' }])
  t.strictSame(body, { statusCode: 401, message: 'Missing bearer token' })
  t.match(await ask('GET /me', token), [503, { 'retry-after': /^\d+$/ }])
})

t.test('fastify-cli loads the plugin before the routes', async t => {
  const cli = '../node_modules/fastify-cli/cli.js'
  const ask = await startApp(t, 'cli', [cli, 'start', 'app.js', '-p', '0', '-l', 'info'])
  t.match(await ask('GET /me', token), [200, {}, { id: 'user_1' }])
  t.match(await ask('GET /me'), [401, { 'www-authenticate': 'Bearer' }, missing])
})

t.test('tRPC: a protected procedure', async t => {
  const ask = await startApp(t, 'trpc', ['server.js'])
  t.match(await ask('GET /trpc/hello'), [200, {}, { result: { data: 'hello' } }])
  t.match(await ask('GET /trpc/me', token), [200, {}, { result: { data: { id: 'user_1' } } }])
  t.match(await ask('GET /trpc/me', issuer.forged()), [
    401, CHALLENGE, { error: { message: 'Invalid authentication credentials', data: { code: 'UNAUTHORIZED' } } }
  ])
  const [status, headers] = await ask('GET /trpc/hello,me?batch=1', issuer.forged())
  t.equal(status, 207)
  t.notOk('www-authenticate' in headers, 'a response of several statuses has no challenge')
})

t.test('fastify-type-provider-zod: schemas of routes, and OpenAPI', async t => {
  const ask = await startApp(t, 'zod', ['app.js'])
  t.match(await ask('POST /notes', token, { text: 'hi' }), [200, {}, { text: 'hi', by: 'user_1' }])
  t.match(await ask('POST /notes', token, {}), [400])
  t.match(await ask('POST /notes', undefined, { text: 'hi' }), [401, { 'www-authenticate': 'Bearer' }, missing])
  const [, , document] = await ask('GET /openapi.json')
  t.match(document, {
    paths: { '/notes': { post: { security: [{ betterAuth: [] }], responses: { 200: { description: String } } } } }
  })
})

t.test('AWS Lambda: event in, response out', async t => {
  const event = (authorization?: string) => ({
    version: '2.0',
    rawPath: '/me',
    headers: authorization === undefined ? {} : { authorization },
    requestContext: { http: { method: 'GET' } }
  })
  const events = JSON.stringify([event(`Bearer ${token}`), event()])
  const { stdout, stderr } = await run(join(project, 'lambda'), [NODE, '--input-type=module', '-e', `
    const { handler } = await import('./lambda.mjs')
    const responses = []
    for (const event of ${events}) responses.push(await handler(event, {}))
    console.log('\\n' + JSON.stringify(responses))
  `], { BETTER_AUTH_URL: issuer.authUrl })
  t.equal(stderr, '')
  const responses = JSON.parse(/^\[.*$/m.exec(stdout)![0]) as Array<{ body: string }>
  t.match(responses, [{ statusCode: 200 }, { statusCode: 401, headers: { 'www-authenticate': 'Bearer' } }])
  t.match(responses.map(({ body }) => JSON.parse(body) as unknown), [{ id: 'user_1' }, missing])
})
