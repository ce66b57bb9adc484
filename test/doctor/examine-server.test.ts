import { generateKeyPairSync } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createJwksSource, type JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { examine } from '../../lib/doctor/examine.js'
import { examineServer, listKeys } from '../../lib/doctor/examine-server.js'
import { accessTokenProfile } from '../../lib/tokens/access-token.js'
import { createUserReader } from '../../lib/tokens/user-reader.js'
import { inTurn, send, sendKeys, type JwksServer, type Respond } from '../fixtures/jwks-server.js'
import { recordLog } from '../fixtures/log.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { es256, good, runDoctor, startServer, weakPair } from '../fixtures/doctor.js'

const PATHS = ['/api/auth/jwks', '/.well-known/jwks.json', '/api/auth/.well-known/jwks.json', '/jwks']
const jwks = JSON.stringify({ keys: [good.jwk] })
const hangUp: Respond = (_request, response) => { response.socket!.destroy() }

/** Responds at these paths; 404 elsewhere. */
function serve (server: JwksServer, responses: Record<string, Respond>): void {
  server.respond = (request, response) => {
    const respond = responses[request.url!] ?? send(404, '')
    respond(request, response)
  }
}

/** What the plugin does with the same server: the error of its fetch, and what it logs about the URLs. */
async function askPlugin (authUrl: string): Promise<{ code: string, tried: unknown }> {
  const { lines, log } = recordLog()
  const source = createJwksSource(resolveOptions({ authUrl }, {}), log)
  const { code } = await source.fetchJwks(true).catch((error: unknown) => error) as JwksFetchError
  return { code, tried: lines.find(({ fields }) => fields.tried)?.fields.tried }
}

t.test('an auth server that does not serve its keys', async t => {
  const page = send(200, '<html>said by the server', { 'content-type': 'text/html' })
  const zipped = send(200, '', { 'content-encoding': 'gzip' })
  const FAULTS: Record<string, { respond: Respond, found: string, code: string, fix: RegExp, tried?: number }> = {
    'has none': { respond: send(404, ''), found: 'HTTP 404', code: 'http_4xx', fix: /plugin jwt\(\)/ },
    'sends a page': { respond: page, found: 'HTTP 200 without JSON', code: 'no_jwks', fix: /HTML/ },
    redirects: {
      respond: send(302, '', { location: '/elsewhere' }), found: 'HTTP 302', code: 'no_jwks', fix: /never followed/
    },
    fails: { respond: send(500, 'said by the server'), found: 'HTTP 500', code: 'http_5xx', fix: /its log/ },
    'is behind a gateway': {
      respond: send(401, 'said by the server'), found: 'HTTP 401', code: 'http_4xx', fix: /jwks\.headers \(--header\)/
    },
    'limits requests': {
      respond: send(429, '', { 'x-retry-after': '7' }),
      found: 'HTTP 429',
      code: 'rate_limited',
      fix: /'\/jwks': false/,
      tried: 1
    },
    'compresses its responses': {
      respond: zipped, found: 'a compressed response', code: 'encoded', fix: /turn compression off/
    },
    'sends more than 1 MB': {
      respond: send(200, jwks + ' '.repeat(2 ** 20)),
      found: 'longer than 1 MB',
      code: 'too_large',
      fix: /no JWKS is that long/
    },
    'sends other JSON': {
      respond: send(200, '{"keys":{}}'), found: 'JSON without keys', code: 'no_jwks', fix: /check authUrl and jwksPath/
    },
    'hangs up': {
      respond: hangUp,
      found: 'connection_reset (UND_ERR_SOCKET)',
      code: 'connection_reset',
      fix: /its log/,
      tried: 1
    }
  }
  for (const [name, { respond, found, code, fix, tried = PATHS.length }] of Object.entries(FAULTS)) {
    t.test(name, async t => {
      const server = await startServer(t)
      server.respond = respond
      const token = signJws(good, createClaims(server.origin))
      const { report, text, status } = await runDoctor(server.origin, token)
      t.equal(status, 1)
      t.match(report, { ok: false, jwks: null, token: { verdict: { accepted: false, reason: 'jwks_unavailable' } } })
      t.strictSame(report.keys, [])
      t.strictSame(report.tried, PATHS.slice(0, tried).map(path => {
        return { url: server.origin + path, found: false, response: found }
      }))
      const [finding, ...others] = report.findings.filter(({ about }) => about === 'auth server')
      t.match(finding, { level: 'error', text: `no JWKS was found: ${found}`, fix })
      t.strictSame(others, [])
      t.match(text, `http://localhost:${server.port}/api/auth/jwks: ${found}`)
      t.notMatch(text, 'said by the server')

      const plugin = await askPlugin(server.origin)
      t.equal(plugin.code, code)
      if (['no_jwks', 'http_4xx', 'http_5xx'].includes(code)) {
        const tried = report.tried.map(({ url, response }) => ({ url, response }))
        t.strictSame(tried, plugin.tried, 'as the plugin logs it')
      }
    })
  }

  t.test('is down', async t => {
    const server = await startServer(t)
    await server.stop()
    const { report, status } = await runDoctor(server.origin)
    t.equal(status, 1)
    t.match(report, {
      tried: [{ response: 'connection_refused (ECONNREFUSED)' }],
      findings: [{ level: 'error', fix: /start the auth server/ }]
    })
    t.equal(report.tried.length, 1)
    await server.start()
  })

  t.test('is too slow', async t => {
    const server = await startServer(t)
    server.respond = () => {}
    const report = await examine({ authUrl: server.origin, jwks: { timeout: 1000 } }, undefined, {})
    t.match(report, { ok: false, jwks: null, findings: [{ level: 'error', fix: /jwks\.timeout/ }] })
    t.strictSame(report.tried.map(({ response }) => response), PATHS.map(() => 'timeout'))
  })
})

t.test('the JWKS is found at each URL of the search, in the order of the plugin', async t => {
  const server = await startServer(t)
  for (const [index, path] of PATHS.entries()) {
    serve(server, { [path]: send(200, jwks) })
    const { report, status } = await runDoctor(server.origin)
    t.equal(status, 0)
    t.strictSame(report.tried, PATHS.slice(0, index + 1).map((tried, place) => {
      return { url: server.origin + tried, found: place === index, response: place === index ? 'a JWKS' : 'HTTP 404' }
    }))
    t.equal(report.jwks!.url, server.origin + path)
  }
  serve(server, { '/api/auth/.well-known/jwks.json': send(200, jwks) })
  const { report } = await runDoctor(`${server.origin}/api/auth`)
  const below = ['/jwks', '/.well-known/jwks.json'].map(path => `${server.origin}/api/auth${path}`)
  t.strictSame(report.tried.map(({ url }) => url), below, 'below a base path')
})

t.test('a JWKS that may be of somebody else is not used, as in the plugin', async t => {
  const server = await startServer(t)
  serve(server, { '/api/auth/jwks': send(502, ''), '/.well-known/jwks.json': send(200, jwks) })
  const token = signJws(good, createClaims(server.origin))
  const { report, status } = await runDoctor(server.origin, token)
  t.equal(status, 1)
  t.match(report, { jwks: null, token: { verdict: { accepted: false, reason: 'jwks_unavailable' } } })
  t.strictSame(report.tried.slice(0, 2).map(({ found, response }) => [found, response]), [
    [false, 'HTTP 502'], [false, 'a JWKS that may be of somebody else']
  ])
  t.match(report.findings, [
    { level: 'error', text: 'no JWKS was found: HTTP 502', fix: /its log/ },
    { level: 'error', text: /is not used while a URL before it fails/, fix: /fix the URL that fails.* jwksPath/ },
    { about: 'token' }
  ])
  t.match(await askPlugin(server.origin), { code: 'http_5xx', tried: [{}, { response: /somebody else/ }] })
  const own = await runDoctor(server.origin, token, '--jwks-path', '/.well-known/jwks.json')
  t.match(own, { status: 0, report: { token: { verdict: { accepted: true } } } }, 'unless the options name it')
})

t.test('one URL with a response other than 404 is what the finding names', async t => {
  const RESPONSES: Array<[Respond, findings: Array<{ text: RegExp, fix: RegExp }>]> = [
    [send(302, '', { location: '/' }), [{ text: /HTTP 302/, fix: /never followed/ }]],
    [send(500, ''), [{ text: /HTTP 500/, fix: /its log/ }]],
    [send(403, ''), [{ text: /HTTP 403/, fix: /--header/ }]],
    [send(404, ''), [{ text: /HTTP 404/, fix: /plugin jwt/ }]]
  ]
  for (const [respond, findings] of RESPONSES) {
    const server = await startServer(t)
    server.respond = inTurn(respond)
    const { report } = await runDoctor(server.origin)
    t.ok(report.tried.some(({ response }) => response === 'HTTP 404'))
    t.match(report.findings, findings)
    t.equal(report.findings.length, 1)
  }
})

t.test('the JWKS is fetched once, for the keys and for the token', async t => {
  const server = await startServer(t, [good.jwk])
  const token = signJws(good, createClaims(server.origin))
  server.respond = inTurn(sendKeys([good.jwk]), hangUp)
  t.match(await examine({ authUrl: server.origin }, token, {}), { ok: true, token: { verdict: { accepted: true } } })
  t.equal(server.hits, 1)
  const unknown = signJws(es256, createClaims(server.origin))
  server.respond = inTurn(sendKeys([good.jwk]), sendKeys([es256.jwk]))
  t.match(await examine({ authUrl: server.origin }, unknown, {}), { token: { verdict: { reason: 'unknown_key' } } })
})

t.test('entries of any kind beside the key of the token', async t => {
  const server = await startServer(t, [null, 'x', 7, [], {}, good.jwk, null])
  const { report, text, status } = await runDoctor(server.origin, signJws(good, createClaims(server.origin)))
  t.equal(status, 0)
  t.match(report, { jwks: { status: 200 }, token: { verdict: { accepted: true } } })
  t.strictSame(
    report.keys.map(({ fault }) => fault), ['malformed', 'malformed', 'malformed', 'kty', 'kty', null, 'malformed']
  )
  t.ok(report.findings.every(({ level, about }) => level === 'warning' && about === 'key'))
  t.match(text, 'NOT USED no kid, no kty, no alg: malformed')
})

t.test('a JWKS without keys, or without a usable one, is an error', async t => {
  const server = await startServer(t, [])
  const token = signJws(good, createClaims(server.origin))
  const empty = await runDoctor(server.origin, token)
  t.equal(empty.status, 1)
  t.match(empty.report, {
    tried: [{ found: true, response: 'a JWKS' }], jwks: { status: 200 }, token: { verdict: { reason: 'unknown_key' } }
  })
  t.match(empty.report.findings, [
    { level: 'error', about: 'JWKS', text: 'it has no keys', fix: /request a token/ }, { about: 'token' }
  ])
  server.keys = [null, { ...good.jwk, use: 'enc' }]
  const { report, status } = await runDoctor(server.origin, token)
  t.equal(status, 1)
  t.match(report, { token: { verdict: { reason: 'unusable_key' } } })
  t.match(report.findings, [
    { level: 'warning', about: 'key' },
    { level: 'warning', about: 'key' },
    { level: 'error', about: 'JWKS', text: 'none of its keys is usable' },
    { about: 'token' }
  ])
})

t.test('a JWKS of more than 1,000 entries: the first 1,000 are listed', async t => {
  const copies = Array.from({ length: 999 }, (_, index) => ({ ...good.jwk, kid: `k${index}` }))
  const server = await startServer(t, [...copies, good.jwk])
  const token = signJws(good, createClaims(server.origin))
  const all = await runDoctor(server.origin, token)
  t.match(all, { status: 0, report: { keys: { length: 1000 }, token: { verdict: { accepted: true } } } })
  t.strictSame(all.report.findings, [])
  server.keys = [...copies, es256.jwk, good.jwk]
  const { report } = await runDoctor(server.origin, token)
  t.match(report, { keys: { length: 1000 }, token: { verdict: { reason: 'unknown_key' } } })
  t.match(report.findings, [
    { level: 'warning', about: 'JWKS', text: 'it has 1001 entries: the plugin looks only at the first 1000' },
    { level: 'error', about: 'token' }
  ])
})

t.test('of keys with one kid the first for the algorithm counts; one that verifies nothing is a fault', async t => {
  const { publicKey } = createSigningKey('RS256')
  const rsa = (alg?: string) => ({ ...publicKey.export({ format: 'jwk' }), kid: 'same', ...alg && { alg } })
  const edDsa = { ...good.jwk, kid: 'same' }
  const weak = { ...edDsa, use: 'enc' }
  const options = resolveOptions({ algorithms: ['EdDSA', 'RS256', 'RS384', 'ES256'] }, {})
  const policy = accessTokenProfile(options, createUserReader())
  const CASES: Array<[what: string, keys: unknown[], expected: Array<string[] | string>]> = [
    ['two of one algorithm', [edDsa, { ...createSigningKey('EdDSA').jwk, kid: 'same' }], [['EdDSA'], 'kid_duplicate']],
    ['the same key twice', [edDsa, edDsa, edDsa], [['EdDSA'], 'kid_duplicate', 'kid_duplicate']],
    ['two of different algorithms', [edDsa, rsa('RS256')], [['EdDSA'], ['RS256']]],
    ['one of several algorithms behind one of them', [rsa('RS256'), rsa()], [['RS256'], ['RS384']]],
    ['one of several algorithms behind all of them', [rsa('RS384'), rsa('RS256'), rsa()],
      [['RS384'], ['RS256'], 'kid_duplicate']],
    ['one of several algorithms before one of them', [rsa(), rsa('RS256')], [['RS256', 'RS384'], 'kid_duplicate']],
    ['one behind an unusable one', [weak, edDsa], ['use', ['EdDSA']]],
    ['one behind one whose algorithm is not allowed', [rsa('PS256'), edDsa, rsa('PS256')],
      ['algorithm_not_allowed', ['EdDSA'], 'algorithm_not_allowed']],
    ['others with the same algorithm', [edDsa, { ...edDsa, kid: 'other' }], [['EdDSA'], ['EdDSA']]]
  ]
  for (const [what, keys, expected] of CASES) {
    const listed = await listKeys(keys, policy)
    t.strictSame(listed.map(({ algorithms, fault }) => fault ?? algorithms), expected, what)
    t.ok(listed.every(({ algorithms, fault }) => (fault === null) === (algorithms.length > 0)), what)
  }
  t.equal((await listKeys(Array<unknown>(1001).fill(null), policy)).length, 1000)
  const server = await startServer(t, [{ ...rsa('RS256'), kid: 'good' }, weak, good.jwk])
  t.match(await runDoctor(server.origin, signJws(good, createClaims(server.origin))), {
    status: 0, report: { token: { verdict: { accepted: true } } }
  }, 'and that key verifies the token')
})

t.test('a response may be compressed by no name, and 1 MB long', async t => {
  const server = await startServer(t)
  const { jwksUrls, jwks: policy } = resolveOptions({ authUrl: server.origin }, {})
  const run = (respond: Respond) => {
    server.respond = inTurn(respond)
    return examineServer({ jwksUrls, jwks: policy })
  }
  t.match(await run(send(200, jwks.padEnd(2 ** 20))), { jwks: { status: 200 }, entries: [good.jwk] })
  t.match(await run(send(200, jwks.padEnd(2 ** 20 + 1))), { jwks: null, entries: undefined })
  t.match(await run(send(200, jwks, { 'content-encoding': 'identity' })), { entries: [good.jwk] })
  const zipped: Respond = (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(jwks))
  }
  t.match(await run(zipped), { jwks: null, tried: [{ found: false, response: 'a compressed response' }, {}, {}, {}] })
})

t.test('the headers of the options arrive at each URL', async t => {
  const server = await startServer(t)
  const seen: unknown[] = []
  server.respond = (request, response) => {
    seen.push([request.url, request.headers['x-gate'], request.headers['user-agent']])
    send(404, '')(request, response)
  }
  await examine({ authUrl: server.origin, jwks: { headers: { 'X-Gate': 'open' } } }, undefined, {})
  t.match(seen, PATHS.map(path => [path, 'open', /^better-auth-fastify\/\d/]))
})

t.test('the age of the response, the caches in front of it and the clock behind it', async t => {
  const at = (ms: number) => ({ date: new Date(Date.now() + ms).toUTCString() })
  const ANSWERS: Array<[Record<string, string>, text: RegExp, warning: RegExp | null]> = [
    [{}, /HTTP 200 in \d+ ms, fresh \(no Age\), no max-age/, null],
    [{ 'cache-control': 'public, max-age=5' }, /max-age 5 s/, null],
    [{ 'cache-control': 'max-age=5, s-maxage=3600' }, /max-age 60 min/, /a cache keeps it for 60 min/],
    [{ age: '300', ...at(-300_000) }, /, 5 min old,/, /a cache keeps it for 5 min/],
    [{ 'cache-control': 'MAX-AGE="3600"' }, /max-age 60 min/, /a cache keeps it for 60 min/],
    [{ 'cache-control': 'S-MaxAge="20"' }, /max-age 20 s/, null],
    [{ age: '-300' }, /fresh/, null],
    [{ age: '300 s' }, /fresh/, null],
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
    [5, 'malformed', 'warning'],
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
