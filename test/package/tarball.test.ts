import { posix } from 'node:path'
import t from 'tap'
import { PAGES, parsePage, read } from '../fixtures/docs.js'
import { pack } from '../fixtures/package.js'

t.test('the tarball', async t => {
  const { files } = await pack(t.testdir({}))
  const below = (folder: string) => files.filter(path => path.startsWith(`${folder}/`))

  t.test('holds what is needed to use the package, and nothing else', async t => {
    t.strictSame(files.filter(path => !/^(?:dist|docs|examples|skills)\//.test(path)).sort(), [
      'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'bench/RESULTS.md', 'bench/results.svg',
      'package.json'
    ])
    for (const path of ['dist/index', 'dist/testing/index']) {
      t.ok(files.includes(`${path}.js`))
      t.ok(files.includes(`${path}.d.ts`))
    }
    t.ok(files.includes('dist/cli.js'))
    t.strictSame(below('dist').filter(path => !/\.(js|d\.ts)$/.test(path)).sort(), [
      'dist/dependencies.cjs', 'dist/typebox-license.txt'
    ])
    t.strictSame(below('docs').sort(), PAGES.filter(page => page.startsWith('docs/')).sort())
    t.ok(below('examples').includes('examples/minimal.ts'))
  })

  t.test('holds no tests, no measurements and no source maps', async t => {
    const unwanted = /(?:^|\/)(?:test|lib|node_modules|\.\w+)\/|\.(?:test|tst)\.|\.map$/
    t.strictSame(files.filter(path => unwanted.test(path)), [])
    t.strictSame(below('bench').sort(), ['bench/RESULTS.md', 'bench/results.svg'])
    for (const path of below('dist')) t.notMatch(read(path), /^\/\/# sourceMappingURL=/m, `${path} names no map`)
  })

  t.test('has only a small part of TypeBox in it', async t => {
    const code = below('dist').filter(path => path.endsWith('.js')).map(read).join('\n')
    const parts = code.match(/^\/\/ .*@sinclair\/typebox\/build\/.*$/gm) ?? []
    t.ok(parts.length > 10 && parts.length < 50, `${parts.length} of several hundred files`)
    t.match(read('dist/typebox-license.txt'), /Copyright \(c\) .*Permission is hereby granted/s)
  })

  t.test('holds whatever its pages link to', async t => {
    for (const page of files.filter(path => path.endsWith('.md'))) {
      for (const link of parsePage(page).links.filter(link => !/^https?:|^#/.test(link))) {
        const target = posix.join(posix.dirname(page), link.split('#')[0]!)
        t.ok(files.some(file => file === target || file.startsWith(`${target}/`)), `${page} links to ${target}`)
      }
    }
  })
})
