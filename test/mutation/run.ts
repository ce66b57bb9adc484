// Changes the code of each room of lib in one place at a time, and runs the tests of that room: a change that no test
// notices is a gap. `npm run test:mutation -- keys guards` mutates these rooms, and without a name all of them, which
// takes hours. `--files=jwk.ts,cache/**` mutates only these files of the room. `--tests='^(jwk|cache)'` runs only the
// test files of the room whose names match, which is faster: others may kill what survives. `--sample=20` tries 20 % of
// the changes, chosen at random; `--seed=2` chooses others. Survivors are printed as they are found, and all of them at
// the end. Results are in `.stryker/`: the next run tries only what has changed.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

interface Mutant {
  readonly status: 'Killed' | 'Timeout' | 'Survived' | 'NoCoverage' | string
  readonly mutatorName: string
  readonly replacement?: string
  readonly location: { readonly start: { readonly line: number, readonly column: number } }
}
interface Report { readonly files: Readonly<Record<string, { readonly mutants: readonly Mutant[] }>> }

const string = { type: 'string' } as const
const { values: { sample = '100', seed = '1', files: only, tests }, positionals: given } = parseArgs({
  allowPositionals: true, options: { sample: string, seed: string, files: string, tests: string }
})
const all = readdirSync('test/rooms').map(file => file.replace('.test.ts', ''))
const unknown = given.filter(room => !all.includes(room))
if (unknown.length > 0) {
  console.error(`Unknown room: ${unknown.join(', ')}. The rooms are ${all.join(', ')}.`)
  process.exit(1)
}

const rows: string[] = []
for (const room of given.length > 0 ? given : all) {
  const stryker = ['stryker', 'run', 'test/mutation/stryker.config.js']
  const report = sample === '100' ? room : `${room}-${sample}-${seed}`
  const filters = { ...only !== undefined && { FILES: only }, ...tests !== undefined && { TESTS: tests } }
  const chosen = { ROOM: room, REPORT: report, SAMPLE: sample, SEED: seed, ...filters }
  const { status } = spawnSync('npx', stryker, { stdio: 'inherit', env: { ...process.env, ...chosen } })
  const file = `.stryker/${report}.json`
  if (status !== 0 || !existsSync(file)) process.exit(status ?? 1)
  const { files } = JSON.parse(readFileSync(file, 'utf8')) as Report
  const mutants = Object.entries(files).flatMap(([path, { mutants }]) => mutants.map(mutant => ({ path, ...mutant })))
  if (mutants.length === 0) {
    console.error(`No file of lib/${room} matches ${only}.`)
    process.exit(1)
  }
  const count = (...names: string[]) => mutants.filter(({ status }) => names.includes(status)).length
  const killed = count('Killed', 'Timeout')
  const alive = mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
  const score = (100 * killed / (killed + alive.length)).toFixed(1)
  rows.push(`| ${room} | ${killed + alive.length} | ${killed} | ${alive.length} | ${score} % |`)
  for (const { path, location: { start }, mutatorName, replacement = '' } of alive) {
    console.log(`${path}:${start.line}:${start.column} ${mutatorName} ${replacement.replaceAll(/\s+/g, ' ')}`)
  }
}
console.log(['| room | mutants | killed | alive | score |', '|---|---|---|---|---|', ...rows].join('\n'))
