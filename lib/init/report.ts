import { formatDiff } from './diff.js'
import { nextSteps } from './next-steps.js'
import type { Change, Plan } from './plan.js'
import type { Project } from './project.js'

const WORDS = { create: 'created', edit: 'changed', same: 'unchanged', keep: 'kept', skip: 'skipped' } as const

/** What init prints: what it found, what it did, what is left to do, and the commands to try it. */
export function formatReport (project: Project, plan: Plan, isDryRun: boolean): string {
  const { changes, lines, notes, paths } = plan
  const kept = changes.filter(({ kind }) => kind === 'keep' || kind === 'skip')
  const [test, start, call] = nextSteps(project, paths)
  return escapeControls([
    `Found: ${describe(project)}.\n`,
    ...isDryRun ? changes.filter(isWritten).map(formatDiff) : [],
    changes.map(formatChange(isDryRun)).join(''),
    ...kept.map(({ path, after, note }) => `${path} ${note}. init would write this:\n\n${indent(after)}`),
    ...lines === undefined ? [] : [formatLines(project, lines)],
    ...notes,
    ...project.runner === 'jest' ? [`${JEST}\n`] : [],
    `${isDryRun ? 'Nothing was written. ' : ''}To try it:\n\n${indent(`${test}\n${start}`)}`,
    `While it runs, this request gets 401, because it has no token:\n\n${indent(call!)}`,
    TOKEN
  ].join('\n'))
}

export function isWritten ({ kind }: Change): boolean {
  return kind === 'create' || kind === 'edit'
}

const JEST = `Jest does not load ES modules by itself. If the test fails with "Must use import to load ES Module" or
"Cannot use import statement", read "Jest" in node_modules/better-auth-fastify/docs/guides/tooling.md.`

const TOKEN = `With the token of a user it gets 200. A signed-in user gets one from GET /api/auth/token of the Better
Auth server: see "Quick start" in node_modules/better-auth-fastify/README.md.
`

function describe ({ auth, isAutoload, language, modules, runner }: Project): string {
  return [
    language === 'ts' ? 'TypeScript' : 'JavaScript',
    modules === 'esm' ? 'ES modules' : 'CommonJS',
    isAutoload ? 'plugins and routes loaded by @fastify/autoload' : 'no @fastify/autoload',
    `tests with ${runner}`,
    ...auth === undefined ? [] : [`Better Auth in ${auth.path}`]
  ].join(', ')
}

function formatChange (isDryRun: boolean): (change: Change) => string {
  return change => {
    const { kind, note, path } = change
    const word = isDryRun && isWritten(change) ? `would be ${WORDS[kind]}` : WORDS[kind]
    return `  ${word.padEnd(isDryRun ? 17 : 10)} ${path}${note === '' ? '' : ` (${note})`}\n`
  }
}

function formatLines ({ app }: Project, lines: readonly string[]): string {
  const { isPlugin, name, path } = app!
  const place = isPlugin ? 'in its function, before your routes' : `after the line that creates "${name}"`
  return `Add this to ${path}; put the calls of register() ${place}:\n\n${indent(lines.join('\n'))}`
}

function indent (text: string): string {
  return text.trimEnd().split('\n').map(line => line === '' ? '\n' : `  ${line}\n`).join('')
}

/** The texts of the project must not control the terminal. */
export function escapeControls (text: string): string {
  return text.replace(/(?!\n|\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, character => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`
  })
}
