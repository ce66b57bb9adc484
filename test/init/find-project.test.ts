import t from 'tap'
import { findProject } from '../../lib/init/find-project.js'
import type { Project } from '../../lib/init/project.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

const json = JSON.stringify
const app = (type = 'const app =') => `import Fastify from 'fastify'\n${type} Fastify()`
const autoload = { dependencies: { '@fastify/autoload': '6' } }

/** What is found in a project with these files. */
type Found = Partial<Omit<Project, 'manifest' | 'app'>>

const CASES: Array<[title: string, manifest: object, files: Files, found: Found]> = [
  ['nothing but package.json', {}, {}, {
    language: 'js',
    modules: 'cjs',
    extension: 'js',
    isAutoload: false,
    source: '',
    tests: 'test/',
    runner: 'node:test',
    packageManager: 'npm',
    hasEnv: false,
    importsTs: false,
    helper: undefined
  }],
  ['type: module', { type: 'module' }, {}, { language: 'js', modules: 'esm' }],
  ['type: commonjs', { type: 'commonjs' }, { 'app.js': app() }, { modules: 'cjs' }],
  ['no type, and import in the app', {}, { 'app.js': app() }, { modules: 'esm', language: 'js' }],
  ['no type, and require in the app', {}, { 'app.js': "const app = require('fastify')()" }, { modules: 'cjs' }],
  ['no type, and import in a comment', {}, { 'app.js': "const app = require('fastify')() // import it\n" },
    { modules: 'cjs' }],
  ['no type, and import in an indented line', {}, { 'app.js': app().replace(/^/, '  ') }, { modules: 'esm' }],
  ['an app in .mjs', {}, { 'src/app.mjs': app() }, { modules: 'esm', extension: 'mjs', source: 'src/' }],
  ['an app in .cjs', { type: 'module' }, { 'app.cjs': "const app = require('fastify')()" }, { modules: 'cjs' }],
  ['an app in .mts', {}, { 'app.mts': app() }, { language: 'ts', modules: 'esm', extension: 'mts' }],
  ['a JavaScript app with types checked', { devDependencies: { typescript: '6' } },
    { 'app.js': app(), 'tsconfig.json': '{}' }, { language: 'js' }],
  ['TypeScript by tsconfig.json', {}, { 'tsconfig.json': '{}' }, { language: 'ts', modules: 'cjs', source: '' }],
  ['TypeScript by dependency', { devDependencies: { typescript: '6' } }, {}, { language: 'ts' }],
  ['TypeScript by sources', {}, { 'src/db.ts': '' }, { language: 'ts', source: 'src/' }],
  ['only declarations', {}, { 'env.d.ts': '' }, { language: 'js' }],
  ['module: commonjs', { type: 'module' },
    { 'tsconfig.json': '{ "compilerOptions": { "module": "CommonJS" } }' }, { modules: 'cjs' }],
  ['module: es2022', {}, { 'tsconfig.json': '{ "compilerOptions": { "module": "ES2022" } }' }, { modules: 'esm' }],
  ['module: nodenext', { type: 'module' },
    { 'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }' }, { modules: 'esm' }],
  ['module: preserve', {},
    { 'tsconfig.json': '{ "compilerOptions": { "module": "preserve" } }' }, { modules: 'esm' }],
  ['module: commonjs, and JavaScript', { type: 'module' },
    { 'app.js': app(), 'tsconfig.json': '{ "compilerOptions": { "module": "commonjs", "rootDir": "./src" } }' },
    { language: 'js', modules: 'esm', tests: 'test/' }],
  ['module: es2022, and JavaScript', { type: 'commonjs' },
    { 'app.js': app(), 'tsconfig.json': '{ "compilerOptions": { "module": "es2022" } }' }, { modules: 'cjs' }],
  ['imports of .ts', {},
    { 'tsconfig.json': '{ "compilerOptions": { "allowImportingTsExtensions": true } }' }, { importsTs: true }],
  ['rootDir, and no include', {}, { 'tsconfig.json': '{ "compilerOptions": { "rootDir": "./src" } }' },
    { source: 'src/', tests: 'src/test/' }],
  ['rootDir, and include', {},
    { 'tsconfig.json': '{ "compilerOptions": { "rootDir": "./src" }, "include": ["src"] }' }, { tests: 'test/' }],
  ['rootDir: .', {}, { 'tsconfig.json': '{ "compilerOptions": { "rootDir": "." } }' }, { tests: 'test/', source: '' }],
  ['a folder of tests', {}, { 'tests/a.js': '' }, { tests: 'tests/' }],
  ['another folder of tests', {}, { '__tests__/a.js': '' }, { tests: '__tests__/' }],
  ['Vitest', { devDependencies: { vitest: '4', tap: '21' } }, {}, { runner: 'vitest' }],
  ['tap', { devDependencies: { tap: '21' } }, {}, { runner: 'tap' }],
  ['Jest', { devDependencies: { jest: '30' } }, {}, { runner: 'jest' }],
  ['pnpm by its lock', {}, { 'pnpm-lock.yaml': '' }, { packageManager: 'pnpm' }],
  ['yarn by its lock', {}, { 'yarn.lock': '' }, { packageManager: 'yarn' }],
  ['Bun by its lock', {}, { 'bun.lock': '' }, { packageManager: 'bun' }],
  ['packageManager', { packageManager: 'yarn@4.1.0' }, { 'pnpm-lock.yaml': '' }, { packageManager: 'yarn' }],
  ['a .env', {}, { '.env': '' }, { hasEnv: true }],
  ['@fastify/autoload', autoload, { 'plugins/a.js': '', 'routes/b.js': '' },
    { isAutoload: true, source: '', language: 'js' }],
  ['@fastify/autoload in src', autoload, { 'src/plugins/a.ts': '', 'src/routes/b.ts': '', 'plugins/x': '' },
    { isAutoload: true, source: 'src/', language: 'ts' }],
  ['@fastify/autoload in src, JavaScript beside TypeScript', autoload,
    { 'src/plugins/a.js': '', 'src/routes/b.js': '', 'scripts/plugins/x.ts': '' }, { source: 'src/', language: 'js' }],
  ['@fastify/autoload, JavaScript beside TypeScript', autoload,
    { 'plugins/a.js': '', 'routes/b.js': '', 'scripts/plugins/x.ts': '', 'tsconfig.json': '{}' }, { language: 'js' }],
  ['@fastify/autoload with nothing in it yet', autoload,
    { 'plugins/README.md': '', 'routes/README.md': '', 'tsconfig.json': '{}' }, { isAutoload: true, language: 'ts' }],
  ['@fastify/autoload with other folders', autoload, { 'plugins/a.js': '', 'http/b.js': '' }, { isAutoload: false }],
  ['the folders without @fastify/autoload', {}, { 'plugins/a.js': '', 'routes/b.js': '' }, { isAutoload: false }],
  ['the helper of fastify-cli', autoload, {
    'plugins/a.js': '', 'routes/b.js': '', 'test/helper.js': "require('fastify-cli/helper')\nfunction build () {}"
  }, { helper: 'test/helper.js' }],
  ['another helper', autoload, { 'plugins/a.js': '', 'routes/b.js': '', 'test/helper.js': '// build' },
    { helper: undefined }]
]

for (const [title, manifest, files, found] of CASES) {
  t.test(title, async t => {
    const project = findProject(createFiles(t, { 'package.json': json(manifest), ...files }))
    const names = Object.keys(found) as Array<keyof Found>
    t.strictSame(Object.fromEntries(names.map(name => [name, project[name]])), found)
  })
}

t.test('a rootDir that leads out of the project on Windows, or has two lines, is none', async t => {
  for (const rootDir of ['a\\..\\..\\b', 'a\nb', 'c:b']) {
    const root = createFiles(t, { 'package.json': '{}', 'tsconfig.json': json({ compilerOptions: { rootDir } }) })
    t.equal(findProject(root).tests, 'test/')
  }
})

t.test('a helper that was made to keep init busy does not', async t => {
  const root = createFiles(t, {
    'package.json': json(autoload),
    'plugins/a.js': '',
    'routes/b.js': '',
    'test/helper.js': 'fastify-cli/helper '.repeat(50_000)
  })
  const start = performance.now()
  t.equal(findProject(root).helper, undefined)
  t.ok(performance.now() - start < 5000)
})
