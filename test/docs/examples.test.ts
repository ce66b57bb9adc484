import { readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import { parsePage, read } from '../fixtures/docs.js'
import { ROOT } from '../fixtures/program.js'

const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts
const files = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts')).map(name => `examples/${name}`).sort()

/** The examples: a file that another one imports is a part of it. */
const imported = files.flatMap(file => {
  const paths = [...read(file).matchAll(/from '(\..*)\.js'/g)].map(([, path]) => path!)
  return paths.map(path => `${posix.join(posix.dirname(file), path)}.ts`)
})
const examples = files.filter(file => !imported.includes(file))
const rows = parsePage('examples/README.md').table('Examples')

t.test('examples/README.md has a row for each example, and no others', async t => {
  const linked = rows.map(([name]) => /\]\((.*)\)/.exec(name!)![1]!)
  t.strictSame(linked.map(path => `examples/${path}`).sort(), examples)
})

for (const example of examples) {
  t.test(`${example} says how to start it: in its first line, and in examples/README.md`, async t => {
    const row = rows.find(([name]) => `examples/${/\]\((.*)\)/.exec(name!)![1]}` === example)!
    const command = /^`(.*)`$/.exec(row[2]!)?.[1] ?? ''
    const [, script] = /^npm run (\w+)$/.exec(command) ?? []
    if (script === undefined) t.equal(command, `npx tsx ${example}`)
    else t.ok(scripts[script]!.endsWith(` ${example}`), `npm run ${script} starts it`)

    const [before] = parsePage('examples/README.md').blocks
    const after = script === undefined ? before!.code.trim() : 'npm install'
    t.equal(read(example).split('\n')[0], `// In a clone, after \`${after}\`: ${command}`)
  })
}
