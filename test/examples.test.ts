import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import { fetchToken } from './fixtures/auth-server.js'
import {
  copyProject, freePorts, get, isFree, isInstalled, paste, start, TSX, type Running
} from './fixtures/program.js'

const project = copyProject(t)
const withoutCurl = isInstalled('curl') ? false : 'curl is not installed'
const withoutRedis = isInstalled('redis-server') ? false : 'redis-server is not installed'

/** What an example prints to be pasted, line by line. */
function linesOf (example: Running): string[] {
  return example.stdout.split('\n').filter(line => /^(curl|node|\w+=\$\(curl) /.test(line))
}

interface SignedUp { cookie: string, token: string, user: { id: string, email: string, name: string } }

async function signUp (authUrl: string, name: string): Promise<SignedUp> {
  const response = await fetch(`${authUrl}/api/auth/sign-up/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: authUrl },
    body: JSON.stringify({ name, email: `${name.toLowerCase()}@example.com`, password: 'correct horse battery staple' })
  })
  const { user } = await response.json() as { user: SignedUp['user'] }
  const cookie = response.headers.getSetCookie().map(one => one.split(';')[0]).join('; ')
  return { user, cookie, token: await fetchToken(authUrl, cookie) }
}

/** Ends an example by a signal, while somebody is connected to each of its ports. */
async function stops (t: Test, example: Running, signal: NodeJS.Signals, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const socket = connect(port, 'localhost').on('error', () => {})
    t.teardown(() => { socket.destroy() })
    await new Promise<void>(resolve => { socket.write('GET /me HTTP/1.1\r\nHost: localhost\r\n', () => resolve()) })
  }
  process.kill(-example.pid, signal)
  t.strictSame(await example.exit, { code: 0, signal: null })
  t.equal(example.stderr, '')
  for (const port of ports) t.ok(await isFree(t, port))
}

t.setTimeout(300_000)

t.test('examples/websocket.ts', async t => {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...TSX, 'examples/websocket.ts'], { AUTH_PORT: String(authPort), PORT: String(apiPort) })
  await example.printed("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='\n")
  const url = `ws://localhost:${apiPort}/greeting`
  const grace = await signUp(`http://localhost:${authPort}`, 'Grace')

  /** Resolves with the socket and the first message, rejects with the status that refused the upgrade. */
  async function open (protocols: string[], headers: Record<string, string> = {}): Promise<{ socket: WebSocket, greeting: string }> {
    const socket = new WebSocket(url, protocols, { headers })
    t.teardown(() => { socket.terminate() })
    return await new Promise((resolve, reject) => {
      socket.once('unexpected-response', (_request, response) => { reject(new Error(String(response.statusCode))) })
      socket.once('error', reject)
      socket.once('message', text => { resolve({ socket, greeting: String(text) }) })
    })
  }

  t.test('greets whoever names the token as a subprotocol, and never answers with the token', async t => {
    const { socket, greeting } = await open(['bearer', grace.token])
    t.equal(greeting, 'Hello Grace!')
    t.equal(socket.protocol, 'bearer')
    socket.send('good morning')
    const [text] = await once(socket, 'message')
    t.equal(String(text), 'Grace said: good morning')
    socket.close()
    await once(socket, 'close')
  })

  t.test('takes the token in the header as well, and before the other', async t => {
    t.match(await open([], { authorization: `Bearer ${grace.token}` }), { greeting: 'Hello Grace!' })
    await t.rejects(open(['bearer', grace.token], { authorization: 'Bearer a.b.c' }), { message: '401' })
  })

  t.test('refuses the upgrade without a token, and with a wrong one', async t => {
    const [header, payload] = grace.token.split('.')
    for (const protocols of [[], ['bearer'], [grace.token], [grace.token, 'bearer'], ['chat', grace.token], ['bearer', `${header}.${payload}.AAAA`]]) {
      await t.rejects(open(protocols), { message: '401' })
    }
  })

  t.test('prints lines that open a WebSocket', { skip: withoutCurl }, async t => {
    const lines = linesOf(example)
    t.equal(lines.length, 4)
    const printed = paste(lines, t.testdir({})).join('\n')
    t.match(printed, /^Hello Ada!$/m)
    t.match(printed, 'HTTP/1.1 401 Unauthorized')
    t.match(printed, '"code":"FST_BETTER_AUTH_TOKEN_MISSING"')
  })

  t.test('has no token in its log', async t => {
    t.match(example.stdout, '"url":"/greeting"')
    t.notMatch(example.stdout, grace.token)
    t.notMatch(example.stdout, grace.token.split('.')[2]!)
  })

  t.test('ends with 0 on Ctrl-C, and ends its connections', async t => {
    const { socket } = await open(['bearer', grace.token])
    const closed = once(socket, 'close')
    await stops(t, example, 'SIGINT', [authPort, apiPort])
    await closed
  })
})

t.test('examples/revocation.ts', { skip: withoutRedis }, async t => {
  const [authPort, apiPort, redisPort] = await freePorts(t)
  const [authUrl, apiUrl] = [`http://localhost:${authPort}`, `http://localhost:${apiPort}`]
  const startRedis = async () => {
    const redis = start(t, t.testdir({}), ['redis-server', '--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'])
    await redis.printed('Ready to accept connections')
    return redis
  }
  /** The answer of Redis to one command, as its protocol writes it. */
  const ask = async (...command: string[]): Promise<string> => {
    const socket = connect(redisPort, '127.0.0.1')
    t.teardown(() => { socket.destroy() })
    socket.write(`${command.join(' ')}\r\n`)
    const [answer] = await once(socket, 'data')
    socket.destroy()
    return String(answer)
  }
  const example = start(t, project, [...TSX, 'examples/revocation.ts'], {
    AUTH_PORT: String(authPort), PORT: String(apiPort), REDIS_URL: `redis://127.0.0.1:${redisPort}`
  })
  await example.printed(`-i ${apiUrl}/me`)
  const grace = await signUp(authUrl, 'Grace')
  const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { jti: string, exp: number }
  const me = (token: string) => get(`${apiUrl}/me`, token)
  const logout = (token: string) => fetch(`${apiUrl}/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  /** Redis may be back before the example has noticed. */
  const meWhenBack = async (token: string) => {
    let answer = await me(token)
    while (answer.status === 503) {
      await new Promise(resolve => { setTimeout(resolve, 50) })
      answer = await me(token)
    }
    return answer
  }

  t.test('answers 503 while Redis has not started, and 401 without a token', async t => {
    t.match(await me(grace.token), { status: 503, body: { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' } })
    t.match(await get(`${apiUrl}/me`), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
  })

  let redis = await startRedis()

  t.test('refuses a token from its logout on, and no other token', async t => {
    const other = await fetchToken(authUrl, grace.cookie)
    t.match(await meWhenBack(grace.token), { status: 200, body: { id: grace.user.id } })
    t.equal((await logout(grace.token)).status, 204)
    for (let i = 0; i < 2; i++) t.match(await me(grace.token), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_REVOKED' } })
    t.equal((await logout(grace.token)).status, 401)
    t.match(await me(other), { status: 200, body: { id: grace.user.id } })
  })

  t.test('keeps one key for each token, for as long as the token is accepted', async t => {
    const { jti, exp } = claims(grace.token)
    t.equal(await ask('DBSIZE'), ':1\r\n')
    t.equal(await ask('EXPIRETIME', `revoked:jti:${jti}`), `:${exp + 5}\r\n`)
  })

  t.test('forgets it when its key is gone from the list', async t => {
    await ask('DEL', `revoked:jti:${claims(grace.token).jti}`)
    t.match(await me(grace.token), { status: 200 })
  })

  t.test('prints lines that revoke a token', { skip: withoutCurl }, async t => {
    const lines = linesOf(example)
    t.equal(lines.length, 5)
    const printed = paste(lines, t.testdir({})).join('\n')
    t.match(printed, /"name":"Ada","emailVerified":false,"image":null}\n204\nHTTP\/1.1 401 Unauthorized\n/)
    t.match(printed, '"code":"FST_BETTER_AUTH_TOKEN_REVOKED"')
  })

  t.test('answers 503 while Redis is away, and goes on when it is back', async t => {
    process.kill(redis.pid, 'SIGTERM')
    await redis.exit
    t.match(await me(grace.token), { status: 503, body: { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' } })
    redis = await startRedis()
    t.match(await meWhenBack(grace.token), { status: 200 })
  })

  t.test('ends with 0 on SIGTERM', t => stops(t, example, 'SIGTERM', [authPort, apiPort]))
})

t.test('examples/two-servers.ts', async t => {
  const [staffPort, shopPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...TSX, 'examples/two-servers.ts'], {
    STAFF_AUTH_PORT: String(staffPort), SHOP_AUTH_PORT: String(shopPort), PORT: String(apiPort)
  })
  const apiUrl = `http://localhost:${apiPort}`
  await example.printed(`-i ${apiUrl}/staff/me`)

  t.test('a token of one server is 200 in its scope and 401 in the other', async t => {
    const clerk = await signUp(`http://localhost:${staffPort}`, 'Grace')
    const customer = await signUp(`http://localhost:${shopPort}`, 'Alan')
    const refused = { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } }
    // Twice: the second time the caches of verified tokens are warm.
    for (let i = 0; i < 2; i++) {
      t.match(await get(`${apiUrl}/staff/me`, clerk.token), { status: 200, body: { id: clerk.user.id, name: 'Grace' } })
      t.match(await get(`${apiUrl}/shop/me`, customer.token), { status: 200, body: { id: customer.user.id, name: 'Alan' } })
      t.match(await get(`${apiUrl}/shop/me`, clerk.token), refused)
      t.match(await get(`${apiUrl}/staff/me`, customer.token), refused)
    }
  })

  t.test('prints lines that use each token at both places', { skip: withoutCurl }, async t => {
    const lines = linesOf(example)
    t.equal(lines.length, 8)
    const printed = paste(lines, t.testdir({}))
    const users = printed.filter(line => line.startsWith('{"id":')).map(line => JSON.parse(line) as { id: string, email: string })
    t.match(users, [{ email: 'ada@example.com' }, { email: 'ada@example.com' }])
    t.not(users[0]!.id, users[1]!.id)
    t.equal(printed.filter(line => line === 'HTTP/1.1 401 Unauthorized').length, 2)
  })

  t.test('ends with 0 on Ctrl-C', t => stops(t, example, 'SIGINT', [staffPort, shopPort, apiPort]))
})

t.test('a port that an example cannot have is one line on stderr', async t => {
  for (const name of ['websocket', 'revocation', 'two-servers']) {
    const example = start(t, project, [...TSX, `examples/${name}.ts`], { PORT: '0' })
    t.strictSame(await example.exit, { code: 1, signal: null }, name)
    t.equal(example.stderr, 'PORT must be a port from 1 to 65535, got "0"\n')
    t.equal(example.stdout, '')
  }
})

t.test('examples/metrics.ts counts what happens, and tells whether the keys are there', async t => {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...TSX, 'examples/metrics.ts'], { AUTH_PORT: String(authPort), PORT: String(apiPort) })
  await example.printed(`curl -sS -w '\\n' http://localhost:${apiPort}/health\n`)
  const url = `http://localhost:${apiPort}`
  const metrics = async () => (await (await fetch(`${url}/metrics`)).text()).split('\n')
  t.match(await get(`${url}/health`), { status: 200, body: { status: 'ok', auth: { keys: [], lastError: null } } })

  await t.test('the lines it prints can be pasted', { skip: withoutCurl }, async t => {
    const folder = t.testdir({})
    const answers = paste(linesOf(example), folder)
    t.match(JSON.parse(answers[1]!), { name: 'Ada' })
    t.match(JSON.parse(answers[3]!), { code: 'FST_BETTER_AUTH_TOKEN_MISSING' })
    t.match(JSON.parse(answers.filter(line => line !== '').at(-1)!), { status: 'ok', auth: { keys: [{ alg: 'EdDSA' }], lastError: null } })
    const lines = await metrics()
    for (const line of [
      'auth_verifications_total{outcome="accepted",reason="",cached="false"} 1',
      'auth_verifications_total{outcome="accepted",reason="",cached="true"} 1',
      'auth_verifications_total{outcome="refused",reason="token_missing",cached="false"} 1',
      'auth_key_changes_total{change="found"} 1'
    ]) t.ok(lines.includes(line), line)
    t.ok(lines.some(line => /^auth_jwks_fetch_seconds_count\{outcome="ok"\} [12]$/.test(line)))
  })

  await stops(t, example, 'SIGTERM', [authPort, apiPort])
})
