import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, format, markdownTable, type Section, type Settings } from '../report.js'
import { median } from '../stats.js'
import { withIssuer } from '../tokens.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const FASTIFY = "import 'fastify'"
const PLUGIN = "import 'better-auth-fastify'"
const TYPEBOX = "import '@sinclair/typebox'"
const CREATE = 'Fastify()'
const REGISTER = 'register, ready()'
const FIRST = 'first request'
const ALL = 'all of it'
const ROWS = [FASTIFY, PLUGIN, TYPEBOX, CREATE, REGISTER, FIRST, ALL]

/** An API that is started. `folder` has the build of the package that it imports. */
interface Variant { readonly name: string, readonly program: string, readonly folder: string }

/** Plain JavaScript: a TypeScript loader would be part of the measurement. */
const START = `
  const times = {}
  let start = performance.now()
  function lap (name) {
    times[name] = performance.now() - start
    start = performance.now()
  }
  const { default: Fastify } = await import('fastify')
  lap("${FASTIFY}")
`
const IMPORT = `
  const { default: plugin, UserSchema } = await import('better-auth-fastify')
  lap("${PLUGIN}")
`
const SCHEMA = `
  const { Type } = await import('@sinclair/typebox')
  const userSchema = Type.Object({ ...UserSchema.properties, plan: Type.String({ default: 'free' }) })
  lap("${TYPEBOX}")
`
const serve = (options: string) => `
  const app = Fastify()
  lap('${CREATE}')
  ${options && `await app.register(plugin, { authUrl: process.env.AUTH_URL, ${options} })`}
  const { authenticate: onRequest } = app
  app.get('/me', { ${options && 'onRequest'} }, async ({ user }) => user ?? { id: 'nobody' })
  await app.ready()
  lap('${REGISTER}')
  const headers = { authorization: 'Bearer ' + process.env.TOKEN }
  const { statusCode } = await app.inject({ url: '/me', headers })
  if (statusCode !== 200) throw new Error('the response was ' + statusCode)
  lap('${FIRST}')
`

/** Measures the time from the start of a process to the response to its first request, with the fetch of the keys. */
export async function startup ({ quick, before }: Settings): Promise<Section> {
  const builds = [{ suffix: '', folder: ROOT }, ...before === undefined ? [] : [{ suffix: ', before', folder: before }]]
  const variants: Variant[] = [
    { name: 'Fastify alone', program: serve(''), folder: ROOT },
    ...builds.flatMap(({ suffix, folder }) => [
      { name: `better-auth-fastify${suffix}`, program: IMPORT + serve('userSchema: undefined'), folder },
      { name: `with userSchema${suffix}`, program: IMPORT + SCHEMA + serve('userSchema'), folder }
    ])
  ]
  const packages = await requiredPackages()
  const dependencies = packages.map(name => ({ name, program: requireAlone(name), folder: ROOT }))

  const times = await withIssuer('EdDSA', 1, async ({ origin, sign }) => {
    const env = { PATH: process.env.PATH, AUTH_URL: origin, TOKEN: sign(1)[0] }
    return await measureAll([...variants, ...dependencies], quick ? 1 : 7, env)
  })
  const [alone, ours] = variants
  const added = (...rows: string[]) => {
    const sum = rows.reduce((sum, row) => sum + times(ours!, row) - (times(alone!, row) || 0), 0)
    return sum / times(ours!, FASTIFY)
  }
  return {
    title: 'Start',
    text: [
      'Milliseconds, medians of 7 processes each:',
      markdownTable(['', ...variants.map(({ name }) => name)], ROWS.map(row => {
        return [row, ...variants.map(variant => format(times(variant, row)))]
      })),
      'The packages that are imported, each alone after Fastify (what two of them share counts for both):',
      markdownTable(['package', 'ms'], dependencies.map(dependency => {
        return [dependency.name, format(times(dependency, dependency.name))]
      }))
    ].join('\n\n'),
    targets: [
      atMost(0.8, `${PLUGIN} ÷ ${FASTIFY}`, added(PLUGIN)),
      atMost(0.8, 'the same, with register and ready()', added(PLUGIN, REGISTER))
    ]
  }
}

type Times = (variant: Variant, row: string) => number

/** Runs all variants in each round, so that a noisy minute affects all of them. */
async function measureAll (variants: readonly Variant[], rounds: number, env: NodeJS.ProcessEnv): Promise<Times> {
  const runs = new Map(variants.map(variant => [variant, [] as Array<Record<string, number>>]))
  for (let round = 0; round < rounds; round++) {
    for (const [variant, done] of runs) done.push(await run(variant, env))
  }
  return (variant, row) => median(runs.get(variant)!.map(times => times[row] ?? NaN))
}

async function run ({ program, folder }: Variant, env: NodeJS.ProcessEnv): Promise<Record<string, number>> {
  const source = `${START} ${program}; console.log(JSON.stringify(times))`
  const args = ['--input-type=module', '--eval', source]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env })
  const times = JSON.parse(stdout) as Record<string, number>
  return { ...times, [ALL]: Object.values(times).reduce((sum, time) => sum + time, 0) }
}

function requireAlone (name: string): string {
  return `
    const { createRequire } = await import('node:module')
    const require = createRequire(import.meta.url)
    start = performance.now()
    require('${name}')
    lap('${name}')
  `
}

async function requiredPackages (): Promise<string[]> {
  const source = await readFile(`${ROOT}/dist/dependencies.cjs`, 'utf8')
  return [...source.matchAll(/require\('([^']+)'\)/g)].map(([, name]) => name!)
}
