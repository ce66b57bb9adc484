import { copyFileSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PROGRAMS, read } from '../fixtures/docs.js'
import { createFrameworksProject, pageFiles, TSC } from '../fixtures/frameworks.js'
import { createProject, run } from '../fixtures/package.js'
import { isInstalled, ROOT } from '../fixtures/program.js'
import { startIssuer } from '../fixtures/test-issuer.js'

// The tools of docs/guides/tooling.md, with the files that are there, in a project with the built package.

t.setTimeout(300_000)

const PAGE = 'docs/guides/tooling.md'
const CONSUMERS = join(ROOT, 'test/package/consumers')
const NODE = process.execPath

const issuer = await startIssuer(t)
const project = createFrameworksProject(t, ['esbuild', 'typescript', 'vitest'])

function createFolder (name: string, files: Record<string, string>): string {
  const folder = join(project, name)
  mkdirSync(folder)
  for (const [file, code] of Object.entries(files)) writeFileSync(join(folder, file), code)
  return folder
}

t.test('one file by esbuild, as CommonJS and as ESM, runs where nothing is installed', async t => {
  const files = pageFiles(PAGE, 'Bundling into one file')
  const folder = createFolder('bundle', files)
  copyFileSync(join(CONSUMERS, 'bundled.mjs'), join(folder, 'app.mjs'))
  writeFileSync(join(folder, 'without.mjs'), files['build.mjs']!.replace(/^ {2}banner: .*$/m, ''))
  const elsewhere = createProject(t)
  const env = { AUTH_URL: issuer.authUrl, TOKEN: issuer.token({ plan: 'pro' }), WRONG: issuer.token({ plan: 'gold' }) }
  const start = async (file: string) => {
    copyFileSync(join(folder, 'dist', file), join(elsewhere, file))
    return run(elsewhere, [NODE, file], env)
  }

  t.strictSame(await run(folder, [NODE, 'build.mjs']), { code: 0, stdout: '', stderr: '' })
  for (const file of ['app.cjs', 'app.mjs']) {
    const { code, stdout, stderr } = await start(file)
    t.strictSame([code, stderr], [0, ''], file)
    t.strictSame(JSON.parse(stdout), {
      plain: [200, 200, 401], userSchema: [200, 401, 401], unknown: 'FST_BETTER_AUTH_INVALID_OPTION'
    }, 'what the application registers in its TypeBox counts')
  }
  await run(folder, [NODE, 'without.mjs'])
  t.match(await start('app.mjs'), { code: 1, stderr: 'Dynamic require of "node:util" is not supported' })
})

/** The settings, each with compilers that have it. More of them would find nothing else, and each takes seconds. */
const RESOLUTIONS: Record<string, { options: object, compilers: readonly string[], type?: string }> = {
  nodenext: { options: { module: 'nodenext' }, compilers: ['7'] },
  node16: { options: { module: 'node16' }, compilers: ['5.6', '7'] },
  bundler: { options: { module: 'esnext', moduleResolution: 'bundler' }, compilers: ['5.9', '7'] },
  node10: { options: { module: 'commonjs', moduleResolution: 'node10' }, compilers: ['5.6'], type: 'commonjs' },
  'node10-deprecated': {
    options: { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
    compilers: ['6'],
    type: 'commonjs'
  }
}

t.test('TypeScript resolves the package with each setting of moduleResolution', async t => {
  for (const [name, { options, type = 'module' }] of Object.entries(RESOLUTIONS)) {
    const compilerOptions = {
      target: 'es2022',
      types: ['node'],
      strict: true,
      skipLibCheck: true,
      esModuleInterop: true,
      noEmit: true,
      ...options
    }
    const folder = createFolder(name, {
      'package.json': JSON.stringify({ private: true, type }),
      'tsconfig.json': JSON.stringify({ compilerOptions, files: ['typescript.ts'] })
    })
    copyFileSync(join(CONSUMERS, 'typescript.ts'), join(folder, 'typescript.ts'))
  }
  for (const [compiler, path] of Object.entries(TSC)) {
    const folders = Object.keys(RESOLUTIONS).filter(name => RESOLUTIONS[name]!.compilers.includes(compiler))
    const tsc = await run(project, [NODE, path, '-b', '--force', ...folders])
    t.strictSame(tsc, { code: 0, stdout: '', stderr: '' }, `TypeScript ${compiler}: ${folders.join(', ')}`)
  }
})

t.test('ts-jest in its CommonJS mode', async t => {
  const folder = createFolder('jest', {
    ...pageFiles(PAGE, 'Jest'),
    'package.json': '{ "private": true }',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'nodenext', target: 'es2022', strict: true, isolatedModules: true, types: ['node', 'jest']
      }
    })
  })
  // Newer than the one that NestJS pins: its dependency cookie is an ES module.
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(ROOT, 'node_modules/fastify'), join(folder, 'node_modules/fastify'))
  const { code, stderr } = await run(folder, [NODE, '../node_modules/jest/bin/jest.js', '--ci'])
  t.equal(code, 0, stderr)
  t.match(stderr, 'Tests:       1 passed, 1 total')
})

t.test('Vitest, without configuration', async t => {
  const { code: test } = PROGRAMS.find(({ page, code }) => page === 'docs/guides/testing.md' && /'vitest'/.test(code))!
  const folder = createFolder('vitest', { 'app.test.mts': test })
  const vitest = [NODE, '../node_modules/vitest/vitest.mjs', 'run']
  const { code, stdout, stderr } = await run(folder, vitest, { NO_COLOR: '1' })
  t.equal(code, 0, stdout + stderr)
  t.match(stdout, /Tests {2}3 passed/)
})

const withoutOpenssl = isInstalled('openssl', 'version') ? false : 'openssl is not installed'

t.test('HTTP, TLS and HTTP/2, with the lowest versions of the ranges too', { skip: withoutOpenssl }, async t => {
  const env = {
    AUTH_URL: issuer.authUrl, TOKEN: issuer.token(), FORGED: issuer.forged(), COOKIE: issuer.sessionCookie()
  }
  const invalid = 'Bearer error="invalid_token"'
  const expected = [
    [200, null, 'user_1'],
    [200, null, 'user_1'],
    [401, 'Bearer', 'FST_BETTER_AUTH_TOKEN_MISSING'],
    [401, invalid, 'FST_BETTER_AUTH_TOKEN_INVALID'],
    [403, 'Bearer error="insufficient_scope"', 'FST_BETTER_AUTH_FORBIDDEN'],
    [200, null, 'stranger'],
    [401, invalid, 'FST_BETTER_AUTH_TOKEN_INVALID'],
    [401, 'Bearer', 'FST_BETTER_AUTH_TOKEN_MISSING']
  ]
  for (const [fastify, swagger] of [['fastify', '@fastify/swagger'], ['fastify-5.8', 'swagger-9.0']] as const) {
    const folder = createFolder(`with-${fastify}`, {})
    const modules = join(folder, 'node_modules')
    mkdirSync(join(modules, '@fastify'), { recursive: true })
    symlinkSync(realpathSync(join(project, 'node_modules', fastify)), join(modules, 'fastify'))
    symlinkSync(realpathSync(join(project, 'node_modules', swagger)), join(modules, '@fastify/swagger'))
    copyFileSync(join(CONSUMERS, 'servers.mjs'), join(folder, 'servers.mjs'))
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem']
    t.match(await run(folder, ['openssl', 'req', '-x509', '-days', '2', ...key, '-out', 'cert.pem', ...subject]), {
      code: 0
    })
    const { code, stdout, stderr } = await run(folder, [NODE, 'servers.mjs'], env)
    t.strictSame([code, stderr], [0, ''])
    t.strictSame(JSON.parse(stdout), {
      http: expected, https: expected, http2: expected, security: [{ betterAuth: [] }]
    }, fastify)
  }
})

t.test('the lowest versions are those that are promised', async t => {
  const { peerDependencies } = JSON.parse(read('package.json')) as { peerDependencies: { fastify: string } }
  const { dependencies } = JSON.parse(read('test/fixtures/frameworks/package.json')) as {
    dependencies: Record<string, string>
  }
  t.equal(dependencies['fastify-5.8'], peerDependencies.fastify.replace('^', 'npm:fastify@'))
  t.match(read('docs/reference/compatibility.md'), `| @fastify/swagger | \`^${
    dependencies['swagger-9.0']!.replace('npm:@fastify/swagger@', '')
  }\``)
})
