import { join } from 'node:path'
import t from 'tap'
import { readTsConfig } from '../../lib/init/tsconfig.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

t.test('a tsconfig.json has comments, trailing commas and a base', async t => {
  const root = createFiles(t, {
    'tsconfig.json': `\uFEFF// Ours.
{
  /* "module": "amd" */
  "extends": ["@tsconfig/node20", "./config/base"],
  "compilerOptions": { "rootDir": "./a//b/", "paths": { "//*": ["/*,]"],},
  },
}`,
    'config/base.json': '{ "extends": "./more.json", "compilerOptions": { "module": "ESNext", "rootDir": "x" } }',
    'config/more.json': `{
      "files": ["a.ts"], "compilerOptions": { "module": "amd", "rewriteRelativeImportExtensions": true }
    }`
  })
  t.strictSame(readTsConfig(root), { module: 'esnext', rootDir: 'a/b/', hasInclude: true, importsTs: true })
})

t.test('what looks like a comment or a comma in a string is none', async t => {
  const compilerOptions = { module: 'a"xx//,}y\\//,}z', rootDir: '\uFEFFb,]\t,}' }
  const text = `${JSON.stringify({ compilerOptions })} /* without an end`
  t.strictSame(readTsConfig(createFiles(t, { 'tsconfig.json': text })), compilerOptions)
})

t.test('what is not valid is left out', async t => {
  const CASES = ['', 'null', '{ "compilerOptions": { "module": 1, "rootDir": [] } }', '{ "compilerOptions"', '[]']
  for (const text of CASES) t.strictSame(readTsConfig(createFiles(t, { 'tsconfig.json': text })), {}, text)
  t.equal(readTsConfig(createFiles(t, {})), undefined)
})

t.test('a circle ends, a chain of more than five bases is cut, and no path leads out', async t => {
  const options = { 5: { rootDir: 'five' }, 6: { module: 'six' } } as Record<number, object>
  const chain = Array.from({ length: 7 }, (_, index) => [
    index === 0 ? 'tsconfig.json' : `${index}.json`,
    JSON.stringify({ extends: `./${index + 1}`, compilerOptions: options[index] })
  ])
  t.strictSame(readTsConfig(createFiles(t, Object.fromEntries(chain) as Files)), { rootDir: 'five' })
  const text = '{ "extends": "./tsconfig.json", "compilerOptions": { "module": "x" } }'
  const root = createFiles(t, { 'tsconfig.json': text })
  t.strictSame(readTsConfig(root), { module: 'x' })
  const outside = '{ "extends": "./../tsconfig.json", "compilerOptions": { "rootDir": "y" } }'
  const above = createFiles(t, { 'tsconfig.json': text, 'a/tsconfig.json': outside })
  t.strictSame(readTsConfig(join(above, 'a')), { rootDir: 'y' })
})

t.test('bases that name each other again and again take no time', async t => {
  const text = JSON.stringify({ extends: Array.from({ length: 30 }, () => './tsconfig.json') })
  const start = performance.now()
  t.strictSame(readTsConfig(createFiles(t, { 'tsconfig.json': text })), {})
  t.ok(performance.now() - start < 5000)
})

t.test('one that is long, and lacks the end of its strings and comments, takes no time', async t => {
  const LONG = ['"\\'.repeat(50_000), '/*'.repeat(50_000)]
  const start = performance.now()
  for (const text of LONG) t.strictSame(readTsConfig(createFiles(t, { 'tsconfig.json': text })), {})
  t.ok(performance.now() - start < 5000)
})
