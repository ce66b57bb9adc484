import { sourcesOf } from './find-app.js'
import { readText } from './folder.js'
import type { Project } from './project.js'
import type { Paths } from './templates.js'

const ROUTE = /\.(?:get|all)\s*(?:<[^()]{0,1000}>)?\(\s*(['"`])\/me\/?\1|\burl:\s*(['"`])\/me\/?\2/
const MAX_READ = 500

/**
 * A file that may have a route `GET /me` already: it is found by its text, so its prefix is unknown.
 *
 * @returns its path.
 */
export function findRoute (
  root: string, files: readonly string[], { isAutoload, source }: Pick<Project, 'isAutoload' | 'source'>,
  { route }: Pick<Paths, 'route'>
): string | undefined {
  const others = sourcesOf(files).filter(file => file !== route)
  // @fastify/autoload makes the prefix of the name of the folder.
  const folder = `${source}routes/me/`
  const loaded = isAutoload ? others.find(file => file.startsWith(folder)) : undefined
  return loaded ?? others.slice(0, MAX_READ).find(file => ROUTE.test(readText(root, file)!))
}
