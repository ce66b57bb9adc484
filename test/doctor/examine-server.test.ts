import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { JwksFetchError } from '../../lib/auth-server/fetch-jwks.js'
import { createJwksSource } from '../../lib/auth-server/find-jwks.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { examine } from '../../lib/doctor/examine.js'
import { formatReport } from '../../lib/doctor/format-report.js'
import { fixFor } from '../../lib/doctor/server-findings.js'
import { inTurn, JWKS_PATH, send, sendKeys, type Respond } from '../fixtures/jwks-server.js'
import { recordLog } from '../fixtures/log.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { es256, good, runDoctor, startServer, weakPair } from '../fixtures/doctor.js'

t.test('an auth server that does not serve its keys', async t => {
  const page = send(200, '<html>said by the server', { 'content-type': 'text/html' })
  const FAULTS: Record<string, { respond: Respond, answer: string, fix: RegExp }> = {
    'has none': { respond: send(404, ''), answer: 'HTTP 404', fix: /plugin jwt\(\)/ },
    'answers a page': { respond: page, answer: 'HTTP 200 without JSON', fix: /HTML/ },
    redirects: { respond: send(302, '', { location: '/elsewhere' }), answer: 'HTTP 302', fix: /never followed/ },
    fails: { respond: send(500, 'said by the server'), answer: 'HTTP 500', fix: /its log/ },
    'has an empty JWKS': { respond: send(200, '{"keys":[]}'), answer: 'JSON without keys', fix: /table of keys/ },
    'has a null in its JWKS': { respond: send(200, '{"keys":[null]}'), answer: 'a malformed JWKS', fix: /null/ },
    'hangs up': {
      respond: (_request, response) => { response.socket!.destroy() }, answer: 'UND_ERR_SOCKET', fix: /network/
    }
  }
  for (const [name, { respond, answer, fix }] of Object.entries(FAULTS)) {
    t.test(name, async t => {
      const server = await startServer(t)
      server.respond = respond
      const token = signJws(good, createClaims(server.origin))
      const { report, text, status } = await runDoctor(server.origin, token)
      t.equal(status, 1)
      t.match(report, { ok: false, jwks: null, token: { verdict: { accepted: false, reason: 'jwks_unavailable' } } })
      t.ok(report.tried.every(one => one.response === answer && !one.found), report.tried[0]!.response)
      t.equal(report.tried.length, answer === 'UND_ERR_SOCKET' ? 1 : 3)
      t.match(report.findings.find(one => one.about === 'auth server')!.fix, fix)

      const { lines, log } = recordLog()
      const { jwksUrls } = resolveOptions({ authUrl: server.origin }, {})
      const source = createJwksSource(jwksUrls, 5000, log)
      const { code } = await source.fetchJwk('').catch((error: unknown) => error) as JwksFetchError
      const logged = code === 'no_jwks' ? lines[0]!.fields.tried : [{ url: jwksUrls[0], response: code }]
      t.strictSame(report.tried.map(({ url, response }) => ({ url, response })), logged, 'as the plugin logs it')
      t.match(text, `http://localhost:${server.port}/.well-known/jwks.json: ${answer}`)
      t.notMatch(text, 'said by the server')
    })
  }

  t.test('is down', async t => {
    const server = await startServer(t)
    await server.stop()
    const { report, status } = await runDoctor(server.origin)
    t.equal(status, 1)
    t.match(report, {
      tried: [{ response: 'ECONNREFUSED' }], findings: [{ level: 'error', fix: /start the auth server/ }]
    })
    await server.start()
  })

  t.test('is too slow', async t => {
    const server = await startServer(t)
    server.respond = () => {}
    const report = await examine({ authUrl: server.origin, jwks: { timeout: 100 } }, undefined, {})
    t.match(report, { ok: false, tried: [{ response: 'timeout' }], findings: [{ fix: /jwks\.timeout/ }] })
  })

  t.test('cannot be examined further when the second request fails', async t => {
    const server = await startServer(t)
    let asked = 0
    server.respond = (request, response) => {
      if (request.url === JWKS_PATH) return sendKeys([good.jwk])(request, response)
      // The bounded reading, the plugin's fetch, and its question for the status.
      return ++asked <= 2 ? page(request, response) : response.socket!.destroy()
    }
    const report = await examine({ authUrl: server.origin }, undefined, {})
    t.ok(report.ok)
    t.equal(asked, 3)
    t.strictSame(report.tried.map(({ response }) => response), ['UND_ERR_SOCKET', 'a JWKS'])
  })

  t.match(fixFor('ENOTFOUND'), /misspelling/)
  t.match(fixFor('DEPTH_ZERO_SELF_SIGNED_CERT'), /NODE_EXTRA_CA_CERTS/)
})

t.test('one URL with a response other than 404 is what the finding names', async t => {
  const ANSWERS: Array<[Respond, findings: Array<{ text: RegExp, fix: RegExp }>]> = [
    [send(302, '', { location: '/' }), [{ text: /HTTP 302/, fix: /never followed/ }]],
    [send(500, ''), [{ text: /HTTP 500/, fix: /its log/ }]],
    [send(404, ''), [{ text: /HTTP 404/, fix: /plugin jwt/ }]]
  ]
  for (const [respond, findings] of ANSWERS) {
    const server = await startServer(t)
    server.respond = inTurn(respond)
    const { report } = await runDoctor(server.origin)
    t.ok(report.tried.some(({ response }) => response === 'HTTP 404'))
    t.match(report.findings, findings)
    t.equal(report.findings.length, 1)
  }
})

t.test('a JWKS with null behind the key of the token: the token is accepted, and the JWKS is not well', async t => {
  const server = await startServer(t, [good.jwk, null])
  const { report, status } = await runDoctor(server.origin, signJws(good, createClaims(server.origin)))
  t.equal(status, 0)
  t.match(report, { jwks: null, token: { verdict: { accepted: true } } })
  t.match(report.findings, [
    { level: 'warning', about: 'auth server', text: /malformed/, fix: /null, which hides the keys after it/ }
  ])
  t.match(await runDoctor(server.origin), { status: 1, report: { findings: [{ level: 'error', text: /malformed/ }] } })
})

t.test('an endless response is not read to its end', { timeout: 20_000 }, async t => {
  const chunk = Buffer.alloc(65_536, ' ')
  let sent = 0
  const endless = (status: number): Respond => (_request, response) => {
    response.writeHead(status)
    const go = () => {
      if (response.destroyed) return
      sent += chunk.length
      response.write(chunk, () => setImmediate(go))
    }
    go()
  }
  const server = await startServer(t)
  const token = signJws(good, createClaims(server.origin))
  const timeout = 2000
  const run = (pasted?: string) => examine({ authUrl: server.origin, jwks: { timeout } }, pasted, {})
  const bounded = (what: string) => {
    // What the sockets have room for comes on top.
    t.ok(sent < 2 ** 24, `${what}: ${sent} bytes`)
    sent = 0
  }

  server.respond = endless(200)
  const report = await run()
  bounded('no token')
  t.match(report, {
    ok: true,
    jwks: { status: 200, fault: 'too_long' },
    keys: [],
    tried: [{ found: false, response: 'longer than 1 MB' }]
  })
  t.equal(report.tried.length, 1, 'the plugin may take it for the JWKS, so the search ends')
  t.match(report.findings, [{ level: 'warning', about: 'auth server', fix: /no JWKS is that long/ }])
  t.match(formatReport(report), /^JWKS {9}too_long after \d+ ms$/m)
  const withToken = await run(token)
  bounded('a token')
  t.match(withToken, {
    ok: false,
    token: null,
    findings: [{ level: 'warning' }, { level: 'error', about: 'token', text: /^not examined: .* 1 MB$/ }]
  })

  for (const status of [404, 302, 500]) {
    server.respond = (request, response) => {
      const respond = request.url === JWKS_PATH ? sendKeys([good.jwk]) : endless(status)
      respond(request, response)
    }
    const report = await run(token)
    bounded(`status ${status}`)
    t.match(report, {
      ok: true, tried: [{ response: `HTTP ${status}` }, { found: true }], token: { verdict: { accepted: true } }
    })
  }
  // The last one: 1 MB and not a byte more is a JWKS.
  const whole = JSON.stringify({ keys: [good.jwk] })
  server.respond = inTurn(send(200, whole + ' '.repeat(2 ** 20 - whole.length)))
  t.match(await run(token), { ok: true, jwks: { fault: null }, token: { verdict: { accepted: true } } })
})

t.test('the time of the plugin is for its own questions, and is over when it is over', async t => {
  const later = (ms: number, respond: Respond): Respond =>
    (request, response) => { setTimeout(() => { respond(request, response) }, ms) }
  const server = await startServer(t)
  const run = () => examine({ authUrl: server.origin, jwks: { timeout: 1500 } }, undefined, {})
  server.respond = inTurn(later(950, sendKeys([good.jwk])))
  t.match(await run(), { ok: true, tried: [{}, { found: true }] })
  server.respond = later(600, send(404, '{}'))
  const { tried } = await run()
  t.match([tried[0], tried.at(-1)], [{ response: 'HTTP 404' }, { response: 'timeout' }])
})

t.test('a JWKS that responded differently before', async t => {
  const elsewhere = await startServer(t)
  const FIRST: Respond[] = [
    send(302, '', { location: elsewhere.origin + JWKS_PATH }),
    send(200, '<html>'),
    send(200, '{"keys":"abc"}'),
    send(204, ''),
    (_request, response) => { response.socket!.destroy() }
  ]
  for (const first of FIRST) {
    const server = await startServer(t)
    server.respond = inTurn(first, sendKeys([good.jwk]))
    const report = await examine({ authUrl: server.origin }, undefined, {})
    t.match(report, { ok: false, jwks: { fault: 'unreadable' }, tried: [{}, { found: true }] })
    t.strictSame(report.findings.map(({ about, level }) => `${about} ${level}`), ['JWKS error'])
    t.equal(report.keys.length, 0)
    t.match(formatReport(report), /^JWKS {9}unreadable after \d+ ms$/m)
  }
})

t.test('the age of the response, the caches in front of it and the clock behind it', async t => {
  const at = (ms: number) => ({ date: new Date(Date.now() + ms).toUTCString() })
  const ANSWERS: Array<[Record<string, string>, text: RegExp, warning: RegExp | null]> = [
    [{}, /HTTP 200 in \d+ ms, fresh \(no Age\), no max-age/, null],
    [{ 'cache-control': 'public, max-age=5' }, /max-age 5 s/, null],
    [{ 'cache-control': 'max-age=5, s-maxage=3600' }, /max-age 60 min/, /a cache keeps it for 60 min/],
    [{ age: '300', ...at(-300_000) }, /, 5 min old,/, /a cache keeps it for 5 min/],
    [{ age: 'young' }, /fresh/, null],
    [{ date: 'today' }, /fresh/, null],
    [at(-3_600_000 * 5.5), /fresh/, /its clock is 5 h behind this one/],
    [at(3_600_000 * 5.5), /fresh/, /its clock is 5 h ahead of this one/]
  ]
  for (const [headers, line, warning] of ANSWERS) {
    const server = await startServer(t)
    server.respond = inTurn(sendKeys([good.jwk], headers))
    const { report, text, status } = await runDoctor(server.origin)
    t.equal(status, 0, 'a warning is no error')
    t.match(text, line)
    t.strictSame(
      report.findings.map(({ level }) => level), warning === null ? [] : ['warning'], JSON.stringify(headers)
    )
    if (warning !== null) t.match(report.findings[0]!.text, warning)
  }
})

t.test('unusable keys are named with their fault', async t => {
  const { jwk } = good
  const { publicKey } = weakPair()
  const symmetric = { kty: 'oct', k: 'AAAA', kid: 'oct' }
  const KEYS: Array<[unknown, fault: string, level: 'error' | 'warning']> = [
    [{ ...jwk, kid: 'd', d: 'AAAA' }, 'private', 'error'],
    [symmetric, 'private', 'error'],
    [{ ...publicKey.export({ format: 'jwk' }), kid: 'rsa', alg: 'RS256' }, 'weak', 'warning'],
    [{ ...jwk, kid: 'enc', use: 'enc' }, 'use', 'warning'],
    [{ ...jwk, kid: 'ops', key_ops: ['encrypt'] }, 'key_ops', 'warning'],
    [{ ...jwk, kid: 'kty', crv: 'X25519' }, 'kty', 'warning'],
    [createForeignJwk(), 'kty', 'warning'],
    [{ ...createSigningKey('RS256', 'oaep').jwk, alg: 'RSA-OAEP' }, 'alg', 'warning'],
    [createSigningKey('PS512', 'other').jwk, 'algorithm_not_allowed', 'warning'],
    [5, 'kty', 'warning'],
    [{ ...jwk, kid: 'alg', alg: 'RS256' }, 'alg', 'warning'],
    [{ ...jwk, kid: 'x', x: '?' }, 'malformed', 'warning'],
    [{ ...jwk, kid: undefined }, 'kid_missing', 'warning'],
    [{ ...jwk, kid: 7 }, 'kid_missing', 'warning'],
    [{ ...jwk }, 'kid_duplicate', 'warning'],
    [{ ...jwk, kid: '' }, 'kid_invalid', 'warning']
  ]
  const server = await startServer(t, [])
  for (const [key, fault, level] of KEYS) {
    server.keys = [jwk, key]
    const token = signJws(good, createClaims(server.origin))
    const { report, text, status } = await runDoctor(server.origin, token, '--algorithms', 'EdDSA,RS256')
    t.match(report.token!.verdict, { accepted: true }, fault)
    t.match(report.keys, [{ kid: 'good', fault: null }, { fault, algorithms: [] }], fault)
    t.match(report.findings, [{ level, about: 'key' }], fault)
    t.equal(report.findings.length, 1)
    t.equal(status, level === 'error' ? 1 : 0, fault)
    const mayStay = ['kty', 'alg', 'algorithm_not_allowed', 'kid_missing'].includes(fault)
    if (mayStay) t.match(report.findings[0]!.fix, /^nothing, if no token/)
    t.match(text, new RegExp(`NOT USED .*: ${fault}$`, 'm'))
    t.ok(text.split('\n').every(line => line.length < 100))
  }
  server.keys = [{ ...jwk, use: 'enc' }]
  const { report } = await runDoctor(server.origin)
  t.match(report, {
    ok: false, findings: [{ level: 'warning' }, { level: 'error', text: 'none of its keys is usable' }]
  })
  server.keys = [{ ...es256.jwk, alg: undefined }]
  t.match((await runDoctor(server.origin)).text, 'usable   "es256", EC P-256, no alg: verifies ES256')
})

/** A key of a curve that is not known here. */
function createForeignJwk (): object {
  return {
    ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }), kid: 'secp256k1'
  }
}

t.test('http is unsafe but to this machine', async t => {
  const hosts: Array<[string, boolean]> = [
    ['http://localhost:1', false], ['http://id.localhost:1', false], ['http://127.0.0.1:1', false],
    ['http://[::1]:1', false], ['http://0.0.0.0:1', true], ['http://localhost.example.invalid', true],
    ['https://id.example.invalid', false]
  ]
  for (const [authUrl, unsafe] of hosts) {
    const { findings } = await examine({ authUrl, jwks: { timeout: 2000 } }, undefined, {})
    t.equal(findings.some(({ level, text }) => level === 'warning' && /over http/.test(text)), unsafe, authUrl)
  }
})
