import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { install, run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'

/** A runtime that the package is promised to work on. */
export interface Runtime {
  /** What `--only` calls it, and the name of its folder. */
  readonly name: string
  /** What the table calls it. */
  readonly title: string
  /** The package of the registry that has its binary, or depends on the one that has it for this system. */
  readonly spec: string
  /** Where its binary is in `node_modules`. `*` stands for any folder. */
  readonly binary: string
  /** What runs under it: the project's own tests, or a program that uses the installed package. */
  readonly kind: 'tests' | 'smoke'
  /** The arguments that start a program. */
  readonly args: readonly string[]
}

/** The versions of Node.js; the jobs of `ci.yml` are the same. A major version alone stands for its newest. */
export const NODE_VERSIONS = ['20.19', '22.12', '22', '24', '26'] as const

// The package `node` chooses its binary in an install script. This is the package that it would choose.
const NODE_PACKAGE = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const LOADER = join(ROOT, 'test/fixtures/typescript-loader.js')

export const RUNTIMES: readonly Runtime[] = [
  ...NODE_VERSIONS.map((version): Runtime => ({
    name: `node-${version}`,
    title: `Node.js ${version}`,
    spec: `${NODE_PACKAGE}@${version}`,
    binary: `${NODE_PACKAGE}/bin/node`,
    kind: 'tests',
    args: ['--import', LOADER]
  })),
  { name: 'bun', title: 'Bun', spec: 'bun@1', binary: '@oven/*/bin/bun', kind: 'smoke', args: [] },
  { name: 'deno', title: 'Deno', spec: 'deno@2', binary: '@deno/*/deno', kind: 'smoke', args: ['run', '-A'] }
]

/** Outside of `node_modules`: `npm ci` keeps it, and git ignores it. */
const CACHE = join(ROOT, '.runtimes')

/** Installs the newest version that fits, unless it is there, and returns the path of its binary. */
export async function installRuntime ({ name, spec, binary }: Runtime): Promise<string> {
  const folder = join(CACHE, name)
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  }
  await install(folder, [spec])
  const path = find(join(folder, 'node_modules'), binary.split('/'))
  if (path === undefined) throw new Error(`${spec} has no binary for ${process.platform} ${process.arch}`)
  return path
}

/** The first file of this path, in which `*` is any folder. */
function find (folder: string, [part, ...rest]: readonly string[]): string | undefined {
  if (part === undefined) return existsSync(folder) ? folder : undefined
  const names = part === '*' && existsSync(folder) ? readdirSync(folder).sort() : [part]
  return names.map(name => find(join(folder, name), rest)).find(path => path !== undefined)
}

/** What it says that its version is. */
export async function versionOf (binary: string): Promise<string> {
  const { stdout } = await run(ROOT, [binary, '--version'])
  const [version] = /\d+\.\d+\.\d+/.exec(stdout) ?? []
  if (version === undefined) throw new Error(`${binary} does not start`)
  return version
}
