import { posix } from 'node:path'
import type { Project } from './project.js'

/** A string of JavaScript. */
export function quote (text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}

/** How one file of the project imports another. */
export function pathBetween (project: Project, from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to)
  const relative = path.startsWith('.') ? path : `./${path}`
  if (project.language === 'js' || project.importsTs) return relative
  // Tools that run TypeScript as CommonJS do not find `.js`.
  return relative.replace(/\.([cm]?)ts$/, project.modules === 'cjs' ? '' : '.$1js')
}

/** The syntax of a file: TypeScript compiles `import` to what it is, and Vitest cannot be loaded by `require()`. */
export function usesImport ({ language, modules, runner }: Project, isTest = false): boolean {
  return language === 'ts' || modules === 'esm' || (isTest && runner === 'vitest')
}

/**
 * The lines that import something, at the beginning of a file.
 *
 * @param imports - what is imported, as `name` or `{ name }`, and from where.
 */
export function importLines (isImport: boolean, imports: ReadonlyArray<readonly [what: string, from: string]>): string {
  const lines = imports.map(([what, from]) => {
    return isImport
      ? `import ${what} from ${quote(from)}\n`
      : `const ${what.replace(' as ', ': ')} = require(${quote(from)})\n`
  })
  return `${isImport ? '' : "'use strict'\n\n"}${lines.join('')}\n`
}
