import { readText } from './folder.js'

/** The file of the project that exports its Better Auth instance. */
export interface AuthFile {
  readonly path: string
  readonly text: string
  /** How it exports the instance: as `auth`, as its default, or, in CommonJS, as all that it exports. */
  readonly exports: 'auth' | 'default' | 'module'
}

/** Where the CLI of Better Auth looks for it as well. */
const FOLDERS = ['', 'lib/', 'utils/', 'server/', 'auth/', 'lib/server/', 'server/auth/']
const ROOTS = ['', 'src/', 'app/']
const FILE = /^(?:auth|auth\/index)\.[cm]?[jt]s$/

/** For messages. */
export const AUTH_PLACES = ['auth.ts', 'lib/auth.ts', 'utils/auth.ts', 'server/auth.ts']
  .flatMap(path => [path, `src/${path}`])

export function findAuth (root: string, files: readonly string[]): AuthFile | undefined {
  const folders = ROOTS.flatMap(start => FOLDERS.map(folder => start + folder))
  const candidates = folders.flatMap(folder => {
    return files.filter(file => file.startsWith(folder) && FILE.test(file.slice(folder.length)))
  })
  for (const path of candidates) {
    const text = readText(root, path)!
    const exports = /\bbetterAuth\s*(?:<[^()]{0,1000}>)?\(/.test(text) ? exportOf(text) : undefined
    if (exports !== undefined) return { path, text, exports }
  }
  return undefined
}

const NAMED = new RegExp([
  String.raw`\bexport\s+(?:const|let|var)\s+auth\b`,
  String.raw`\bexport\s*\{[^}]{0,1000}\bauth\b(?!\s+as\b)`,
  String.raw`\bexports\.auth\s*=`,
  String.raw`\b(?:module\.exports|export)\s*=\s*\{[^}]{0,1000}\bauth\b`
].join('|'))

function exportOf (text: string): AuthFile['exports'] | undefined {
  if (NAMED.test(text)) return 'auth'
  if (/\bexport\s+default\b|\bas\s+default\b/.test(text)) return 'default'
  return /\b(?:module\.exports|export)\s*=/.test(text) ? 'module' : undefined
}
