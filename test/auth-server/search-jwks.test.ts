import t from 'tap'
import { searchJwks, type Search } from '../../lib/auth-server/search-jwks.js'
import { send, type Respond } from '../fixtures/jwks-server.js'
import {
  after, ENTRIES, foreign, jwks, never, notFound, OWN, OWN_WELL_KNOWN, PATHS, SHARED, SHARED_JWKS, startPaths, TIMEOUT
} from '../fixtures/jwks-source.js'

function pathOf ({ found }: Search): string | undefined {
  return found === undefined ? undefined : new URL(found.url).pathname
}

/** What the URLs returned, in order. */
const textsOf = ({ tried }: Search) => tried.map(({ text }) => text)

/** Failures of a server that say nothing about where its JWKS is. */
const FAILURES: Record<string, Respond> = {
  'HTTP 500': send(500, 'x'),
  'HTTP 502': send(502, '<h1>Bad Gateway</h1>'),
  'HTTP 503': send(503, ''),
  'HTTP 504': send(504, JSON.stringify({ keys: ENTRIES })),
  'HTTP 408': send(408, ''),
  'HTTP 425': send(425, ''),
  'longer than 1 MB': send(200, JSON.stringify({ keys: ENTRIES, x: 'x'.repeat(2 ** 20) })),
  'a compressed response': send(200, 'x', { 'content-encoding': 'gzip' }),
  timeout: never
}

/** Responses that say that the JWKS is elsewhere. */
const ELSEWHERE: Record<string, Respond> = {
  '404 without a body': notFound,
  '404 with a JWKS as its body': send(404, JSON.stringify({ keys: ENTRIES })),
  '401 with JSON': send(401, '{}'),
  '200 with HTML': send(200, '<html>app</html>'),
  '200 without a body': send(200, ''),
  '200 with other JSON': send(200, '{"ok":true}'),
  '200 with deep JSON': send(200, `{"keys":${'['.repeat(20)}${']'.repeat(20)}}`),
  'a redirect': send(302, '', { location: OWN })
}

t.test('URLs are tried in order, up to the first that returns a JWKS', async t => {
  for (const [name, respond] of Object.entries(ELSEWHERE)) {
    for (const [i, path] of PATHS.entries()) {
      const { urls, asked } = await startPaths(t, {
        ...Object.fromEntries(PATHS.map(one => [one, respond])), [path]: jwks
      })
      const search = await searchJwks(urls, {}, TIMEOUT)
      t.strictSame(search.found?.entries, ENTRIES, `${path}, where the others return ${name}`)
      t.equal(search.found?.url, urls[i])
      t.strictSame(search.tried.map(({ url }) => url), urls.slice(0, i + 1))
      t.equal(search.tried.at(-1), search.found)
      t.strictSame(asked, PATHS.slice(0, i + 1))
    }
  }
})

t.test('without a JWKS, all of them are tried', async t => {
  const { urls, asked } = await startPaths(t, { [OWN]: send(200, '<html>') })
  const search = await searchJwks(urls, {}, TIMEOUT)
  t.equal(search.found, undefined)
  t.strictSame(asked, [...PATHS])
  t.strictSame(textsOf(search), ['HTTP 200 without JSON', 'HTTP 404', 'HTTP 404', 'HTTP 404'])
})

t.test('a JWKS without keys is a JWKS', async t => {
  const { urls } = await startPaths(t, { [OWN]: send(200, '{"keys":[]}'), [SHARED]: jwks })
  t.match(await searchJwks(urls, {}, TIMEOUT), { found: { url: urls[0], entries: [] } })
})

for (const [failure, respond] of Object.entries(FAILURES)) {
  // Only a timeout has to be waited for.
  const timeout = failure === 'timeout' ? 600 : TIMEOUT

  t.test(`while Better Auth's own URL fails (${failure}), a JWKS that others may share does not count`, async t => {
    const { urls } = await startPaths(t, { [OWN]: respond, [SHARED]: foreign, [SHARED_JWKS]: foreign })
    const search = await searchJwks(urls, {}, timeout)
    t.equal(search.found, undefined)
    const theirs = 'a JWKS that may be of somebody else'
    t.strictSame(textsOf(search), [failure, theirs, 'HTTP 404', theirs])
    t.match(search.tried[1], { entries: undefined, code: 'no_jwks', isTrouble: false })
  })

  t.test(`nor does it end the search for one that is Better Auth's (${failure})`, async t => {
    const { urls } = await startPaths(t, { [OWN]: respond, [SHARED]: foreign, [OWN_WELL_KNOWN]: jwks })
    t.equal(pathOf(await searchJwks(urls, {}, timeout)), OWN_WELL_KNOWN)
  })

  t.test(`but a JWKS at another URL of Better Auth does (${failure})`, async t => {
    const { urls } = await startPaths(t, { [OWN]: respond, [OWN_WELL_KNOWN]: jwks })
    const search = await searchJwks(urls, {}, timeout)
    t.equal(pathOf(search), OWN_WELL_KNOWN)
    t.strictSame(textsOf(search), [failure, 'HTTP 404', 'a JWKS'])
  })

  t.test(`a failure of a later URL (${failure}) does not affect the first`, async t => {
    const { urls } = await startPaths(t, { [OWN]: after(200, jwks), [SHARED]: respond })
    t.equal(pathOf(await searchJwks(urls, {}, 600)), OWN)
  })
}

t.test('below a base path, no URL is shared', async t => {
  const paths = ['/auth/jwks', '/auth/.well-known/jwks.json']
  const { urls } = await startPaths(t, { [paths[0]!]: send(502, ''), [paths[1]!]: jwks }, paths)
  t.equal(pathOf(await searchJwks(urls, {}, TIMEOUT)), paths[1])
})

t.test('a server that asks to wait is asked once', async t => {
  const { urls, asked } = await startPaths(t, { [OWN]: send(429, '', { 'x-retry-after': '7' }), [SHARED]: jwks })
  const search = await searchJwks(urls, {}, TIMEOUT)
  t.match(search, { found: undefined, tried: [{ code: 'rate_limited', retryAfter: 7000, isTrouble: true }] })
  t.equal(search.tried.length, 1)
  t.strictSame(asked, [OWN])
})

t.test('a server that cannot be reached is asked once', async t => {
  const { urls, server, asked } = await startPaths(t, {})
  await server.stop()
  const search = await searchJwks(urls, {}, TIMEOUT)
  t.match(search, { found: undefined, tried: [{ code: 'connection_refused', status: null, isTrouble: true }] })
  t.equal(search.tried.length, 1)
  t.strictSame(asked, [])
})

t.test('time', async t => {
  t.test('one slow 404 within the timeout does not doom the search', async t => {
    const { urls } = await startPaths(t, { [OWN]: after(900, notFound), [OWN_WELL_KNOWN]: jwks })
    t.equal(pathOf(await searchJwks(urls, {}, 1200)), OWN_WELL_KNOWN)
  })

  t.test('after the share of the first URL the next is tried, and the first counts if it responds', async t => {
    const { urls, asked } = await startPaths(t, { [OWN]: after(500, jwks), [SHARED]: foreign })
    t.equal(pathOf(await searchJwks(urls, {}, 1200)), OWN)
    t.strictSame(asked.slice(0, 2), [OWN, SHARED])
  })

  t.test('the timeout is for all URLs together', async t => {
    const { urls, asked } = await startPaths(t, Object.fromEntries(PATHS.map(path => [path, never])))
    const startedAt = performance.now()
    const search = await searchJwks(urls, {}, 1000)
    const elapsed = performance.now() - startedAt
    t.ok(elapsed >= 990 && elapsed < 1700, `${elapsed} ms`)
    t.strictSame(textsOf(search), ['timeout', 'timeout', 'timeout', 'timeout'])
    t.strictSame(asked, [...PATHS])
  })

  t.test('a timeout of 0 asks for nothing that it waits for', async t => {
    const { urls } = await startPaths(t, { [OWN]: never })
    const { found, tried } = await searchJwks(urls, {}, 0)
    t.equal(found, undefined)
    t.ok(tried.every(({ code }) => code === 'timeout'))
  })

  t.test('when a JWKS is found, the other requests end', async t => {
    let closed: Promise<unknown> | undefined
    const { urls } = await startPaths(t, {
      [OWN]: notFound,
      [SHARED] (_request, response) { closed = new Promise(resolve => { response.on('close', resolve) }) },
      [OWN_WELL_KNOWN]: after(1100, jwks)
    }, [OWN, OWN_WELL_KNOWN, SHARED])
    t.equal(pathOf(await searchJwks(urls, {}, 3000)), OWN_WELL_KNOWN)
    const found = performance.now()
    await closed
    t.ok(performance.now() - found < 800, 'their connections are closed at once, and not by the timeout')
  })

  t.test('when a JWKS is found, no timer keeps the process alive', async t => {
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    const { urls } = await startPaths(t, { [OWN]: jwks })
    t.equal(pathOf(await searchJwks(urls, {}, TIMEOUT)), OWN)
    t.ok(timers() <= before)
  })
})

t.test('each request has the headers', async t => {
  const seen: unknown[] = []
  const { urls } = await startPaths(t, Object.fromEntries(PATHS.map(path => [path, (request, response) => {
    seen.push(request.headers['x-key'])
    notFound(request, response)
  }])))
  await searchJwks(urls, { 'x-key': 'v' }, TIMEOUT)
  t.strictSame(seen, ['v', 'v', 'v', 'v'])
})
