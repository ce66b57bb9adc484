import { copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startAuthServer } from '../fixtures/auth-server.js'
import { linkPackages, runInit, snapshot, writeFiles, type Files } from '../fixtures/init-project.js'
import { createProject, pack, run, type Result } from '../fixtures/package.js'
import { assertUpToDate } from '../fixtures/packages.js'
import { start } from '../fixtures/program.js'

// `init` in real projects: what it writes compiles, its test passes, and the API lets in the users of a real server.

t.setTimeout(300_000)
t.jobs = 2

assertUpToDate('frameworks')
const base = createProject(t)
linkPackages(base, (await pack(base)).path)
const NODE = process.execPath
const CLI = join(base, 'node_modules/better-auth-fastify/dist/cli.js')
const FASTIFY_CLI = join(base, 'node_modules/fastify-cli/cli.js')

const server = await startAuthServer()
t.teardown(() => server.close())
const { token } = await server.signUp({ name: 'Ada' })

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

/** A project as people have it before they add authentication. */
interface Project {
  readonly title: string
  /** Arguments of `fastify generate`. */
  readonly generate?: readonly string[]
  readonly files?: Files
  /** Commands that must succeed first. */
  readonly checks?: readonly string[]
  /** Instead of the command that init prints. */
  readonly test?: string
  /** Whether Better Auth runs in the app. */
  readonly isSameApp?: boolean
  readonly written: readonly string[]
}

const APP = "app.get('/', async () => ({ hello: 'world' }))\n"

const AUTH = `betterAuth({
  baseURL: 'http://localhost:3000',
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  user: { additionalFields: { plan: { type: ['free', 'pro'], defaultValue: 'free' } } },
  plugins: [jwt()]
})
`

const PROJECTS: readonly Project[] = [
  {
    title: 'TypeScript, ES modules',
    files: {
      'package.json': json({
        type: 'module', dependencies: { fastify: '^5' }, devDependencies: { typescript: '^5', tsx: '^4' }
      }),
      'tsconfig.json': json({
        compilerOptions: { module: 'nodenext', target: 'es2022', strict: true, skipLibCheck: true, noEmit: true },
        include: ['src', 'test']
      }),
      'src/app.ts': `import Fastify from 'fastify'

const app = Fastify({ logger: true })
${APP}
await app.listen({ port: 0 })
`
    },
    checks: ['npx tsc'],
    written: ['src/plugins/auth.ts', 'src/routes/me.ts', 'test/me.test.ts']
  },
  {
    title: 'TypeScript, CommonJS with verbatimModuleSyntax, Better Auth in the app',
    isSameApp: true,
    files: {
      'package.json': json({ dependencies: { fastify: '^5' }, devDependencies: { typescript: '^5', tsx: '^4' } }),
      'tsconfig.json': json({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2022',
          strict: true,
          skipLibCheck: true,
          noEmit: true,
          verbatimModuleSyntax: true,
          exactOptionalPropertyTypes: true
        },
        include: ['src', 'test']
      }),
      'src/app.ts': `import Fastify = require('fastify')

const app = Fastify({ logger: true })
${APP}
app.get('/plan', { onRequest: [async (request, reply) => app.authenticate(request, reply)] }, async ({ user }) => {
  return user.plan satisfies 'free' | 'pro' | null
})
void app.listen({ port: 0 })
`,
      'src/lib/auth.ts': `import crypto = require('node:crypto')
import core = require('better-auth')
import memory = require('better-auth/adapters/memory')
import plugins = require('better-auth/plugins')

const { randomBytes } = crypto
const { memoryAdapter } = memory
const { jwt } = plugins
const auth = core.${AUTH}
export = { auth }
`
    },
    checks: ['npx tsc'],
    written: ['src/plugins/auth.ts', 'src/routes/me.ts', 'test/me.test.ts']
  },
  {
    title: 'JavaScript, ES modules, Vitest, Better Auth in the app',
    isSameApp: true,
    files: {
      'package.json': json({ type: 'module', dependencies: { fastify: '^5' }, devDependencies: { vitest: '^4' } }),
      'index.js': `import Fastify from 'fastify'

const app = Fastify({ logger: true })
${APP}
await app.listen({ port: 0 })
`,
      'auth.js': `import { randomBytes } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { jwt } from 'better-auth/plugins'

export default ${AUTH}`
    },
    written: ['plugins/auth.js', 'routes/me.js', 'test/me.test.js']
  },
  {
    title: 'JavaScript, CommonJS',
    files: {
      'package.json': json({ main: 'lib/server.js', dependencies: { fastify: '^5' } }),
      'lib/server.js': `const app = require('fastify')({ logger: true })
${APP}
app.listen({ port: 0 })
`
    },
    written: ['lib/plugins/auth.js', 'lib/routes/me.js', 'test/me.test.js']
  },
  {
    title: 'fastify-cli, TypeScript',
    generate: ['--lang=ts'],
    checks: ['npx tsc -p test/tsconfig.json'],
    // Its own command needs c8, and a newer Node.js for the pattern; ts-node would check the types again.
    test: 'FASTIFY_AUTOLOAD_TYPESCRIPT=1 node --import tsx --test test/routes/me.test.ts',
    written: ['src/plugins/auth.ts', 'src/routes/me/index.ts', 'test/routes/me.test.ts']
  },
  {
    title: 'fastify-cli, JavaScript, CommonJS',
    generate: [],
    written: ['plugins/auth.js', 'routes/me/index.js', 'test/routes/me.test.js']
  },
  {
    title: 'fastify-cli, JavaScript, ES modules',
    generate: ['--esm'],
    test: 'node --test test/routes/me.test.js',
    written: ['plugins/auth.js', 'routes/me/index.js', 'test/routes/me.test.js']
  },
  {
    title: 'a folder after npm init',
    files: {
      'package.json': json({ name: 'new', scripts: { test: 'echo "Error: no test specified" && exit 1' } })
    },
    written: ['plugins/auth.js', 'routes/me.js', 'server.js', 'test/me.test.js']
  }
]

for (const project of PROJECTS) {
  t.test(project.title, { buffered: true }, async t => {
    const { checks = [], generate, files, isSameApp = false, test, written } = project
    const where = isSameApp ? '--same-app' : server.origin
    const root = join(base, project.title.toLowerCase().replaceAll(/\W+/g, '-'))
    if (generate !== undefined) {
      // It refuses a folder that is there.
      const { code, stderr } = await run(base, [NODE, FASTIFY_CLI, 'generate', root, ...generate])
      t.equal(code, 0, stderr)
    }
    writeFiles(root, files ?? {})
    symlinkSync(join(base, 'node_modules'), join(root, 'node_modules'))
    const sh = (command: string): Promise<Result> => run(root, ['sh', '-c', withoutNpx(command)])
    const before = snapshot(root)

    t.match(runInit(root, where, '--dry-run'), { status: 0, stderr: '' })
    t.strictSame(snapshot(root), before, 'a dry run writes nothing')

    const result = project === PROJECTS[0]
      ? await run(root, [NODE, CLI, 'init', where])
      : runHere(root, where)
    t.match(result, { code: 0, stderr: '' })
    const after = snapshot(root)
    const added = Object.keys(after).filter(path => !Object.hasOwn(before, path))
    t.strictSame(added, [...written, '.env.example'].sort())
    const changed = Object.keys(before).filter(path => after[path] !== before[path])
    t.strictSame(changed, ['package.json'])
    t.match(runInit(root, where), { status: 0, stderr: '', stdout: /unchanged +package\.json/ })
    t.strictSame(snapshot(root), after, 'a second run changes nothing')

    addLines(root, result.stdout)
    const [, testCommand, startCommand] = /To try it:\n\n {2}npm install && (.*)\n {2}(.*)\n/.exec(result.stdout)!
    for (const command of [...checks, test ?? testCommand!]) {
      const { code, stdout, stderr } = await sh(command)
      t.equal(code, 0, `${command}\n${stdout}${stderr}`)
    }
    await request(t, root, startCommand!, isSameApp)
  })
}

function runHere (root: string, where: string): Result {
  const { status, ...output } = runInit(root, where)
  return { code: status, ...output }
}

/** npx runs the same program, after half a second of its own. */
function withoutNpx (command: string): string {
  return command.replace(/\bnpx (?=\w)/, 'node_modules/.bin/')
}

/** Does what init says: adds the lines to the app. */
function addLines (root: string, printed: string): void {
  const [, path, name, block] = /^Add this to (.*); .* creates "(\w+)":\n\n((?: .*\n|\n)+?)\n?\S/m.exec(printed) ?? []
  if (path === undefined) return
  const lines = block!.split('\n').map(line => line.trim())
  const imports = lines.filter(line => line.startsWith('import '))
  const others = lines.filter(line => !line.startsWith('import '))
  const text = readFileSync(join(root, path), 'utf8')
  const create = new RegExp(`^.*\\b${name} = .*\n`, 'm')
  writeFileSync(join(root, path), `${imports.join('\n')}\n${text.replace(create, line => line + others.join('\n'))}`)
}

/** Starts the API with the command that init prints, and calls it. */
async function request (t: Test, root: string, command: string, isSameApp: boolean): Promise<void> {
  t.notOk(existsSync(join(root, '.env')))
  const [copy, startCommand] = command.split(' && ') as [string, string]
  t.equal(copy, 'cp .env.example .env')
  copyFileSync(join(root, '.env.example'), join(root, '.env'))
  const anyPort = withoutNpx(startCommand).replace('--port 3001', '--port 0')
  const program = start(t, root, ['sh', '-c', anyPort], { PORT: '0' })
  await program.printed('Server listening at http')
  const [origin] = /http:\/\/(?:127\.0\.0\.1|\[::1\]):\d+/.exec(program.stdout)!
  const refused = await fetch(`${origin}/me`)
  t.equal(refused.status, 401)
  const headers = isSameApp ? { cookie: await signUp(origin!) } : { authorization: `Bearer ${token}` }
  const accepted = await fetch(`${origin}/me`, { headers })
  t.equal(accepted.status, 200)
  t.match(await accepted.json(), { name: 'Ada' })
}

async function signUp (origin: string): Promise<string> {
  const response = await fetch(`${origin}/api/auth/sign-up/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'http://localhost:3000' },
    body: JSON.stringify({ name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' })
  })
  return response.headers.getSetCookie().map(cookie => cookie.split(';')[0]).join('; ')
}
