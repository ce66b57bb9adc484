import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createJwksSource } from '../../lib/auth-server/find-jwks.js'
import { codeOf, JWKS, jwks, notFound, PATHS, setUp, TIMEOUT } from '../fixtures/jwks-source.js'
import { send, startJwksServer, type Respond } from '../fixtures/jwks-server.js'
import { k1, k2 } from '../fixtures/key-store.js'
import { recordLog } from '../fixtures/log.js'

t.test('fetches a key', async t => {
  t.test('as the JWKS has it, or none', async t => {
    const { source } = await setUp(t, { [JWKS]: jwks }, [JWKS])
    t.same(await source.fetchJwk('k1'), k1.jwk)
    t.same(await source.fetchJwk('k2'), k2.jwk)
    t.equal(await source.fetchJwk('k3'), undefined)
    t.equal(await source.fetchJwk(''), undefined)
  })

  t.test('again each time: nothing is remembered of the last response', async t => {
    const setup = await setUp(t, { [JWKS]: jwks }, [JWKS])
    t.same(await setup.source.fetchJwk('k1'), k1.jwk)
    setup.answers[JWKS] = send(200, JSON.stringify({ keys: [k2.jwk] }))
    t.equal(await setup.source.fetchJwk('k1'), undefined)
    t.equal(setup.asked.length, 2)
  })

  t.test('with a request that asks for JSON, not compressed', async t => {
    const setup = await setUp(t, {}, [JWKS])
    let headers: IncomingMessage['headers'] = {}
    setup.answers[JWKS] = (request, response) => { headers = request.headers; jwks(request, response) }
    await setup.source.fetchJwk('k1')
    t.match(headers, { accept: 'application/json', 'accept-encoding': 'identity' })
    t.notOk('cookie' in headers)
    t.notOk('authorization' in headers)
  })

  t.test('whatever its name is', async t => {
    const names = ['a/b', '../../x', 'ä ☃ 😀', '%00', '__proto__', 'constructor', '"', ' ', 'k'.repeat(512)]
    const setup = await setUp(
      t, { [JWKS]: send(200, JSON.stringify({ keys: names.map(kid => ({ ...k1.jwk, kid })) })) }, [JWKS]
    )
    for (const kid of names) t.equal((await setup.source.fetchJwk(kid))?.kid, kid)
    t.ok(setup.asked.every(path => path === JWKS))
  })

  t.test('from a server that names no content type, or another', async t => {
    for (const type of [undefined, 'text/plain', 'application/jwk-set+json']) {
      const { source } = await setUp(
        t,
        { [JWKS]: send(200, JSON.stringify({ keys: [k1.jwk] }), type === undefined ? {} : { 'content-type': type }) },
        [JWKS]
      )
      t.same(await source.fetchJwk('k1'), k1.jwk)
    }
  })
})

t.test('takes nothing for a JWKS but a JWKS', async t => {
  const bodies = [
    '', 'null', 'true', '5', '"keys"', '[]', '{}', '{"keys":null}', '{"keys":{}}', '{"keys":{"length":1}}',
    '{"keys":"keys"}', '{"keys":5}', '{"keys":[]}', '{"keys":[null]}', '{"keys":[', '<html></html>', '\u0000',
    '{"keys":[]}{"keys":[]}', `[${JSON.stringify(k1.jwk)}]`, JSON.stringify(k1.jwk)
  ]
  for (const body of bodies) {
    t.test(JSON.stringify(body).slice(0, 60), async t => {
      const { source } = await setUp(t, { [JWKS]: send(200, body) }, [JWKS])
      t.equal(await codeOf(source.fetchJwk('k1')), 'no_jwks')
    })
  }

  t.test('a null entry behind the key does no harm to it', async t => {
    const { source } = await setUp(t, { [JWKS]: send(200, JSON.stringify({ keys: [k1.jwk, null] })) }, [JWKS])
    t.same(await source.fetchJwk('k1'), k1.jwk)
    t.equal(await codeOf(source.fetchJwk('k2')), 'no_jwks')
  })
})

t.test('follows no redirect', async t => {
  for (const status of [301, 302, 303, 307, 308]) {
    for (const [name, body] of [
      ['an empty body', ''], ['HTML', '<a>here</a>'], ['a JWKS as its body', JSON.stringify({ keys: [k1.jwk] })]
    ] as const) {
      t.test(`${status} with ${name}`, async t => {
        const target = await startJwksServer([k1.jwk])
        t.teardown(() => target.stop())
        let asked = 0
        target.respond = (request, response) => { asked++; jwks(request, response) }
        const {
          source, lines
        } = await setUp(t, { [JWKS]: send(status, body, { location: `${target.origin}${JWKS}` }) }, [JWKS])
        t.equal(await codeOf(source.fetchJwk('k1')), 'no_jwks')
        t.equal(asked, 0)
        t.match(lines[0]!.msg, `returned HTTP ${status}`)
      })
    }
  }
})

t.test('one timeout covers it all', async t => {
  const cases: Record<string, Respond> = {
    'a server that never answers': () => {},
    'headers and then nothing': (_request, response) => { response.writeHead(200).flushHeaders() },
    'a body in drips': (_request, response) => {
      const drip = setInterval(() => { response.write(' ') }, 20)
      response.on('close', () => clearInterval(drip))
    }
  }
  for (const [name, respond] of Object.entries(cases)) {
    t.test(name, async t => {
      let closed: Promise<unknown> | undefined
      const { source, lines } = await setUp(t, {
        [JWKS] (request, response) {
          closed = once(response, 'close')
          respond(request, response)
        }
      }, [JWKS], 150)
      t.equal(await codeOf(source.fetchJwk('k1')), 'timeout')
      t.same(lines, [])
      await closed
      t.pass('and the connection is given up')
    })
  }

  t.test('URLs that are slow one after the other', async t => {
    const slowly: Respond = (_request, response) => { setTimeout(() => response.writeHead(404).end(), 400).unref() }
    const { source, asked } = await setUp(t, Object.fromEntries(PATHS.map(path => [path, slowly])), PATHS, 600)
    t.equal(await codeOf(source.fetchJwk('k1')), 'timeout')
    t.equal(asked.length, 2)
  })

  t.test('a server that responds once and hangs at the request for its status', async t => {
    const setup = await setUp(t, {}, [JWKS], 300)
    setup.answers[JWKS] = (request, response) => { if (setup.asked.length === 1) notFound(request, response) }
    t.equal(await codeOf(setup.source.fetchJwk('k1')), 'timeout')
  })

  t.test('and each fetch has its own', async t => {
    const setup = await setUp(t, { [JWKS]: () => {} }, [JWKS], 150)
    for (let i = 0; i < 3; i++) t.equal(await codeOf(setup.source.fetchJwk('k1')), 'timeout')
    setup.answers[JWKS] = jwks
    await sleep(200)
    t.same(await setup.source.fetchJwk('k1'), k1.jwk)
  })
})

t.test('a server that hangs up at the request for its status', async t => {
  const setup = await setUp(t, {}, [JWKS])
  setup.answers[JWKS] = (request, response) => {
    if (setup.asked.length === 1) notFound(request, response)
    else request.socket.destroy()
  }
  t.match(await codeOf(setup.source.fetchJwk('k1')), /^(ECONNRESET|UND_ERR_SOCKET)$/)
})

t.test('a failure without a code is one of the network', async t => {
  const { lines, log } = recordLog()
  // Port 1 is one that fetch() refuses to call.
  t.equal(await codeOf(createJwksSource(['http://127.0.0.1:1/jwks'], TIMEOUT, log).fetchJwk('k1')), 'network')
  t.same(lines, [])
})
