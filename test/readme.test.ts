import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  ALGORITHMS, CHANNELS, CsrfError, ForbiddenError, JwksUnavailableError, RequestInvalidError, RevocationUnavailableError,
  TokenExpiredError, TokenInvalidError, TokenMissingError, TokenRevokedError, type BetterAuthOptions
} from '../lib/index.js'
import { resolveOptions } from '../lib/options.js'
import { createTestIssuer, type TestIssuer, type TestIssuerOptions } from '../lib/testing/index.js'
import { startAuthServer } from './fixtures/auth-server.js'
import { runCli } from './fixtures/doctor.js'
import { parseMarkdown, type Block } from './fixtures/markdown.js'
import { copyProject, freePorts, isInstalled, paste, ROOT, start, TSX } from './fixtures/program.js'
import type { Answer, Probe, Program } from './fixtures/readme-runner.js'

const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')
const README = parseMarkdown(read('README.md'))
const { bin, dependencies, devDependencies, engines, name: NAME, peerDependencies, scripts } = JSON.parse(read('package.json')) as
  Record<'bin' | 'dependencies' | 'devDependencies' | 'engines' | 'peerDependencies' | 'scripts', Record<string, string>> & { name: string }
const project = copyProject(t)
const folder = join(project, 'readme')
mkdirSync(folder)

t.setTimeout(300_000)

/** How the blocks of each language are checked; a block of any other language fails. */
const CHECKS: Record<string, (t: Test, blocks: readonly Block[]) => Promise<void>> = {
  ts: checkTypeScript,
  js: checkJavaScript,
  sh: checkCommands,
  text: checkOutput,
  python: checkPython,
  mermaid: checkDiagrams
}

const languages = [...new Set(README.blocks.map(({ language }) => language))]
for (const language of languages) {
  t.test(`code blocks in README: ${language || 'without a language'}`, async t => {
    const check = CHECKS[language]
    if (check === undefined) t.fail(`nothing checks blocks of the language "${language}"`)
    else await check(t, README.blocks.filter(block => block.language === language))
  })
}

interface Expectation extends Probe { readonly status: number, readonly match?: unknown }

const USER = { id: 'user_1', email: 'ada@example.com', name: 'Ada Lovelace', emailVerified: true, image: null }
const PUBLIC_ROUTES: readonly Expectation[] = [
  { request: 'GET /health', status: 200 },
  { request: 'GET /orders', status: 401 },
  { request: 'GET /orders', claims: {}, status: 200, match: { owner: 'user_1' } }
]

/** What the apps below each heading answer, one after the other. All others have to start. */
const EXPECTED: Record<string, ReadonlyArray<readonly Expectation[]>> = {
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
  '`request.user` and `request.claims`': [[{ request: 'GET /me', claims: {}, status: 200, match: USER }]],
  'Visitors and users': [[
    { request: 'GET /articles', status: 200, match: { reader: null } },
    { request: 'GET /articles', claims: {}, status: 200, match: { reader: 'user_1' } },
    { request: 'GET /articles', claims: { exp: 1 }, status: 401 }
  ]],
  'Roles, scopes, and rules of your own': [[
    { request: 'DELETE /users/1', claims: { role: 'user' }, status: 403 },
    { request: 'DELETE /users/1', claims: { role: 'user,support' }, status: 200 },
    { request: 'POST /orders', claims: {}, status: 403 },
    { request: 'POST /orders', claims: { scope: 'read write:orders' }, status: 200 },
    { request: 'POST /orders', claims: { scope: 'write:orders', emailVerified: false }, status: 403 }
  ]],
  'Users of your own': [[
    { request: 'GET /plan', claims: {}, status: 200, match: 'free' },
    { request: 'GET /reports', claims: {}, status: 403 },
    { request: 'GET /reports', claims: { plan: 'pro' }, status: 200 }
  ]],
  'The session cookie': [[
    { request: 'POST /orders', cookie: {}, status: 403 },
    { request: 'POST /orders', cookie: {}, headers: { origin: 'https://app.example.com' }, status: 200, match: { by: 'cookie' } },
    { request: 'POST /orders', claims: {}, status: 200, match: { by: 'token' } }
  ]],
  'WebSocket, and tokens in other places': [[{ request: 'GET /nowhere', status: 404 }]],
  'API docs (OpenAPI)': [[
    { request: 'GET /me', status: 401 },
    { request: 'GET /docs/json', status: 200, match: { paths: { '/me': { get: { security: [{ betterAuth: [] }] } } } } },
    { request: 'GET /docs/', status: 200, match: /swagger-ui/ }
  ]],
  'Readiness and health': [[
    { request: 'GET /ready', status: 200, match: { ready: true } },
    { request: 'GET /health', status: 200, match: { keys: [] } }
  ]],
  'Several auth servers': [[{ request: 'GET /staff/me', status: 401 }, { request: 'GET /shop/me', status: 401 }]],
  'With @fastify/auth': [[
    { request: 'POST /comments', claims: {}, status: 200 },
    { request: 'POST /comments', claims: { emailVerified: false }, status: 403 },
    { request: 'POST /comments', status: 401 }
  ]],
  'With `request.jwtVerify()`': [[{ request: 'GET /me', status: 401 }, { request: 'GET /me', claims: {}, status: 200, match: USER }]],
  'From the FastAPI recipe': [[{ request: 'GET /me', status: 401 }, { request: 'GET /me', claims: {}, status: 200, match: USER }]],
  'From fastify-jwt-jwks': [[{ request: 'GET /me', status: 401 }]]
}

async function checkTypeScript (t: Test, blocks: readonly Block[]): Promise<void> {
  t.test('the quick start is examples/minimal.ts as it is', async t => {
    t.ok(blocks.some(({ code }) => code === read('examples/minimal.ts')))
  })

  t.test('the quick start works as it is written', { skip: isInstalled('curl') ? false : 'curl is not installed' }, async t => {
    const [authPort, apiPort] = await freePorts(t)
    const moved = (code: string) => code.replaceAll(':3000', `:${authPort}`).replace('listen(3000,', `listen(${authPort},`)
      .replaceAll('3001', String(apiPort))
    const steps = README.blocks.filter(({ heading }) => heading === 'Quick start')
    const [auth, api] = steps.filter(({ language }) => language === 'ts')
    writeFileSync(join(folder, 'auth.mjs'), moved(auth!.code))
    writeFileSync(join(folder, 'api.mjs'), moved(api!.code))
    start(t, folder, [process.execPath, 'auth.mjs'])
    const isUp = () => fetch(`http://localhost:${authPort}/api/auth/ok`).then(({ ok }) => ok, () => false)
    for (let tries = 0; tries < 200 && !await isUp(); tries++) await sleep(50)
    const program = start(t, folder, [process.execPath, 'api.mjs'])
    await program.printed('Server listening at')
    const [signUp, me] = paste(moved(steps.at(-1)!.code).trimEnd().split('\n'), t.testdir({}))
    const { user } = JSON.parse(signUp!) as { user: { id: string } }
    t.strictSame(JSON.parse(me!), { id: user.id, email: 'ada@example.com', name: 'Ada', emailVerified: false, image: null })
  })

  t.test('all compile', async t => {
    // What a block declares of modules holds for a whole program, so that it is one.
    const alone = blocks.filter(({ code }) => code.includes('declare module'))
    const programs = [blocks.filter(block => !alone.includes(block)), ...alone.map(block => [block])]
    for (const [index, program] of programs.entries()) {
      const name = join('readme', `program-${index}`)
      mkdirSync(join(project, name))
      program.forEach(({ code }, index) => { writeFileSync(join(project, name, `${index}.ts`), code) })
      writeFileSync(join(project, name, 'tsconfig.json'), JSON.stringify({
        extends: '../../tsconfig.json', compilerOptions: { rootDir: '../..' }, include: ['*.ts']
      }))
      const tsc = start(t, project, [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', name])
      t.match(await tsc.exit, { code: 0 })
      t.equal(tsc.stdout, '')
    }
  })

  t.test('each app starts, and answers as the text says', async t => {
    // The rest is run elsewhere: the first by the tests in test/examples, the tests below.
    const apps = blocks.filter(({ code }) => code.includes('= Fastify(') && !/\.listen\(|createClient|createTestIssuer/.test(code))
    const programs: Program[] = []
    const expected: Expectation[] = []
    for (const [index, { code, heading }] of apps.entries()) {
      const file = join(folder, `app-${index}.ts`)
      writeFileSync(file, `${code}\nexport { app }\n`)
      const ofHeading = apps.filter(app => app.heading === heading)
      const probes = EXPECTED[heading]?.[ofHeading.indexOf(apps[index]!)] ?? []
      programs.push({ file: pathToFileURL(file).href, probes })
      expected.push(...probes)
    }
    t.strictSame(expected.length, Object.values(EXPECTED).flat(2).length, 'every expectation is about an app')

    writeFileSync(join(folder, 'programs.json'), JSON.stringify(programs))
    // A copy: what a child process loads of the project itself would be counted, wrongly, as covered or not.
    copyFileSync(join(ROOT, 'test/fixtures/readme-runner.ts'), join(folder, 'runner.ts'))
    const runner = start(t, project, [...TSX, join(folder, 'runner.ts'), join(folder, 'programs.json')])
    t.match(await runner.exit, { code: 0 })
    t.equal(runner.stderr, '')
    const answers = (JSON.parse(runner.stdout) as Answer[][]).flat()
    for (const [index, { status, match, ...probe }] of expected.entries()) {
      const title = JSON.stringify(probe)
      t.equal(answers[index]!.status, status, title)
      if (match !== undefined) t.match(answers[index]!.body, match, title)
    }
  })

  const RUNNERS = {
    'node:test': [...TSX],
    tap: [...TSX],
    vitest: [process.execPath, join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', '.', '--dir', 'readme/tests']
  }
  for (const [runner, command] of Object.entries(RUNNERS)) {
    t.test(`the tests of routes run with ${runner}`, async t => {
      const found = blocks.filter(({ code }) => code.includes(`from '${runner}'`))
      t.equal(found.length, 1)
      const name = `${runner.replace(':', '-')}.test.ts`
      mkdirSync(join(folder, 'tests'), { recursive: true })
      writeFileSync(join(folder, 'tests', name), found[0]!.code)
      const program = start(t, project, runner === 'vitest' ? [...command, name] : [...command, join(folder, 'tests', name)], { NO_COLOR: '1' })
      t.match(await program.exit, { code: 0 }, program.stdout + program.stderr)
      t.match(program.stdout, /# (?:tests|subtests)|Tests {2}\d passed|ok 1/)
    })
  }
}

async function checkJavaScript (t: Test, blocks: readonly Block[]): Promise<void> {
  t.equal(blocks.length, 2)
  for (const { code, heading } of blocks) {
    t.test(`${heading}: runs, and answers 401 without a token`, async t => {
      const file = join(folder, code.includes('require(') ? 'app.cjs' : 'app.mjs')
      writeFileSync(file, `${code}\napp.inject('/me').then(({ statusCode }) => console.log(statusCode))\n`)
      const app = start(t, project, [process.execPath, file])
      t.match(await app.exit, { code: 0 })
      t.equal(app.stdout, '401\n')
    })
  }
}

async function checkCommands (t: Test, blocks: readonly Block[]): Promise<void> {
  const packages = Object.keys({ [NAME]: '', ...dependencies, ...devDependencies, ...peerDependencies })
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...TSX, 'examples/demo/server.ts'], { AUTH_PORT: String(authPort), PORT: String(apiPort) })
  await example.printed(`-i http://localhost:${apiPort}/me\n`)
  const printed = example.stdout.replaceAll(`:${authPort}`, ':3000').replaceAll(`:${apiPort}`, ':3001').split('\n')

  function isKnown (command: string): boolean {
    const [program, verb, ...rest] = command.split(/\s+/)
    if (program === 'npm' && verb === 'install') return rest.every(name => packages.includes(name))
    if (program === 'npm') return Object.hasOwn(scripts, verb === 'run' ? rest[0]! : verb!)
    if (program === 'npx') return Object.hasOwn(bin, verb!)
    if (['echo $TOKEN', 'node auth.mjs', 'node api.mjs'].includes(command)) return true
    return printed.includes(command)
  }
  const lines = blocks.flatMap(({ code }) => code.trimEnd().split('\n'))
  for (const line of lines) {
    const commands = /^\w+=|^curl /.test(line) ? [line] : line.replace(/\s+# .*/, '').split(/ && | \| /)
    t.strictSame(commands.filter(command => !isKnown(command)), [], line)
  }
  t.match(lines, [/^npm install && npm run example /, /^npm install && npm test /], 'the two commands come first')
  t.match(README.blocks[0], { language: 'sh', code: /^npm install && npm run example .*\nnpm install && npm test .*\n$/ })
}

async function checkOutput (t: Test, blocks: readonly Block[]): Promise<void> {
  const server = await startAuthServer()
  t.teardown(() => server.close())
  const { token } = await server.signUp({ name: 'Ada', email: 'ada@example.com' })
  /** Without what is another each time. A longer port breaks the lines elsewhere. */
  const plain = (output: string) => output.replaceAll(server.origin, 'http://localhost:3000').replace(/ in \d+ ms/, ' in 46 ms')
    .replace(/"[\w-]{32}"/g, '"kid"').replace(/(exp|iat): .*/g, '$1').replace(/\s+/g, ' ')

  const commands = README.blocks.filter(({ heading, language }) => heading === 'Doctor' && language === 'sh').flatMap(({ code }) => [...code.matchAll(/npx better-auth-fastify (.*)/g)])
  t.equal(commands.length, blocks.length)
  for (const [index, [line, args]] of commands.entries()) {
    const { stdout, stderr } = await runCli(args!.replace('http://localhost:3000', server.origin).split(' '), token)
    t.equal(stderr, '')
    // The README may leave out the beginning.
    t.ok(plain(stdout).endsWith(plain(blocks[index]!.code)), line, { printed: plain(stdout) })
  }
}

async function checkPython (t: Test, blocks: readonly Block[]): Promise<void> {
  t.test('is Python: it is parsed, not run', { skip: isInstalled('python3') ? false : 'python3 is not installed' }, async t => {
    for (const { code } of blocks) {
      const { stderr, status } = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: code, encoding: 'utf8' })
      t.equal(stderr, '')
      t.equal(status, 0)
    }
  })
}

async function checkDiagrams (t: Test, blocks: readonly Block[]): Promise<void> {
  t.test('each line has the form of a line of a sequence diagram: nothing draws it here', async t => {
    for (const { code } of blocks) {
      const [first, ...lines] = code.trimEnd().split('\n').map(line => line.trim()).filter(line => line !== '')
      t.equal(first, 'sequenceDiagram')
      const names = lines.flatMap(line => /^participant (\w+) as [^;#]+$/.exec(line)?.[1] ?? [])
      t.ok(names.length > 1)
      let depth = 0
      for (const line of lines) {
        const [, from, to] = /^(\w+)--?>>(\w+): [^;#]+$/.exec(line) ?? []
        if (from !== undefined) t.ok(names.includes(from) && names.includes(to!), line)
        else if (line === 'end') depth--
        else if (/^(?:alt|opt) [^;#]+$/.test(line)) depth++
        else t.match(line, depth > 0 ? /^(?:else|participant) [^;#]+$/ : /^participant [^;#]+$/)
        t.ok(depth >= 0)
      }
      t.equal(depth, 0)
    }
  })
}

t.test('what README says of fastify-jwt-jwks is so', async t => {
  const [before] = README.blocks.filter(({ heading, language }) => heading === 'From fastify-jwt-jwks' && language === 'js')

  let count = 0
  async function startBefore (t: Test, options?: TestIssuerOptions, change = (code: string) => code) {
    const issuer = await createTestIssuer(options)
    t.teardown(() => issuer.close())
    const file = join(folder, `before-${count++}.mjs`)
    writeFileSync(file, `${change(before!.code.replaceAll('https://id.example.com', issuer.authUrl))}\nexport { app }\n`)
    const { app } = await import(pathToFileURL(file).href) as { app: FastifyInstance }
    t.teardown(() => app.close())
    const ask = async (authorization?: string) => {
      const { statusCode, headers, body } = await app.inject({ url: '/me', headers: authorization === undefined ? {} : { authorization } })
      return { status: statusCode, headers, body: JSON.parse(body) as Record<string, unknown> }
    }
    return { issuer, ask, bearer: (token: string) => ask(`Bearer ${token}`) }
  }

  const accepted: Record<string, (issuer: TestIssuer) => string> = {
    'a token': issuer => issuer.token(),
    'a logout token': issuer => issuer.token({}, { header: { typ: 'logout+jwt' } }),
    'the token of a banned user': issuer => issuer.token({ banned: true })
  }
  for (const [name, token] of Object.entries(accepted)) {
    t.test(`it accepts ${name}, and hands out the whole payload`, async t => {
      const { issuer, bearer } = await startBefore(t)
      t.match(await bearer(token(issuer)), { status: 200, body: { id: 'user_1', sub: 'user_1', iss: issuer.authUrl } })
    })
  }

  t.test('it refuses without the headers of RFC 6750', async t => {
    const { issuer, ask, bearer } = await startBefore(t)
    for (const answer of [await ask(), await ask('Bearer a b'), await bearer(issuer.expired()), await bearer(issuer.forged())]) {
      t.equal(answer.status, 401)
      t.notOk(answer.headers['www-authenticate'])
    }
    t.match(await bearer(issuer.wrongAudience()), { body: { code: /^FST_JWT_/, message: /aud claim/ } })
    t.notOk((await ask()).body.code)
  })

  t.test('it knows RS256 and EdDSA', async t => {
    for (const algorithm of ALGORITHMS) {
      const { issuer, bearer } = await startBefore(t, { algorithm })
      t.equal((await bearer(issuer.token())).status, ['RS256', 'EdDSA'].includes(algorithm) ? 200 : 401, algorithm)
    }
  })

  t.test('its defaults: an issuer with a slash, no audience', async t => {
    const strict = await startBefore(t, {}, code => code.replace(/ {2}issuer: .*\n/, ''))
    t.match(await strict.bearer(strict.issuer.token()), { status: 401, body: { message: /iss claim/ } })
    const lax = await startBefore(t, {}, code => code.replace(/,\n {2}audience: .*\n/, '\n'))
    t.match(await lax.bearer(lax.issuer.wrongAudience()), { status: 200 })
  })

  t.test('it answers 500 when the JWKS cannot be had', async t => {
    for (const kind of ['down', 'error', 'empty'] as const) {
      const { issuer, bearer } = await startBefore(t)
      issuer.fail(kind)
      t.match(await bearer(issuer.token()), { status: 500 }, kind)
    }
  })

  t.test('it accepts a key that has left the JWKS', async t => {
    const { issuer, bearer } = await startBefore(t)
    const token = issuer.token()
    t.match(await bearer(token), { status: 200 })
    issuer.revoke()
    t.match(await bearer(token), { status: 200 })
    t.match(read('node_modules/fastify-jwt-jwks/README.md'), '`secretsTtl`: How long (in milliseconds) to cache RS256 secrets before getting them again using well known JWKS URLS. Setting to 0 or less disables the cache. Defaults to 1 week.')
  })

  t.test('it fetches for each unknown kid', async t => {
    const { issuer, bearer } = await startBefore(t)
    for (let number = 0; number < 40; number++) await bearer(issuer.token({}, { header: { kid: `unknown-${number}` } }))
    t.equal(issuer.requests, 40)
  })
})

t.test('README lists all options with their defaults', async t => {
  const { clockTolerance, jwks, openapi, tokenCache } = resolveOptions({}, {})
  const below = (option: string, values: object) => Object.fromEntries(Object.entries(values).map(([name, value]) => [`${option}.${name}`, value]))
  const plain = { clockTolerance, openapi, ...below('jwks', jwks), ...below('tokenCache', tokenCache || {}) }
  const rows = new Map(README.table('Options').map(([name, byDefault]) => [name!.replaceAll('`', ''), byDefault!]))
  for (const [name, value] of Object.entries(plain)) t.match(rows.get(name), new RegExp(`^\`${value}\``), name)
  t.equal(rows.get('algorithms')!.replaceAll('`', ''), ALGORITHMS.join(', '))
  t.match(rows.get('authUrl'), '`http://localhost:3000`')

  const known = (options: object): string[] => {
    try {
      resolveOptions(options as BetterAuthOptions, {})
    } catch (error) {
      return (error as Error).message.split('the options are ')[1]!.split(', ')
    }
    return []
  }
  const names = known({ x: 1 }).flatMap(name => ['jwks', 'tokenCache', 'sessionCookie'].includes(name) ? known({ [name]: { x: 1 } }) : [name])
  // It is also an option by itself: `sessionCookie: true`.
  names.push('sessionCookie')
  t.strictSame([...rows.keys()].sort(), names.sort())
})

t.test('README lists all answers', async t => {
  const errors = [
    new TokenMissingError(), new RequestInvalidError(), new TokenExpiredError(), new TokenInvalidError('token_malformed'),
    new TokenRevokedError(), new ForbiddenError(), new ForbiddenError('scope_missing', ['<scopes>']), new CsrfError(),
    new RevocationUnavailableError(new Error()), new JwksUnavailableError(2000)
  ]
  const rows = README.table('Answers').slice(1).map(cells => cells.slice(1).map(cell => cell.replaceAll('`', '')))
  t.strictSame(rows, errors.map(({ statusCode, code, message, headers }) => [
    String(statusCode), code, message, Object.entries(headers).map(header => header.join(': ')).join('') || 'none'
  ]).with(-1, ['503', 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', 'Auth service unreachable', 'Retry-After: <seconds>']))
  t.strictSame(errors.at(-1)!.headers, { 'Retry-After': '2' })
})

t.test('README explains all reason words', async t => {
  const words = [...read('lib/errors.ts').matchAll(/^ {2}\| '(\w+)'$/gm)].map(match => match[1]!)
  t.ok(words.includes('token_missing'))
  t.strictSame(README.table('Log').map(([word]) => word!.replaceAll('`', '')), words)
  const mentioned = README.table('Troubleshooting').flatMap(([word]) => word!.replaceAll('`', '').split(', '))
  t.strictSame(mentioned.filter(word => !words.includes(word)), [])
})

t.test('README has all channels, and the words in their messages', async t => {
  const source = read('lib/diagnostics.ts')
  const rows = README.table('Metrics')
  const key = (cell: string) => /`CHANNELS\.(\w+)`, `(.+)`/.exec(cell)!.slice(1)
  t.strictSame(new Map(rows.map(([cell]) => key(cell!) as [string, string])), new Map(Object.entries(CHANNELS)))
  for (const [, , message] of rows) {
    const [type] = /\w+/.exec(message!)!
    const [, body] = new RegExp(`interface ${type} \\{(.*?)^\\}`, 'ms').exec(source)!
    const fields = [...body!.matchAll(/^ {2}readonly (\w+): (.*)$/gm)]
    t.ok(fields.length > 2)
    for (const [, field, values] of fields) {
      t.match(message, `\`${field}\``)
      for (const [, word] of values!.matchAll(/'(\w+)'/g)) t.match(message, `\`${word}\``)
    }
  }
})

t.test('README says what the package asks for and brings', async t => {
  const rows = new Map(README.table('What works with what').map(([name, value]) => [name, value!.replaceAll('\\|', '|')]))
  t.match(rows.get('Node.js'), `\`${engines.node}\``)
  t.match(rows.get('Fastify'), `\`${peerDependencies.fastify}\``)
  t.match(rows.get('Better Auth'), `tested with ${devDependencies['better-auth']!.match(/\d+\.\d+/)![0]},`)
  t.match(read('CHANGELOG.md'), `Installed: ${rows.get('Installed')}`)
})

for (const name of readdirSync(ROOT).filter(name => name.endsWith('.md'))) {
  t.test(`all links within ${name} lead somewhere`, async t => {
    const { links } = parseMarkdown(read(name))
    for (const link of links.filter(link => !/^https?:/.test(link))) {
      const [path, anchor] = link.split('#') as [string, string?]
      t.ok(existsSync(join(ROOT, path)), link)
      if (anchor !== undefined) t.ok(parseMarkdown(read(path || name)).anchors.includes(anchor), link)
    }
  })
}

t.test('CONTRIBUTING', async t => {
  const CONTRIBUTING = parseMarkdown(read('CONTRIBUTING.md'))
  const files = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).sort()

  t.test('has each file of lib on its map', async t => {
    t.strictSame(CONTRIBUTING.table('The map of `lib`').map(([cell]) => cell!.replaceAll('`', '')).sort(), files)
  })

  t.test('draws imports that run one way: each file takes only from the lines below its own', async t => {
    const layers = CONTRIBUTING.blocks.find(({ heading }) => heading === 'The map of `lib`')!.code
      .trimEnd().split('\n').map(line => line.trim().split(/[\s·]+/).map(name => `${name}.ts`))
    t.strictSame(layers.flat().sort(), files)
    const layerOf = (name: string) => layers.findIndex(names => names.includes(name))
    for (const name of files) {
      const source = read(join('lib', name))
      // Without `import type`, which is gone when the program runs.
      const imports = source.matchAll(/^(?:import|export) (?:\w+, )?(?:\{[^}]*\}|\*(?: as \w+)?|\w+) from '(\.[^']+)\.js'/gm)
      for (const [, path] of imports) {
        const target = `${posix.join(dirname(name), path!)}.ts`
        t.ok(layerOf(target) > layerOf(name), `${name} takes from ${target}`)
      }
    }
  })
})
