import { execFileSync } from 'node:child_process'
import t from 'tap'
import { ROOT } from './fixtures/program.js'

/** The package as it is published, out of what `npm test` has built. */
const folder = t.testdir({})
const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
const [{ files }] = JSON.parse(packed) as [{ files: Array<{ path: string }> }]

t.test('the tarball holds what is needed to use the package, and nothing else', async t => {
  const paths = files.map(({ path }) => path)
  t.strictSame(paths.filter(path => !path.startsWith('dist/')).sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
  t.ok(paths.includes('dist/index.js'))
  t.ok(paths.includes('dist/index.d.ts'))
  t.strictSame(paths.filter(path => path.startsWith('dist/') && !/\.(js|d\.ts)$/.test(path)), [])
})
