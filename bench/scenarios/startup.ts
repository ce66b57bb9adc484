import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { median } from '../stats.js'

const ROOT = new URL('../../', import.meta.url)

const FASTIFY = 'Fastify: import, ready()'
const IMPORT = 'better-auth-fastify: import'
const REGISTER = 'better-auth-fastify: register, ready()'

/** Plain JavaScript, run without a loader, which would be part of what is measured. */
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

/** How long a process takes until it could listen, and which packages take it. */
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
      'What we import, each alone beside a loaded Fastify (what two of them share counts for both):',
      markdownTable(['package', 'ms'], packages.map(name => [name, format(ms(name))]))
    ].join('\n\n'),
    targets: [atMost(60, 'import and register, beside Fastify’s own', ms(IMPORT) + ms(REGISTER), ' ms')]
  }
}

async function run (program: string): Promise<Array<[string, number]>> {
  const source = `${START} ${program}; console.log(JSON.stringify(times))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source], { cwd: fileURLToPath(ROOT) })
  return Object.entries(JSON.parse(stdout) as Record<string, number>)
}

/** What the built files import of others. */
async function importedPackages (): Promise<string[]> {
  const dist = new URL('dist/', ROOT)
  const files = (await readdir(dist)).filter(name => name.endsWith('.js'))
  const sources = await Promise.all(files.map(name => readFile(new URL(name, dist), 'utf8')))
  const names = sources.flatMap(source => [...source.matchAll(/ from '([^']+)'/g)].map(match => match[1]!))
  return [...new Set(names)].filter(name => !/^(\.|node:)/.test(name)).sort()
}
