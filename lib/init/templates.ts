import { exportStart, importLines, pathBetween, quote, syntaxOf } from './code.js'
import type { Project } from './project.js'
import { sameAppTemplate } from './same-app.js'

/** The files that init writes. */
export interface Paths {
  readonly plugin: string
  readonly route: string
  readonly test: string
  /** Only in a project without an app. */
  readonly server: string | undefined
}

export function pathsOf (
  { app, extension, isAutoload, source, tests }:
  Pick<Project, 'app' | 'extension' | 'isAutoload' | 'source' | 'tests'>
): Paths {
  const server = `${source}server.${extension}`
  return isAutoload
    ? {
        plugin: `${source}plugins/auth.${extension}`,
        route: `${source}routes/me/index.${extension}`,
        test: `${tests}routes/me.test.${extension}`,
        server: undefined
      }
    : {
        plugin: `${source}plugins/auth.${extension}`,
        route: `${source}routes/me.${extension}`,
        test: `${tests}me.test.${extension}`,
        server: app === undefined ? server : undefined
      }
}

/** Registers the plugin for the whole application. */
export function pluginTemplate (project: Project, plugin: string): string {
  if (project.auth !== undefined) return sameAppTemplate(project, project.auth, plugin)
  const syntax = syntaxOf(project)
  const isVerbatim = syntax === 'import-require'
  const isTyped = project.language === 'ts' && !project.isAutoload
  const what = isTyped ? 'betterAuthPlugin, { type BetterAuthOptions }' : 'betterAuthPlugin'
  const imports = importLines(syntax, [
    [isVerbatim ? '{ betterAuthPlugin }' : what, 'better-auth-fastify'], ['fp', 'fastify-plugin']
  ])
  const type = isVerbatim ? "import('better-auth-fastify').BetterAuthOptions" : 'BetterAuthOptions'
  const start = `${exportStart(syntax)} fp${isTyped ? `<${type}>` : ''}`
  // What @fastify/autoload passes are options of others.
  return project.isAutoload
    ? `${imports}// The environment variable BETTER_AUTH_URL is the URL of the Better Auth server.
${start}(async fastify => {
  await fastify.register(betterAuthPlugin)
}, { name: 'auth' })
`
    : `${imports}// Without authUrl, the environment variable BETTER_AUTH_URL is the URL of the Better Auth server.
${start}(async (fastify, options) => {
  await fastify.register(betterAuthPlugin, options)
}, { name: 'auth' })
`
}

/** One protected route, `GET /me`. */
export function routeTemplate (project: Project): string {
  // @fastify/autoload makes a prefix of the folder's name.
  const path = project.isAutoload ? '/' : '/me'
  const body = `  // The array makes Fastify refuse to start if the plugin is missing, and the hook undefined.
  fastify.get('${path}', { onRequest: [fastify.authenticate] }, async request => request.user)
}
`
  if (project.language === 'ts') {
    return `import type { FastifyPluginAsync } from 'fastify'

const me: FastifyPluginAsync = async fastify => {
${body}
${exportStart(syntaxOf(project))} me
`
  }
  return project.modules === 'esm'
    ? `export default async function me (fastify) {\n${body}`
    : `'use strict'\n\nmodule.exports = async function me (fastify) {\n${body}`
}

/** A small server, for a project without one. */
export function serverTemplate (project: Project, { plugin, route, server }: Paths): string {
  const from = (to: string) => pathBetween(project, server!, to)
  const imports = importLines(syntaxOf(project), [
    ['Fastify', 'fastify'], ['auth', from(plugin)], ['me', from(route)]
  ])
  const create = 'const app = Fastify({ logger: true })\n\n'
  const listen = 'app.listen({ port: Number(process.env.PORT ?? 3001) })'
  return project.modules === 'esm'
    ? `${imports}${create}await app.register(auth)\nawait app.register(me)\n\nawait ${listen}\n`
    : `${imports}${create}app.register(auth)\napp.register(me)\n
${listen}.catch(error => {
  app.log.error(error)
  process.exit(1)
})
`
}

/** What an app that is already there lacks: lines to import and to register, or `undefined` if it has them. */
export function linesForApp (project: Project, { plugin, route }: Paths): string[] | undefined {
  const { app, isAutoload } = project
  if (app === undefined || isAutoload || /plugins\/auth\b/.test(app.text)) return undefined
  const from = (to: string) => pathBetween(project, app.path, to)
  const wait = project.modules === 'esm' || app.isPlugin ? 'await ' : ''
  const syntax = syntaxOf(project)
  if (syntax === 'require') {
    return [plugin, route].map(path => `${wait}${app.name}.register(require(${quote(from(path))}))`)
  }
  return [
    ...importLines(syntax, [['auth', from(plugin)], ['me', from(route)]]).trimEnd().split('\n'), '',
    `${wait}${app.name}.register(auth)`, `${wait}${app.name}.register(me)`
  ]
}
