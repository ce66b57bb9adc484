import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { startAuthServer } from '../fixtures/auth-server.js'
import type { Answer, Probe, Program } from '../fixtures/docs-runner.js'
import { BLOCKS, read, type PageBlock } from '../fixtures/docs.js'
import { runCli } from '../fixtures/doctor.js'
import { copyProject, freePorts, isInstalled, paste, ROOT, start, TSX } from '../fixtures/program.js'

type Field = 'bin' | 'dependencies' | 'devDependencies' | 'peerDependencies' | 'scripts'

const manifest = JSON.parse(read('package.json')) as Record<Field, Record<string, string>> & { name: string }
const { bin, dependencies, devDependencies, name: NAME, peerDependencies, scripts } = manifest
const project = copyProject(t)
const folder = join(project, 'blocks')
mkdirSync(folder)

t.setTimeout(300_000)

/** How the blocks of each language are verified; a block of any other language fails. */
const CHECKS: Record<string, (t: Test, blocks: readonly PageBlock[]) => Promise<void>> = {
  ts: checkTypeScript,
  js: checkJavaScript,
  sh: checkCommands,
  text: checkOutput,
  python: checkPython,
  mermaid: checkDiagrams
}

const languages = [...new Set(BLOCKS.map(({ language }) => language))]
for (const language of languages) {
  t.test(`code blocks in README and docs: ${language || 'without a language'}`, async t => {
    const check = CHECKS[language]
    if (check === undefined) t.fail(`nothing checks blocks of the language "${language}"`)
    else await check(t, BLOCKS.filter(block => block.language === language))
  })
}

interface Expectation extends Probe { readonly status: number, readonly match?: unknown }

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
    'Cookies signed with HS256': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', cookie: {}, status: 200 }
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
    ]]
  },
  'docs/guides/several-auth-servers.md': {
    'Several auth servers': [[{ request: 'GET /staff/me', status: 401 }, { request: 'GET /shop/me', status: 401 }]]
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
    ]]
  },
  'docs/guides/migrating.md': {
    'From the FastAPI recipe': [[
      { request: 'GET /me', status: 401 },
      { request: 'GET /me', claims: {}, status: 200, match: USER }
    ]],
    'From fastify-jwt-jwks': [[{ request: 'GET /me', status: 401 }]]
  },
  'docs/operations/deployment.md': {
    'Startup probe and health': [[
      { request: 'GET /ready', status: 200, match: { ready: true } },
      { request: 'GET /health', status: 200, match: { keys: 0 } }
    ]]
  }
}

/** The name of a file for a block, which says in an error where the block is. */
function fileName ({ page }: PageBlock, index: number): string {
  return `${page.replace(/\W+/g, '-')}-${index}.ts`
}

async function checkTypeScript (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  t.test('the quick start is examples/minimal.ts as it is', async t => {
    t.ok(blocks.some(({ code }) => code === read('examples/minimal.ts')))
  })

  const skip = isInstalled('curl') ? false : 'curl is not installed'
  t.test('the quick start works as it is written', { skip }, async t => {
    const [authPort, apiPort] = await freePorts(t)
    const moved = (code: string) => code.replaceAll(':3000', `:${authPort}`)
      .replace('listen(3000,', `listen(${authPort},`).replaceAll('3001', String(apiPort))
    const steps = BLOCKS.filter(({ page, heading }) => page === 'README.md' && heading === 'Quick start')
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
    const expected = { id: user.id, email: 'ada@example.com', name: 'Ada', emailVerified: false, image: null }
    t.strictSame(JSON.parse(me!), expected)
  })

  t.test('all compile', async t => {
    // What a block declares of modules holds for a whole program, so that it is one.
    const alone = blocks.filter(({ code }) => code.includes('declare module'))
    const programs = [blocks.filter(block => !alone.includes(block)), ...alone.map(block => [block])]
    for (const [index, program] of programs.entries()) {
      const name = join('blocks', `program-${index}`)
      mkdirSync(join(project, name))
      program.forEach((block, index) => { writeFileSync(join(project, name, fileName(block, index)), block.code) })
      writeFileSync(join(project, name, 'tsconfig.json'), JSON.stringify({
        extends: '../../tsconfig.json', compilerOptions: { rootDir: '../..' }, include: ['*.ts']
      }))
      const tsc = start(t, project, [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', name])
      t.match(await tsc.exit, { code: 0 })
      t.equal(tsc.stdout, '')
    }
  })

  t.test('each app starts, and answers as the text says', async t => {
    // The rest is run elsewhere: the first by the tests of the examples, the tests by the tests below.
    const isElsewhere = /\.listen\(|createClient|createTestIssuer/
    const apps = blocks.filter(({ code }) => code.includes('= Fastify(') && !isElsewhere.test(code))
    const programs: Program[] = []
    const expected: Expectation[] = []
    for (const [index, app] of apps.entries()) {
      const { code, heading, page } = app
      const file = join(folder, fileName(app, index))
      writeFileSync(file, `${code}\nexport { app }\n`)
      const ofHeading = apps.filter(app => app.page === page && app.heading === heading)
      const probes = EXPECTED[page]?.[heading]?.[ofHeading.indexOf(app)] ?? []
      programs.push({ file: pathToFileURL(file).href, probes })
      expected.push(...probes)
    }
    const all = Object.values(EXPECTED).flatMap(page => Object.values(page).flat(2))
    t.strictSame(expected.length, all.length, 'every expectation is about an app')

    writeFileSync(join(folder, 'programs.json'), JSON.stringify(programs))
    // A copy: what a child process loads of the project itself would be counted, wrongly, as covered or not.
    copyFileSync(join(ROOT, 'test/fixtures/docs-runner.ts'), join(folder, 'runner.ts'))
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
    vitest: [
      process.execPath, join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', '.', '--dir', 'blocks/tests'
    ]
  }
  for (const [runner, command] of Object.entries(RUNNERS)) {
    t.test(`the tests of routes run with ${runner}`, async t => {
      const found = blocks.filter(({ code }) => code.includes(`from '${runner}'`))
      t.equal(found.length, 1)
      const name = `${runner.replace(':', '-')}.test.ts`
      mkdirSync(join(folder, 'tests'), { recursive: true })
      writeFileSync(join(folder, 'tests', name), found[0]!.code)
      const file = runner === 'vitest' ? name : join(folder, 'tests', name)
      const program = start(t, project, [...command, file], { NO_COLOR: '1' })
      t.match(await program.exit, { code: 0 }, program.stdout + program.stderr)
      t.match(program.stdout, /# (?:tests|subtests)|Tests {2}\d passed|ok 1/)
    })
  }
}

async function checkJavaScript (t: Test, blocks: readonly PageBlock[]): Promise<void> {
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

async function checkCommands (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const packages = Object.keys({ [NAME]: '', ...dependencies, ...devDependencies, ...peerDependencies })
  const [authPort, apiPort] = await freePorts(t)
  const ports = { AUTH_PORT: String(authPort), PORT: String(apiPort) }
  const example = start(t, project, [...TSX, scripts.example!.split(' ').at(-1)!], ports)
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
  const code = /^npm install && npm run example .*\nnpm install && npm test .*\n$/
  t.match(BLOCKS[0], { page: 'README.md', language: 'sh', code })
}

async function checkOutput (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const server = await startAuthServer()
  t.teardown(() => server.close())
  const { token } = await server.signUp({ name: 'Ada', email: 'ada@example.com' })
  /** Without what is another each time. A longer port breaks the lines elsewhere. */
  const plain = (output: string) => output.replaceAll(server.origin, 'http://localhost:3000')
    .replace(/ in \d+ ms/, ' in 46 ms').replace(/"[\w-]{32}"/g, '"kid"').replace(/(exp|iat): .*/g, '$1')
    .replace(/\s+/g, ' ')

  const commands = BLOCKS.filter(({ page, language }) => page === 'docs/operations/doctor.md' && language === 'sh')
    .flatMap(({ code }) => [...code.matchAll(/npx better-auth-fastify (.*)/g)])
  t.equal(commands.length, blocks.length)
  for (const [index, [line, args]] of commands.entries()) {
    const { stdout, stderr } = await runCli(args!.replace('http://localhost:3000', server.origin).split(' '), token)
    t.equal(stderr, '')
    // The page may leave out the beginning.
    t.ok(plain(stdout).endsWith(plain(blocks[index]!.code)), line, { printed: plain(stdout) })
  }
}

async function checkPython (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const skip = isInstalled('python3') ? false : 'python3 is not installed'
  t.test('is Python: it is parsed, not run', { skip }, async t => {
    for (const { code } of blocks) {
      const args = ['-c', 'import ast, sys; ast.parse(sys.stdin.read())']
      const { stderr, status } = spawnSync('python3', args, { input: code, encoding: 'utf8' })
      t.equal(stderr, '')
      t.equal(status, 0)
    }
  })
}

async function checkDiagrams (t: Test, blocks: readonly PageBlock[]): Promise<void> {
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
