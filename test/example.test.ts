import { connect } from 'node:net'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  ALGORITHMS, CsrfError, ForbiddenError, JwksUnavailableError, RequestInvalidError, RevocationUnavailableError, TokenExpiredError,
  TokenInvalidError, TokenMissingError, TokenRevokedError, type BetterAuthOptions
} from '../lib/index.js'
import { resolveOptions } from '../lib/options.js'
import { startAuthServer } from './fixtures/auth-server.js'
import { copyProject, freePorts, get, isFree, isInstalled, paste, ROOT, start, take, TSX, type Running } from './fixtures/program.js'

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const project = copyProject(t)

async function startExample (t: Test, command: readonly string[]): Promise<{ example: Running, authPort: number, apiPort: number }> {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, command, { AUTH_PORT: String(authPort), PORT: String(apiPort) })
  await example.printed(`-i http://localhost:${apiPort}/me\n`)
  return { example, authPort, apiPort }
}

t.setTimeout(300_000)

t.test('npm run example', async t => {
  const { example, authPort, apiPort } = await startExample(t, ['npm', 'run', 'example'])
  const apiUrl = `http://localhost:${apiPort}`

  t.test('prints lines that sign up, fetch a token and call the API', { skip: isInstalled('curl') ? false : 'curl is not installed' }, async t => {
    const lines = example.stdout.split('\n').filter(line => /^(curl|\w+=\$\(curl) /.test(line))
    t.equal(lines.length, 5)
    const folder = t.testdir({})
    const [signUp, me, secret, token, ...refused] = paste([...lines.slice(0, 4), 'echo $TOKEN', lines[4]!], folder)

    const { user } = JSON.parse(signUp!) as { user: { id: string } }
    const expected = { id: user.id, email: 'ada@example.com', name: 'Ada', emailVerified: false, image: null }
    t.strictSame(JSON.parse(me!), expected)
    t.match(JSON.parse(secret!), { message: 'Hello Ada!', secret_data: String, user_id: user.id })
    t.strictSame(await get(`${apiUrl}/me`, token), { status: 200, body: expected })
    t.match(await get(`${apiUrl}/protected-resource`, token), { status: 200, body: { user_id: user.id } })

    t.equal(refused[0], 'HTTP/1.1 401 Unauthorized')
    t.match(refused.join('\n'), /^www-authenticate: Bearer$/im)
    t.match(refused.join('\n'), '"code":"FST_BETTER_AUTH_TOKEN_MISSING"')

    t.match(JSON.parse(paste(lines, folder)[1]!), expected, 'and may be pasted again')
  })

  t.test('answers 401 without a token', async t => {
    for (const path of ['/me', '/protected-resource']) {
      t.match(await get(apiUrl + path), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    }
  })

  t.test('is not reachable from other machines', async t => {
    const addresses = Object.values(networkInterfaces()).flatMap(all => all ?? []).filter(one => !one.internal && one.family === 'IPv4')
    for (const { address } of addresses) {
      for (const port of [authPort, apiPort]) {
        const code = await new Promise(resolve => {
          const socket = connect(port, address, () => { socket.destroy(); resolve('connected') })
          socket.once('error', (error: NodeJS.ErrnoException) => { resolve(error.code) })
        })
        t.equal(code, 'ECONNREFUSED')
      }
    }
  })

  t.test('ends with 0 on Ctrl-C and leaves both ports free', async t => {
    process.kill(-example.pid, 'SIGINT')
    t.strictSame(await example.exit, { code: 0, signal: null })
    t.equal(example.stderr, '')
    t.ok(await isFree(t, authPort))
    t.ok(await isFree(t, apiPort))
  })
})

t.test('the example ends with 0 on SIGTERM, whoever is still connected', async t => {
  const { example, authPort, apiPort } = await startExample(t, [...TSX, 'examples/server.ts'])
  for (const port of [authPort, apiPort]) {
    const socket = connect(port, 'localhost')
    await new Promise<void>(resolve => { socket.write('GET /me HTTP/1.1\r\nHost: localhost\r\n', () => resolve()) })
    socket.on('error', () => {})
    t.teardown(() => { socket.destroy() })
  }
  process.kill(example.pid, 'SIGTERM')
  t.strictSame(await example.exit, { code: 0, signal: null })
  t.ok(await isFree(t, authPort))
  t.ok(await isFree(t, apiPort))
})

t.test('a port that the example cannot have is one line on stderr', async t => {
  for (const name of ['AUTH_PORT', 'PORT']) {
    t.test(`${name} is taken`, async t => {
      const [free] = await freePorts(t)
      const { port } = await take(t)
      const example = start(t, project, [...TSX, 'examples/server.ts'], { AUTH_PORT: String(free), PORT: String(free), [name]: String(port) })
      t.strictSame(await example.exit, { code: 1, signal: null })
      t.equal(example.stderr, `Port ${port} is taken: set ${name} to another one\n`)
      t.notMatch(example.stdout, 'curl')
      t.ok(await isFree(t, free))
    })
  }

  t.test('both are the same', async t => {
    const [port] = await freePorts(t)
    const example = start(t, project, [...TSX, 'examples/server.ts'], { AUTH_PORT: String(port), PORT: String(port) })
    t.strictSame(await example.exit, { code: 1, signal: null })
    t.equal(example.stderr, `Port ${port} is taken: set PORT to another one\n`)
  })

  const invalid = [['PORT', '65536'], ['PORT', '3e3'], ['AUTH_PORT', '0']] as const
  for (const [name, value] of invalid) {
    t.test(`${name} is ${value}`, async t => {
      const example = start(t, project, [...TSX, 'examples/server.ts'], { [name]: value })
      t.strictSame(await example.exit, { code: 1, signal: null })
      t.equal(example.stderr, `${name} must be a port from 1 to 65535, got "${value}"\n`)
    })
  }
})

t.test('examples/minimal.ts verifies tokens of the server at BETTER_AUTH_URL', async t => {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  const [port] = await freePorts(t)
  const example = start(t, project, [...TSX, 'examples/minimal.ts'], { BETTER_AUTH_URL: auth.origin, PORT: String(port) })
  await example.printed('Server listening at')
  const { token, user } = await auth.signUp()
  t.match(await get(`http://localhost:${port}/me`, token), { status: 200, body: { id: user.id, email: user.email, name: user.name } })
  t.match(await get(`http://localhost:${port}/me`), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
})

t.test('README', async t => {
  const blocks = (language: string) => [...README.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(match => match[1] === language).map(match => match[2]!)
  /** The cells of the table below a heading, without its head. */
  const table = (heading: string) => README.split(/^##+ /m).find(section => section.startsWith(`${heading}\n`))!
    .split('\n').filter(line => line.startsWith('|')).slice(2).map(line => line.slice(2, -2).split(' | ').map(cell => cell.trim()))
  const folder = join(project, 'readme')
  mkdirSync(folder)

  t.test('shows examples/minimal.ts as it is', async t => {
    t.ok(blocks('ts').includes(readFileSync(join(ROOT, 'examples/minimal.ts'), 'utf8')))
  })

  t.test('has TypeScript that compiles', async t => {
    const code = blocks('ts')
    t.ok(code.length >= 9)
    code.forEach((text, index) => { writeFileSync(join(folder, `${index}.ts`), text) })
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '../tsconfig.json', compilerOptions: { rootDir: '..' }, include: ['*.ts'] }))
    const tsc = start(t, project, [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'readme'])
    t.match(await tsc.exit, { code: 0 })
    t.equal(tsc.stdout, '')
  })

  t.test('has CommonJS that runs', async t => {
    const [code] = blocks('js')
    writeFileSync(join(folder, 'app.cjs'), `${code}\napp.inject('/me').then(({ statusCode }) => console.log(statusCode))\n`)
    const app = start(t, project, [process.execPath, 'readme/app.cjs'])
    t.match(await app.exit, { code: 0 })
    t.equal(app.stdout, '401\n')
  })

  t.test('lists all options with their defaults', async t => {
    const { clockTolerance, jwks, tokenCache } = resolveOptions({}, {})
    const below = (option: string, values: object) => Object.fromEntries(Object.entries(values).map(([name, value]) => [`${option}.${name}`, value]))
    const numbers = { clockTolerance, ...below('jwks', jwks), ...below('tokenCache', tokenCache || {}) }
    const rows = new Map(table('Options').map(([name, byDefault]) => [name!.replaceAll('`', ''), byDefault!]))
    for (const [name, value] of Object.entries(numbers)) t.match(rows.get(name), new RegExp(`^\`${value}\``), name)
    t.equal(rows.get('algorithms')!.replaceAll('`', ''), ALGORITHMS.join(', '))
    t.match(rows.get('authUrl'), '`http://localhost:3000`')

    const known = (options: object): string[] => {
      try {
        resolveOptions(options as BetterAuthOptions, {})
      } catch (error) {
        return (error as Error).message.split('the options are ')[1]!.split(', ')
      }
      return []
    }
    const names = known({ x: 1 }).flatMap(name => ['jwks', 'tokenCache', 'sessionCookie'].includes(name) ? known({ [name]: { x: 1 } }) : [name])
    // It is also an option by itself: `sessionCookie: true`.
    names.push('sessionCookie')
    t.strictSame([...rows.keys()].sort(), names.sort())
  })

  t.test('lists all answers', async t => {
    const errors = [
      new TokenMissingError(), new RequestInvalidError(), new TokenExpiredError(), new TokenInvalidError('token_malformed'),
      new TokenRevokedError(), new ForbiddenError(), new ForbiddenError('scope_missing', ['<scopes>']), new CsrfError(),
      new RevocationUnavailableError(new Error()), new JwksUnavailableError(2000)
    ]
    const rows = table('Answers').slice(1).map(cells => cells.slice(1).map(cell => cell.replaceAll('`', '')))
    t.strictSame(rows, errors.map(({ statusCode, code, message, headers }) => [
      String(statusCode), code, message, Object.entries(headers).map(header => header.join(': ')).join('') || 'none'
    ]).with(-1, ['503', 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', 'Auth service unreachable', 'Retry-After: <seconds>']))
    t.strictSame(errors.at(-1)!.headers, { 'Retry-After': '2' })
  })

  t.test('explains all reason words', async t => {
    const source = readFileSync(join(ROOT, 'lib/errors.ts'), 'utf8')
    const words = [...source.matchAll(/^ {2}\| '(\w+)'$/gm)].map(match => match[1]!)
    t.ok(words.includes('token_missing'))
    t.strictSame(table('Log').map(([word]) => word!.replaceAll('`', '')), words)
    const mentioned = table('Troubleshooting').flatMap(([word]) => word!.replaceAll('`', '').split(', '))
    t.strictSame(mentioned.filter(word => !words.includes(word)), [])
  })
})
