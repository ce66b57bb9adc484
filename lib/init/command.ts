import { realpathSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { parseUrl } from '../contract/auth-server-urls.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import { VERSION } from '../contract/version.js'
import { askSameApp } from './ask.js'
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

/** The same, with the streams of a terminal. */
export interface Terminal extends Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable
}

const HELP = `Usage: better-auth-fastify init [authUrl] [options]

Adds the plugin to the project in this folder: a file that registers it, one protected route, and a
test of both. Adds the dependencies to package.json, and BETTER_AUTH_URL to .env.example. It never
overwrites a file: it keeps what exists, and prints what to add.

  authUrl      the URL of the Better Auth server, for .env.example (default: http://localhost:3000)
  --same-app   Better Auth runs in this app: register the instance that src/auth.ts, lib/auth.ts or
               a similar file exports. Without it and a URL, init asks if it runs on a terminal
  --dry-run    print the changes as a diff, and write nothing
  -h, --help   show this text

Exit status: 1 after an error, else 0. It is no error if init keeps a file.
`

/**
 * Runs `better-auth-fastify init`. On a terminal, it asks for the set-up if the arguments do not tell it.
 *
 * @param argv - the arguments, the command included.
 * @returns the exit status: 0 or 1.
 */
export async function main (argv: readonly string[], terminal: Terminal): Promise<number> {
  const isTold = argv.some(argument => argument !== 'init' && argument !== '--dry-run')
  if (isTold || terminal.stdin.isTTY !== true) return init(argv, terminal)
  const isSameApp = await askSameApp(terminal.stdin, terminal.stdout)
  if (isSameApp === undefined) {
    terminal.stderr.write('\nNothing was written.\n')
    return 1
  }
  terminal.stdout.write('\n')
  return init(isSameApp ? [...argv, '--same-app'] : argv, terminal)
}

/** The same without a question. */
export function init (argv: readonly string[], streams: Streams): number {
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
  if (authUrl !== undefined && values['same-app'] === true) {
    throw new InitError('init takes the URL of a Better Auth server, or --same-app, and not both')
  }
  const root = realpathSync(cwd)
  const project = findProject(root, values['same-app'])
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
      options: {
        'dry-run': { type: 'boolean' }, 'same-app': { type: 'boolean' }, help: { type: 'boolean', short: 'h' }
      },
      allowPositionals: true
    })
  } catch (error) {
    throw new InitError((error as Error).message.split(/[.\n]/, 1)[0]!)
  }
}
