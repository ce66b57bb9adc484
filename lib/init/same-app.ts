import { exportStart, importLines, pathBetween, quote, syntaxOf } from './code.js'
import type { AuthFile } from './find-auth.js'
import type { Project } from './project.js'

/** Registers the plugin with the Better Auth instance of the project. The test gives a URL instead. */
export function sameAppTemplate (project: Project, auth: AuthFile, plugin: string): string {
  const syntax = syntaxOf(project)
  const isTyped = project.language === 'ts'
  const path = quote(pathBetween(project, plugin, auth.path))
  const imports = importLines(syntax, [
    [syntax === 'import-require' ? '{ betterAuthPlugin }' : 'betterAuthPlugin', 'better-auth-fastify'],
    ['fp', 'fastify-plugin']
  ])
  const member = memberOf(project, auth)
  const types = `// request.user and the guards have the types of your Better Auth.
declare module 'better-auth-fastify' {
  interface Register { auth: typeof import(${path})${member} }
}

`
  return `${imports}${isTyped ? types : ''}// A test gives the authUrl of its issuer, and needs no database.
${exportStart(syntax)} fp${isTyped ? '<{ authUrl?: string }>' : ''}(async (fastify, { authUrl }) => {
  const options = authUrl === undefined ? { auth: ${load(project, path)}${member} } : { authUrl }
  await fastify.register(betterAuthPlugin, options)
}, { name: 'auth' })
`
}

/** Loads the file of the instance only where that is used: it may open a database. */
function load ({ language, modules }: Project, path: string): string {
  if (modules === 'esm') return `(await import(${path}))`
  return language === 'js' ? `require(${path})` : `(require(${path}) as typeof import(${path}))`
}

function memberOf ({ modules }: Project, { exports }: AuthFile): string {
  if (exports !== 'module') return `.${exports}`
  return modules === 'esm' ? '.default' : ''
}
