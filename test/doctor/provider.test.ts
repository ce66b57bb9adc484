import t from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { aboutProvider, adviseIssuer, examineProvider, isRewritten } from '../../lib/doctor/provider.js'
import type { DoctorProvider } from '../../lib/doctor/report.js'
import { startAuthServer } from '../fixtures/auth-server.js'
import { runDoctor, startServer } from '../fixtures/doctor.js'
import { send, sendKeys, type Respond } from '../fixtures/jwks-server.js'
import { OAUTH_VERSIONS } from '../fixtures/oauth-packages.js'
import { RESOURCE, startOAuthServer } from '../fixtures/oauth-server.js'

const WELL_KNOWN = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'

t.test('without a JWKS, nothing more is asked', async t => {
  const server = await startServer(t)
  const asked: unknown[] = []
  server.respond = ({ url }, response) => {
    asked.push(url)
    response.writeHead(404).end()
  }
  const opaque = 'abcdefghijklmnopABCDEFGHIJKLMNOP'
  t.equal((await runDoctor(server.origin, opaque, '--resource', RESOURCE)).report.provider, null)
  t.notMatch(asked.join(), /token|oauth|openid/)
})

t.test('what counts as metadata', async t => {
  const server = await startServer(t)
  const { origin } = server
  const serve = (responses: Record<string, Respond>) => {
    server.respond = (request, response) => {
      const respond = responses[request.url!] ?? send(404, '')
      respond(request, response)
    }
  }
  const json = (value: unknown) => send(200, JSON.stringify(value))
  const own = { issuer: 'https://id.example.com/api/auth', jwks_uri: 'https://id.example.com/api/auth/jwks' }
  const foreign = { issuer: 'https://other.example.com', jwks_uri: 'https://other.example.com/keys' }
  const examine = async (responses: Record<string, Respond>, jwksPath = '/api/auth/jwks', timeout = 20_000) => {
    serve(responses)
    const options = resolveOptions({ authUrl: origin, jwks: { timeout, headers: { 'x-gate': 'open' } } }, {})
    return examineProvider(options, origin + jwksPath, `${origin}/api/auth`)
  }
  const named = await examine({ [WELL_KNOWN]: json(foreign), [OPENID]: json(own), '/api/auth/token': send(401, '') })
  t.match(named, { url: origin + OPENID, tokenIsDisabled: false, tokenResponse: 'HTTP 401' },
    'at the root, only metadata that names the JWKS')
  t.strictSame(named.tried[4], { url: origin + OPENID, found: true, response: 'metadata' })
  const { issuer } = own
  const list = { ...own, jwks_uri: [own.jwks_uri] }
  for (const value of [foreign, { issuer }, list, { ...own, jwks_uri: 'jwks' }, { ...own, issuer: 5 }, null, []]) {
    const { url, tried } = await examine({ [WELL_KNOWN]: json(value) })
    t.equal(url, null, JSON.stringify(value))
    t.match(tried[3], { found: false, response: 'JSON that is not its metadata' })
  }
  t.match(await examine({ [`/api/auth${OPENID}`]: json({ issuer: 'x' }) }), { issuer: 'x' }, 'below the base path, any')
  t.match(await examine({ [WELL_KNOWN]: json({ issuer: 'x', jwks_uri: `${origin}/jwks` }) }, '/jwks'), {
    issuer: 'x', tokenUrl: `${origin}/token`, tokenIsDisabled: true
  }, 'a base path of /')
  t.match(await examine({ [WELL_KNOWN]: json(foreign) }, '/jwks'), { url: null }, 'with a base path of /, only its own')
  const below = await examineProvider(resolveOptions({ authUrl: `${origin}/auth` }, {}), `${origin}/keys`, 'a://b/c//')
  t.equal(below.tokenUrl, `${origin}/auth/token`)
  t.equal(below.tried[3]!.url, `${origin}${WELL_KNOWN}/c`)
  t.match(await examine({}, '/.well-known/jwks.json'), { tokenIsDisabled: false, tokenResponse: 'HTTP 404' },
    'a 404 says nothing where the base path is not known')

  const gates: unknown[] = []
  const responses: Respond = (request, response) => {
    gates.push(request.headers['x-gate'])
    if (request.url === '/api/auth/token') response.writeHead(302, { location: '/elsewhere' }).end()
  }
  const paths = [`${WELL_KNOWN}/api/auth`, `/api/auth${WELL_KNOWN}`, `/api/auth${OPENID}`, WELL_KNOWN, OPENID]
  const startedAt = Date.now()
  const { tokenResponse, tried } = await examine(
    Object.fromEntries([...paths, '/api/auth/token'].map(path => [path, responses])), '/api/auth/jwks', 1000
  )
  t.ok(Date.now() - startedAt < 4000, 'one timeout for all')
  t.equal(tokenResponse, 'HTTP 302', 'no redirect is followed')
  t.strictSame(tried, paths.map(path => ({ url: origin + path, found: false, response: 'timeout' })))
  t.strictSame(gates, Array(6).fill('open'), 'the headers of the options are sent')
})

t.test('a gateway that refuses the metadata is named', async t => {
  const server = await startServer(t)
  server.respond = (request, response) => {
    const respond = request.url === '/api/auth/jwks' ? sendKeys(server.keys) : send(403, 'no')
    respond(request, response)
  }
  const { report } = await runDoctor(server.origin, undefined, '--resource', RESOURCE)
  t.match(report.findings, [{ text: /no metadata of an OAuth provider was found: HTTP 403$/ }])
})

t.test('which option makes the plugin expect another issuer', async t => {
  const options = resolveOptions({ authUrl: 'http://auth:3000', resource: RESOURCE }, {})
  const provider: DoctorProvider = {
    tried: [],
    url: 'http://auth:3000/x',
    issuer: 'https://id.example.com/api/auth',
    expectedIssuer: options.resource!.issuer,
    tokenUrl: 'http://auth:3000/api/auth/token',
    tokenResponse: 'HTTP 401',
    tokenIsDisabled: false
  }
  t.match(aboutProvider(provider, options), [{ fix: /^publicUrl: 'https:\/\/id\.example\.com' \(--public-url\)/ }])
  t.strictSame(aboutProvider(provider, { ...options, resource: undefined }), [], 'only with the option resource')
  t.match(aboutProvider({ ...provider, issuer: '\u001b' }, options), [{ text: /says issuer "\\u\{1b\}"/ }])

  const asked = (response: string) => ({ url: 'http://auth:3000/x', found: false, response })
  const none = { ...provider, url: null, issuer: null, tried: [asked('HTTP 404'), asked('HTTP 404')] }
  const disabled = { ...provider, issuer: provider.expectedIssuer, tokenIsDisabled: true }
  const without = { ...options, resource: undefined }
  const CASES: Array<[DoctorProvider, typeof options, text?: RegExp, fix?: RegExp]> = [
    [none, without],
    [none, options, /^resource is set, but no metadata .*: HTTP 404$/, /oauthProvider\(\)/],
    [{ ...none, tried: [asked('timeout'), asked('HTTP 404')] }, options, /: timeout$/],
    [disabled, without, /\/api\/auth\/token is disabled \(HTTP 404\)/, /\(--resource\)/],
    [disabled, options],
    [{ ...provider, issuer: 'https://auth:3000/api/auth' }, without, /says issuer "https:/, /^nothing here, if /],
    [{ ...provider, issuer: provider.expectedIssuer }, options]
  ]
  for (const [provider, options, text, fix = /./] of CASES) {
    const findings = aboutProvider(provider, options)
    t.equal(findings.length, text === undefined ? 0 : 1)
    if (text !== undefined) t.match(findings[0], { level: 'warning', about: 'auth server', text, fix })
  }

  const expected = 'http://auth:3000/api/auth'
  const RESOURCE_ISSUER = /^resource: \{ url, issuer: '.*' \} \(--resource-issuer\), if/
  t.match(adviseIssuer('https://id.example.com/oauth', expected, 'http://auth:3000'), RESOURCE_ISSUER)
  t.match(adviseIssuer('http://auth:3000/auth', expected, 'http://auth:3000'), RESOURCE_ISSUER)
  t.match(adviseIssuer('my issuer', 'your issuer', 'http://auth:3000'), RESOURCE_ISSUER)
  t.match(adviseIssuer('https://id.example.com/api/auth', 'your issuer', 'http://auth:3000'), RESOURCE_ISSUER)
  t.match(adviseIssuer('http://AUTH:3000/api/auth', expected, 'http://auth:3000'), RESOURCE_ISSUER,
    'the same origin in another spelling')
  t.match(adviseIssuer('https://b.example/api/auth', 'https://a.example/api/auth', 'http://auth:3000'), RESOURCE_ISSUER,
    'the expected one is an option')

  t.ok(isRewritten('https://auth:3000/a', 'http://auth:3000/a'))
  for (const issuer of ['http://localhost:3000/a', 'http://127.0.0.1/a', 'https://auth:3000/a', 'http:', 'auth']) {
    t.notOk(isRewritten(issuer.replace(/^http:/, 'https:'), issuer), issuer)
  }
})

t.test('a server without a provider', async t => {
  for (const basePath of ['/api/auth', '/auth', '/']) {
    const server = await startAuthServer({ basePath })
    t.teardown(() => server.close())
    const authUrl = basePath === '/auth' ? `${server.origin}/auth` : server.origin
    const { report, text } = await runDoctor(authUrl)
    t.match(report, {
      provider: { url: null, issuer: null, tokenResponse: 'HTTP 401', tokenIsDisabled: false }, findings: { length: 0 }
    }, basePath)
    t.equal(report.provider!.tokenUrl, `${server.origin}${basePath === '/' ? '' : basePath}/token`)
    t.match(text, 'Provider     none found: HTTP 404\n')
    const { report: resource, status } = await runDoctor(authUrl, undefined, '--resource', RESOURCE)
    t.equal(status, 0)
    t.match(resource.findings, [{ level: 'warning', text: /resource is set.*: HTTP 404$/, fix: /oauthProvider\(\)/ }])
  }
})

t.test('an issuer that is not a URL', async t => {
  const server = await startAuthServer()
  t.teardown(() => server.close())
  const { report } = await runDoctor(server.origin, undefined, '--resource', RESOURCE, '--resource-issuer', 'my issuer')
  t.match(report.provider, { expectedIssuer: 'my issuer', tried: { length: 5 } })
})

t.test('a path of an issuer of its own', async t => {
  const issuer = 'http://localhost/oauth'
  const { origin } = await startOAuthServer(t, { jwt: { jwt: { issuer } } })
  const { report } = await runDoctor(origin, undefined, '--resource', RESOURCE, '--resource-issuer', issuer)
  t.match(report, { provider: { url: `${origin}${WELL_KNOWN}/oauth`, issuer }, findings: { length: 0 } })
})

for (const version of OAUTH_VERSIONS) {
  t.test(`Better Auth ${version}`, async t => {
    t.test('the metadata of its provider, and its /token', async t => {
      const server = await startOAuthServer(t, { version })
      const { report, text, status } = await runDoctor(server.origin, undefined, '--resource', RESOURCE)
      t.equal(status, 0)
      t.strictSame(report.findings, [])
      t.match(report, {
        resource: { url: RESOURCE, issuer: server.baseURL },
        provider: {
          url: `${server.origin}${WELL_KNOWN}/api/auth`,
          issuer: server.baseURL,
          expectedIssuer: server.baseURL,
          tokenUrl: `${server.origin}/api/auth/token`,
          tokenResponse: 'HTTP 401',
          tokenIsDisabled: false
        }
      })
      t.strictSame(report.provider!.tried.map(({ url, found }) => [url.slice(server.origin.length), found]), [
        [`${WELL_KNOWN}/api/auth`, true], [`/api/auth${WELL_KNOWN}`, true], [`/api/auth${OPENID}`, true],
        [WELL_KNOWN, false], [OPENID, false]
      ])
      t.match(text, `OAuth        iss ${server.baseURL}, aud ${RESOURCE} (resource)\n`)
      t.match(text, `Provider     issuer ${server.baseURL}, metadata at\n`)
      t.strictSame((await runDoctor(server.origin)).report.findings, [], 'and nothing to do without the option')
      for (const [path, count] of server.hits) t.ok(count <= 4, `${path}: one request a run`)
    })

    t.test('a /token that is disabled', async t => {
      const { origin, baseURL } = await startOAuthServer(t, { version, disableToken: true })
      const { report, text, status } = await runDoctor(origin)
      t.equal(status, 0, 'a warning')
      t.match(report, { provider: { issuer: baseURL, tokenResponse: 'HTTP 404', tokenIsDisabled: true } })
      t.match(text, 'HTTP 404: it is disabled')
      t.match(report.findings, [{
        level: 'warning', about: 'auth server', text: /\/api\/auth\/token is disabled \(HTTP 404\)/, fix: /--resource/
      }])
      t.equal(report.findings.length, 1)
      t.strictSame((await runDoctor(origin, undefined, '--resource', RESOURCE)).report.findings, [])
      const { report: opaque } = await runDoctor(origin, 'abcdefghijklmnopABCDEFGHIJKLMNOP')
      t.match(opaque.findings.at(-1), { about: 'token', fix: /^the OAuth client: .*\(GET \S+ is disabled\)$/ })
    })

    t.test('an issuer that is https in the metadata alone', async t => {
      const server = await startOAuthServer(t, { version, baseOrigin: 'http://auth.internal' })
      const { access_token: token } = await server.delegate(await server.signUp(), await server.registerClient(), {
        scopes: ['orders:read'], resource: RESOURCE
      })
      const flags = ['--public-url', 'http://auth.internal', '--resource', RESOURCE]
      const { report, status } = await runDoctor(server.origin, token, ...flags)
      t.equal(status, 0, 'the token is as the plugin expects it')
      t.match(report, {
        provider: { issuer: 'https://auth.internal/api/auth', expectedIssuer: 'http://auth.internal/api/auth' },
        token: { verdict: { accepted: true } },
        findings: [{
          level: 'warning',
          text: /says issuer "https:.*expects iss "http:/,
          fix: /nothing here, if .*publicUrl: 'https:\/\/auth\.internal'/
        }]
      })
      const believing = [...flags, '--resource-issuer', 'https://auth.internal/api/auth']
      const { report: refused } = await runDoctor(server.origin, token, ...believing)
      t.match(refused, {
        token: { verdict: { reason: 'issuer_mismatch' } },
        findings: [{ about: 'token', fix: /^leave resource\.issuer out: tokens keep http/ }]
      })
    })

    t.test('an issuer of its own', async t => {
      const issuer = 'https://issuer.example.com'
      const server = await startOAuthServer(t, { version, jwt: { jwt: { issuer } } })
      const { report } = await runDoctor(server.origin, undefined, '--resource', RESOURCE)
      t.match(report, {
        provider: { url: `${server.origin}${WELL_KNOWN}`, issuer, expectedIssuer: server.baseURL },
        findings: [{ level: 'warning', fix: /^resource: \{ url, issuer: 'https:\/\/issuer\.example\.com' \}/ }]
      })
      const set = await runDoctor(server.origin, undefined, '--resource', RESOURCE, '--resource-issuer', issuer)
      t.strictSame(set.report.findings, [])
      t.equal(set.report.resource!.issuer, issuer)
    })
  })
}
