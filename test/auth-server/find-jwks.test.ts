import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { codeOf, JWKS, jwks, notFound, PATHS, setUp, WELL_KNOWN } from '../fixtures/jwks-source.js'
import { send, type Respond } from '../fixtures/jwks-server.js'
import { k1, k2 } from '../fixtures/key-store.js'

t.test('finds the URL', async t => {
  const others: Record<string, Respond> = {
    '404 without a body': notFound,
    '404 with HTML': send(404, '<h1>Not Found</h1>'),
    '404 with JSON': send(404, '{"message":"Not Found"}'),
    '404 with a JWKS as its body': send(404, JSON.stringify({ keys: [k1.jwk] })),
    '200 with HTML': send(200, '<html>app</html>'),
    '200 without a body': send(200, ''),
    '200 with other JSON': send(200, '{"ok":true}'),
    '200 with no keys': send(200, '{"keys":[]}'),
    '401 with JSON': send(401, '{}'),
    'a redirect': send(302, '', { location: JWKS }),
    '500 with HTML': send(500, '<h1>oops</h1>')
  }
  for (const path of PATHS) {
    for (const [name, respond] of Object.entries(others)) {
      t.test(`${path}, where the others respond with ${name}`, async t => {
        const {
          source, lines, asked, server
        } = await setUp(t, { ...Object.fromEntries(PATHS.map(one => [one, respond])), [path]: jwks })
        t.equal(source.url, null)
        t.same(await source.fetchJwk('k1'), k1.jwk)
        t.equal(source.url, server.origin + path)
        t.same(asked, PATHS.slice(0, PATHS.indexOf(path) + 1))
        t.same(
          lines,
          [{ level: 'info', msg: 'found the JWKS of the auth server', fields: { jwksUrl: server.origin + path } }]
        )

        asked.length = 0
        for (const kid of ['k2', 'k1', 'unknown']) await source.fetchJwk(kid)
        t.same(asked, [path, path, path], 'and keeps it')
        t.equal(lines.length, 1)
      })
    }
  }

  t.test('a JWKS without the key that is looked for is the JWKS all the same', async t => {
    const { source, asked, server } = await setUp(t, { [WELL_KNOWN]: jwks, [JWKS]: jwks })
    t.equal(await source.fetchJwk('unknown'), undefined)
    t.equal(source.url, server.origin + WELL_KNOWN)
    t.same(asked, [WELL_KNOWN])
  })

  t.test('a single URL is known before anything was fetched', async t => {
    const { source, urls } = await setUp(t, {}, [JWKS])
    t.equal(source.url, urls[0])
  })

  t.test('again, when it is no JWKS any more', async t => {
    for (const gone of [notFound, send(500, '{}'), send(200, '<html>'), send(200, '{"keys":[]}')]) {
      const setup = await setUp(t, { [WELL_KNOWN]: jwks })
      await setup.source.fetchJwk('k1')
      setup.answers = { [WELL_KNOWN]: gone, [JWKS]: jwks }
      t.same(await setup.source.fetchJwk('k1'), k1.jwk)
      t.equal(setup.source.url, setup.server.origin + JWKS)
      t.same(setup.lines.map(({ fields }) => fields), [{ jwksUrl: setup.urls[0] }, { jwksUrl: setup.urls[1] }])
      setup.asked.length = 0
      await setup.source.fetchJwk('k2')
      t.same(setup.asked, [JWKS])
    }
  })

  t.test('again after all of them failed', async t => {
    const setup = await setUp(t, {})
    t.equal(await codeOf(setup.source.fetchJwk('k1')), 'no_jwks')
    setup.answers[JWKS] = jwks
    t.same(await setup.source.fetchJwk('k1'), k1.jwk)
  })

  t.test('and keeps it while the server cannot be reached', async t => {
    const { source, server, asked } = await setUp(t, { [JWKS]: jwks })
    await source.fetchJwk('k1')
    await server.stop()
    t.match(await codeOf(source.fetchJwk('k1')), /^(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET)$/)
    t.equal(source.url, server.origin + JWKS)
    await server.start()
    asked.length = 0
    await source.fetchJwk('k1')
    t.same(asked, [JWKS])
  })

  t.test('in one search, shared by requests for different keys', async t => {
    const { source, asked, lines } = await setUp(t, { [JWKS]: jwks })
    const kids = ['k1', 'k2', 'k1', 'unknown', 'k2']
    const found = await Promise.all(kids.map(kid => source.fetchJwk(kid)))
    t.same(found, [k1.jwk, k2.jwk, k1.jwk, undefined, k2.jwk])
    t.equal(asked.filter(path => path === WELL_KNOWN).length, 1)
    t.equal(asked.filter(path => path === JWKS).length, kids.length)
    t.equal(lines.length, 1)
  })

  t.test('in one search, shared by requests that fail with it', async t => {
    const { source, asked, lines } = await setUp(t, {})
    const codes = await Promise.all(['k1', 'k2', 'k3'].map(kid => codeOf(source.fetchJwk(kid))))
    t.same(codes, ['no_jwks', 'no_jwks', 'no_jwks'])
    t.ok(asked.length <= 2 * PATHS.length, `${asked.length} requests`)
    t.equal(lines.length, 1)
  })

  t.test('in one search, when it was lost under several requests at once', async t => {
    const setup = await setUp(t, { [WELL_KNOWN]: jwks })
    await setup.source.fetchJwk('k1')
    setup.answers = { [JWKS]: jwks }
    setup.asked.length = 0
    const found = await Promise.all(['k1', 'k2', 'k1'].map(kid => setup.source.fetchJwk(kid)))
    t.same(found, [k1.jwk, k2.jwk, k1.jwk])
    t.equal(setup.lines.length, 2)
    t.equal(setup.source.url, setup.server.origin + JWKS)
  })

  t.test('and ignores a late response that says the old one is gone', async t => {
    const setup = await setUp(t, { [WELL_KNOWN]: jwks })
    await setup.source.fetchJwk('k1')
    const late: ServerResponse[] = []
    setup.answers = { [WELL_KNOWN]: (_request, response) => { late.push(response) }, [JWKS]: jwks }
    const slow = setup.source.fetchJwk('k2')
    while (late.length === 0) await sleep(5)
    setup.answers[WELL_KNOWN] = notFound
    t.same(await setup.source.fetchJwk('k1'), k1.jwk)
    setup.asked.length = 0
    late[0]!.writeHead(404).end()
    t.same(await slow, k2.jwk)
    t.equal(setup.source.url, setup.server.origin + JWKS)
    t.same(setup.asked, [JWKS], 'the address that others found meanwhile is taken')
  })
})

t.test('says what is wrong', async t => {
  t.test('in one line, when no URL has a JWKS: the response of each, and which option helps', async t => {
    const setup = await setUp(t, {
      [WELL_KNOWN]: send(200, '<html>'), [JWKS]: send(200, '{"keys":[]}'), [PATHS[2]]: notFound
    })
    for (let i = 0; i < 3; i++) t.equal(await codeOf(setup.source.fetchJwk('k1')), 'no_jwks')
    t.equal(setup.lines.length, 1)
    const { level, msg, fields } = setup.lines[0]!
    t.equal(level, 'error')
    const answers = ['HTTP 200 without JSON', 'JSON without keys', 'HTTP 404']
    t.same(fields, { tried: setup.urls.map((url, i) => ({ url, response: answers[i] })) })
    for (const [i, url] of setup.urls.entries()) t.match(msg, `${url} returned ${answers[i]}`)
    t.match(msg, 'jwksPath')
    t.equal(setup.source.url, null)
  })

  t.test('again only when something else is wrong, or when it was right between', async t => {
    const setup = await setUp(t, {})
    const news = async () => {
      await codeOf(setup.source.fetchJwk('k1'))
      await codeOf(setup.source.fetchJwk('k1'))
      return setup.lines.splice(0).map(({ level }) => level)
    }
    t.same(await news(), ['error'])
    setup.answers[JWKS] = send(403, '')
    t.same(await news(), ['error'])
    setup.answers[JWKS] = jwks
    t.same(await news(), ['info'])
    setup.answers[JWKS] = send(403, '')
    t.same(await news(), ['error'])
  })

  const troubles: Record<string, Respond> = {
    'HTTP 500': send(500, '{"message":"said by the server"}'),
    'HTTP 502': send(502, '<h1>said by the server</h1>'),
    'HTTP 503': send(503, ''),
    'HTTP 504': send(504, 'said by the server'),
    'HTTP 429': send(429, '{}'),
    'a malformed JWKS': send(200, '{"keys":[null]}')
  }
  for (const [answer, respond] of Object.entries(troubles)) {
    for (const paths of [PATHS, [JWKS]]) {
      t.test(`never blames the path when the server has a fault: ${answer} at one of ${paths.length}`, async t => {
        const { source, lines, urls } = await setUp(t, { [JWKS]: respond }, paths)
        t.equal(await codeOf(source.fetchJwk('k1')), 'no_jwks')
        t.equal(lines.length, 1)
        t.equal(lines[0]!.level, 'error')
        t.match(lines[0]!.msg, `${urls.find(url => url.endsWith(JWKS))} returned ${answer}`)
        t.notMatch(lines[0]!.msg, 'jwksPath')
        t.notMatch(JSON.stringify(lines), 'said by the server')
      })
    }
  }

  t.test('never with a body', async t => {
    for (const status of [200, 302, 404, 500]) {
      for (const body of [
        '<p>said by the server</p>', '{"said by the server":true}', '{"keys":"said by the server"}'
      ]) {
        const { source, lines } = await setUp(t, { [JWKS]: send(status, body) }, [JWKS])
        const error = await source.fetchJwk('k1').catch((error: Error) => error) as Error
        t.equal(lines.length, 1)
        t.notMatch(JSON.stringify(lines), 'said by the server')
        t.notMatch(`${error.stack}${JSON.stringify(error)}`, 'said by the server')
      }
    }
  })
})
