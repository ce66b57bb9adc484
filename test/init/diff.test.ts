import t from 'tap'
import { formatDiff } from '../../lib/init/diff.js'

const LETTERS = [...'abcdefghij']
const lines = (...all: string[]) => all.map(line => `${line}\n`).join('')

t.test('a new file', async t => {
  const change = { path: 'x/a.js', before: '', after: 'a\nb\n', note: '' }
  t.equal(formatDiff({ ...change, kind: 'create' }), `diff --git a/x/a.js b/x/a.js
new file mode 100644
--- /dev/null
+++ b/x/a.js
@@ -0,0 +1,2 @@
+a
+b
`)
  t.equal(formatDiff({ ...change, kind: 'edit' }), lines('--- a/x/a.js', '+++ b/x/a.js', '@@ -0,0 +1,2 @@', '+a', '+b'))
})

t.test('a changed file shows up to three lines around the change', async t => {
  const CASES: Array<[before: string, after: string, hunk: string[]]> = [
    [lines(...LETTERS), lines(...LETTERS.slice(0, 5), 'X', ...LETTERS.slice(5)),
      ['@@ -3,6 +3,7 @@', ' c', ' d', ' e', '+X', ' f', ' g', ' h']],
    [lines(...LETTERS), lines(...LETTERS.slice(0, 5), 'X', 'Y', ...LETTERS.slice(7)),
      ['@@ -3,8 +3,8 @@', ' c', ' d', ' e', '-f', '-g', '+X', '+Y', ' h', ' i', ' j']],
    [lines(...LETTERS), lines('X', ...LETTERS), ['@@ -1,3 +1,4 @@', '+X', ' a', ' b', ' c']],
    [lines(...LETTERS), lines(...LETTERS, 'X'), ['@@ -8,3 +8,4 @@', ' h', ' i', ' j', '+X']],
    [lines('a', 'a'), lines('a', 'a', 'a'), ['@@ -1,2 +1,3 @@', ' a', ' a', '+a']],
    [lines('a', 'b', 'a'), lines('a', 'b', 'a', 'b', 'a'), ['@@ -1,3 +1,5 @@', ' a', ' b', ' a', '+b', '+a']],
    ['a\nb', 'a\nb\nc\n', ['@@ -1,2 +1,3 @@', ' a', '-b', '\\ No newline at end of file', '+b', '+c']],
    ['a\nb', 'c\na\nb', ['@@ -1,2 +1,3 @@', '+c', ' a', ' b', '\\ No newline at end of file']]
  ]
  for (const [before, after, hunk] of CASES) {
    t.equal(formatDiff({ path: 'a', kind: 'edit', before, after, note: '' }), lines('--- a/a', '+++ b/a', ...hunk))
  }
})
