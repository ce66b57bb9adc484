import { realpathSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseUrl } from '../contract/auth-server-urls.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import { VERSION } from '../contract/version.js'
import { findProject } from './find-project.js'
import { writeText } from './folder.js'
import { InitError } from './init-error.js'
import { makePlan } from './plan.js'
import { escapeControls, formatReport, isWritten } from './report.js'

/** What the command uses of a process. */
export interface Streams {
  readonly stdout: { write (text: string): unknown }
  readonly stderr: { write (text: string): unknown }
  cwd (): string
}

const HELP = `Usage: better-auth-fastify init [authUrl] [options]

Adds the plugin to the project in this folder: a file that registers it, one protected route, and a
test of both. Adds the dependencies to package.json, and BETTER_AUTH_URL to .env.example. It never
overwrites a file: it keeps what exists, and prints what to add.

  authUrl      the URL of the Better Auth server, for .env.example (default: http://localhost:3000)
  --dry-run    print the changes as a diff, and write nothing
  --help       show this text

Exit status: 1 after an error, else 0. It is no error if init keeps a file.
`

/**
 * Runs `better-auth-fastify init`.
 *
 * @param argv - the arguments, the command included.
 * @returns the exit status: 0 or 1.
 */
export function main (argv: readonly string[], streams: Streams): number {
  try {
    streams.stdout.write(run(argv, streams.cwd()))
    return 0
  } catch (error) {
    if (!(error instanceof InitError || error instanceof InvalidOptionError)) throw error
    streams.stderr.write(`${escapeControls(error.message)}\nTry: npx better-auth-fastify init --help\n`)
    return 1
  }
}

function run (argv: readonly string[], cwd: string): string {
  const { values, positionals: [, url, ...rest] } = parse(argv)
  if (values.help) return HELP
  if (rest.length > 0) throw new InitError('Too many arguments: init takes one URL')
  const authUrl = url === undefined ? undefined : readUrl(url)
  const root = realpathSync(cwd)
  const project = findProject(root)
  const plan = makePlan(root, project, VERSION, authUrl)
  const isDryRun = values['dry-run'] === true
  for (const change of isDryRun ? [] : plan.changes.filter(isWritten)) {
    writeText(root, change.path, change.after, change.kind === 'create')
  }
  return formatReport(project, plan, isDryRun)
}

/** @throws InvalidOptionError, InitError */
function readUrl (url: string): string {
  // What does not even start like a URL may be a token: the message of the option would quote it.
  if (!/^https?:/i.test(url)) throw new InitError('authUrl must start with http:// or https://')
  return parseUrl('authUrl', url).href.replace(/\/+$/, '')
}

function parse (argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: { 'dry-run': { type: 'boolean' }, help: { type: 'boolean' } },
      allowPositionals: true
    })
  } catch (error) {
    throw new InitError((error as Error).message.split(/[.\n]/, 1)[0])
  }
}
