import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFiles, runInit, snapshot, type Files } from '../fixtures/init-project.js'

const MANIFEST = { 'package.json': '{ "type": "module" }\n' }

t.test('BETTER_AUTH_URL in .env.example', async t => {
  const comment = '# The Better Auth server whose users may come in: its baseURL.'
  const CASES: Array<[before: string | undefined, args: string[], after: string]> = [
    [undefined, [], `${comment}\nBETTER_AUTH_URL=http://localhost:3000\n`],
    ['', [], `${comment}\nBETTER_AUTH_URL=http://localhost:3000\n`],
    ['A=1\n', ['http://a//'], `A=1\n${comment}\nBETTER_AUTH_URL=http://a\n`],
    ['A=1', ['http://a'], `A=1\n${comment}\nBETTER_AUTH_URL=http://a\n`],
    ['A=1\r\n', ['http://[::1]:3000'], `A=1\r\n${comment}\r\nBETTER_AUTH_URL=http://[::1]:3000\r\n`],
    ['# BETTER_AUTH_URL=x\n', ['http://a'], `# BETTER_AUTH_URL=x\n${comment}\nBETTER_AUTH_URL=http://a\n`],
    ['MY_BETTER_AUTH_URL=x\n', ['http://a'], `MY_BETTER_AUTH_URL=x\n${comment}\nBETTER_AUTH_URL=http://a\n`],
    ['export  BETTER_AUTH_URL = x\n', [], 'export  BETTER_AUTH_URL = x\n'],
    ['BETTER_AUTH_URL=http://a\n', ['http://b'], 'BETTER_AUTH_URL=http://a\n'],
    [undefined, ['http://a/$(id)'], `${comment}\nBETTER_AUTH_URL='http://a/$(id)'\n`],
    [undefined, ["http://a/it's"], `${comment}\nBETTER_AUTH_URL='http://a/it%27s'\n`],
    [undefined, ['http://a/"`'], `${comment}\nBETTER_AUTH_URL=http://a/%22%60\n`]
  ]
  for (const [before, args, after] of CASES) {
    const root = createFiles(t, { ...MANIFEST, ...before === undefined ? {} : { '.env.example': before } })
    t.equal(runInit(root, ...args).status, 0)
    t.equal(snapshot(root)['.env.example'], after)
  }
})

t.test('a file that is not UTF-8 stays as it is: written again, its characters would be lost', async t => {
  for (const text of [Buffer.from('NAME=caf\xe9\n', 'latin1'), Buffer.from('\uFEFFA=1\n', 'utf16le')]) {
    const root = createFiles(t, MANIFEST)
    const file = join(root, '.env.example')
    writeFileSync(file, text)
    const { stdout } = runInit(root, 'http://a')
    t.match(stdout, /^ {2}kept +\.env\.example \(is not UTF-8\)\n/m)
    t.match(stdout, /^\.env\.example is not UTF-8\. .+:\n\n {2}# .+\n {2}BETTER_AUTH_URL=http:\/\/a\n/m)
    t.strictSame(readFileSync(file), text)
  }
  const manifest = Buffer.from('{ "author": "Ren\xe9" }', 'latin1')
  const root = createFiles(t, {})
  writeFileSync(join(root, 'package.json'), manifest)
  t.match(runInit(root), { status: 1, stdout: '', stderr: 'package.json must be UTF-8\n' })
  t.strictSame(readFileSync(join(root, 'package.json')), manifest)
  t.strictSame(Object.keys(snapshot(root)), ['package.json'])
})

t.test('the same BETTER_AUTH_URL is no other', async t => {
  const root = createFiles(t, { ...MANIFEST, '.env.example': '  BETTER_AUTH_URL=http://a  \n' })
  t.match(runInit(root, 'http://a').stdout, '  unchanged  .env.example (has BETTER_AUTH_URL)\n')
})

t.test('what TypeScript needs for the commands is a development dependency', async t => {
  const start = { start: 'ts-node app.ts' }
  const CASES: Array<[devDependencies: object, scripts: object, added: string[]]> = [
    [{ typescript: '6' }, {}, ['@types/node', 'tsx']],
    [{ typescript: '6', '@types/node': '24', tsx: '4' }, {}, []],
    [{ typescript: '6', 'ts-node': '10' }, start, ['@types/node']],
    [{ typescript: '6', 'ts-node': '10' }, {}, ['@types/node', 'tsx']],
    [{ typescript: '6', vitest: '4' }, start, ['@types/node']],
    [{ typescript: '6', vitest: '4' }, {}, ['@types/node', 'tsx']]
  ]
  for (const [devDependencies, scripts, added] of CASES) {
    const root = createFiles(t, {
      'package.json': JSON.stringify({ devDependencies, scripts }, null, 2),
      'app.ts': "import Fastify from 'fastify'\nconst app = Fastify()\n"
    } satisfies Files)
    runInit(root)
    const text = snapshot(root)['package.json']!
    const found = JSON.parse(text) as Record<string, Record<string, string>>
    t.equal(JSON.stringify(found, null, 2), text, 'no name is there twice')
    const names = Object.keys(found.devDependencies!).filter(name => !Object.hasOwn(devDependencies, name))
    t.strictSame(names.sort(), added)
    t.strictSame(Object.keys(found.dependencies!), ['better-auth-fastify', 'fastify', 'fastify-plugin'])
  }
})

t.test('dependencies of any kind are not added again', async t => {
  const text = JSON.stringify({
    peerDependencies: { fastify: '^5.8.4' }, devDependencies: { 'better-auth-fastify': '*', 'fastify-plugin': '^5.1.0' }
  })
  const root = createFiles(t, { 'package.json': text })
  t.match(runInit(root).stdout, '  unchanged  package.json (has the dependencies)\n')
  t.equal(snapshot(root)['package.json'], text)
})
