import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { DoctorReport } from '../../lib/doctor/report.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { runCli } from '../fixtures/doctor.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { send, sendKeys, startJwksServer } from '../fixtures/jwks-server.js'
import { ROOT } from '../fixtures/program.js'

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const key = createSigningKey()
const token = signJws(key, createClaims('http://localhost:3000'))
/** A header may be written in any way. */
const spaced = signJws(key, {}, Buffer.from(`{ "alg": "EdDSA", "kid": "${key.kid}" }`))
const opaque = 'h5kKX0dQyQ2zB4nWm0cVf1rT8uYe3sPa'

t.test('--help and --version', async t => {
  const help = await runCli(['doctor', '--help'])
  t.match(help, { status: 0, stderr: '' })
  for (const flag of [
    '--token -', '--issuer', '--audience', '--public-url', '--resource <url>', '--resource-issuer', '--jwks-path',
    '--algorithms', '--header <name:value>', '--json', '--version'
  ]) {
    t.match(help.stdout, flag)
  }
  t.ok(help.stdout.split('\n').every(line => line.length < 100))
  t.strictSame(await runCli(['doctor', '-h']), help)
  t.strictSame(await runCli(['--version']), { status: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('a mistake is one line on stderr, a hint, and exit status 1', async t => {
  const MISTAKES: Array<[args: string[], message: string | RegExp, input?: string | Buffer[]]> = [
    [[], 'The command is missing: init or doctor'],
    [['patient'], 'Unknown command. The commands are init and doctor'],
    [['doctor', '--bogus'], "Unknown option '--bogus'"],
    [['doctor', '--\u001b[2J'], "Unknown option '--\\u{1b}[2J'"],
    [['doctor', '--token'], "Option '--token <value>' argument missing"],
    [['doctor', '--issuer', '--json'], "Option '--issuer' argument is ambiguous"],
    [['doctor', 'http://a.example', 'http://b.example'], /^Too many arguments/],
    [['doctor', '--issuer', ''], /^Option "issuer" must be a non-empty string/],
    [['doctor', '--algorithms', 'HS256'], /^Option "algorithms" must be a non-empty array of EdDSA/],
    [['doctor', '--jwks-path', 'jwks'], /^Option "jwksPath" must be a path/],
    [['doctor', '--resource-issuer', 'https://id.example'], '--resource-issuer needs --resource'],
    [['doctor', '--resource', 'https://api.example/?q'], /^Option "resource" must be an absolute .* got 'https:/],
    [
      ['doctor', '--resource', 'https://api.example#x', '--resource-issuer', 'https://id.example'],
      /^Option "resource\.url" must be an absolute .* got 'https:/
    ],
    [['doctor', '--public-url', 'https://id.example/?q'], /^Option "publicUrl" must be an absolute .* got 'https:/],
    [['doctor', 'http://a.example/?q'], /^Option "authUrl" must be an absolute http.* got 'http:\/\/a\.example\/\?q'$/],
    [
      ['doctor', 'localhost:3000'],
      /^Option "authUrl" must be an absolute http\(s\) URL without credentials, query or fragment$/
    ],
    [['doctor', '--token', '-'], 'There is no token on standard input', ' \n'],
    [['doctor', '--token', '-'], 'There is no token on standard input', ' '.repeat(65_536)],
    [
      ['doctor', '--token', '-'],
      /^Standard input is longer than 64 kB/,
      [Buffer.alloc(60_000, 'a'), Buffer.alloc(6000, 'a')]
    ]
  ]
  for (const [args, message, input] of MISTAKES) {
    const { status, stdout, stderr } = await runCli(args, input)
    t.equal(status, 1)
    t.equal(stdout, '')
    const [line, hint, ...rest] = stderr.split('\n')
    t.match(line, message)
    t.equal(hint, `Try: npx better-auth-fastify ${args[0] === 'doctor' ? 'doctor --help' : '--help'}`)
    t.strictSame(rest, [''])
  }
  t.match(await runCli(['doctor'], '', { BETTER_AUTH_URL: 'http://user:secret@a.example' }), {
    status: 1,
    stderr: /^Option "authUrl" \(from the environment variable BETTER_AUTH_URL\) .* got 'http:\/\/\*\*\*@a\.example'/
  })
})

t.test('a token as an argument is refused, and not shown', async t => {
  const CALLS = [
    ['doctor', '--token', token], ['doctor', `--token=${token}`], ['doctor', token], ['doctor', `Bearer ${token}`],
    [token], ['doctor', 'http://a.example', token], ['doctor', `--${token}`], ['doctor', '--issuer', token],
    ['doctor', '--jwks-path', token], ['doctor', spaced], ['doctor', '--token', opaque],
    ['doctor', '--header', `authorization: Bearer ${token}`], ['doctor', `--header=x-jwt:${token}`]
  ]
  for (const args of CALLS) {
    const { status, stdout, stderr } = await runCli(args)
    t.equal(status, 1)
    t.equal(stdout, '')
    t.match(stderr, /^A token is only read from standard input \(--token -\): arguments are visible to others\n/)
    for (const part of [...token.split('.'), ...spaced.split('.'), opaque]) t.notMatch(stderr, part)
  }
  for (const args of [
    ['doctor', opaque], ['doctor', `${opaque}http:`], [opaque], ['doctor', 'http://a.example', opaque],
    ['doctor', '--resource', opaque],
    ['doctor', '--public-url', opaque], ['doctor', '--resource', opaque, '--resource-issuer', 'https://id.example']
  ]) {
    const { status, stderr } = await runCli(args)
    t.equal(status, 1)
    t.notMatch(stderr, opaque)
  }
})

t.test('a header of the command line is sent with the request, and is not printed', async t => {
  const server = await startJwksServer()
  t.teardown(() => server.stop())
  const seen: unknown[] = []
  server.respond = (request, response) => {
    seen.push(request.headers['x-gate'])
    const isOpen = request.headers['x-gate'] === 'open: sesame, "hunter2"' && request.headers['x-id'] === '7'
    const respond = isOpen ? sendKeys([key.jwk]) : send(403, 'hunter2', { 'x-echo': 'hunter2' })
    respond(request, response)
  }
  const args = ['--header', 'X-Gate: open: sesame, "hunter2"', '--header=x-id:7']
  for (const more of [[], ['--json']]) {
    const { status, stdout, stderr } = await runCli(['doctor', server.origin, ...args, ...more])
    t.equal(status, 0)
    t.notMatch(stdout + stderr, /sesame|hunter2/)
  }
  for (const gate of ['hunter2', ' hunter2 ', 'open: sesame']) {
    const { status, stdout, stderr } = await runCli(['doctor', server.origin, '--header', `x-gate:${gate}`])
    t.equal(status, 1)
    t.match(stdout, 'no JWKS was found: HTTP 403')
    t.notMatch(stdout + stderr, /sesame|hunter2/)
  }
  t.equal(seen.at(-1), 'open: sesame', 'also at the last URL of the search')
})

t.test('a header that is not right is one line, without its value', async t => {
  const MISTAKES: Array<[headers: string[], message: string]> = [
    [['hunter2'], 'A header is written as --header <name:value>'],
    [[''], 'A header is written as --header <name:value>'],
    [['x-gate: hunter2', 'X-GATE: hunter2'], 'Two headers have the same name'],
    [[':hunter2'],
      'Option "jwks.headers" must have valid header names, got one that is empty or has invalid characters'],
    [['hunter2 x: y'],
      'Option "jwks.headers" must have valid header names, got one that is empty or has invalid characters'],
    [['x-gate:'], 'Option "jwks.headers" must have a valid value as "x-gate", got an empty one'],
    [['x-gate: \u20achunter2'],
      'Option "jwks.headers" must have a valid value as "x-gate", got one with invalid characters, or with spaces ' +
      'around it'],
    [['x-gate: a\nhunter2: b'],
      'Option "jwks.headers" must have a valid value as "x-gate", got one with invalid characters, or with spaces ' +
      'around it'],
    [['__proto__: hunter2'], 'Option "jwks.headers" must not have "__proto__", which is reserved for the HTTP client'],
    [['Host: hunter2'], 'Option "jwks.headers" must not have "host", which is reserved for the HTTP client']
  ]
  for (const [headers, message] of MISTAKES) {
    const { status, stdout, stderr } = await runCli(['doctor', ...headers.flatMap(header => ['--header', header])])
    t.equal(status, 1)
    t.equal(stdout, '')
    t.equal(stderr, `${message}\nTry: npx better-auth-fastify doctor --help\n`)
  }
  for (const args of [['--headers', 'x: hunter2'], ['--headr=x:hunter2'], ['-Hhunter2'], ['--json=hunter2']]) {
    const { status, stderr } = await runCli(['doctor', ...args])
    t.equal(status, 1)
    t.notMatch(stderr, 'hunter2')
  }
})

t.test('authUrl is BETTER_AUTH_URL, else port 3000 on this machine', async t => {
  const server = await startJwksServer([key.jwk])
  t.teardown(() => server.stop())
  t.match(await runCli(['doctor'], '', { BETTER_AUTH_URL: server.origin }), {
    status: 0, stdout: `Auth server  ${server.origin} (from BETTER_AUTH_URL)\n`
  })
  const { stdout } = await runCli(['doctor', '--jwks-path', '/no/such/jwks'])
  t.match(stdout, 'Auth server  http://localhost:3000 (the default)\n')
})

t.test('a person at a terminal reads what to do', async t => {
  const server = await startJwksServer([key.jwk])
  t.teardown(() => server.stop())
  const input = signJws(key, createClaims(server.origin))
  const run = (isTTY: boolean) => runCli(['doctor', server.origin, '--token', '-', '--json'], input, {}, isTTY)
  t.match(await run(true), { status: 0, stderr: 'Paste the token, then press Enter and Ctrl+D.\n' })
  t.match(await run(false), { status: 0, stderr: '' })
  t.match(await runCli(['doctor', server.origin], '', {}, true), { status: 0, stderr: '' }, 'nothing to paste')
})

t.test('an error that is none of the user is not hidden', async t => {
  const stdin = { async * [Symbol.asyncIterator] (): AsyncGenerator<string> { throw new Error('EIO') } }
  const { main } = await import('../../lib/doctor/command.js')
  const write = () => {}
  await t.rejects(main(['doctor', '--token', '-'], { stdin, stdout: { write }, stderr: { write }, env: {} }), {
    message: 'EIO'
  })
})

t.test('the program sets the exit status of its process', async t => {
  const { argv, exitCode } = process
  const before = process.stdout.listeners('error')
  const added = () => process.stdout.listeners('error')
    .filter((listener): listener is (error: Error) => void => !before.includes(listener))
  t.teardown(() => {
    process.argv = argv
    process.exitCode = exitCode
    for (const listener of added()) process.stdout.off('error', listener)
  })
  process.argv = [process.execPath, 'cli.js', '--bogus']
  const written = t.capture(process.stderr, 'write', () => true)
  const { main } = await import('../../lib/cli.js')
  t.equal(process.exitCode, 1)
  t.match(written(), [{ args: ["Unknown option '--bogus'\nTry: npx better-auth-fastify --help\n"] }])
  const [onError, ...others] = added()
  t.equal(others.length, 0)
  const help: string[] = []
  const stdout = { write: (text: string) => help.push(text) }
  const streams = { cwd: process.cwd, stdout } as unknown as NodeJS.Process
  for (const args of [['--help'], ['init', '--help'], ['-h'], ['init', '-h']]) t.equal(await main(args, streams), 0)
  t.match(help, [/^Usage: better-auth-fastify <command>/, /^Usage: better-auth-fastify init /, help[0], help[1]])
  onError!(Object.assign(new Error('write'), { code: 'EPIPE' }))
  t.throws(() => { onError!(Object.assign(new Error('write'), { code: 'EIO' })) }, { code: 'EIO' })
})

/** The compiled program, outside of the project: what a child process loads in it would count as not covered. */
function installProgram (): string {
  const folder = mkdtempSync(join(tmpdir(), 'better-auth-fastify-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  for (const name of ['dist', 'package.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'dist', 'cli.js')
}

t.test('the compiled program', async t => {
  const program = installProgram()
  t.match(readFileSync(program, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  const server = await startAuthServer()
  t.teardown(() => server.close())
  const { token } = await server.signUp()

  interface Output { code: number | null, stdout: string, stderr: string }

  function run (args: readonly string[], input: string, isRead = true): Promise<Output> {
    // Without what tap preloads into programs.
    const command = ['-u', 'NODE_OPTIONS', process.execPath, program, ...args]
    const child = spawn('env', command, { env: { PATH: process.env.PATH }, timeout: 60_000 })
    const output = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output.stdout += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { output.stderr += text })
    child.stdin.on('error', () => {}).end(input)
    if (!isRead) child.stdout.destroy()
    return new Promise(resolve => { child.on('close', code => { resolve({ code, ...output }) }) })
  }

  const accepted = await run(['doctor', server.origin, '--token', '-', '--json'], `${token}\n`)
  t.match(accepted, { code: 0, stderr: '' })
  t.match(JSON.parse(accepted.stdout) as DoctorReport, {
    ok: true, token: { verdict: { accepted: true, reason: null } }
  })

  const refused = await run(['doctor', server.origin, '--token', '-', '--audience', 'https://api.example.com'], token)
  t.match(refused, { code: 1, stderr: '' })
  t.match(refused.stdout, /^Token {8}refused: audience_mismatch$/m)
  for (const segment of token.split('.')) t.notMatch(accepted.stdout + refused.stdout, segment)

  const long = await run(['doctor', server.origin, '--token', '-'], 'a'.repeat(1_000_000))
  t.match(long, { code: 1, stdout: '', stderr: /longer than 64 kB/ })
  t.match(await run(['--version'], ''), { code: 0, stdout: `${version}\n`, stderr: '' })
  const unread = await run(['doctor', server.origin], '', false)
  t.strictSame(unread, { code: 0, stdout: '', stderr: '' }, 'nobody reads what it prints')
})
