import t from 'tap'
import { findAuth } from '../../lib/init/find-auth.js'
import { listFiles } from '../../lib/init/folder.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

const AUTH = 'export const auth = betterAuth({})'

function find (t: Parameters<typeof createFiles>[0], files: Files) {
  const root = createFiles(t, files)
  const { path, exports } = findAuth(root, listFiles(root)) ?? {}
  return path === undefined ? undefined : [path, exports]
}

t.test('finds the instance where the CLI of Better Auth does', async t => {
  for (const path of [
    'auth.ts', 'auth.mjs', 'lib/auth.js', 'src/auth.ts', 'src/lib/auth.ts', 'utils/auth.cts', 'server/auth.ts',
    'src/server/auth.ts', 'app/lib/server/auth.ts', 'auth/auth.ts', 'auth/index.ts', 'lib/auth/index.ts'
  ]) {
    t.strictSame(find(t, { [path]: AUTH }), [path, 'auth'], path)
  }
  t.strictSame(find(t, { 'src/lib/auth.ts': AUTH, 'src/auth.ts': AUTH, 'lib/auth.ts': '' }), ['src/auth.ts', 'auth'])
})

t.test('knows how it is exported', async t => {
  const CASES: Array<[text: string, exports: string | undefined]> = [
    ['const auth = betterAuth({})\nexport { auth }', 'auth'],
    ['const server = betterAuth<Options>({})\nexport { db, server as auth }', 'auth'],
    ['exports.auth = betterAuth({})', 'auth'],
    ['const auth = betterAuth({})\nmodule.exports = { auth }', 'auth'],
    ['const auth = betterAuth({})\nexport = { db, auth }', 'auth'],
    ['export default betterAuth({})', 'default'],
    ['export  default  betterAuth  ({})', 'default'],
    ['const auth = betterAuth({})\nexport { auth as default }', 'default'],
    ['const auth = betterAuth({})\nexport { auth  as  default }', 'default'],
    ['module.exports = betterAuth({})', 'module'],
    ['module.exports=betterAuth({})', 'module'],
    ['export = betterAuth({})', 'module'],
    ['const auth = betterAuth({})', undefined],
    ['export const auth = createOther({})', undefined],
    ["import { betterAuth } from 'better-auth'\nexport const auth = null", undefined]
  ]
  for (const [text, exports] of CASES) t.strictSame(find(t, { 'auth.ts': text })?.[1], exports, text)
})

t.test('other files are none', async t => {
  for (const path of [
    'plugins/auth.ts', 'auth.test.ts', 'auth.d.ts', 'src/my-auth.ts', 'deep/lib/auth.ts', 'auth.md', 'auth.json'
  ]) {
    t.equal(find(t, { [path]: AUTH }), undefined, path)
  }
})
