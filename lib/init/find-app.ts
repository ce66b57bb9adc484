import { posix } from 'node:path'
import { readText } from './folder.js'
import type { Manifest } from './manifest.js'

/** The file of the project that creates the Fastify instance. */
export interface App {
  readonly path: string
  readonly text: string
  /** The variable that holds the instance. */
  readonly name: string
  /** Whether it is a plugin that `fastify start` loads: an async function. */
  readonly isPlugin: boolean
}

const SOURCE = /(?<!\.d)\.[cm]?[jt]s$/
const TEST = /(?:^|\/)(?:tests?|__tests__)\/|\.(?:test|spec)\./
const NAMES = ['app', 'server', 'index', 'main']
const MAX_READ = 500

/** The sources of the project: no declarations, no tests. */
export function sourcesOf (files: readonly string[]): string[] {
  return files.filter(file => SOURCE.test(file) && !TEST.test(file))
}

/** Finds the app: in the files that package.json names, then in those with a usual name, then anywhere. */
export function findApp (root: string, files: readonly string[], { main, scripts }: Manifest): App | undefined {
  const sources = sourcesOf(files)
  const rank = (file: string) => {
    const index = NAMES.indexOf(posix.basename(file).replace(/\..*/, ''))
    return (index === -1 ? NAMES.length : index) + 10 * file.split('/').length
  }
  const commands = [scripts.start ?? '', scripts.dev ?? '']
  const named = [...commands.flatMap(command => command.split(/[\s"']/)), main ?? ''].map(posix.normalize)
  const ranked = [...sources].sort((a, b) => rank(a) - rank(b))
  const candidates = new Set([...named.filter(file => sources.includes(file)), ...ranked.slice(0, MAX_READ)])
  for (const path of candidates) {
    const text = readText(root, path)!
    const name = nameOfInstance(text)
    if (name !== undefined) return { path, text, name, isPlugin: false }
    if (commands.some(command => /\bfastify start\b/.test(command) && command.includes(path))) {
      return { path, text, name: 'fastify', isPlugin: true }
    }
  }
  return undefined
}

// Bounded: a file that was made for it, or a large bundle, must not keep init busy for minutes.
const IMPORT = /\bimport\s+(?!\s|type\s)([^'";]{1,1000}?)\bfrom\s*['"]fastify['"]/g
const REQUIRE = /(\b\w+|\{[^{}]{1,1000}\})\s*=\s*require\(\s*['"]fastify['"]\s*\)/g
/** The function in what is imported: the default, or `fastify`. */
const FACTORY = /^(\w+)|\bdefault\s+as\s+(\w+)|\b(fastify)\b/
const REQUIRE_AND_CALL = /\b(\w+)\s*=\s*require\(\s*['"]fastify['"]\s*\)(?:\.\w+)?\s*\(/

/** The variable that holds the instance; `app` if it has none; `undefined` if the file creates none. */
function nameOfInstance (text: string): string | undefined {
  const direct = REQUIRE_AND_CALL.exec(text)?.[1]
  if (direct !== undefined) return direct
  const imported = [IMPORT, REQUIRE].flatMap(pattern => [...text.matchAll(pattern)].map(([, what]) => what!))
  const factory = imported.flatMap(what => FACTORY.exec(what)?.slice(1)).find(name => name !== undefined)
  if (factory === undefined) return undefined
  const call = String.raw`\b${factory}\s*(?:<[^()]{0,1000}>)?\(`
  if (!new RegExp(call).test(text)) return undefined
  return new RegExp(String.raw`\b(\w+)\s*(?::[^=;]{1,1000})?=\s*(?:await\s+)?${call}`).exec(text)?.[1] ?? 'app'
}
