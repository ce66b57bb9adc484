import { parseArgs } from 'node:util'
import { VERSION } from '../contract/version.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { Algorithm, BetterAuthOptions } from '../contract/options.js'
import { examine } from './examine.js'
import { formatReport } from './format-report.js'
import { escapeText, toSafeJson } from './terminal.js'

/** What a command uses of a process. */
export interface Streams {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly stdout: { write (text: string): unknown }
  readonly stderr: { write (text: string): unknown }
  readonly env: NodeJS.ProcessEnv
}

/** The command was called incorrectly. Its message is one line for the user. */
class UsageError extends Error {}

const MAX_STDIN = 65_536

const HELP = `Usage: better-auth-fastify doctor [authUrl] [options]

Looks for the keys of a Better Auth server as the plugin does, and reports what it found and what
is unsafe. With a token, it reports claim by claim whether the plugin would accept it, and which
option to set.

  authUrl               the option authUrl (default: BETTER_AUTH_URL, else http://localhost:3000)
  --token -             read a token from standard input; it is never printed
  --issuer <iss>        the option issuer; may be repeated
  --audience <aud>      the option audience; may be repeated
  --public-url <url>    the option publicUrl
  --resource <url>      the option resource: OAuth access tokens for this API are accepted
  --resource-issuer <iss>
                        the option resource.issuer
  --jwks-path <path>    the option jwksPath
  --algorithms <a,b>    the option algorithms
  --header <name:value> a header of jwks.headers; may be repeated; its value is never printed
  --json                print one JSON document instead of text
  -h, --help            show this text
  --version             show the version

Exit status: 0 if a usable key was found and nothing is refused, else 1. Warnings do not change it.
`

const FLAGS = {
  token: { type: 'string' },
  issuer: { type: 'string', multiple: true },
  audience: { type: 'string', multiple: true },
  'public-url': { type: 'string' },
  resource: { type: 'string' },
  'resource-issuer': { type: 'string' },
  'jwks-path': { type: 'string' },
  algorithms: { type: 'string' },
  header: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' }
} as const

/**
 * Runs the command line.
 *
 * @param argv - the arguments, without `node` and the script.
 * @returns the exit status: 0 or 1.
 */
export async function main (argv: readonly string[], streams: Streams): Promise<number> {
  try {
    return await run(argv, streams)
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof InvalidOptionError)) throw error
    const help = argv.includes('doctor') ? 'doctor --help' : '--help'
    streams.stderr.write(`${escapeText(error.message)}\nTry: npx better-auth-fastify ${help}\n`)
    return 1
  }
}

async function run (argv: readonly string[], { stdin, stdout, stderr, env }: Streams): Promise<number> {
  const { values, positionals: [command, authUrl, ...rest] } = parse(argv)
  if (values.help || values.version) {
    stdout.write(values.help ? HELP : `${VERSION}\n`)
    return 0
  }
  if (command === undefined) throw new UsageError('The command is missing: init or doctor')
  if (command !== 'doctor') throw new UsageError('Unknown command. The commands are init and doctor')
  if (rest.length > 0) throw new UsageError('Too many arguments: doctor takes one URL')
  if (values.token !== undefined && values.token !== '-') throw new UsageError(TOKEN_AS_ARGUMENT)

  const options: BetterAuthOptions = {
    authUrl,
    jwksPath: values['jwks-path'],
    issuer: values.issuer,
    audience: values.audience,
    publicUrl: values['public-url'],
    resource: readResource(values),
    algorithms: values.algorithms?.split(',') as Algorithm[] | undefined,
    jwks: { headers: parseHeaders(values.header ?? []) }
  }
  if (values.token !== undefined && stdin.isTTY === true) {
    stderr.write('Paste the token, then press Enter and Ctrl+D.\n')
  }
  const pasted = values.token === undefined ? undefined : await readToken(stdin)
  const urls = [authUrl, values['public-url'], values.resource]
  const report = await examine(options, pasted, env).catch((error: Error) => { throw withoutValue(error, urls) })
  stdout.write(values.json ? `${toSafeJson(report)}\n` : formatReport(report))
  return report.ok ? 0 : 1
}

const TOKEN_AS_ARGUMENT = 'A token is only read from standard input (--token -): arguments are visible to others'

function parse (argv: readonly string[]) {
  // A token in any position is refused, before anything can print it.
  if (argv.some(argument => /(?:eyJ|eyA|ewo|ew0)[\w-]*\./.test(argument))) throw new UsageError(TOKEN_AS_ARGUMENT)
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message.split(/[.\n]/, 1)[0])
  }
}

/** The plugin's message quotes the value. A value that does not even start like a URL may be a token of some kind. */
function withoutValue (error: Error, urls: ReadonlyArray<string | undefined>): Error {
  if (urls.every(url => url === undefined || /^https?:/i.test(url))) return error
  return new UsageError(error.message.replace(/, got .*/s, ''))
}

/** @throws UsageError */
function readResource (
  { resource, 'resource-issuer': issuer }: { readonly resource?: string, readonly 'resource-issuer'?: string }
): BetterAuthOptions['resource'] {
  if (issuer === undefined) return resource
  if (resource === undefined) throw new UsageError('--resource-issuer needs --resource')
  return { url: resource, issuer }
}

/** @throws UsageError, without the value: it may be a secret. */
function parseHeaders (lines: readonly string[]): Record<string, string> {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon === -1) throw new UsageError('A header is written as --header <name:value>')
    const name = line.slice(0, colon).toLowerCase()
    if (headers.has(name)) throw new UsageError('Two headers have the same name')
    headers.set(name, line.slice(colon + 1).trim())
  }
  return Object.fromEntries(headers)
}

/** @throws UsageError */
async function readToken (stdin: Streams['stdin']): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as string))
    size += chunk.length
    if (size > MAX_STDIN) throw new UsageError('Standard input is longer than 64 kB: that is not a token')
  }
  const text = Buffer.concat(chunks).toString()
  if (text.trim() === '') throw new UsageError('There is no token on standard input')
  return text
}
