import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parsePage, read } from '../fixtures/docs.js'
import { ROOT } from '../fixtures/program.js'
import { NODE_VERSIONS, RUNTIMES } from '../matrix/runtimes.js'
import { countsOf } from '../matrix/tap-output.js'

const FOLDER = '.github/workflows'
const CI = read(`${FOLDER}/ci.yml`)
const RELEASE = read(`${FOLDER}/release.yml`)

t.test('CI, the matrix and the reference name the same runtimes', t => {
  const [, list] = /^ +node: \[(.*)\]$/m.exec(CI)!
  t.strictSame(list!.split(', ').map(text => text.replaceAll("'", '')), NODE_VERSIONS)
  const [, only] = /npm run test:matrix -- --only=(\S+)/.exec(CI)!
  t.strictSame(only!.split(','), RUNTIMES.filter(({ kind }) => kind === 'smoke').map(({ name }) => name))
  const rows = parsePage('docs/reference/compatibility.md').table('Runtimes')
  t.strictSame(rows.map(([runtime]) => runtime), RUNTIMES.map(({ title }) => title))
  for (const [runtime, version, , , failed] of rows) {
    const [, prefix = ''] = /^Node\.js (.*)$/.exec(runtime!) ?? []
    t.ok(`${version}.`.startsWith(prefix === '' ? '' : `${prefix}.`), `${runtime}: ${version}`)
    t.equal(failed, '0', `${runtime}: none failed`)
  }
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } }
  t.equal(engines.node, `^${NODE_VERSIONS[0]}.0 || >=${NODE_VERSIONS[1]}.0`, 'the oldest are those of package.json')
  t.end()
})

t.test('the matrix counts a program that ends without a result as failed', t => {
  t.strictSame(countsOf('# { total: 9, pass: 8, skip: 1 }\n', 0), { assertions: 9, failed: 0, skipped: 1 })
  t.strictSame(countsOf('# { total: 9, pass: 7, fail: 2 }\n', 1), { assertions: 9, failed: 2, skipped: 0 })
  const bad = [['', 0], ['ok 1\n', 0], ['# { total: 9, pass: 9 }\n', null], ['not ok 1\n', 1]] as const
  for (const [output, code] of bad) {
    t.equal(countsOf(output, code).failed, 1, output)
  }
  t.end()
})

t.test('workflows use actions by the digest of a commit, and no more rights than they need', t => {
  for (const file of readdirSync(join(ROOT, FOLDER))) {
    const text = read(`${FOLDER}/${file}`)
    const actions = [...text.matchAll(/\buses: *(.*)/g)].map(([, action]) => action!)
    t.ok(actions.length > 0, file)
    const pinned = /^actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
    for (const action of actions) t.match(action, pinned, `${file}: ${action}`)
    t.match(text, /^permissions:\n {2}contents: read\n/m, `${file}: the rights of its jobs`)
    const rights = [...text.matchAll(/: *write\b/g)].length
    t.equal(rights, file === 'release.yml' ? 1 : 0, `${file}: rights to write`)
    // Expressions in a script are the way in for whoever names a branch.
    t.notMatch(text, /run: .*\$\{\{/, `${file}: no expression in a command`)
    t.equal(text.match(/checkout@/g)!.length, text.match(/persist-credentials: false/g)!.length, file)
  }
  t.end()
})

t.test('a release publishes what has passed, with provenance', t => {
  t.match(RELEASE, /^on:\n {2}push:\n {4}tags: \['v\*'\]$/m)
  t.match(RELEASE, /^ {6}id-token: write$/m)
  const steps = [/GITHUB_REF_NAME/, /run: \.ci\/run$/m, /run: npm publish --provenance --access public$/m]
  const places = steps.map(step => RELEASE.search(step))
  t.ok(places.every((place, index) => place > (places[index - 1] ?? 0)), 'in this order')
  t.end()
})

t.test('a release needs its version in package.json and, with a date, in CHANGELOG.md', t => {
  const [, indented] = /same version\n {8}run: \|\n((?: {10}.*\n)+)/.exec(RELEASE)!
  // GitHub starts bash with -e.
  const script = indented!.replaceAll(/^ {10}/gm, '')
  // Without what tap preloads into programs, and without a .bashrc: bash reads it if its input is a socket.
  const bash = ['-u', 'NODE_OPTIONS', 'bash', '--norc', '-e', '-c', script]
  const statusOf = (tag: string, changelog: string, version = '1.2.3') => spawnSync('env', bash, {
    cwd: t.testdir({ 'package.json': JSON.stringify({ version }), 'CHANGELOG.md': `# Changelog\n\n${changelog}\n` }),
    env: { PATH: process.env.PATH, GITHUB_REF_NAME: tag }
  }).status
  t.equal(statusOf('v1.2.3', '## [1.2.3] - 2026-01-31'), 0)
  t.not(statusOf('v1.2.4', '## [1.2.4] - 2026-01-31'), 0, 'another version in package.json')
  t.not(statusOf('1.2.3', '## [1.2.3] - 2026-01-31'), 0, 'no v')
  for (const line of ['[Unreleased]', '[1.2.3] - Unreleased', '[1.2.30] - 2026-01-31', '[1x2x3] - 2026-01-31']) {
    t.not(statusOf('v1.2.3', `## ${line}`), 0, line)
  }
  t.end()
})
