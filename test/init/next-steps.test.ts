import t from 'tap'
import { findProject } from '../../lib/init/find-project.js'
import { nextSteps } from '../../lib/init/next-steps.js'
import { pathsOf } from '../../lib/init/templates.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

const APP = "const app = require('fastify')()\n"
const AUTOLOAD = { 'plugins/a.js': '', 'routes/b.js': '' }
const ENV = 'cp .env.example .env && '

type Steps = [test: string, start: string, port: string]

const CASES: Array<[title: string, manifest: object, files: Files, steps: Steps]> = [
  ['a new server', {}, {},
    ['npm install && node --test test/me.test.js', `${ENV}node --env-file=.env server.js`, '3001']],
  ['a new server in TypeScript', {}, { 'tsconfig.json': '{}' },
    ['npm install && npx tsx --test test/me.test.ts', `${ENV}npx tsx --env-file=.env server.ts`, '3001']],
  ['ts-node', { devDependencies: { 'ts-node': '10' } }, { 'a.ts': '' },
    [
      'npm install && node --test -r ts-node/register test/me.test.ts',
      `${ENV}npx tsx --env-file=.env server.ts`,
      '3001'
    ]],
  ['ts-node and tsx', { devDependencies: { 'ts-node': '10', tsx: '4' } }, { 'a.ts': '', '.env': '' },
    ['npm install && npx tsx --test test/me.test.ts', 'npx tsx --env-file=.env server.ts', '3001']],
  ['ts-node in JavaScript', { devDependencies: { 'ts-node': '10' } }, { 'app.js': APP },
    ['npm install && node --test test/me.test.js', `${ENV}node --env-file=.env app.js`, '3000']],
  ['scripts', { scripts: { test: 'x', start: 'y' } }, { 'app.js': APP },
    ['npm install && npm test', 'npm start', '3000']],
  ['only dev', { scripts: { dev: 'y' } }, { 'app.js': `${APP}app.listen({ port: Number(process.env.PORT ?? 4321) })` },
    ['npm install && node --test test/me.test.js', 'npm run dev', '4321']],
  ['a start script that runs what is compiled', { scripts: { start: 'node dist/app.js', build: 'tsc', test: 'x' } },
    { 'app.ts': APP }, ['npm install && npm test', 'npm run build && npm start', '3000']],
  ['such a script with dev beside it', { scripts: { start: 'node .', build: 'tsc', dev: 'tsx app.ts', test: 'x' } },
    { 'app.ts': APP }, ['npm install && npm test', 'npm run dev', '3000']],
  ['such a script alone', { scripts: { start: 'node dist/app.js', test: 'x' } },
    { 'app.ts': APP }, ['npm install && npm test', 'npm start', '3000']],
  ['a start script that compiles',
    { scripts: { start: 'node --import tsx app.ts', build: 'tsc', dev: 'x', test: 'x' } },
    { 'app.ts': APP }, ['npm install && npm test', 'npm start', '3000']],
  ['a start script that runs .mts', { scripts: { start: 'node app.mts', build: 'tsc', dev: 'x', test: 'x' } },
    { 'app.mts': APP }, ['npm install && npm test', 'npm start', '3000']],
  ['a start script in JavaScript', { scripts: { start: 'node app.js', build: 'x', dev: 'x', test: 'x' } },
    { 'app.js': APP }, ['npm install && npm test', 'npm start', '3000']],
  ['a start script of a project without a server', { scripts: { start: 'y' } }, {},
    ['npm install && node --test test/me.test.js', `${ENV}node --env-file=.env server.js`, '3001']],
  ['fastify-cli', { scripts: { start: 'fastify start app.js', test: 'x' }, dependencies: { '@fastify/autoload': '6' } },
    AUTOLOAD, ['npm install && npm test', `${ENV}npm start -- --port 3001`, '3001']],
  ['fastify-cli with pnpm', { scripts: { start: 'fastify start app.js' }, dependencies: { '@fastify/autoload': '6' } },
    { ...AUTOLOAD, 'pnpm-lock.yaml': '' },
    ['pnpm install && node --test test/routes/me.test.js', `${ENV}pnpm start --port 3001`, '3001']],
  ['Vitest with pnpm', { devDependencies: { vitest: '4' } }, { 'pnpm-lock.yaml': '' },
    ['pnpm install && pnpm exec vitest run test/me.test.js', `${ENV}node --env-file=.env server.js`, '3001']],
  ['tap with yarn', { devDependencies: { tap: '21' } }, { 'yarn.lock': '' },
    ['yarn install && yarn tap test/me.test.js', `${ENV}node --env-file=.env server.js`, '3001']],
  ['Jest with Bun', { devDependencies: { jest: '30' } }, { 'bun.lock': '' },
    ['bun install && bunx jest test/me.test.js', `${ENV}node --env-file=.env server.js`, '3001']],
  ['folders with spaces', {}, { 'my app/app.js': APP, 'my app/test/a.js': '' },
    ['npm install && node --test test/me.test.js', `${ENV}node --env-file=.env "my app/app.js"`, '3000']],
  ['folders with characters of the shell', {}, { '$(x)`it\'s/app.js': APP },
    ['npm install && node --test test/me.test.js', `${ENV}node --env-file=.env '$(x)\`it'\\''s/app.js'`, '3000']],
  ['tests in a folder with spaces', { devDependencies: { jest: '30' } },
    { 'tsconfig.json': '{ "compilerOptions": { "rootDir": "my src" } }' },
    ['npm install && npx jest "my src/test/me.test.ts"', `${ENV}npx tsx --env-file=.env server.ts`, '3001']],
  ['scripts with Bun', { scripts: { test: 'x', start: 'y' } }, { 'bun.lock': '', 'app.js': APP },
    ['bun install && bun run test', 'bun run start', '3000']]
]

for (const [title, manifest, files, [test, start, port]] of CASES) {
  t.test(`the commands to try it: ${title}`, async t => {
    const project = findProject(createFiles(t, { 'package.json': JSON.stringify(manifest), ...files }))
    t.strictSame(nextSteps(project, pathsOf(project)), [test, start, `curl -i http://localhost:${port}/me`])
  })
}
