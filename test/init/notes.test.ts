import t from 'tap'
import { createFiles, runInit, type Files } from '../fixtures/init-project.js'

const APP = "import Fastify from 'fastify'\nconst app = Fastify()\n"

t.test('says what may be missing, or there twice', async t => {
  const project = { 'package.json': '{ "type": "module" }', 'auth.js': 'export const auth = betterAuth({})' }
  const CASES: Array<[files: Files, args: string[], note: RegExp]> = [
    [{}, ['--same-app'], /\n\nauth\.js may lack the plugin jwt\(\): .*\n.*database\n\nNothing was written/],
    [
      { 'app.js': `${APP}app.all('/api/auth/*', request => auth.handler(request))` }, ['--same-app'],
      /\n\napp\.js may mount Better Auth already\. .*\n\nNothing/
    ],
    [
      { 'app.js': `${APP}app.get('/me', () => 'me')` }, [],
      /\n\napp\.js may have a route GET \/me already\. .*\n.* in routes\/me\.js\.\n\nNothing/
    ],
    [{}, [], /\n\nauth\.js exports a .*\n.* plugins\/auth\.js .*\n\n {2}npx .* --same-app\n\nNothing/]
  ]
  for (const [files, args, note] of CASES) {
    const root = createFiles(t, { ...project, ...files })
    t.match(runInit(root, ...args, '--dry-run').stdout, note)
  }
  const jwt = { 'auth.js': 'export const auth = betterAuth({ plugins: [jwt  ()] })', 'app.js': APP }
  const { stdout } = runInit(createFiles(t, { ...project, ...jwt }), '--same-app')
  t.notMatch(stdout, ' may ')
  t.notMatch(stdout, ' exports ')
  const own = { ...project, 'app.js': `${APP}app.all('/x', request => auth.handler(request))` }
  t.notMatch(runInit(createFiles(t, own), 'http://localhost:3000').stdout, / exports | may /)
})
