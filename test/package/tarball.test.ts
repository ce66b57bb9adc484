import t from 'tap'
import { pack } from '../fixtures/package.js'

t.test('the tarball holds what is needed to use the package, and nothing else', async t => {
  const { files } = await pack(t.testdir({}))
  t.strictSame(
    files.filter(path => !path.startsWith('dist/')).sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
  )
  for (const path of ['dist/index', 'dist/testing/index']) {
    t.ok(files.includes(`${path}.js`))
    t.ok(files.includes(`${path}.d.ts`))
  }
  t.ok(files.includes('dist/cli.js'))
  t.strictSame(files.filter(path => path.startsWith('dist/') && !/\.(js|d\.ts)$/.test(path)), [])
})
