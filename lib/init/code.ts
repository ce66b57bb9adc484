import { posix } from 'node:path'
import type { Project } from './project.js'

/** A string of JavaScript. */
export function quote (text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}

/** A word of a shell command; of `cmd.exe` as well, unless its characters are unusual. */
export function shellWord (text: string): string {
  if (/^[\w./@:+=,-]+$/.test(text)) return text
  return /["$`\\!%]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`
}

/** How one file of the project imports another. */
export function pathBetween (project: Project, from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to)
  const relative = path.startsWith('.') ? path : `./${path}`
  if (project.language === 'js' || project.importsTs) return relative
  // Tools that run TypeScript as CommonJS do not find `.js`.
  return relative.replace(/\.([cm]?)ts$/, project.modules === 'cjs' ? '' : '.$1js')
}

/**
 * How a file imports and exports: with `import`, with `require()`, or, in CommonJS of which TypeScript translates
 * nothing, with `import … = require()`.
 */
export type Syntax = 'import' | 'require' | 'import-require'

/** TypeScript compiles `import` to what it is, unless told otherwise. Vitest cannot be loaded by `require()`. */
export function syntaxOf ({ isVerbatim, language, modules, runner }: Project, isTest = false): Syntax {
  if (modules === 'esm' || (isTest && runner === 'vitest')) return 'import'
  if (language === 'js') return 'require'
  return isVerbatim ? 'import-require' : 'import'
}

/**
 * The lines that import something, at the beginning of a file.
 *
 * @param imports - what is imported, as `name` or `{ name }`, and from where.
 */
export function importLines (syntax: Syntax, imports: ReadonlyArray<readonly [what: string, from: string]>): string {
  const lines = imports.map(([what, from]) => `${importLine(syntax, what, quote(from))}\n`)
  return `${syntax === 'require' ? "'use strict'\n\n" : ''}${lines.join('')}\n`
}

function importLine (syntax: Syntax, what: string, from: string): string {
  if (syntax === 'import') return `import ${what} from ${from}`
  const names = what.replace(' as ', ': ')
  if (syntax === 'require') return `const ${names} = require(${from})`
  return names.startsWith('{')
    ? `const ${names} = require(${from}) as typeof import(${from})`
    : `import ${names} = require(${from})`
}

/** The beginning of the line with what a file is for. */
export function exportStart (syntax: Syntax): string {
  return { import: 'export default', require: 'module.exports =', 'import-require': 'export =' }[syntax]
}
