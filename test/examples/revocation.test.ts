import t from 'tap'
import { fetchToken } from '../fixtures/auth-server.js'
import { linesOf, refusesPort, signUp, stops, withoutCurl } from '../fixtures/examples.js'
import { copyProject, freePorts, get, paste, NODE, start, take } from '../fixtures/program.js'
import { askRedis, startRedis, withoutRedis } from '../fixtures/redis.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/revocation.ts', { skip: withoutRedis }, async t => {
  const [authPort, apiPort, redisPort] = await freePorts(t)
  const [authUrl, apiUrl] = [`http://localhost:${authPort}`, `http://localhost:${apiPort}`]
  const startRedisHere = () => startRedis(t, redisPort)
  const ask = (...command: string[]) => askRedis(t, redisPort, ...command)
  const example = start(t, project, [...NODE, 'examples/revocation.js'], {
    AUTH_PORT: String(authPort), PORT: String(apiPort), REDIS_URL: `redis://127.0.0.1:${redisPort}`
  })
  await example.printed(`-i ${apiUrl}/me`)
  const grace = await signUp(authUrl, 'Grace')
  const claims = (token: string) => {
    const payload = Buffer.from(token.split('.')[1]!, 'base64url').toString()
    return JSON.parse(payload) as { jti: string, exp: number }
  }
  const me = (token: string) => get(`${apiUrl}/me`, token)
  const logout = (token: string) => fetch(`${apiUrl}/logout`, {
    method: 'POST', headers: { authorization: `Bearer ${token}` }
  })
  /** Redis may be back before the example has noticed. */
  const meWhenBack = async (token: string) => {
    let response = await me(token)
    while (response.status === 503) {
      await new Promise(resolve => { setTimeout(resolve, 50) })
      response = await me(token)
    }
    return response
  }

  t.test('responds with 503 before Redis has started, and with 401 without a token', async t => {
    t.match(await me(grace.token), { status: 503, body: { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' } })
    t.match(await get(`${apiUrl}/me`), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
  })

  let redis = await startRedisHere()

  t.test('refuses a token after its logout, and no other token', async t => {
    const other = await fetchToken(authUrl, grace.cookie)
    t.match(await meWhenBack(grace.token), { status: 200, body: { id: grace.user.id } })
    t.equal((await logout(grace.token)).status, 204)
    for (let i = 0; i < 2; i++) {
      t.match(await me(grace.token), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_REVOKED' } })
    }
    t.equal((await logout(grace.token)).status, 401)
    t.match(await me(other), { status: 200, body: { id: grace.user.id } })
  })

  t.test('keeps one key for each token, for as long as the token is accepted', async t => {
    const { jti, exp } = claims(grace.token)
    t.equal(await ask('DBSIZE'), ':1\r\n')
    t.equal(await ask('EXPIRETIME', `revoked:jti:${jti}`), `:${exp + 5}\r\n`)
  })

  t.test('accepts the token again once its key is removed', async t => {
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

  t.test('responds with 503 while Redis is down, and recovers when it is back', async t => {
    process.kill(redis.pid, 'SIGTERM')
    await redis.exit
    t.match(await me(grace.token), { status: 503, body: { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE' } })
    redis = await startRedisHere()
    t.match(await meWhenBack(grace.token), { status: 200 })
  })

  t.test('ends with 0 on SIGTERM', t => stops(t, example, 'SIGTERM', [authPort, apiPort]))
})

t.test('an invalid port is one line on stderr', t => refusesPort(t, project, 'examples/revocation.js'))

t.test('examples/shared-exchange.ts', { skip: withoutRedis || withoutCurl }, async t => {
  const [authPort, apiPort, redisPort] = await freePorts(t)
  const second = await take(t)
  await second.free()
  await startRedis(t, redisPort)
  const example = start(t, project, [...NODE, 'examples/shared-exchange.js'], {
    AUTH_PORT: String(authPort),
    PORT: String(apiPort),
    SECOND_PORT: String(second.port),
    REDIS_URL: `redis://127.0.0.1:${redisPort}`
  })
  await example.printed(`-i http://localhost:${apiPort}/me`)
  const [signUpLine, ...lines] = linesOf(example)
  const cwd = t.testdir({})

  t.test('two instances accept the session after one exchange, and Redis shows nothing of it', async t => {
    const printed = paste([signUpLine!, ...lines.slice(0, 2)], cwd).join('\n')
    t.equal(printed.match(/"name":"Ada","emailVerified":false,"image":null}/g)?.length, 2, printed)
    t.equal(await askRedis(t, redisPort, 'DBSIZE'), ':1\r\n', 'one result, and no lease')
  })

  t.test('after a sign-out that the API is told, the session ends at once', async t => {
    const printed = paste(lines.slice(2), cwd).join('\n')
    t.match(printed, /{"success":true}\n204\nHTTP\/1.1 401 Unauthorized\n/)
  })

  t.test('ends with 0 on SIGTERM', t => stops(t, example, 'SIGTERM', [authPort, apiPort, second.port]))
})

t.test('an invalid port of shared-exchange is one line on stderr', t => {
  return refusesPort(t, project, 'examples/shared-exchange.js')
})
