import t from 'tap'
import { startAuthServer } from '../fixtures/auth-server.js'
import { copyProject, freePorts, get, NODE, start } from '../fixtures/program.js'

const project = copyProject(t)

t.setTimeout(300_000)

t.test('examples/minimal.ts verifies tokens of the server at BETTER_AUTH_URL', async t => {
  const auth = await startAuthServer()
  t.teardown(() => auth.close())
  const [port] = await freePorts(t)
  const example = start(t, project, [...NODE, 'examples/minimal.js'], {
    BETTER_AUTH_URL: auth.origin, PORT: String(port)
  })
  await example.printed('Server listening at')
  const { token, user: { id, email, name } } = await auth.signUp()
  t.match(await get(`http://localhost:${port}/me`, token), { status: 200, body: { id, email, name } })
  t.match(await get(`http://localhost:${port}/me`), { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
})
