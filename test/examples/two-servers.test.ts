import t from 'tap'
import { linesOf, refusesPort, signUp, stops, withoutCurl } from '../fixtures/examples.js'
import { copyProject, freePorts, get, paste, NODE, start } from '../fixtures/program.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/two-servers.ts', async t => {
  const [staffPort, shopPort, apiPort] = await freePorts(t)
  const example = start(t, project, [...NODE, 'examples/two-servers.js'], {
    STAFF_AUTH_PORT: String(staffPort), SHOP_AUTH_PORT: String(shopPort), PORT: String(apiPort)
  })
  const apiUrl = `http://localhost:${apiPort}`
  await example.printed(`-i ${apiUrl}/staff/me`)

  t.test('a token of one server is 200 in its scope and 401 in the other', async t => {
    const clerk = await signUp(`http://localhost:${staffPort}`, 'Grace')
    const customer = await signUp(`http://localhost:${shopPort}`, 'Alan')
    const grace = { id: clerk.user.id, name: 'Grace' }
    const alan = { id: customer.user.id, name: 'Alan' }
    const refused = { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } }
    // Twice: the second time the caches of verified tokens are warm.
    for (let i = 0; i < 2; i++) {
      t.match(await get(`${apiUrl}/staff/me`, clerk.token), { status: 200, body: grace })
      t.match(await get(`${apiUrl}/shop/me`, customer.token), { status: 200, body: alan })
      t.match(await get(`${apiUrl}/shop/me`, clerk.token), refused)
      t.match(await get(`${apiUrl}/staff/me`, customer.token), refused)
    }
  })

  t.test('prints lines that use each token in both scopes', { skip: withoutCurl }, async t => {
    const lines = linesOf(example)
    t.equal(lines.length, 8)
    const printed = paste(lines, t.testdir({}))
    const users = printed.filter(line => line.startsWith('{"id":'))
      .map(line => JSON.parse(line) as { id: string, email: string })
    t.match(users, [{ email: 'ada@example.com' }, { email: 'ada@example.com' }])
    t.not(users[0]!.id, users[1]!.id)
    t.equal(printed.filter(line => line === 'HTTP/1.1 401 Unauthorized').length, 2)
  })

  t.test('ends with 0 on Ctrl-C', t => stops(t, example, 'SIGINT', [staffPort, shopPort, apiPort]))
})

t.test('an invalid port is one line on stderr', t => refusesPort(t, project, 'examples/two-servers.js'))
