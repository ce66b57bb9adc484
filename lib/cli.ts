#!/usr/bin/env node
import { main as doctor } from './doctor/command.js'
import { main as init } from './init/command.js'

const HELP = `Usage: better-auth-fastify <command> [authUrl] [options]

  init      adds the plugin, a protected route and a test to the project in this folder
  doctor    examines a Better Auth server, and says why a token is refused

  <command> --help shows the options of a command. --version shows the version.
`

/**
 * Runs the program.
 *
 * @param argv - the arguments, without `node` and the script.
 * @returns the exit status: 0 or 1.
 */
export async function main (argv: readonly string[], streams: NodeJS.Process): Promise<number> {
  const command = argv.find(argument => !argument.startsWith('-'))
  if (command === 'init') return await init(argv, streams)
  const asksHelp = argv.includes('--help') || argv.includes('-h')
  if (command !== undefined || !asksHelp) return await doctor(argv, streams)
  streams.stdout.write(HELP)
  return 0
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader closed the pipe early, as in `doctor | head -1`.
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await main(process.argv.slice(2), process)
