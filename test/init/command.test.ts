import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { init } from '../../lib/init/command.js'
import { VERSION } from '../../lib/contract/version.js'
import { createFiles, runInit, snapshot, writeFiles } from '../fixtures/init-project.js'

const MANIFEST = `{
  "type": "module",
  "dependencies": {
    "fastify": "^5.8.4"
  }
}
`
const APP = "import Fastify from 'fastify'\n\nconst app = Fastify({ logger: true })\nawait app.listen({ port: 4000 })\n"
const PROJECT = { 'package.json': MANIFEST, 'app.js': APP }

t.test('--help', async t => {
  const { status, stdout, stderr } = runInit('/', '--help')
  t.strictSame({ status, stderr }, { status: 0, stderr: '' })
  for (const word of ['authUrl', '--same-app', '--dry-run', 'never\noverwrites']) t.match(stdout, word)
  t.ok(stdout.split('\n').every(line => line.length < 100))
})

t.test('a mistake is one line, a hint and exit status 1, and nothing is written', async t => {
  const MISTAKES: Array<[args: string[], message: string | RegExp]> = [
    [['--force'], "Unknown option '--force'"],
    [['--dry-run=yes'], "Option '--dry-run' does not take an argument"],
    [['http://a.example', 'b'], 'Too many arguments: init takes one URL'],
    [['localhost:3000'], 'authUrl must start with http:// or https://'],
    [['//http://a.example/?q'], /^authUrl must start with http:\/\/ or https:\/\/$/],
    [['http://a.example/?q'], /^Option "authUrl" must be an absolute http.* got 'http:\/\/a\.example\/\?q'$/],
    [['https://user:hunter2@a.example'], /^Option "authUrl" must be .* got 'https:\/\/\*\*\*@a\.example'$/],
    [['https://a.example/api/auth/jwks'], /^Option "authUrl" must be the URL of the auth server, not of its JWKS/],
    [['http://a.example/\u202e?'], /\\u\{202e\}/]
  ]
  const root = createFiles(t, PROJECT)
  for (const [args, message] of MISTAKES) {
    const { status, stdout, stderr } = runInit(root, ...args)
    t.equal(status, 1)
    t.equal(stdout, '')
    const [line, ...rest] = stderr.split('\n')
    t.match(line, message)
    t.strictSame(rest, ['Try: npx better-auth-fastify init --help', ''])
  }
  t.notMatch(runInit(root, 'eyJhbGciOiJub25lIn0.e30.x').stderr, 'eyJ', 'what may be a token is not shown')
  t.strictSame(snapshot(root), PROJECT)
})

t.test('a folder that is no project', async t => {
  const cases: Array<[files: Record<string, string>, message: RegExp]> = [
    [{}, /^This folder is empty\. Create a project first: npm init -y\n/],
    [{ 'notes.txt': '' }, /^There is no package\.json in this folder\. .*npm init -y\n/],
    [{ 'package.json': '{ "name": ' }, /^package\.json is not valid JSON: .+\n/],
    [{ 'package.json': '[]' }, /^package\.json must be a JSON object\n/],
    [{ 'package.json': 'null' }, /^package\.json must be a JSON object\n/],
    [{ 'package.json': '{ "scripts": [] }' }, /^"scripts" in package\.json must be an object\n/],
    [
      { 'package.json': '{ "dependencies": null, "scripts": {} }' },
      /^"dependencies" in package\.json must be an object\n/
    ],
    [{ 'package.json': '{ "dependencies": "none" }' }, /^"dependencies" in package\.json must be an object\n/],
    [
      { 'package.json': '{ "dependencies": { "fastify": "^4.29.1" } }' },
      /^package\.json has fastify \^4\.29\.1, and this plugin needs Fastify 5 \(\^5\.8\.4\)\n/
    ],
    [{ 'package.json': '{ "dependencies": { "fastify": "50" } }' }, /^package\.json has fastify 50, and/],
    [{ 'package.json': '{ "dependencies": { "fastify": "4\\nTry: x" } }' }, /^package\.json has fastify 4 Try: x, and/]
  ]
  for (const [files, message] of cases) {
    const root = createFiles(t, files)
    t.match(runInit(root), { status: 1, stdout: '', stderr: message })
    t.strictSame(snapshot(root), files)
  }
  const root = createFiles(t, {})
  mkdirSync(join(root, 'package.json'))
  t.match(runInit(root), { status: 1, stderr: /^package\.json is not a file\n/ })
})

t.test('a version of Fastify that is no number is left to npm', async t => {
  for (const range of ['*', 'workspace:*', '>=4', '5', 'latest']) {
    const root = createFiles(t, { 'package.json': JSON.stringify({ dependencies: { fastify: range } }) })
    t.equal(runInit(root, '--dry-run').status, 0, range)
  }
})

t.test('it writes the files, says what is left to do, and changes nothing when it runs again', async t => {
  const root = createFiles(t, PROJECT)
  const { status, stdout, stderr } = runInit(root, 'https://id.example.com/base/')
  t.strictSame({ status, stderr }, { status: 0, stderr: '' })
  const files = snapshot(root)
  t.strictSame(Object.keys(files), [
    '.env.example', 'app.js', 'package.json', 'plugins/auth.js', 'routes/me.js', 'test/me.test.js'
  ])
  t.equal(files['app.js'], APP)
  t.equal(files['package.json'], `{
  "type": "module",
  "dependencies": {
    "better-auth-fastify": "^${VERSION}",
    "fastify": "^5.8.4",
    "fastify-plugin": "^6.0.1"
  }
}
`)
  t.equal(files['.env.example'], '# The Better Auth server whose users may come in: its baseURL.\n' +
    'BETTER_AUTH_URL=https://id.example.com/base\n')
  t.equal(stdout, `Found: JavaScript, ES modules, no @fastify/autoload, tests with node:test.

  created    plugins/auth.js
  created    routes/me.js
  created    test/me.test.js
  changed    package.json (better-auth-fastify ^${VERSION}, fastify-plugin ^6.0.1)
  created    .env.example (BETTER_AUTH_URL)

Add this to app.js; put the calls of register() after the line that creates "app":

  import auth from './plugins/auth.js'
  import me from './routes/me.js'

  await app.register(auth)
  await app.register(me)

To try it:

  npm install && node --test test/me.test.js
  cp .env.example .env && node --env-file=.env app.js

While it runs, this request gets 401, because it has no token:

  curl -i http://localhost:4000/me

With the token of a user it gets 200. A signed-in user gets one from GET /api/auth/token of the Better
Auth server: see "Quick start" in node_modules/better-auth-fastify/README.md.
`)

  writeFiles(root, { 'app.js': `import auth from './plugins/auth.js'\n${APP}` })
  const again = runInit(root)
  t.match(again, { status: 0, stderr: '' })
  t.equal(again.stdout.match(/^ {2}unchanged {2}/gm)?.length, 5)
  t.notMatch(again.stdout, 'Add this to', 'the app has it')
  t.strictSame(snapshot(root), { ...files, 'app.js': `import auth from './plugins/auth.js'\n${APP}` })
})

t.test('--dry-run prints a diff that makes the same files', async t => {
  const start = { ...PROJECT, '.env.example': 'PORT=4000' }
  const [dry, wet] = [createFiles(t, start), createFiles(t, start)]
  const { status, stdout } = runInit(dry, '--dry-run')
  t.equal(status, 0)
  t.strictSame(snapshot(dry), start)
  t.match(stdout, '  would be created  plugins/auth.js\n')
  t.match(stdout, '  would be changed  package.json (')
  t.match(stdout, '\nNothing was written. To try it:\n')
  const git = spawnSync('git', ['apply', '-'], { cwd: dry, input: stdout, encoding: 'utf8' })
  t.equal(git.status, 0, git.stderr)
  runInit(wet)
  t.strictSame(snapshot(dry), snapshot(wet))
})

t.test('it says what it has found', async t => {
  for (const [type, found] of [['module', 'ES modules'], ['commonjs', 'CommonJS']]) {
    const { stdout } = runInit(createFiles(t, { 'package.json': JSON.stringify({ type }) }), 'http://a', '--dry-run')
    t.match(stdout, `JavaScript, ${found}, no @fastify/autoload`)
  }
  const files = { 'tsconfig.json': '{}', 'plugins/a.ts': '', 'routes/b.ts': '' }
  const manifest = { dependencies: { '@fastify/autoload': '6' }, devDependencies: { tap: '21' } }
  const { stdout } = runInit(createFiles(t, { ...files, 'package.json': JSON.stringify(manifest) }), '--dry-run')
  t.match(stdout, 'Found: TypeScript, CommonJS, plugins and routes loaded by @fastify/autoload, tests with tap.\n')
})

t.test('a file that is there is kept, and what it lacks is printed', async t => {
  const mine = { 'plugins/auth.js': '// with better-auth-fastify\n', '.env.example': 'BETTER_AUTH_URL=http://b' }
  const root = createFiles(t, { ...PROJECT, ...mine })
  t.notMatch(runInit(root, 'http://a', '--dry-run').stdout, '+++ b/plugins/auth.js')
  const { status, stdout } = runInit(root, 'http://a')
  t.equal(status, 0)
  t.match(stdout, '  kept       plugins/auth.js (already exists)\n')
  const wanted = 'init would write this:\n\n '
  t.match(stdout, `\nplugins/auth.js already exists. ${wanted} import betterAuthPlugin`)
  const line = 'BETTER_AUTH_URL=http://a\n\nAdd this to app.js;'
  t.match(stdout, `\n.env.example has another BETTER_AUTH_URL. ${wanted} ${line}`)
  const { 'package.json': _, ...files } = snapshot(root)
  t.match(files, mine)
  t.ok(files['routes/me.js'], 'the rest is written')
})

t.test('with another file in the place of the plugin, no route is written that would need it', async t => {
  const mine = { 'plugins/auth.js': 'export default async () => {}\n', 'test/me.test.js': '' }
  const root = createFiles(t, { ...PROJECT, ...mine })
  const { stdout } = runInit(root)
  t.match(stdout, '  skipped    routes/me.js (needs the plugin, which plugins/auth.js does not register)\n')
  t.match(stdout, /^routes\/me\.js needs the plugin, which .* register\. init would .*\n\n {2}export default/m)
  t.match(stdout, '  kept       test/me.test.js (already exists)\n')
  t.strictSame(Object.keys(snapshot(root)), ['.env.example', 'app.js', 'package.json', ...Object.keys(mine)])
})

t.test('nothing is written through a symbolic link that leads out of the project', async t => {
  const outside = createFiles(t, { 'package.json': MANIFEST, 'env.txt': '' })
  const links: Array<[link: string, target: string]> = [
    ['plugins', outside], ['test', outside], ['routes', join(outside, 'missing')],
    ['.env.example', join(outside, 'env.txt')], ['package.json', join(outside, 'package.json')], ['routes', '..'],
    ['plugins', '.git/hooks'], ['.env.example', '.git/config']
  ]
  for (const [link, target] of links) {
    const { [link]: _, ...files } = { ...PROJECT, '.git/config': '', '.git/hooks/x': '' } as Record<string, string>
    const root = createFiles(t, files)
    symlinkSync(target, join(root, link))
    t.match(runInit(root), {
      status: 1, stdout: '', stderr: `${link} is a symbolic link that leads out of the project: nothing was written\n`
    })
    t.strictSame(snapshot(root), files)
  }
  t.strictSame(snapshot(outside), { 'package.json': MANIFEST, 'env.txt': '' })

  const root = createFiles(t, { ...PROJECT, 'code/plugins/other.js': '' })
  symlinkSync('code/plugins', join(root, 'plugins'))
  t.equal(runInit(root).status, 0, 'one that stays inside is followed')
  t.ok(snapshot(root)['code/plugins/auth.js'])
})

t.test('the folder itself may be reached by a symbolic link', async t => {
  const root = createFiles(t, PROJECT)
  const links = createFiles(t, {})
  symlinkSync(root, join(links, 'link'))
  t.equal(runInit(join(links, 'link')).status, 0)
  t.ok(snapshot(root)['plugins/auth.js'])
})

t.test('what stands in the way of a folder is named', async t => {
  const root = createFiles(t, { ...PROJECT, plugins: '' })
  t.match(runInit(root), { status: 1, stderr: 'plugins is not a folder: nothing was written\n' })
})

t.test('a folder that cannot be written', { skip: process.getuid?.() === 0 && 'root may write anywhere' }, async t => {
  const root = createFiles(t, PROJECT)
  chmodSync(root, 0o555)
  t.teardown(() => chmodSync(root, 0o755))
  t.match(runInit(root), { status: 1, stderr: 'plugins/auth.js cannot be written: EACCES\n' })
})

t.test('the names in a project do not control the terminal', async t => {
  const root = createFiles(t, {
    'package.json': '{ "type": "module", "dependencies": { "fastify": "5" } }',
    'a\u001b[2J\u2028b.js': APP
  })
  const { status, stdout } = runInit(root, '--dry-run')
  t.equal(status, 0)
  t.match(stdout, 'Add this to a\\u{1b}[2J\\u{2028}b.js')
  t.notMatch(stdout, /[^\P{Cc}\n]/u)
})

t.test('a name that a shell or a reader takes for something else is no app', async t => {
  const root = createFiles(t, { 'package.json': MANIFEST, '--import=x/app.js': APP, 'a\n\nTo try it: x/app.js': APP })
  t.notMatch(runInit(root, '--dry-run').stdout, /--import|To try it: x/)
})

t.test('an error of the program itself is not hidden', async t => {
  const write = () => {}
  const cwd = () => { throw new Error('ENOENT') }
  t.throws(() => init(['init'], { stdout: { write }, stderr: { write }, cwd }), { message: 'ENOENT' })
})

t.test('the ranges are those of this package', async t => {
  const { RANGES } = await import('../../lib/init/plan.js')
  const { dependencies, devDependencies, peerDependencies } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  ) as Record<string, Record<string, string>>
  const all: Record<string, string> = { ...devDependencies, ...dependencies, ...peerDependencies }
  for (const [name, range] of Object.entries(RANGES)) t.equal(range, all[name], name)
})
