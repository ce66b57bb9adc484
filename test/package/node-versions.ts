/**
 * Runs the test of the dispatcher with each version of Node.js that the package supports: what is under `fetch` differs
 * between them. Not part of `npm test`: it installs each version from the registry. Run it with
 * `npm run test:node-versions`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { install, run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'

const VERSIONS = ['20', '22', '24', 'latest']
const FILE = 'test/auth-server/record-response.test.ts'

const folder = mkdtempSync(join(tmpdir(), 'node-versions-'))
try {
  for (const version of VERSIONS) {
    const project = join(folder, version)
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
    // Its script chooses the binary for this system.
    await install(project, [`node@${version}`], ['--ignore-scripts=false'])
    const node = join(project, 'node_modules/node/bin/node')
    const name = (await run(project, [node, '--version'])).stdout.trim()
    const startedAt = Date.now()
    const { code, stdout, stderr } = await run(ROOT, [node, '--import', 'tsx', FILE])
    const [summary = 'no result'] = /^# \{ total.*$/m.exec(stdout) ?? []
    const passed = code === 0 && !/^not ok/m.test(stdout)
    const seconds = Math.round((Date.now() - startedAt) / 1000)
    console.log(`${passed ? 'pass' : 'FAIL'} ${name} in ${seconds} s ${summary}`)
    if (passed) continue
    console.log(stdout.split('\n').filter(line => /^ *not ok/.test(line)).join('\n'), stderr)
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
