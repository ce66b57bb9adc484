#!/usr/bin/env node
import { main } from './doctor/command.js'

process.exitCode = await main(process.argv.slice(2), process)
