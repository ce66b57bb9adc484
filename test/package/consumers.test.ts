import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startJwksServer } from '../fixtures/jwks-server.js'
import { createProject, devDependency, install, measure, pack, run, type Result } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'

// npm, the registry and compilers are slow, and other tests run at the same time.
t.setTimeout(600_000)

const CONSUMERS = join(ROOT, 'test/package/consumers')
const NODE = process.execPath

const key = createSigningKey('EdDSA')
const server = await startJwksServer([key.jwk])
t.teardown(() => server.stop())
const api = { AUTH_URL: server.origin, TOKEN: signJws(key, createClaims(server.origin)) }

const project = createProject(t)
const { path: tarball } = await pack(project)
await install(project, [
  tarball, 'typescript-5.8@npm:typescript@~5.8.0',
  ...[
    'fastify', '@types/node', '@fastify/type-provider-typebox', 'typebox', 'type-provider-typebox-5'
  ].map(devDependency)
])

t.test('what is installed is what CHANGELOG says', async t => {
  const line = new RegExp([
    String.raw`Installed: (?<packages>\d+) packages and (?<megabytes>[\d.]+) MB without Fastify, `,
    String.raw`(?<all>\d+) packages and (?<total>[\d.]+) MB with it\.`
  ].join(''))
  const said = line.exec(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'))!.groups!
  const cases = [
    { title: 'without Fastify', roots: [], packages: Number(said.packages), megabytes: Number(said.megabytes) },
    { title: 'with it', roots: ['fastify'], packages: Number(said.all), megabytes: Number(said.total) }
  ]
  for (const { title, roots, packages, megabytes } of cases) {
    const found = measure(project, ['better-auth-fastify', ...roots])
    t.comment(`${title}: ${found.packages} packages and ${found.megabytes.toFixed(1)} MB`)
    // Others release new versions: what is said holds to 10 %.
    t.ok(isNear(found.packages, packages), `${found.packages} packages ${title}, ${packages} in CHANGELOG`)
    t.ok(isNear(found.megabytes, megabytes), `${found.megabytes.toFixed(1)} MB ${title}, ${megabytes} in CHANGELOG`)
  }
})

function isNear (found: number, said: number): boolean {
  return Math.abs(found - said) <= said / 10
}

/** Runs a program of the project against the JWKS server, and says what it printed. */
async function start (
  file: string, env: NodeJS.ProcessEnv = {}
): Promise<Pick<Result, 'code' | 'stderr'> & { printed: unknown }> {
  const { code, stdout, stderr } = await run(project, [NODE, file], { ...api, ...env })
  return { code, stderr, printed: stdout.startsWith('{') ? JSON.parse(stdout) : stdout }
}

/** What each program prints: a token of the server and one of its own issuer, and what goes without a token. */
const RIGHT = {
  code: 0,
  stderr: '',
  printed: {
    server: { accepted: [200, 'u_1'], refused: [401, 'FST_BETTER_AUTH_TOKEN_MISSING'] },
    testing: { accepted: [200, 'u_2'], refused: [401, 'FST_BETTER_AUTH_TOKEN_MISSING'] }
  }
}

/** Runs a program as {@link start} does, and lists the files that it has loaded, by their paths in the project. */
async function startAndList (file: string): Promise<{ result: Awaited<ReturnType<typeof start>>, loaded: string[] }> {
  copyFileSync(join(CONSUMERS, file), join(project, file))
  const coverage = join(project, `coverage-${file}`)
  const result = await start(file, { NODE_V8_COVERAGE: coverage })
  const [report] = readdirSync(coverage)
  const { result: scripts } = JSON.parse(readFileSync(join(coverage, report!), 'utf8')) as {
    result: Array<{ url: string }>
  }
  const root = pathToFileURL(`${realpathSync(project)}/`).href
  return { result, loaded: scripts.map(({ url }) => url.replace(root, '')) }
}

for (const file of ['javascript.mjs', 'javascript.cjs']) {
  t.test(`${file} runs from the installed package, and loads no TypeBox`, async t => {
    const { result, loaded } = await startAndList(file)
    t.strictSame(result, RIGHT)
    t.ok(loaded.includes('node_modules/better-auth-fastify/dist/index.js'), 'what is loaded is listed')
    t.strictSame(loaded.filter(path => path.includes('typebox')), [])
  })
}

t.test('smoke.mjs finds what the package promises; test/matrix runs it under Bun and Deno', async t => {
  copyFileSync(join(CONSUMERS, 'smoke.mjs'), join(project, 'smoke.mjs'))
  const { code, stdout, stderr } = await run(project, [NODE, 'smoke.mjs'])
  t.match({ code, stdout, stderr }, { code: 0, stdout: /^# \{ total: \d+, pass: \d+, fail: 0 \}$/m, stderr: '' })
  t.notMatch(stdout, /^not ok/m)
})

for (const file of ['user-schema.mjs', 'user-schema.cjs']) {
  t.test(`${file}: what it has registered in its TypeBox counts`, async t => {
    const { result, loaded } = await startAndList(file)
    t.strictSame(result, {
      code: 0,
      stderr: '',
      printed: { format: [200, 401], ...file.endsWith('.mjs') && { type: [200, 401] }, unknown: true }
    })
    const typeBox = loaded.filter(path => path.includes('@sinclair/typebox'))
    t.ok(typeBox.includes('node_modules/@sinclair/typebox/build/esm/compiler/compiler.mjs'))
    t.strictSame(typeBox.filter(path => !path.startsWith('node_modules/@sinclair/typebox/')), [], 'no second copy')
  })
}

const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  skipLibCheck: false,
  target: 'es2022',
  types: ['node'],
  outDir: 'out'
}

const CONSUMING = [
  {
    title: 'ESM',
    type: 'module',
    options: { module: 'nodenext' },
    files: ['typescript.ts', 'type-providers.ts'],
    compilers: ['typescript-7'],
    programs: ['typescript.js']
  },
  {
    title: 'CommonJS',
    type: 'commonjs',
    options: { module: 'nodenext' },
    files: ['typescript.ts', 'typescript-require.cts', 'my-user.mts'],
    // The first that lets CommonJS require ESM, and the newest.
    compilers: ['typescript-5.8', 'typescript-7'],
    programs: ['typescript.js', 'typescript-require.cjs']
  },
  {
    title: 'ESM for a bundler',
    type: 'module',
    options: { module: 'preserve', moduleResolution: 'bundler' },
    files: ['typescript.ts'],
    compilers: ['typescript-7'],
    programs: ['typescript.js']
  },
  {
    // With `skipLibCheck: false`, as all of these.
    title: 'ESM beside declarations of others',
    type: 'module',
    options: { module: 'nodenext' },
    files: ['beside-others.ts'],
    compilers: ['typescript-7'],
    programs: []
  }
]

const folderOf = (title: string) => title.toLowerCase().replaceAll(/\W+/g, '-')

for (const { title, type, options, files } of CONSUMING) {
  const folder = join(project, folderOf(title))
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...STRICT, ...options }, files }))
  for (const file of files) copyFileSync(join(CONSUMERS, file), join(folder, file))
}

const compilers = {
  // It is slow: the newest checks the declarations of the package for it.
  'typescript-5.8': (folders: string[]) => [
    'node_modules/typescript-5.8/bin/tsc', '--skipLibCheck', '-p', ...folders
  ],
  // The newest is native, and fast. test/package/tooling.test.ts has those in between.
  'typescript-7': (folders: string[]) => [
    join(ROOT, 'node_modules/typescript-7/bin/tsc'), '-b', '--force', ...folders
  ]
}

for (const [compiler, command] of Object.entries(compilers)) {
  const projects = CONSUMING.filter(({ compilers }) => compilers.includes(compiler)).map(({ title }) => title)
  t.test(`${compiler} compiles with everything strict: ${projects.join('; ')}`, async t => {
    t.strictSame(await run(project, [NODE, ...command(projects.map(folderOf))]), { code: 0, stdout: '', stderr: '' })
  })
}

for (const { title, programs } of CONSUMING) {
  if (programs.length === 0) continue
  t.test(`TypeScript as ${title} runs`, async t => {
    for (const program of programs) {
      t.strictSame(await start(join(folderOf(title), 'out', program)), RIGHT, program)
    }
  })
}

t.test('npx better-auth-fastify runs from the installed package', async t => {
  const npx = ['npx', '--no', '--', 'better-auth-fastify']
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const usage = /^Usage: better-auth-fastify <command>/
  t.match(await run(project, [...npx, '--help']), { code: 0, stdout: usage, stderr: '' })
  t.match(await run(project, [...npx, '--version']), { code: 0, stdout: version, stderr: '' })
  t.match(await run(project, [...npx, 'doctor', server.origin]), { code: 0, stdout: key.kid, stderr: '' })
})
