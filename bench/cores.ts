import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const [, LIST = ''] = process.platform === 'linux'
  ? /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  : []

/** The cores that this process may use, such as 0, 1, 2 for "0-2". */
const CORES = LIST.split(',').flatMap(range => {
  const [first = 0, last = first] = range.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
})

/** Whether a server can get a core of its own. It takes two cores, and the `taskset` of Linux. */
export const CAN_PIN = CORES.length > 1

/** The core for a server that may use only one. */
export const SERVER_CORE = CORES[0]!

/** Keeps this process, and what it starts, off the core for the server while it works. */
export async function onOtherCores<Result> (work: () => Promise<Result>): Promise<Result> {
  await pin(CORES.slice(1).join(','))
  try {
    return await work()
  } finally {
    await pin(LIST)
  }
}

async function pin (cores: string): Promise<void> {
  await promisify(execFile)('taskset', ['-a', '-c', '-p', cores, String(process.pid)])
}
