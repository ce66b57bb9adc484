import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from './fixtures/program.js'

/** The package as it is published, out of what `npm test` has built. */
const folder = t.testdir({})
const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
const [{ filename, files }] = JSON.parse(packed) as [{ filename: string, files: Array<{ path: string }> }]

t.test('the tarball holds what is needed to use the package, and nothing else', async t => {
  const paths = files.map(({ path }) => path)
  t.strictSame(paths.filter(path => !path.startsWith('dist/')).sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
  t.ok(paths.includes('dist/index.js'))
  t.ok(paths.includes('dist/index.d.ts'))
  t.strictSame(paths.filter(path => path.startsWith('dist/') && !/\.(js|d\.ts)$/.test(path)), [])
})

t.test('an empty project uses the packed package', async t => {
  execFileSync('tar', ['-xzf', filename], { cwd: folder })
  mkdirSync(join(folder, 'node_modules'))
  renameSync(join(folder, 'package'), join(folder, 'node_modules/better-auth-fastify'))
  // Its dependencies, as an installation would have put them there.
  for (const name of ['fastify', '@fastify', '@sinclair', 'fastify-plugin', 'get-jwks', 'lru-cache', 'fast-jwt']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  const use = `
    const app = Fastify()
    app.register(plugin, { authUrl: 'http://127.0.0.1:1' })
    app.register(async scope => { scope.get('/', { onRequest: [scope.authenticate] }, async request => request.user) })
    app.inject('/').then(response => { console.log(response.statusCode, response.json().code) })
  `
  const programs = {
    'esm.mjs': `import plugin from 'better-auth-fastify'\nimport Fastify from 'fastify'\n${use}`,
    'named.mjs': `import { betterAuthPlugin as plugin } from 'better-auth-fastify'\nimport Fastify from 'fastify'\n${use}`,
    'commonjs.cjs': `const plugin = require('better-auth-fastify')\nconst Fastify = require('fastify')\n${use}`
  }
  for (const [name, source] of Object.entries(programs)) {
    writeFileSync(join(folder, name), source)
    const args = ['--preserve-symlinks', '--no-warnings', name]
    // Nothing of this environment: the coverage of this run is that of lib, not of what was built of it.
    t.equal(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env: {} }), '401 FST_BETTER_AUTH_TOKEN_MISSING\n', name)
  }
})
