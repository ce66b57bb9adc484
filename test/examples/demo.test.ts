import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withoutCurl } from '../fixtures/examples.js'
import {
  copyProject, freePorts, get, isFree, NODE, paste, start, take, toJavaScript, type Running
} from '../fixtures/program.js'

const project = copyProject(t)

interface Started { example: Running, authPort: number, apiPort: number }

async function startExample (t: Test, command: readonly string[]): Promise<Started> {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, command, { AUTH_PORT: String(authPort), PORT: String(apiPort) })
  await example.printed(`-i http://localhost:${apiPort}/me\n`)
  return { example, authPort, apiPort }
}

t.setTimeout(300_000)

t.test('npm run example', async t => {
  const { example, authPort, apiPort } = await startExample(t, ['npm', 'run', 'example'])
  const apiUrl = `http://localhost:${apiPort}`

  t.test('prints lines that sign up, fetch a token and call the API', { skip: withoutCurl }, async t => {
    const lines = example.stdout.split('\n').filter(line => /^(curl|\w+=\$\(curl) /.test(line))
    t.equal(lines.length, 5)
    t.match(example.stdout, `open ${apiUrl} in a browser`)
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
    t.match(refused.join('\n'), /^demo-reason: token_missing$/im, 'and says why, as it is a demo')
    t.match(refused.join('\n'), '"code":"FST_BETTER_AUTH_TOKEN_MISSING"')

    t.match(JSON.parse(paste(lines, folder)[1]!), expected, 'and may be pasted again')
  })

  t.test('responds with 401 without a token', async t => {
    for (const path of ['/me', '/protected-resource']) {
      t.match(await get(apiUrl + path), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    }
  })

  t.test('lets pages of the listed origins, and no others, read responses and send cookies', async t => {
    const routes = [
      [`http://localhost:${authPort}/api/auth/sign-in/email`, 'content-type'],
      [`${apiUrl}/notes`, 'authorization, content-type']
    ] as const
    const origins = [
      [apiUrl, true], ['http://localhost:5173', true], ['http://evil.example', false], ['null', false]
    ] as const
    for (const [url, headers] of routes) {
      for (const [origin, isAllowed] of origins) {
        const preflight = await fetch(url, {
          method: 'OPTIONS',
          headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': headers }
        })
        const allowed = preflight.headers.get('access-control-allow-origin')
        t.equal(allowed, isAllowed ? origin : null, `${url} from ${origin}`)
        if (!isAllowed) continue
        t.equal(preflight.status, 204)
        t.equal(preflight.headers.get('access-control-allow-credentials'), 'true')
        t.match(preflight.headers.get('access-control-allow-methods'), 'POST')
        t.equal(preflight.headers.get('access-control-allow-headers')!.toLowerCase(), headers)
      }
    }
    const { headers } = await fetch(`${apiUrl}/me`, { headers: { origin: 'http://localhost:5173' } })
    t.equal(headers.get('access-control-expose-headers'), 'WWW-Authenticate, Retry-After')
  })

  t.test('accepts sign-ins and cookies only from pages of the listed origins', async t => {
    const post = (url: string, headers: Record<string, string>, body: object) => fetch(url, {
      method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body)
    })
    const signUp = (origin: string) => post(`http://localhost:${authPort}/api/auth/sign-up/email`, { origin }, {
      name: 'Grace', email: 'grace@example.com', password: 'correct horse battery staple'
    })
    t.equal((await signUp('http://evil.example')).status, 403)
    const response = await signUp('http://localhost:5173')
    t.equal(response.status, 200)
    const cookie = response.headers.getSetCookie().map(one => one.split(';')[0]).join('; ')
    const origins = [[apiUrl, 201], ['http://localhost:5173', 201], ['http://evil.example', 403]] as const
    for (const [origin, status] of origins) {
      t.equal((await post(`${apiUrl}/notes`, { cookie, origin }, {})).status, status, origin)
    }
  })

  t.test('serves a page that can load from and call only the two servers', async t => {
    const page = await fetch(apiUrl)
    const html = await page.text()
    t.match(page.headers.get('content-type'), 'text/html')
    t.equal(page.headers.get('content-security-policy'), [
      "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
      `connect-src 'self' http://localhost:${authPort}`, "base-uri 'none'", "form-action 'none'",
      "frame-ancestors 'none'", "require-trusted-types-for 'script'"
    ].join('; '))
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1]!)
    t.ok(files.includes('/page/page.js'))
    for (const file of files) t.equal((await fetch(apiUrl + file)).status, 200, file)
    const elsewhere = await fetch(`http://127.0.0.1:${apiPort}/`, { redirect: 'manual' })
    t.match(elsewhere, { status: 302 }, 'under one host name, that of the cookies')
  })

  t.test('lets only its own page stop the auth server or change keys and roles', async t => {
    const foreign = [{}, { origin: 'http://evil.example' }, { origin: 'null' }, { origin: 'http://localhost:5173' }]
    for (const path of ['down', 'up', 'rotate', 'withdraw', 'token', 'role']) {
      for (const headers of foreign) {
        const { status } = await fetch(`${apiUrl}/demo/${path}`, { method: 'POST', headers })
        t.equal(status, 403, `${path} ${JSON.stringify(headers)}`)
      }
    }
  })

  t.test('documents its protected routes at /docs', async t => {
    const { paths, components } = await (await fetch(`${apiUrl}/docs/json`)).json() as {
      paths: Record<string, Record<string, { security?: object[] }>>, components: { securitySchemes: object }
    }
    const all = Object.keys(components.securitySchemes).map(name => ({ [name]: [] }))
    t.equal(all.length, 4)
    const security = Object.entries(paths).map(([path, methods]) => [path, Object.values(methods)[0]!.security])
    t.strictSame(Object.fromEntries(security), {
      '/open': undefined,
      '/hello': [...all, {}],
      '/me': all,
      '/protected-resource': all,
      '/admin': all,
      '/notes': all
    })
  })

  t.test('is not reachable from other machines', async t => {
    const addresses = Object.values(networkInterfaces()).flatMap(all => all ?? [])
      .filter(one => !one.internal && one.family === 'IPv4')
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
    const line = /^\S+ ERROR \[Better Auth\]: Invalid origin: http:\/\/evil\.example\n$/
    t.match(example.stderr, line, 'with nothing on stderr but the refusal of a test above')
    t.ok(await isFree(t, authPort))
    t.ok(await isFree(t, apiPort))
  })
})

t.test('an unusable port is one line on stderr', async t => {
  for (const name of ['AUTH_PORT', 'PORT']) {
    t.test(`${name} is taken`, async t => {
      const [free] = await freePorts(t)
      const { port } = await take(t)
      const example = start(t, project, [...NODE, 'examples/demo/server.js'], {
        AUTH_PORT: String(free), PORT: String(free), [name]: String(port)
      })
      t.strictSame(await example.exit, { code: 1, signal: null })
      t.equal(example.stderr, `Port ${port} is taken: set ${name} to another one\n`)
      t.notMatch(example.stdout, 'curl')
      t.ok(await isFree(t, free))
    })
  }

  t.test('it is not a port', async t => {
    // All in one process: `exit` throws, so that it does not end.
    writeFileSync(join(project, 'ports.js'), toJavaScript(`
      import { readPort } from './examples/support.js'
      const said: string[] = []
      console.error = line => { said.push(line) }
      process.exit = (code => { throw new Error('exit ' + code) }) as typeof process.exit
      for (const text of process.argv.slice(2)) {
        process.env.PORT = text
        try { said.push(String(readPort('PORT', 3001))) } catch (error) { said.push((error as Error).message) }
      }
      console.log(JSON.stringify(said))
    `))
    const invalid = ['0', '65536', '3e3', '-1', '0x1', ' 1', 'http']
    const program = start(t, project, [...NODE, 'ports.js', ...invalid, '1', '65535', ''])
    t.match(await program.exit, { code: 0 }, program.stderr)
    t.strictSame(JSON.parse(program.stdout), [
      ...invalid.flatMap(text => [`PORT must be a port from 1 to 65535, got "${text}"`, 'exit 1']), '1', '65535', '3001'
    ])
  })
})
