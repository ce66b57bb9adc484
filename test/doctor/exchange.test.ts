import t, { type Test } from 'tap'
import { aboutExchange, describeExchange } from '../../lib/doctor/exchange.js'
import type { DoctorExchange } from '../../lib/doctor/report.js'
import { runDoctor } from '../fixtures/doctor.js'
import { startSessionServer, type SessionServer, type SessionServerOptions } from '../fixtures/exchange.js'

async function setUp (t: Test, options: SessionServerOptions = {}) {
  const server = await startSessionServer(t, options)
  const ada = await server.signUp()
  return { server, ada, key: await server.createKey(ada) }
}

async function exchangesOf ({ origin }: SessionServer, pasted: string, ...args: string[]) {
  const { report, text } = await runDoctor(origin, pasted, ...args)
  return { exchanges: report.token!.exchanges, finding: report.findings.at(-1)!, text, ok: report.ok }
}

const ACCEPTED = { response: 'token', verdict: { accepted: true, reason: null } }

t.test('what the option exchange would change, and how it is said', async t => {
  const SAID: Array<[DoctorExchange, line: string, text?: string, fix?: string | RegExp]> = [
    [{ as: 'session-token', response: 'token', verdict: { accepted: true, reason: null } },
      'as a session token: a JWT, accepted',
      'the auth server exchanges it as a session token for a JWT, and that JWT is accepted',
      'exchange: true in your API'],
    [{ as: 'session-cookie', response: 'token', verdict: { accepted: false, reason: 'banned' } },
      'as a session cookie: a JWT, banned',
      'the auth server exchanges it as a session cookie for a JWT, and that JWT is refused: banned',
      /lift the ban/],
    [{ as: 'api-key', response: 'limited', verdict: null },
      'as an API key: limited', 'it is an API key that has reached its own limit', /maxRequests/],
    [{ as: 'api-key', response: 'refused', verdict: null }, 'as an API key: refused']
  ]
  for (const [exchange, line, text, fix] of SAID) {
    t.equal(describeExchange(exchange), line)
    const findings = aboutExchange([{ as: 'session-token', response: 'refused', verdict: null }, exchange])
    t.match(findings, text === undefined ? { length: 0 } : [{ level: 'warning', about: 'token', text, fix }], line)
    t.notMatch(JSON.stringify(findings), '`', 'without Markdown')
  }
  t.strictSame(aboutExchange([]), [])
})

t.test('says as what the auth server exchanges an opaque credential', async t => {
  const { server, ada, key } = await setUp(t)
  for (const [pasted, as, name] of [
    [ada.token, 'session-token', 'a session token'],
    [`Bearer ${decodeURIComponent(ada.cookie.split('=')[1]!)}`, 'session-token', 'a session token'],
    [`${ada.cookie}; Path=/`, 'session-cookie', 'a session cookie']
  ] as const) {
    const { exchanges, finding, text, ok } = await exchangesOf(server, pasted)
    t.strictSame(exchanges, [{ as, ...ACCEPTED }])
    t.match(finding, { level: 'warning', about: 'token', fix: 'exchange: true in your API' })
    t.match(finding.text, `as ${name} for a JWT, and that JWT is accepted`)
    t.match(text, `exchange as ${name}: a JWT, accepted`)
    t.notOk(ok, 'without the option, the API refuses it')
  }
  const { exchanges } = await exchangesOf(server, key)
  t.strictSame(exchanges, [{ as: 'session-token', response: 'refused', verdict: null }, { as: 'api-key', ...ACCEPTED }])
})

t.test('finds a server with the base path /', async t => {
  const { server, ada } = await setUp(t, { basePath: '' })
  t.match((await exchangesOf(server, ada.token)).exchanges, [{ as: 'session-token', ...ACCEPTED }])
})

t.test('says what is wrong', async t => {
  const { server, ada, key } = await setUp(t, { apiKey: { rateLimit: { enabled: true, maxRequests: 1 } } })
  const strict = await exchangesOf(server, ada.token, '--issuer', 'https://other.example')
  t.match(strict.exchanges, [{ verdict: { accepted: false, reason: 'issuer_mismatch' } }])
  t.match(strict.finding.text, 'and that JWT is refused: issuer_mismatch')
  t.match(strict.text, 'as a session token: a JWT, issuer_mismatch')

  await exchangesOf(server, key)
  const limited = await exchangesOf(server, key)
  t.match(limited.finding, { text: 'it is an API key that has reached its own limit', fix: /maxRequests/ })

  await server.signOut(ada)
  const ended = await exchangesOf(server, ada.token)
  t.match(ended.exchanges, [{ as: 'session-token', response: 'refused' }, { as: 'api-key', response: 'refused' }])
  t.match(ended.finding, { level: 'error', fix: /fetch a new token/ }, 'the only thing to do')
  t.match(ended.text, /exchange as a session token: refused\n *exchange as an API key: refused\n/)
  t.match((await exchangesOf(server, ada.cookie)).text, 'exchange as a session cookie: refused')

  const without = await setUp(t, { disabledPaths: ['/token'] })
  const failed = await exchangesOf(without.server, without.ada.token)
  t.strictSame(failed.exchanges, [{ as: 'session-token', response: 'http_4xx (404)', verdict: null }], 'not sent twice')
  t.match(failed.text, 'exchange as a session token: http_4xx (404)')
})

t.test('anything else is not sent', async t => {
  const { server } = await setUp(t)
  const before = server.exchanges.length
  for (const pasted of ['short', 'better-auth.session_token=short', 'a.b.c']) {
    t.strictSame((await exchangesOf(server, pasted)).exchanges, [])
  }
  // The doctor asks `/token` without a session.
  for (const { authorization, cookie, 'x-api-key': key } of server.exchanges.slice(before)) {
    t.strictSame([authorization, cookie, key], [undefined, undefined, undefined])
  }
})
