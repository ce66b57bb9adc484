/**
 * Runs the tests of the rooms and of the whole plugin under each version of Node.js that the package supports, and the
 * packed package under Bun and Deno. Prints a table for docs/reference/compatibility.md. Not part of `npm test`: it
 * installs the runtimes from the registry, and takes minutes for each.
 *
 *     npm run test:matrix
 *     npm run test:matrix -- --only=node-24,bun test/rooms/keys.test.ts
 *
 * File names narrow the runs of Node.js.
 */
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'
import { installRuntime, RUNTIMES, versionOf, type Runtime } from './runtimes.js'
import { prepareSmoke } from './smoke.js'
import { addCounts, countsOf, failuresOf, NONE, tableOf, type Counts, type Row } from './tap-output.js'

const NAMES = RUNTIMES.map(({ name }) => name)
const FOLDERS = ['test/rooms', 'test/system']

const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true })
const chosen = chooseRuntimes(values.only)
const files = positionals.length > 0 ? positionals : ['test/plugin.test.ts', ...FOLDERS.flatMap(testsOf)]

const project = chosen.some(({ kind }) => kind === 'smoke') ? await prepareSmoke() : undefined
try {
  const rows: Row[] = []
  for (const runtime of chosen) {
    const binary = await installRuntime(runtime)
    const version = await versionOf(binary)
    const startedAt = Date.now()
    const programs = runtime.kind === 'tests' ? files : [project!.program]
    let counts = NONE
    for (const program of programs) {
      counts = addCounts(counts, await runOne(runtime, binary, program))
    }
    rows.push({ title: runtime.title, version, what: runtime.kind, ...counts })
    console.log(`${runtime.title} took ${Math.round((Date.now() - startedAt) / 1000)} s`)
  }
  console.log(`\n${tableOf(rows)}`)
  if (rows.some(({ failed }) => failed > 0)) process.exitCode = 1
} finally {
  project?.remove()
}

function chooseRuntimes (only: string | undefined): readonly Runtime[] {
  if (only === undefined) return RUNTIMES
  return only.split(',').map(name => {
    const found = RUNTIMES.find(runtime => runtime.name === name)
    if (found === undefined) throw new Error(`--only: "${name}" is none of ${NAMES.join(', ')}`)
    return found
  })
}

function testsOf (folder: string): string[] {
  return readdirSync(join(ROOT, folder)).filter(name => name.endsWith('.test.ts')).sort()
    .map(name => `${folder}/${name}`)
}

/** A program that prints nothing, or ends with an error, has failed, whatever its assertions say. */
async function runOne ({ title, kind, args }: Runtime, binary: string, program: string): Promise<Counts> {
  const env = {
    // A program that a test starts by its name alone runs under the same version.
    PATH: `${dirname(binary)}:${process.env.PATH}`,
    TAP_TIMEOUT: '300'
  }
  const cwd = kind === 'tests' ? ROOT : project!.folder
  const { code, stdout, stderr } = await run(cwd, [binary, ...args, program], env)
  const counts = countsOf(stdout, code)
  console.log(`${counts.failed > 0 ? 'FAIL' : 'pass'} ${title} ${program} ${counts.assertions}`)
  if (counts.failed > 0) console.log(failuresOf(stdout), stderr)
  return counts
}
