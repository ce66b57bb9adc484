import { PassThrough } from 'node:stream'
import t from 'tap'
import { askSameApp } from '../../lib/init/ask.js'
import { main, type Terminal } from '../../lib/init/command.js'
import { createFiles, snapshot } from '../fixtures/init-project.js'

/** Answers each question when it is printed; without answers left, it ends the input. */
function createTerminal (answers: readonly string[], cwd = '/'): Terminal & { printed: string, errors: string } {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const left = [...answers]
  const terminal = Object.assign({ stdout, stderr, cwd: () => cwd, printed: '', errors: '' }, {
    stdin: Object.assign(stdin, { isTTY: true })
  })
  stdout.setEncoding('utf8').on('data', (text: string) => {
    terminal.printed += text
    if (!text.includes('1 or 2')) return
    const answer = left.shift()
    if (answer === undefined) stdin.end()
    else stdin.write(`${answer}\n`)
  })
  stderr.setEncoding('utf8').on('data', (text: string) => { terminal.errors += text })
  return terminal
}

const PROJECT = { 'package.json': '{ "type": "module" }\n', 'auth.js': 'export const auth = betterAuth({})\n' }

t.test('asks until it understands', async t => {
  const CASES: Array<[answers: string[], isSameApp: boolean | undefined]> = [
    [['1'], false], [[''], false], [[' 2 '], true], [['yes', '3', '2'], true], [[], undefined], [['x'], undefined]
  ]
  for (const [answers, isSameApp] of CASES) {
    const { stdin, stdout } = createTerminal(answers)
    t.equal(await askSameApp(stdin, stdout), isSameApp, answers.join())
  }
})

t.test('init asks on a terminal, if the arguments do not tell', async t => {
  const root = createFiles(t, PROJECT)
  const local = createTerminal(['2'], root)
  t.equal(await main(['init', '--dry-run'], local), 0)
  t.match(local.printed, /^Where does Better Auth run\?\n[^]*1 or 2 \[1\]: \n?[^]*Better Auth in auth\.js/)
  const remote = createTerminal([''], root)
  t.equal(await main(['init', '--dry-run'], remote), 0)
  t.notMatch(remote.printed, 'Better Auth in auth.js')
  const ended = createTerminal([], root)
  t.equal(await main(['init'], ended), 1)
  t.equal(ended.errors, '\nNothing was written.\n')
  t.strictSame(snapshot(root), PROJECT)
})

t.test('otherwise it does not ask', async t => {
  const root = createFiles(t, PROJECT)
  for (const args of [['--same-app', '--dry-run'], ['http://localhost:3000', '--dry-run'], ['--help'], ['--force']]) {
    const terminal = createTerminal([], root)
    await main(['init', ...args], terminal)
    t.notMatch(terminal.printed, 'Where does')
  }
  const piped = createTerminal([], root)
  t.equal(await main(['init', '--dry-run'], { ...piped, stdin: new PassThrough() }), 0)
  t.notMatch(piped.printed, 'Where does')
})
