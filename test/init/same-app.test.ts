import t from 'tap'
import { findProject } from '../../lib/init/find-project.js'
import { sameAppTemplate } from '../../lib/init/same-app.js'
import { createFiles, runInit, snapshot, type Files } from '../fixtures/init-project.js'

const AUTH = "import { jwt } from 'better-auth/plugins'\nexport const auth = betterAuth({ plugins: [jwt()] })\n"
const MODULE = { 'package.json': '{ "type": "module" }\n' }
const TYPESCRIPT = { 'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }' }
const VERBATIM = { 'tsconfig.json': '{ "compilerOptions": { "module": "nodenext", "verbatimModuleSyntax": true } }' }

function plugin (t: Parameters<typeof createFiles>[0], files: Files): string {
  const project = findProject(createFiles(t, { 'package.json': '{}', ...files }), true)
  return sameAppTemplate(project, project.auth!, `plugins/auth.${project.extension}`)
}

t.test('the plugin registers the instance of the project', async t => {
  const typescript = { ...MODULE, ...TYPESCRIPT, 'lib/auth.ts': AUTH }
  t.equal(plugin(t, typescript), `import betterAuthPlugin from 'better-auth-fastify'
import fp from 'fastify-plugin'

// request.user and the guards have the types of your Better Auth.
declare module 'better-auth-fastify' {
  interface Register { auth: typeof import('../lib/auth.js').auth }
}

// A test gives the authUrl of its issuer, and needs no database.
export default fp<{ authUrl?: string }>(async (fastify, { authUrl }) => {
  const options = authUrl === undefined ? { auth: (await import('../lib/auth.js')).auth } : { authUrl }
  await fastify.register(betterAuthPlugin, options)
}, { name: 'auth' })
`)
  t.equal(plugin(t, { 'auth.js': 'module.exports = betterAuth({})' }), `'use strict'

const betterAuthPlugin = require('better-auth-fastify')
const fp = require('fastify-plugin')

// A test gives the authUrl of its issuer, and needs no database.
module.exports = fp(async (fastify, { authUrl }) => {
  const options = authUrl === undefined ? { auth: require('../auth.js') } : { authUrl }
  await fastify.register(betterAuthPlugin, options)
}, { name: 'auth' })
`)
})

t.test('it loads the instance as the project exports it', async t => {
  const CASES: Array<[files: Files, expression: string]> = [
    [{ ...MODULE, 'auth.js': 'export default betterAuth({})' }, "(await import('../auth.js')).default }"],
    [{ ...MODULE, 'auth.cjs': 'module.exports = betterAuth({})' }, "(await import('../auth.cjs')).default }"],
    [{ ...MODULE, 'app.js': "import f from 'fastify'\nf()", 'auth.ts': AUTH }, "(await import('../auth.ts')).auth }"],
    [{ 'auth.js': 'exports.auth = betterAuth({})' }, "{ auth: require('../auth.js').auth }"],
    [{ ...TYPESCRIPT, 'auth.ts': AUTH }, "{ auth: (require('../auth') as typeof import('../auth')).auth }"],
    [
      { ...VERBATIM, 'auth.ts': 'export = betterAuth({})' },
      "{ auth: (require('../auth') as typeof import('../auth')) }"
    ],
    [
      { ...VERBATIM, 'auth.ts': AUTH },
      "const { betterAuthPlugin } = require('better-auth-fastify') as typeof import('better-auth-fastify')\n"
    ]
  ]
  for (const [files, expression] of CASES) t.match(plugin(t, files), expression)
})

t.test('its test has a test issuer, also with @fastify/autoload', async t => {
  const root = createFiles(t, { ...MODULE, 'auth.js': AUTH })
  const { status, stdout } = runInit(root, '--same-app')
  t.equal(status, 0)
  t.match(stdout, /^Found: JavaScript, ES modules, .*, Better Auth in auth\.js\.\n/)
  const files = snapshot(root)
  t.match(files['plugins/auth.js'], "import('../auth.js')")
  t.match(files['test/me.test.js'], 'await app.register(auth, { authUrl: issuer.authUrl })\n  await app.register(me)\n')
  t.equal(files['.env.example'], '# The URL of this app: the baseURL of Better Auth, unless the code sets one.\n' +
    'BETTER_AUTH_URL=http://localhost:3001\n')
  const autoload = createFiles(t, {
    'package.json': '{ "type": "module", "dependencies": { "@fastify/autoload": "6" } }',
    'plugins/a.js': '',
    'routes/b.js': '',
    'test/helper.js': "import helper from 'fastify-cli/helper.js'\nexport { build }",
    'lib/auth.js': AUTH
  })
  t.equal(runInit(autoload, '--same-app').status, 0)
  const test = snapshot(autoload)['test/routes/me.test.js']!
  t.match(test, "authUrl: issuer.authUrl })\n  await app.register(me, { prefix: '/me' })\n")
  t.notMatch(test, 'process.env')
})

t.test('without an instance, and with a URL as well, nothing is written', async t => {
  const root = createFiles(t, MODULE)
  t.match(runInit(root, '--same-app'), {
    status: 1, stdout: '', stderr: /^No file exports a Better Auth instance\. .* src\/lib\/auth\.ts, .*\nTry: .*\n$/
  })
  t.match(runInit(root, 'http://a', '--same-app'), { status: 1, stderr: /^init takes the URL .* --same-app, and not/ })
  t.strictSame(snapshot(root), MODULE)
})

t.test('CommonJS TypeScript with verbatimModuleSyntax has no import that would have to be translated', async t => {
  const root = createFiles(t, { ...VERBATIM, 'package.json': '{}' })
  runInit(root)
  const files = snapshot(root)
  t.match(files['plugins/auth.ts'], "const { betterAuthPlugin } = require('better-auth-fastify') as typeof import('")
  t.match(files['plugins/auth.ts'], "\nexport = fp<import('better-auth-fastify').BetterAuthOptions>(async")
  t.match(files['routes/me.ts'], '\nexport = me\n')
  t.match(files['server.ts'], /^import Fastify = require\('fastify'\)\nimport auth = require\('\.\/plugins\/auth'\)\n/)
  t.match(files['test/me.test.ts'], "import assert = require('node:assert/strict')\n")
  for (const text of Object.values(files)) t.notMatch(text, /^import (?!type )[^=]*$|^export default/m)
  const withTap = createFiles(t, { ...VERBATIM, 'package.json': '{ "devDependencies": { "tap": "21" } }' })
  runInit(withTap)
  t.match(snapshot(withTap)['test/me.test.ts'], "const { t } = require('tap') as typeof import('tap')\n")
  const app = createFiles(t, { ...VERBATIM, 'package.json': '{}', 'app.ts': "import F = require('fastify')\nF()\n" })
  t.match(runInit(app).stdout, "\n  import auth = require('./plugins/auth')\n")
})
