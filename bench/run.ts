import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { drawChart } from './chart.js'
import { targetsTable, type Section, type Settings } from './report.js'
import { compare, type Row } from './scenarios/compare.js'
import { features } from './scenarios/features.js'
import { manyKeys } from './scenarios/many-keys.js'
import { million } from './scenarios/million.js'
import { slowRefresh } from './scenarios/slow-refresh.js'
import { startup } from './scenarios/startup.js'

const SCENARIOS: Record<string, (settings: Settings) => Promise<Section & { rows?: Row[] }>> = {
  compare, 'slow-refresh': slowRefresh, 'many-keys': manyKeys, features, startup, million
}

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    million: { type: 'boolean', default: process.env.BENCH_MILLION === '1' },
    rounds: { type: 'string' },
    out: { type: 'string' }
  }
})
if (args.only !== undefined && !Object.hasOwn(SCENARIOS, args.only)) throw new Error(`--only is one of ${Object.keys(SCENARIOS).join(', ')}`)

const settings: Settings = args.quick
  ? { quick: true, requests: 5000, warmup: 5000, rounds: Number(args.rounds ?? 1) }
  : { quick: false, requests: 20_000, warmup: 10_000, rounds: Number(args.rounds ?? 3) }
const names = args.only !== undefined ? [args.only] : Object.keys(SCENARIOS).filter(name => name !== 'million' || args.million)

const sections: Array<Section & { rows?: Row[] }> = []
for (const name of names) {
  console.error(`${name} …`)
  const section = await SCENARIOS[name]!(settings)
  sections.push(section)
  console.log(`\n## ${section.title}\n\n${section.text}\n`)
}
console.log(`\n## Targets\n\n${targetsTable(sections)}`)

// Half a run is not written over the results of a whole one.
const out = args.out ?? (args.quick || args.only !== undefined ? undefined : new URL('.', import.meta.url).pathname)
if (out !== undefined) {
  const rows = sections.flatMap(({ rows = [] }) => rows)
  if (rows.length > 0) await writeFile(`${out}/results.svg`, drawChart(rows))
  await writeFile(`${out}/RESULTS.md`, await results())
}

async function results (): Promise<string> {
  const { quick, requests, warmup, rounds } = settings
  const versions = await Promise.all(['fastify', 'jose', '@fastify/jwt', 'get-jwks', 'fastify-jwt-jwks', 'autocannon'].map(version))
  return `# Results

${new Date().toISOString().slice(0, 10)}, Node.js ${process.versions.node}, ${versions.join(', ')}.

Made by \`npm run bench${quick ? ' -- --quick' : ''}\`: ${requests} requests after ${warmup} others over 10 connections; rounds, each with new server processes: ${rounds} or
more, of which the medians are shown. CPU is that of the whole server process. Peak memory includes the loader that runs the TypeScript of
these servers, the same in each.

${sections.map(({ title, text }) => `## ${title}\n\n${text}`).join('\n\n')}

## Targets

${targetsTable(sections)}${names.includes('million') ? '' : '\n\nWithout the million tokens of `--million`.'}
`
}

async function version (name: string): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as { version: string }
  return `${name} ${version}`
}
