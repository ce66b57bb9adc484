import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { median } from '../stats.js'

const ROOT = new URL('../../', import.meta.url)

const FASTIFY = 'Fastify: import, ready()'
const IMPORT = 'better-auth-fastify: import'
const REGISTER = 'better-auth-fastify: register, ready()'

/** Plain JavaScript: a TypeScript loader would be part of the measurement. */
const START = `
  const lap = (start => () => -start + (start = performance.now()))(performance.now())
  const { default: Fastify } = await import('fastify')
  await Fastify().ready()
  const times = { '${FASTIFY}': lap() }
`
const OURS = `
  const { default: plugin } = await import('better-auth-fastify')
  times['${IMPORT}'] = lap()
  const app = Fastify()
  await app.register(plugin, { authUrl: 'http://127.0.0.1:9' })
  await app.ready()
  times['${REGISTER}'] = lap()
`

/** Measures the time until a process can listen, and the share of each package. */
export async function startup ({ rounds }: Settings): Promise<Section> {
  const packages = await importedPackages()
  const programs = [OURS, ...packages.map(name => `await import('${name}'); times['${name}'] = lap()`)]
  const times = new Map<string, number[]>()
  for (let round = 0; round < 2 * rounds; round++) {
    for (const program of programs) {
      for (const [name, time] of await run(program)) times.set(name, [...times.get(name) ?? [], time])
    }
  }
  const ms = (name: string) => median(times.get(name)!)
  return {
    title: 'Start',
    text: [
      markdownTable(['', 'ms'], [FASTIFY, IMPORT, REGISTER].map(name => [name, ms(name).toFixed(0)])),
      'The imported packages, each alone after Fastify (a dependency that two of them share counts for both):',
      markdownTable(['package', 'ms'], packages.map(name => [name, format(ms(name))]))
    ].join('\n\n'),
    targets: [atMost(60, 'import and register, in addition to Fastify', ms(IMPORT) + ms(REGISTER), ' ms')]
  }
}

async function run (program: string): Promise<Array<[string, number]>> {
  const source = `${START} ${program}; console.log(JSON.stringify(times))`
  const args = ['--input-type=module', '--eval', source]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(ROOT) })
  return Object.entries(JSON.parse(stdout) as Record<string, number>)
}

/** The packages that the built entry file imports, directly or through its own files. */
async function importedPackages (): Promise<string[]> {
  const packages = new Set<string>()
  const files = new Set([new URL('dist/index.js', ROOT).href])
  // A set that grows while it is iterated: each file once.
  for (const file of files) {
    const source = await readFile(new URL(file), 'utf8')
    for (const [, name] of source.matchAll(/ from '([^']+)'/g)) {
      if (name!.startsWith('.')) files.add(new URL(name!, file).href)
      else if (!name!.startsWith('node:')) packages.add(name!)
    }
  }
  return [...packages].sort()
}
