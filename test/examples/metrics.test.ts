import t from 'tap'
import { linesOf, refusesPort, stops, withoutCurl } from '../fixtures/examples.js'
import { copyProject, freePorts, get, paste, NODE, start } from '../fixtures/program.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/metrics.ts counts requests, fetches and key changes, and reports its health', async t => {
  const [authPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...NODE, 'examples/metrics.js'], {
    AUTH_PORT: String(authPort), PORT: String(apiPort)
  })
  await example.printed(`curl -sS -w '\\n' http://localhost:${apiPort}/health\n`)
  const url = `http://localhost:${apiPort}`
  const metrics = async () => (await (await fetch(`${url}/metrics`)).text()).split('\n')
  t.match(await get(`${url}/health`), { status: 200, body: { status: 'ok', auth: { keys: [], lastError: null } } })

  await t.test('the lines it prints can be pasted', { skip: withoutCurl }, async t => {
    const folder = t.testdir({})
    const responses = paste(linesOf(example), folder)
    t.match(JSON.parse(responses[1]!), { name: 'Ada' })
    t.match(JSON.parse(responses[3]!), { code: 'FST_BETTER_AUTH_TOKEN_MISSING' })
    const health = JSON.parse(responses.filter(line => line !== '').at(-1)!)
    t.match(health, { status: 'ok', auth: { keys: [{ alg: 'EdDSA' }], lastError: null } })
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

t.test('an invalid port is one line on stderr', t => refusesPort(t, project, 'examples/metrics.js'))
