import t from 'tap'
import { examine } from '../../lib/doctor/examine.js'
import { formatReport } from '../../lib/doctor/format-report.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { JWKS_PATH } from '../fixtures/jwks-server.js'
import { createClaims, signJws } from '../fixtures/signing.js'
import { good, runDoctor, startServer } from '../fixtures/doctor.js'

t.test('the options say what is accepted', async t => {
  const { origin } = await startServer(t)
  const token = signJws(good, createClaims(origin, { iss: 'a', aud: 'b' }))
  t.match(await runDoctor(origin, token), { status: 1, report: { token: { verdict: { reason: 'issuer_mismatch' } } } })
  const args = ['--issuer', 'x', '--issuer', 'a', '--audience', 'b', '--jwks-path', JWKS_PATH]
  const { report, status } = await runDoctor(origin, token, ...args)
  t.equal(status, 0)
  t.match(report, { authUrlFrom: 'argument', issuer: ['x', 'a'], audience: ['b'] })
  t.match(report, { tried: [{ url: origin + JWKS_PATH, found: true }] })
  t.strictSame(report.token!.exchanges, [], 'a JWT is not sent as an API key')
  const { report: strict } = await runDoctor(origin, undefined, '--algorithms', 'ES256')
  t.match(strict, { ok: false, algorithms: ['ES256'], keys: [{ fault: 'algorithm_not_allowed' }] })

  const anyone = await examine({ authUrl: origin, issuer: false, audience: false }, token, {})
  t.match(anyone, { ok: true, issuer: false, audience: false })
  t.match(formatReport(anyone), 'Accepted     iss any, aud any\n')
  const chosen = await examine({ authUrl: origin, issuer: iss => iss === 'a', audience: 'b' }, token, {})
  t.match(chosen, { ok: true, findings: { length: 0 } })
  const { token: refused } = await examine({ authUrl: origin, issuer: () => false, audience: 'b' }, token, {})
  t.strictSame(refused!.claims.filter(({ reason }) => reason !== null).map(({ name }) => name), ['iss'])

  const below = await examine({ authUrl: `${origin}/api/auth` }, 'opaque', {})
  t.match((await examine({ authUrl: origin }, 'a'.repeat(32), {})).token!.exchanges, [{ as: 'session-token' }])
  t.match(below.findings, [{ about: 'token', fix: new RegExp(`GET ${origin}/api/auth/token `) }])
})

t.test('the option resource and publicUrl say what is accepted, as in the plugin', async t => {
  const { origin } = await startServer(t)
  const publicUrl = 'https://id.example.com'
  const claims = { iss: `${publicUrl}/api/auth`, aud: 'https://api.example.com', client_id: 'c' }
  const token = signJws(good, createClaims(publicUrl, claims), { typ: 'at+jwt' })
  const resource = ['--resource', 'https://api.example.com']
  const { report: unset } = await runDoctor(origin, token)
  t.match(unset, { token: { verdict: { reason: 'oauth_token_not_accepted' } }, resource: null })
  t.match(unset.findings.at(-1)!.fix, /^resource: 'https:\/\/api\.example\.com' .*; and publicUrl: 'https:/)
  const { report: other } = await runDoctor(origin, token, ...resource)
  t.match(other, { token: { verdict: { reason: 'issuer_mismatch' } } })
  t.match(other.findings.at(-1)!.fix, /^publicUrl: 'https:\/\/id\.example\.com' \(--public-url\)/)
  for (const args of [['--public-url', publicUrl], ['--resource-issuer', claims.iss]]) {
    const { report, status } = await runDoctor(origin, token, ...resource, ...args)
    t.equal(status, 0)
    t.match(report, { token: { verdict: { accepted: true } }, resource: { url: claims.aud, issuer: claims.iss } })
  }
  const first = signJws(good, createClaims(publicUrl))
  const { report: byOrigin } = await runDoctor(origin, first)
  t.match(byOrigin.findings, [{ fix: /; publicUrl: '.*' \(--public-url\) sets issuer and audience$/ }, {}])
  t.equal((await runDoctor(origin, first, '--public-url', publicUrl)).status, 0)
})

t.test('finds all well at a Better Auth server, and accepts its token', async t => {
  for (const alg of ['EdDSA', 'ES256', 'RS256'] as const) {
    t.test(alg, async t => {
      const server = await startAuthServer(alg === 'EdDSA' ? {} : { jwt: { jwks: { keyPairConfig: { alg } } } })
      t.teardown(() => server.close())
      const { token, user } = await server.signUp()
      const { report, text, status } = await runDoctor(server.origin, `Bearer ${token}\n`)
      t.equal(status, 0)
      t.match(report, {
        ok: true,
        authUrl: server.origin,
        authUrlFrom: 'argument',
        issuer: [server.origin],
        jwks: { status: 200, ageSeconds: null, maxAgeSeconds: null },
        keys: [{ alg, algorithms: [alg], fault: null }],
        token: {
          segments: 3,
          signature: 'right',
          notes: ['"Bearer" in front of it was removed'],
          verdict: { accepted: true, reason: null },
          asCookie: null
        }
      })
      t.strictSame(report.tried, [
        { url: `${server.origin}/api/auth/jwks`, found: true, response: 'a JWKS' }
      ])
      t.equal(report.keys.length, 1)
      t.strictSame(report.findings, [])
      t.ok(Math.abs(report.jwks!.clockAheadSeconds!) <= 1)
      t.ok([...report.token!.header, ...report.token!.claims].every(({ reason }) => reason === null))
      const said = new Map(report.token!.claims.map(({ name, value }) => [name, value]))
      t.equal(said.get('iss'), `"${server.origin}"`)
      t.match(said.get('exp'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, in 1[45] min$/)
      t.match(said.get('iat'), /Z, \d s ago$/)
      t.equal(said.get('email'), `a string of ${user.email.length} characters`)

      t.match(text, /found {4}\S+\/api\/auth\/jwks: a JWKS/)
      t.match(text, /^Token {8}accepted\nVerdict {6}all is well\n$/m)
      for (const personal of [user.email, user.name, user.id]) t.notMatch(text + JSON.stringify(report), personal)
      t.ok(text.split('\n').every(line => line.length < 100))
    })
  }
})
