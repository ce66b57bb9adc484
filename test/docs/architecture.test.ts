import { readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import t from 'tap'
import { parsePage, read } from '../fixtures/docs.js'
import { ROOT } from '../fixtures/program.js'

// lead: generated page (the map in CONTRIBUTING.md becomes rooms, with the rule of imports in one line)
t.test('CONTRIBUTING', async t => {
  const CONTRIBUTING = parsePage('CONTRIBUTING.md')
  const files = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts')).sort()

  t.test('has each file of lib on its map', async t => {
    t.strictSame(CONTRIBUTING.table('The map of `lib`').map(([cell]) => cell!.replaceAll('`', '')).sort(), files)
  })

  t.test('draws imports that run one way: each file takes only from the lines below its own', async t => {
    const layers = CONTRIBUTING.blocks.find(({ heading }) => heading === 'The map of `lib`')!.code
      .trimEnd().split('\n').map(line => line.trim().split(/[\s·]+/).map(name => `${name}.ts`))
    t.strictSame(layers.flat().sort(), files)
    const layerOf = (name: string) => layers.findIndex(names => names.includes(name))
    for (const name of files) {
      const source = read(join('lib', name))
      // Without `import type`, which is gone when the program runs.
      const imports = source
        .matchAll(/^(?:import|export) (?:\w+, )?(?:\{[^}]*\}|\*(?: as \w+)?|\w+) from '(\.[^']+)\.js'/gm)
      for (const [, path] of imports) {
        const target = `${posix.join(dirname(name), path!)}.ts`
        t.ok(layerOf(target) > layerOf(name), `${name} takes from ${target}`)
      }
    }
  })
})
