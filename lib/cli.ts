#!/usr/bin/env node
import { main } from './doctor/command.js'

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader closed the pipe early, as in `doctor | head -1`.
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await main(process.argv.slice(2), process)
