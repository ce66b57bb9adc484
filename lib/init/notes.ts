import type { Project } from './project.js'
import type { Paths } from './templates.js'

/**
 * What the user has to look at, because a text alone does not prove it.
 *
 * @param authUrl - what the user has given.
 */
export function notesOn (project: Project, { plugin, route }: Paths, authUrl?: string): string[] {
  const { app, auth, otherAuth, ownRoute } = project
  const notes: string[] = []
  if (otherAuth !== undefined && authUrl === undefined) {
    notes.push(`${otherAuth} exports a Better Auth instance. If it runs in this app, use this command instead.
It keeps a ${plugin} that exists: remove that first.

  npx better-auth-fastify init --same-app
`)
  }
  if (auth !== undefined && !/\bjwt\s*\(/.test(auth.text)) {
    notes.push(`${auth.path} may lack the plugin jwt(): betterAuth({ plugins: [jwt()] }). Its keys have a table of
their own: https://www.better-auth.com/docs/plugins/jwt#migrate-the-database
`)
  }
  if (auth !== undefined && app !== undefined && /\bauth\.handler\b|\btoNodeHandler\b/.test(app.text)) {
    notes.push(`${app.path} may mount Better Auth already. The plugin does that as well: remove that route.\n`)
  }
  if (ownRoute !== undefined) {
    notes.push(`${ownRoute} may have a route GET /me already. If the path is the same, the app does not start with both:
remove one, or change the path in ${route}.
`)
  }
  return notes
}
