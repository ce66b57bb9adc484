import t from 'tap'
import ts from 'typescript'
import { findProject } from '../../lib/init/find-project.js'
import { linesForApp, pathsOf, pluginTemplate, routeTemplate, serverTemplate } from '../../lib/init/templates.js'
import { testTemplate } from '../../lib/init/test-template.js'
import { createFiles, runInit, type Files } from '../fixtures/init-project.js'

type T = Parameters<typeof createFiles>[0]

function templates (t: T, manifest: object, files: Files = {}) {
  const project = findProject(createFiles(t, { 'package.json': JSON.stringify(manifest), ...files }))
  const paths = pathsOf(project)
  return {
    project,
    paths,
    test: testTemplate(project, paths),
    plugin: pluginTemplate(project, paths.plugin),
    route: routeTemplate(project),
    server: paths.server === undefined ? undefined : serverTemplate(project, paths),
    lines: linesForApp(project, paths)
  }
}

function syntaxErrors (code: string): string[] {
  const { diagnostics = [] } = ts.transpileModule(code, {
    reportDiagnostics: true, compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  })
  return diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
}

const RUNNERS = {
  'node:test': [/ from 'node:test'$/m, 't.after(() => app.close())', 'assert.equal(anonymous.statusCode, 401)'],
  tap: [/^import t from 'tap'$/m, 't.teardown(() => app.close())', 't.equal(anonymous.statusCode, 401)'],
  vitest: [/ from 'vitest'$/m, 'onTestFinished(async () => { await app.close() })', 'toBe(401)'],
  jest: [/^afterAll\(async/m, 'closing.push(() => app.close())', 'expect(anonymous.statusCode).toBe(401)']
}

t.test('each runner has its own words, in every language', async t => {
  const files = { 'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }' }
  for (const [runner, words] of Object.entries(RUNNERS)) {
    const devDependencies = { [runner]: '1' }
    const typescript = templates(t, { type: 'module', devDependencies }, files)
    const modules = templates(t, { type: 'module', devDependencies })
    const commonJs = templates(t, { devDependencies })
    for (const word of words) t.match(typescript.test, word)
    for (const word of words) t.match(modules.test, word)
    for (const word of words.slice(1)) t.match(commonJs.test, word)
    t.equal(commonJs.test.startsWith("'use strict'\n"), runner !== 'vitest', 'Vitest cannot be loaded by require()')
    for (const { test, plugin, route, server } of [typescript, modules, commonJs]) {
      for (const code of [test, plugin, route, server!]) t.strictSame(syntaxErrors(code), [])
    }
    t.equal(typescript.test.startsWith('import { createTestIssuer }'), runner === 'jest', 'Jest has globals')
    t.equal(typescript.test.includes('Array<'), runner === 'jest')
    t.notMatch(modules.test, 'Array<')
    for (const code of [commonJs.plugin, commonJs.route]) t.match(code, /^'use strict'\n/)
  }
})

t.test('with @fastify/autoload, the test builds the app as fastify-cli does, or registers both files', async t => {
  const manifest = { type: 'module', dependencies: { '@fastify/autoload': '6' } }
  const files = { 'plugins/a.js': '', 'routes/b.js': '' }
  const helper = { 'test/helper.js': "import helper from 'fastify-cli/helper.js'\nexport { build }" }
  const without = templates(t, manifest, files).test
  for (const word of [
    "import auth from '../../plugins/auth.js'", "import me from '../../routes/me/index.js'",
    'process.env.BETTER_AUTH_URL = issuer.authUrl', "app.register(me, { prefix: '/me' })"
  ]) t.match(without, word)
  const withHelper = templates(t, manifest, { ...files, ...helper }).test
  t.match(withHelper, "import { build } from '../helper.js'\n")
  t.match(withHelper, 'const app = await build(t)\n')
  t.notMatch(withHelper, 'Fastify()')
  // Its build() needs the `t` of node:test or tap.
  const vitest = { ...manifest, devDependencies: { vitest: '4' } }
  t.notMatch(templates(t, vitest, { ...files, ...helper }).test, 'build(t)')
  const tap = { ...manifest, devDependencies: { tap: '21' } }
  t.match(templates(t, tap, { ...files, ...helper }).test, 'const app = await build(t)\n')
})

t.test('imports between files', async t => {
  const config = (options: object) => ({ 'tsconfig.json': JSON.stringify({ compilerOptions: options }) })
  const CASES: Array<[manifest: object, files: Files, path: string]> = [
    [{ type: 'module' }, config({ module: 'nodenext' }), '../plugins/auth.js'],
    [{}, config({ module: 'nodenext' }), '../plugins/auth'],
    [{}, config({ module: 'nodenext', rewriteRelativeImportExtensions: true }), '../plugins/auth.ts'],
    [{}, { 'app.mts': "import Fastify from 'fastify'\nFastify()" }, '../plugins/auth.mjs'],
    [{}, { 'app.cts': "import Fastify from 'fastify'\nFastify()" }, '../plugins/auth'],
    [{}, { "it's/app.mjs": "import Fastify from 'fastify'\nFastify()" }, "../it\\'s/plugins/auth.mjs"],
    [{}, { 'x.tsd/app.mts': "import Fastify from 'fastify'\nFastify()" }, '../x.tsd/plugins/auth.mjs'],
    [{ type: 'module' }, {}, '../plugins/auth.js']
  ]
  for (const [manifest, files, path] of CASES) {
    const { test } = templates(t, manifest, files)
    t.match(test, `import auth from '${path}'\n`)
    t.strictSame(syntaxErrors(test), [])
  }
})

t.test('the server waits where it can', async t => {
  const esm = templates(t, { type: 'module' }).server!
  for (const word of ['await app.register(auth)', 'await app.listen(']) t.match(esm, word)
  const cjs = templates(t, {}).server!
  t.match(cjs, '\napp.register(auth)\n')
  t.match(cjs, /app\.listen\(.*\)\.catch\(/)
})

t.test('the lines for an app', async t => {
  const lines = (manifest: object, files: Files) => templates(t, manifest, files).lines
  t.strictSame(lines({}, { 'src/x.cjs': "const api = require('fastify')()" }), [
    "api.register(require('./plugins/auth.cjs'))", "api.register(require('./routes/me.cjs'))"
  ])
  t.strictSame(lines({ scripts: { start: 'fastify start app.js' } }, { 'app.js': 'module.exports = async f => {}' }), [
    "await fastify.register(require('./plugins/auth.js'))", "await fastify.register(require('./routes/me.js'))"
  ])
  t.strictSame(lines({}, { 'app.ts': "import Fastify from 'fastify'\nconst app = Fastify()" }), [
    "import auth from './plugins/auth'", "import me from './routes/me'", '', 'app.register(auth)', 'app.register(me)'
  ])
  t.equal(lines({}, {}), undefined, 'the new server has them')
  const printed = runInit(createFiles(t, {
    'package.json': JSON.stringify({ scripts: { start: 'fastify start app.js' }, devDependencies: { jest: '30' } }),
    'app.js': 'module.exports = async fastify => {}'
  })).stdout
  t.match(printed, '\nAdd this to app.js; put the calls of register() in its function, before your routes:\n')
  t.match(printed, '\nJest does not load ES modules by itself. ')
})
