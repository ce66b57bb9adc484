import { isEditable, isTaken, readText } from './folder.js'
import { InitError } from './init-error.js'
import { insertDependencies } from './insert-dependencies.js'
import { portOf, runsTsx } from './next-steps.js'
import { notesOn } from './notes.js'
import type { Project } from './project.js'
import { linesForApp, pathsOf, pluginTemplate, routeTemplate, serverTemplate, type Paths } from './templates.js'
import { testTemplate } from './test-template.js'

/** What happens to a file. */
export interface Change {
  readonly path: string
  /**
   * `create` a new file, `edit` one by adding lines, `same` for nothing to do, `keep` for a file that exists and that
   * init does not touch, `skip` for a new file that would keep the app from starting.
   */
  readonly kind: 'create' | 'edit' | 'same' | 'keep' | 'skip'
  readonly before: string
  /** The new text; for `keep` and `skip`, what init would have written. */
  readonly after: string
  /** What is added, or why the file is kept or skipped. */
  readonly note: string
}

export interface Plan {
  readonly paths: Paths
  readonly changes: readonly Change[]
  /** What the user adds to the app. */
  readonly lines: readonly string[] | undefined
  /** What else the user has to know. */
  readonly notes: readonly string[]
}

/** What the generated code needs, by name. */
export const RANGES = {
  fastify: '^5.8.4',
  'fastify-plugin': '^6.0.1',
  '@types/node': '^20.19.43',
  tsx: '^4.23.15'
} as const

/** The default of the option `authUrl`. */
const DEFAULT_AUTH_URL = 'http://localhost:3000'

/**
 * Decides what to do, and does nothing yet.
 *
 * @param version - of this package.
 * @param authUrl - what the user has given.
 * @throws InitError if something is in the way.
 */
export function makePlan (root: string, project: Project, version: string, authUrl?: string): Plan {
  checkFastify(project)
  const paths = pathsOf(project)
  const plugin = planFile(root, paths.plugin, pluginTemplate(project, paths.plugin))
  // A route without the plugin would keep the app from starting.
  const isMissing = plugin.kind === 'keep' && !plugin.before.includes('better-auth-fastify')
  const others = [
    planFile(root, paths.route, routeTemplate(project)),
    ...paths.server === undefined ? [] : [planFile(root, paths.server, serverTemplate(project, paths))],
    planFile(root, paths.test, testTemplate(project, paths))
  ].map(change => {
    return isMissing && change.kind === 'create'
      ? { ...change, kind: 'skip', note: `needs the plugin, which ${paths.plugin} does not register` } as const
      : change
  })
  return {
    paths,
    changes: [plugin, ...others, planManifest(root, project, paths, version), planEnv(root, project, authUrl)],
    lines: linesForApp(project, paths),
    notes: notesOn(project, paths, authUrl)
  }
}

function checkFastify ({ manifest: { dependencies } }: Project): void {
  const range = dependencies.get('fastify') ?? ''
  const major = /^[~^]?v?(\d+)/.exec(range)?.[1]
  if (major !== undefined && major !== '5') {
    throw new InitError(`package.json has fastify ${range}, and this plugin needs Fastify 5 (${RANGES.fastify})`)
  }
}

function planFile (root: string, path: string, after: string): Change {
  if (!isTaken(root, path)) return { path, kind: 'create', before: '', after, note: '' }
  const before = readText(root, path)!
  return before === after
    ? { path, kind: 'same', before, after, note: 'up to date' }
    : { path, kind: 'keep', before, after, note: 'already exists' }
}

function planManifest (root: string, project: Project, paths: Paths, version: string): Change {
  const path = 'package.json'
  isTaken(root, path)
  const { language, manifest: { dependencies, text } } = project
  const isLacking = (name: string) => !dependencies.has(name)
  const own: Record<string, string> = { 'better-auth-fastify': `^${version}`, ...RANGES }
  const names = ['better-auth-fastify', 'fastify', 'fastify-plugin'].filter(isLacking)
  const forTypeScript = language === 'js'
    ? []
    : ['@types/node', ...runsTsx(project, paths) ? ['tsx'] : []].filter(isLacking)
  const pick = (names: readonly string[]) => Object.fromEntries(names.map(name => [name, own[name]!]))
  const after = insertDependencies(
    insertDependencies(text, 'dependencies', pick(names)), 'devDependencies', pick(forTypeScript)
  )
  const note = [...names, ...forTypeScript].map(name => `${name} ${own[name]}`).join(', ')
  return { path, kind: note === '' ? 'same' : 'edit', before: text, after, note: note || 'has the dependencies' }
}

/** The line for the environment variable in the example that people copy. */
function planEnv (root: string, project: Project, authUrl: string | undefined): Change {
  const path = '.env.example'
  const [comment, url] = project.auth === undefined
    ? ['# The Better Auth server whose users may come in: its baseURL.\n', authUrl ?? DEFAULT_AUTH_URL]
    : ['# The URL of this app: the baseURL of Better Auth, unless the code sets one.\n',
        `http://localhost:${portOf(project)}`]
  const line = `BETTER_AUTH_URL=${envValue(url)}`
  if (!isTaken(root, path)) {
    return { path, kind: 'create', before: '', after: `${comment}${line}\n`, note: 'BETTER_AUTH_URL' }
  }
  const before = readText(root, path)!
  const [found] = /^[ \t]*(?:export[ \t]+)?BETTER_AUTH_URL[ \t]*=.*/m.exec(before) ?? []
  if (found === undefined) {
    const eol = before.includes('\r\n') ? '\r\n' : '\n'
    const start = before === '' || before.endsWith('\n') ? before : before + eol
    const after = `${start}${comment}${line}\n`.replace(/\r?\n/g, eol)
    if (!isEditable(root, path)) {
      return { path, kind: 'keep', before, after: `${comment}${line}\n`, note: 'is not UTF-8' }
    }
    return { path, kind: 'edit', before, after, note: 'BETTER_AUTH_URL' }
  }
  const isOther = authUrl !== undefined && found.trim() !== line
  return isOther
    ? { path, kind: 'keep', before, after: `${line}\n`, note: 'has another BETTER_AUTH_URL' }
    : { path, kind: 'same', before, after: before, note: 'has BETTER_AUTH_URL' }
}

/** A URL as dotenv, Node.js and shells read it alike. */
function envValue (url: string): string {
  return /^[\w.:/%~[\]-]*$/.test(url) ? url : `'${url.replaceAll("'", '%27')}'`
}
