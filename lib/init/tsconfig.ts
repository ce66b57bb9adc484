import { posix } from 'node:path'
import { readText } from './folder.js'

/** What init reads in a tsconfig.json, and in those that it extends by a path. */
export interface TsConfig {
  readonly module?: string
  readonly rootDir?: string
  /** Whether it says itself what belongs to it. */
  readonly hasInclude?: boolean
  /** Whether imports name `.ts` files. */
  readonly importsTs?: boolean
  readonly isVerbatim?: boolean
}

const MAX_EXTENDS = 5
/** Of one file: those that name each other would take for ever. */
const MAX_BASES = 5

/** Reads a tsconfig.json; `undefined` if there is none. What is not valid is left out: the compiler will say so. */
export function readTsConfig (root: string, path = 'tsconfig.json', depth = 0): TsConfig | undefined {
  const text = readText(root, path)
  if (text === undefined) return undefined
  const json = parse(text)
  const options = (json.compilerOptions ?? {}) as Record<string, unknown>
  const bases = [json.extends].flat()
    .filter(base => typeof base === 'string' && base.startsWith('./') && depth < MAX_EXTENDS)
    .map(base => posix.join(posix.dirname(path), (base as string).replace(/(?:\.json)?$/, '.json')))
    .filter(base => !base.startsWith('../'))
    .slice(0, MAX_BASES)
    .map(base => readTsConfig(root, base, depth + 1))
  const {
    module, rootDir, allowImportingTsExtensions, rewriteRelativeImportExtensions, verbatimModuleSyntax
  } = options
  return Object.assign({}, ...bases, {
    ...typeof module === 'string' && { module: module.toLowerCase() },
    ...typeof rootDir === 'string' && { rootDir: posix.normalize(rootDir) },
    ...(json.include ?? json.files) !== undefined && { hasInclude: true },
    ...(allowImportingTsExtensions ?? rewriteRelativeImportExtensions) === true && { importsTs: true },
    ...typeof verbatimModuleSyntax === 'boolean' && { isVerbatim: verbatimModuleSyntax }
  }) as TsConfig
}

/** A tsconfig.json has comments and trailing commas. Strings and comments may lack their end. */
function parse (text: string): Record<string, unknown> {
  const plain = text.replace(/^\uFEFF/, '')
    .replace(/("[^"\\]*(?:\\[^][^"\\]*)*"?)|\/\/.*|\/\*[^]*?(?:\*\/|$)/g, '$1')
    .replace(/("[^"\\]*(?:\\[^][^"\\]*)*"?)|,(?=\s*[}\]])/g, '$1')
  try {
    return (JSON.parse(plain) ?? {}) as Record<string, unknown>
  } catch {
    return {}
  }
}
