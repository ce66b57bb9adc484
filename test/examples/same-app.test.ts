import t from 'tap'
import { refusesPort, stops } from '../fixtures/examples.js'
import { copyProject, freePorts, NODE, start } from '../fixtures/program.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/same-app.ts serves Better Auth and the API', async t => {
  const [port] = await freePorts(t)
  const example = start(t, project, [...NODE, 'examples/same-app.js'], { PORT: String(port) })
  await example.printed('Paste this into another terminal')
  const url = `http://localhost:${port}`
  const post = async (path: string, body: object, headers = {}) => fetch(`${url}/api/auth${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url, ...headers },
    body: JSON.stringify(body)
  })
  const signedUp = await post('/sign-up/email', {
    name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple'
  })
  t.equal(signedUp.status, 200)
  const cookie = signedUp.headers.getSetCookie().map(one => one.split(';')[0]).join('; ')
  const me = async () => {
    const response = await fetch(`${url}/me`, { headers: { cookie } })
    return { status: response.status, body: await response.json() as unknown }
  }
  t.match(await me(), { status: 200, body: { name: 'Ada', email: 'ada@example.com' } })
  t.equal((await post('/sign-out', {}, { cookie })).status, 200)
  t.match(await me(), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
  await stops(t, example, 'SIGINT', [port!])
})

t.test('an invalid port', t => refusesPort(t, project, 'examples/same-app.js'))
