import { shellWord } from './code.js'
import type { PackageManager, Project } from './project.js'
import type { Paths } from './templates.js'

/** How each package manager runs a program of the project. */
const EXEC: Record<PackageManager, string> = { npm: 'npx', pnpm: 'pnpm exec', yarn: 'yarn', bun: 'bunx' }

/** The commands to try what init has written: one installs and tests, the others start the API and call it. */
export function nextSteps (project: Project, paths: Paths): string[] {
  const { app, hasEnv, isAutoload, packageManager } = project
  const server = shellWord(paths.server ?? app?.path ?? '')
  const isFastifyStart = runsFastifyStart(project)
  const port = portOf(project)
  const dashes = packageManager === 'npm' ? '-- ' : ''
  const script = paths.server === undefined ? startScript(project) : undefined
  const start = isFastifyStart
    ? `${runScript(packageManager, 'start')} ${dashes}--port ${port}`
    : script ?? runCommand(project, `--env-file=.env ${server}`)
  const needsEnv = isAutoload || start.includes('--env-file')
  return [
    `${packageManager} install && ${testCommand(project, paths)}`,
    `${needsEnv && !hasEnv ? 'cp .env.example .env && ' : ''}${start}`,
    `curl -i http://localhost:${port}/me`
  ]
}

/** The script of the project that runs its server. */
function startScript ({ language, manifest: { scripts }, packageManager }: Project): string | undefined {
  const { build, dev, start = '' } = scripts
  // In TypeScript, this one runs what another script has compiled.
  const isCompiled = language === 'ts' && /\bnode\s(?!.*\.[cm]?ts\b)/.test(start)
  if (isCompiled && dev === undefined && build !== undefined) {
    return `${runScript(packageManager, 'build')} && ${runScript(packageManager, 'start')}`
  }
  const names = isCompiled ? ['dev', 'start'] as const : ['start', 'dev'] as const
  const name = names.find(name => scripts[name] !== undefined)
  return name === undefined ? undefined : runScript(packageManager, name)
}

function runScript (packageManager: PackageManager, name: 'start' | 'dev' | 'build' | 'test'): string {
  const isShort = packageManager !== 'bun' && (name === 'start' || name === 'test')
  return isShort ? `${packageManager} ${name}` : `${packageManager} run ${name}`
}

/** Whether one of the commands needs tsx. */
export function runsTsx (project: Project, paths: Paths): boolean {
  return nextSteps(project, paths).some(command => / tsx /.test(command))
}

function runCommand ({ language, packageManager }: Project, args: string): string {
  return language === 'js' ? `node ${args}` : `${EXEC[packageManager]} tsx ${args}`
}

function testCommand (project: Project, paths: Paths): string {
  const { language, manifest: { dependencies, scripts }, packageManager, runner } = project
  // What `npm init` writes is no test.
  if (scripts.test !== undefined && !scripts.test.includes('no test specified')) {
    return runScript(packageManager, 'test')
  }
  const exec = EXEC[packageManager]
  const test = shellWord(paths.test)
  if (runner === 'vitest') return `${exec} vitest run ${test}`
  if (runner !== 'node:test') return `${exec} ${runner} ${test}`
  if (language === 'ts' && !dependencies.has('tsx') && dependencies.has('ts-node')) {
    return `node --test -r ts-node/register ${test}`
  }
  return runCommand(project, `--test ${test}`)
}

function runsFastifyStart ({ manifest: { scripts: { start = '' } } }: Project): boolean {
  return /\bfastify start\b/.test(start)
}

/** The port that the app listens on, as far as its text says so. */
export function portOf (project: Project): string {
  const { app } = project
  if (app === undefined || runsFastifyStart(project)) return '3001'
  return /\bport\b[^\n]{0,200}?\b(\d{4,5})\b/i.exec(app.text)?.[1] ?? '3000'
}
