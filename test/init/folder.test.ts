import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isTaken, listFiles, readText, writeText } from '../../lib/init/folder.js'
import { createFiles, snapshot } from '../fixtures/init-project.js'

t.test('a new file never replaces another, and a failure is named', async t => {
  const root = createFiles(t, { 'a.js': 'mine', b: '' })
  t.throws(() => writeText(root, 'a.js', 'theirs', true), { message: 'a.js cannot be written: EEXIST' })
  t.throws(() => writeText(root, 'b/c.js', '', true), { message: /^b\/c\.js cannot be written: E(?:EXIST|NOTDIR)$/ })
  symlinkSync('nowhere', join(root, 'd.js'))
  t.throws(() => writeText(root, 'd.js', '', true), { message: 'd.js cannot be written: EEXIST' })
  writeText(root, 'a.js', 'more', false)
  writeText(root, 'e/f/g.js', 'new', true)
  t.match(snapshot(root), { 'a.js': 'more', 'e/f/g.js': 'new' })
})

t.test('a file keeps its mode and its links, and its text if it cannot be replaced', async t => {
  const root = createFiles(t, { 'a.js': 'old' })
  const file = join(root, 'a.js')
  chmodSync(file, 0o664)
  symlinkSync('a.js', join(root, 'link.js'))
  const umask = process.umask(0o077)
  try {
    writeText(root, 'link.js', 'new', false)
  } finally {
    process.umask(umask)
  }
  t.strictSame(snapshot(root), { 'a.js': 'new' })
  t.equal(statSync(file).mode & 0o777, 0o664, 'whatever the mode of new files is')

  mkdirSync(join(root, 'b'))
  t.throws(() => writeText(root, 'b', 'text', false), { message: 'b cannot be written: EISDIR' })
  const temporary = `a.js.${process.pid}.tmp`
  writeText(root, temporary, 'theirs', true)
  t.throws(() => writeText(root, 'a.js', 'newer', false), { message: 'a.js cannot be written: EEXIST' })
  t.strictSame(snapshot(root), { 'a.js': 'new', [temporary]: 'theirs' })
  t.strictSame(readdirSync(root).sort(), ['a.js', temporary, 'b', 'link.js'])
})

t.test('a path is free, or taken, or leads out', async t => {
  const root = createFiles(t, { 'a/b.js': '' })
  symlinkSync('nowhere', join(root, 'c'))
  symlinkSync('a', join(root, 'd'))
  t.strictSame(['a/b.js', 'a', 'd/b.js', 'a/c.js', 'x/y/z', 'd/x'].map(path => isTaken(root, path)), [
    true, true, true, false, false, false
  ])
  t.throws(() => isTaken(root, 'c'), { message: /^c is a symbolic link that leads out/ })
  symlinkSync('a/b.js', join(root, 'e'))
  for (const file of ['a/b.js', 'e']) {
    t.throws(() => isTaken(root, `${file}/c`), { message: `${file} is not a folder: nothing was written` })
  }
})

t.test('the files of a project are listed up to a number and a depth', async t => {
  const names = Array.from({ length: 5010 }, (_, index) => [`many/${index}.js`, ''])
  t.equal(listFiles(createFiles(t, Object.fromEntries(names) as Record<string, string>)).length, 5000)
  const root = createFiles(t, {
    '1/2/3/4/5/x': '', '1/2/3/4/5/6/x': '', '.env': ''
  })
  symlinkSync('.', join(root, 'loop'))
  t.strictSame(listFiles(root), ['.env', '1/2/3/4/5/x'])
  const skipped = ['.cache', 'node_modules', 'dist', 'build', 'out', 'coverage']
  const others = ['a.cache', 'builds', 'coverages', 'dists', 'my-dist', 'node_modules2', 'outer.x', 'outer']
  const folders = createFiles(t, Object.fromEntries([...skipped, ...others].map(folder => [`${folder}/x`, ''])))
  t.strictSame(listFiles(folders), others.map(folder => `${folder}/x`))
})

t.test('a name that starts like an option, or has white space that ends it in a diff, is not listed', async t => {
  const names = ['-e', 'a\nb', 'a\rb', 'a\tb']
  const root = createFiles(t, Object.fromEntries([...names, 'e-é b'].map(name => [`${name}/x`, ''])))
  t.strictSame(listFiles(root), ['e-é b/x'])
})

t.test('readText() returns undefined for a file that does not exist, and names what else went wrong', async t => {
  const root = createFiles(t, { 'a.js': '' })
  t.equal(readText(root, 'x'), undefined)
  t.throws(() => readText(root, 'a.js/x'), { message: 'a.js/x cannot be read: ENOTDIR' })
})

t.test('readText() reads nothing that has no end', async t => {
  const root = createFiles(t, {})
  symlinkSync('/dev/zero', join(root, 'x'))
  t.throws(() => readText(root, 'x'), { message: 'x is not a file' })
})

t.test('a folder that cannot be read has no files', async t => {
  t.strictSame(listFiles(join(createFiles(t, {}), 'missing')), [])
})
