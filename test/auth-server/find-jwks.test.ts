import t from 'tap'
import { createJwksSource, JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { send, sendKeys, type Respond } from '../fixtures/jwks-server.js'
import {
  after, codeOf, ENTRIES, foreign, jwks, never, notFound, OWN, OWN_WELL_KNOWN, PATHS, setUp, SHARED, SHARED_JWKS
} from '../fixtures/jwks-source.js'
import { k1, k2 } from '../fixtures/key-store.js'
import { recordLog } from '../fixtures/log.js'

/** What a server says while it is in trouble, and the code of the error. */
const TROUBLES: Record<string, readonly [Respond, code: string]> = {
  'HTTP 500': [send(500, '{"message":"said by the server"}'), 'http_5xx'],
  'HTTP 502': [send(502, '<h1>said by the server</h1>'), 'http_5xx'],
  'HTTP 503': [send(503, ''), 'http_5xx'],
  'HTTP 429': [send(429, '{}'), 'rate_limited'],
  'longer than 1 MB': [send(200, JSON.stringify({ keys: ENTRIES, x: 'x'.repeat(2 ** 20) })), 'too_large'],
  'a compressed response': [send(200, 'x', { 'content-encoding': 'br' }), 'encoded'],
  timeout: [never, 'timeout']
}

const FOREIGN = { [SHARED]: foreign, [SHARED_JWKS]: foreign }

t.test('the URL', async t => {
  t.test('is unknown until it is found, and then kept', async t => {
    for (const path of PATHS) {
      const setup = await setUp(t, { [path]: jwks })
      const { source, lines, server, asked } = setup
      t.equal(source.url, null)
      t.strictSame(await source.fetchJwks(true), ENTRIES)
      t.equal(source.url, server.origin + path)
      t.strictSame(lines, [
        { level: 'info', msg: 'found the JWKS of the auth server', fields: { jwksUrl: server.origin + path } }
      ])
      asked.length = 0
      for (const mayMove of [true, false, true]) await source.fetchJwks(mayMove)
      t.strictSame(asked, [path, path, path])
      t.equal(lines.length, 1)
    }
  })

  t.test('is known from the start if there is only one', async t => {
    const { source, urls } = await setUp(t, {}, [OWN])
    t.equal(source.url, urls[0])
  })

  t.test('is searched for again after all of them failed', async t => {
    const setup = await setUp(t, {})
    t.equal(await codeOf(setup.source.fetchJwks(true)), 'http_4xx')
    setup.answers[OWN_WELL_KNOWN] = jwks
    t.strictSame(await setup.source.fetchJwks(false), ENTRIES)
  })

  for (const [trouble, [respond, code]] of Object.entries(TROUBLES)) {
    t.test(`is never that of somebody else at boot: ${trouble}`, async t => {
      const setup = await setUp(t, { ...FOREIGN, [OWN]: respond }, PATHS, 1000)
      for (const mayMove of [true, false]) t.equal(await codeOf(setup.source.fetchJwks(mayMove)), code)
      t.equal(setup.source.url, null)
      setup.answers[OWN] = jwks
      t.strictSame(await setup.source.fetchJwks(true), ENTRIES)
      t.equal(setup.source.url, setup.urls[0])
    })

    t.test(`is never that of somebody else later: ${trouble}`, async t => {
      const setup = await setUp(t, { ...FOREIGN, [OWN]: jwks }, PATHS, 1000)
      await setup.source.fetchJwks(true)
      setup.answers[OWN] = respond
      setup.asked.length = 0
      for (const mayMove of [true, false]) t.equal(await codeOf(setup.source.fetchJwks(mayMove)), code)
      t.equal(setup.source.url, setup.urls[0])
      t.strictSame(setup.asked, [OWN, OWN], 'nothing else was requested')
    })
  }

  const others = { HTML: [send(200, '<html>'), 'no_jwks'], 'HTTP 403': [send(403, ''), 'http_4xx'] } as const
  for (const [name, [respond, code]] of Object.entries(others)) {
    t.test(`is kept through ${name}`, async t => {
      const setup = await setUp(t, { ...FOREIGN, [OWN]: jwks })
      await setup.source.fetchJwks(true)
      setup.answers[OWN] = respond
      t.equal(await codeOf(setup.source.fetchJwks(true)), code)
      t.equal(setup.source.url, setup.urls[0])
    })
  }

  t.test('is kept while the server cannot be reached', async t => {
    const { source, server, urls } = await setUp(t, { [OWN]: jwks })
    await source.fetchJwks(true)
    await server.stop()
    t.equal(await codeOf(source.fetchJwks(true)), 'connection_refused')
    t.equal(source.url, urls[0])
  })

  t.test('is kept through a 404 while a key is trusted', async t => {
    const setup = await setUp(t, { [OWN]: jwks })
    await setup.source.fetchJwks(true)
    setup.answers = FOREIGN
    setup.asked.length = 0
    t.equal(await codeOf(setup.source.fetchJwks(false)), 'http_4xx')
    t.equal(setup.source.url, setup.urls[0])
    t.strictSame(setup.asked, [OWN])
  })

  t.test('moves after a 404 when no key is trusted, which is one warning', async t => {
    const setup = await setUp(t, { [OWN]: jwks })
    await setup.source.fetchJwks(true)
    setup.lines.length = 0
    setup.answers = { [OWN_WELL_KNOWN]: sendKeys([k2.jwk]) }
    for (const mayMove of [true, true, false]) t.strictSame(await setup.source.fetchJwks(mayMove), [k2.jwk])
    t.equal(setup.source.url, setup.urls[2])
    t.strictSame(setup.lines, [{
      level: 'warn',
      msg: 'the JWKS of the auth server has moved',
      fields: { jwksUrl: setup.urls[2], previous: setup.urls[0] }
    }])
  })

  t.test('does not move when the search finds nothing', async t => {
    const setup = await setUp(t, { [OWN]: jwks })
    await setup.source.fetchJwks(true)
    setup.answers = {}
    t.equal(await codeOf(setup.source.fetchJwks(true)), 'http_4xx')
    t.equal(setup.source.url, setup.urls[0])
    setup.answers = { [OWN]: jwks }
    setup.lines.length = 0
    t.strictSame(await setup.source.fetchJwks(true), ENTRIES)
    t.strictSame(setup.lines, [], 'it was never lost')
  })

  t.test('a single URL is never left', async t => {
    const setup = await setUp(t, { [OWN]: jwks }, [OWN])
    await setup.source.fetchJwks(true)
    setup.answers = FOREIGN
    setup.asked.length = 0
    t.equal(await codeOf(setup.source.fetchJwks(true)), 'http_4xx')
    t.strictSame(setup.asked, [OWN])
  })
})

t.test('the timeout covers a 404 and the search after it', async t => {
  const setup = await setUp(t, { [OWN]: jwks }, PATHS, 1000)
  await setup.source.fetchJwks(true)
  setup.answers = { [OWN]: after(700, notFound), [SHARED]: never, [OWN_WELL_KNOWN]: never, [SHARED_JWKS]: never }
  const startedAt = performance.now()
  t.equal(await codeOf(setup.source.fetchJwks(true)), 'timeout')
  const elapsed = performance.now() - startedAt
  t.ok(elapsed < 1500, `${elapsed} ms`)
})

t.test('nothing is remembered of the last response', async t => {
  const setup = await setUp(t, { [OWN]: jwks })
  t.strictSame(await setup.source.fetchJwks(true), ENTRIES)
  for (const keys of [[k2.jwk], [], [null, 5, 'x'], [k1.jwk]]) {
    setup.answers[OWN] = sendKeys(keys)
    t.strictSame(await setup.source.fetchJwks(false), keys)
  }
})

t.test('the error', async t => {
  t.test('has the longest pause that the server asks for', async t => {
    const { source } = await setUp(t, {
      [OWN]: send(503, '', { 'retry-after': '3' }), [SHARED]: send(503, '', { 'retry-after': '9' })
    })
    t.match(await source.fetchJwks(true).catch((error: unknown) => error), {
      code: 'http_5xx', retryAfter: 9000, message: 'The JWKS could not be fetched: http_5xx', name: 'JwksFetchError'
    })
  })

  t.test('asks for no pause by default', async t => {
    t.equal(new JwksFetchError('timeout').retryAfter, 0)
  })

  t.test('is that of a server in trouble, else that of the first URL', async t => {
    const page = send(200, '<html>')
    for (const [answers, code] of [
      [{ [OWN]: page }, 'no_jwks'], [{ [SHARED]: page }, 'http_4xx'],
      [{ [OWN]: page, [SHARED]: send(500, '') }, 'http_5xx']
    ] as const) {
      const { source } = await setUp(t, answers)
      t.equal(await codeOf(source.fetchJwks(true)), code)
    }
  })

  t.test('is that of the failure, not of the URLs that are not there', async t => {
    const { source, lines } = await setUp(t, { [OWN_WELL_KNOWN]: send(200, 'x', { 'content-encoding': 'gzip' }) })
    t.equal(await codeOf(source.fetchJwks(true)), 'encoded')
    t.strictSame(lines, [], 'which the key store logs')
  })
})

t.test('the log says what is wrong', async t => {
  t.test('in one line: what each URL returned, and which option helps', async t => {
    const setup = await setUp(t, { [OWN]: send(200, '<html>'), [SHARED]: send(200, '{"ok":true}') })
    for (let i = 0; i < 3; i++) t.equal(await codeOf(setup.source.fetchJwks(true)), 'no_jwks')
    const texts = ['HTTP 200 without JSON', 'JSON without keys', 'HTTP 404', 'HTTP 404']
    const tried = setup.urls.map((url, i) => ({ url, response: texts[i] }))
    t.strictSame(setup.lines, [{
      level: 'error',
      msg: `no JWKS found: ${tried.map(({ url, response }) => `${url} returned ${response}`).join('; ')}. ` +
        'Add the plugin jwt() to the Better Auth server; if it has a base path other than /api/auth, add that to ' +
        '"authUrl"; if it has its keys elsewhere, set the option "jwksPath"',
      fields: { tried }
    }])
  })

  t.test('again only when something else is wrong, or after it was right', async t => {
    const setup = await setUp(t, {})
    const news = async () => {
      for (let i = 0; i < 2; i++) await codeOf(setup.source.fetchJwks(true))
      return setup.lines.splice(0).map(({ level }) => level)
    }
    t.strictSame(await news(), ['error'])
    setup.answers[OWN] = send(403, '')
    t.strictSame(await news(), ['error'])
    setup.answers[OWN] = jwks
    t.strictSame(await news(), ['info'])
    setup.answers[OWN] = send(403, '')
    t.strictSame(await news(), ['error'])
  })

  t.test('and never blames the path when the server fails', async t => {
    for (const status of [500, 502, 503, 504, 408, 425]) {
      for (const paths of [PATHS, [OWN]]) {
        const { source, lines, urls } = await setUp(t, { [OWN]: send(status, 'said by the server') }, paths)
        t.equal(await codeOf(source.fetchJwks(true)), status < 500 ? 'http_4xx' : 'http_5xx')
        t.equal(lines.length, 1)
        t.match(lines[0]!.msg, `the auth server does not serve its keys: ${urls[0]} returned HTTP ${status}`)
        t.notMatch(lines[0]!.msg, 'jwksPath')
      }
    }
  })

  t.test('once per change: a refusal, a timeout and a rate limit are for the key store to log', async t => {
    for (const [trouble, [respond, code]] of Object.entries(TROUBLES)) {
      const setup = await setUp(t, { [OWN]: respond }, [OWN], 300)
      for (let i = 0; i < 2; i++) t.equal(await codeOf(setup.source.fetchJwks(true)), code)
      t.equal(setup.lines.length, code === 'http_5xx' ? 1 : 0, trouble)
    }
  })

  t.test('without what the server sent, and without the headers of the request', async t => {
    const bodies = ['<p>SECRET</p>', '{"SECRET":true}', '{"keys":"SECRET"}', '{"keys":SECRET}']
    for (const status of [200, 302, 404, 429, 500]) {
      for (const body of bodies) {
        const { urls } = await setUp(t, { [OWN]: send(status, body, { 'x-key': 'SECRET', 'retry-after': 'SECRET' }) })
        const { lines, log } = recordLog()
        const headers = { authorization: 'Bearer SECRET', 'x-secret': 'SECRET' }
        const { jwks } = resolveOptions({ jwks: { headers } }, {})
        const source = createJwksSource({ jwksUrls: [urls[0]!], jwks }, log)
        const error = await source.fetchJwks(true).catch((error: unknown) => error) as JwksFetchError
        t.type(error, JwksFetchError)
        t.notMatch(JSON.stringify(lines) + String(error.stack) + JSON.stringify(error), 'SECRET')
        t.equal(error.cause, undefined)
      }
    }
  })
})
