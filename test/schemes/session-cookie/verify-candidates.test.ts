import { channel } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { CHANNELS, type VerificationMessage } from '../../../lib/index.js'
import { verifyCandidates } from '../../../lib/schemes/session-cookie/verify-candidates.js'
import { captureLog, type LogCapture } from '../../fixtures/api.js'
import { cookieHeader } from '../../fixtures/cookie-server.js'
import { startJwks, startJwksServer } from '../../fixtures/jwks-server.js'
import { rawRequest } from '../../fixtures/raw-request.js'
import {
  createCookie, get, getWith, isoIn, KEY, NAME, now, split, startCookieApi, TYP, type Cookies, type Fields
} from '../../fixtures/session-cookie.js'
import { createSigningKey, signJws } from '../../fixtures/signing.js'

const SECURE = `__Secure-${NAME}`
const HOST = `__Host-${NAME}`

interface World {
  readonly app: FastifyInstance
  readonly log: LogCapture
  /** A valid cookie of a user, and of a session. */
  of (id: string, token?: string, claims?: Fields, user?: Fields): string
}

async function createWorld (t: Test): Promise<World> {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startCookieApi(t, { authUrl: jwks.origin }, log)
  return {
    app,
    log,
    of: (id, token = `session-of-${id}`, claims = {}, user = {}) =>
      createCookie(jwks.origin, { sub: id, sid: token, ...claims }, { id, ...user }, { userId: id, token })
  }
}

/** The cookie in chunks of one size, under a name. */
const chunksOf = (cookie: string, count: number, name = NAME) =>
  split(cookie, count).map(([chunk, value]): [string, string] => [chunk.replace(NAME, name), value])

t.test('a sibling host that sets a cookie of the same name', async t => {
  const { app, log, of } = await createWorld(t)
  const victim = of('victim')
  const attacker = of('attacker')
  const [zero, one, two] = chunksOf(victim, 3) as [[string, string], [string, string], [string, string]]
  const garbage = (count: number): Cookies => Array.from({ length: count }, (_, index) => [NAME, `a.b.${index}`])

  const cases: Array<[name: string, cookies: Cookies, outcome: string]> = [
    ['does not lock the user out with garbage before it', [[NAME, 'x'], [NAME, victim]], 'victim'],
    ['nor with garbage behind it', [[NAME, victim], [NAME, 'x']], 'victim'],
    ['nor with a cookie of a foreign issuer', [[NAME, createCookie('https://evil.example')], [NAME, victim]], 'victim'],
    ['nor with an expired one', [[NAME, of('attacker', 's', { exp: now() - 60 })], [NAME, victim]], 'victim'],
    ['nor with three of them', [...garbage(3), [NAME, victim]], 'victim'],
    ['nor with many that are the same', [...Array(9).fill([NAME, 'x']) as Cookies, [NAME, victim]], 'victim'],
    ['cannot put its own session in place of the user\'s', [[NAME, attacker], [NAME, victim]], 'cookie_ambiguous'],
    ['from whichever side', [[NAME, victim], [NAME, attacker]], 'cookie_ambiguous'],
    ['nor hide the user\'s behind many others', [[NAME, attacker], ...garbage(3), [NAME, victim]], 'cookie_ambiguous'],
    ['nor another session of the same user', [[NAME, of('victim', 'another')], [NAME, victim]], 'cookie_ambiguous'],
    ['nor a session with the same token of another user', [
      [NAME, of('attacker', 'session-of-victim')], [NAME, victim]
    ], 'cookie_ambiguous'],
    ['nor a whole cookie beside chunks', [[NAME, attacker], zero, one, two], 'cookie_ambiguous'],
    ['nor chunks beside a whole cookie', [...chunksOf(attacker, 2), [NAME, victim]], 'cookie_ambiguous'],
    ['nor chunks beside chunks', [...chunksOf(attacker, 2), ...chunksOf(victim, 2)], 'cookie_ambiguous'],
    ['nor more chunks than the user has', [...chunksOf(attacker, 3), ...chunksOf(victim, 2)], 'cookie_ambiguous'],
    ['nor fewer', [...chunksOf(attacker, 2), ...chunksOf(victim, 3)], 'cookie_ambiguous'],
    ['nor a cookie in one chunk', [[`${NAME}.0`, attacker], zero, one, two], 'cookie_ambiguous'],
    ['does not lock the user out with a whole cookie beside chunks', [zero, one, two, [NAME, 'a.b']], 'victim'],
    ['nor with the first chunk', [[zero[0], 'A'.repeat(zero[1].length)], zero, one, two], 'victim'],
    ['nor with one in the middle', [zero, [one[0], 'A'.repeat(one[1].length)], one, two], 'victim'],
    ['nor with the last one', [zero, one, [two[0], 'AAAA'], two], 'victim'],
    ['nor with one of another length', [zero, [one[0], 'garbage'], one, two], 'victim'],
    ['nor with chunks beside a whole cookie', [[`${NAME}.0`, 'garbage'], [NAME, victim]], 'victim'],
    ['nor with a part of a cookie', [[`${NAME}.1`, 'garbage'], [NAME, victim]], 'victim'],
    ['that sets too many ends in a refusal', [...garbage(4), [NAME, victim]], 'cookie_ambiguous'],
    ['so do too many first chunks', [
      ...Array.from({ length: 5 }, (_, index) => [`${NAME}.0`, `aaa${index}`] as const), zero, one, two
    ], 'cookie_ambiguous'],
    ['so do too many chunks', [...chunksOf(attacker, 3), ...chunksOf(victim, 3)], 'cookie_ambiguous'],
    ['alone with garbage is an invalid cookie', garbage(2), 'token_malformed']
  ]
  for (const [name, cookies, outcome] of cases) {
    await t.test(name, async t => {
      const { status, body } = await getWith(app, cookies)
      if (outcome === 'victim') {
        t.match({ status, id: body.user?.id }, { status: 200, id: 'victim' })
        return
      }
      t.match({ status, code: body.code }, { status: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
      t.equal(log.refusals().at(-1)!.reason, outcome)
      t.match(await getWith(app, cookies, '/maybe'), { status: 401 }, 'nor is it an anonymous request')
    })
  }
})

t.test('chunks behind the last one are not part of the cookie', async t => {
  const { app, of } = await createWorld(t)
  const cookie = of('victim')
  const size = Math.ceil(cookie.length / 3) + 1
  const chunks = [0, 1, 2].map((index): [string, string] => {
    return [`${NAME}.${index}`, cookie.slice(index * size, (index + 1) * size)]
  })
  for (const number of ['3', '4', '99', '100', '9999', '9'.repeat(400)]) {
    const { status } = await getWith(app, [[`${NAME}.${number}`, 'AAAA'], ...chunks])
    t.equal(status, 200, number.slice(0, 10))
  }
})

t.test('of cookies from before and after a switch to crossSubDomainCookies, the newest counts', async t => {
  const { app, of } = await createWorld(t)
  const stale = of('u_1', 's', { exp: now() + 60 }, { name: 'stale' })
  const fresh = of('u_1', 's', { exp: now() + 300 }, { name: 'fresh' })
  for (const cookies of [
    [[NAME, stale], [NAME, fresh]],
    [[NAME, fresh], [NAME, stale]],
    [...split(stale, 2), [NAME, fresh]],
    [...split(stale, 2), ...split(fresh, 3)]
  ] as Cookies[]) {
    t.match((await getWith(app, cookies)).body.user, { id: 'u_1', name: 'fresh' })
  }
  const expired = of('u_1', 's', { exp: now() - 60 })
  t.equal((await getWith(app, [[NAME, expired], [NAME, fresh]])).body.user!.name, 'fresh')
  const ended = createCookie('', {}, {}, { expiresAt: isoIn(-60) })
  t.equal((await getWith(app, [[NAME, ended], [NAME, fresh]])).body.user!.name, 'fresh')
  t.match(await getWith(app, [[NAME, expired], [NAME, 'x']]), {
    status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' }
  }, 'of several that are invalid, the first tells why')
})

t.test('a name with a prefix counts before one that any host of the domain can set', async t => {
  const { app, log, of } = await createWorld(t)
  const victim = of('victim')
  const attacker = of('attacker')
  const tossed: Cookies = Array.from({ length: 9 }, (_, index) => [SECURE, `a.b.${index}`])
  t.equal((await getWith(app, [[NAME, attacker], [SECURE, victim]])).body.user?.id, 'victim')
  t.equal((await getWith(app, [[SECURE, attacker], [HOST, victim]])).body.user?.id, 'victim')
  t.equal((await getWith(app, [...tossed, [HOST, victim]])).body.user?.id, 'victim', 'however many there are')
  t.equal((await getWith(app, [...chunksOf(victim, 2, HOST), [SECURE, attacker]])).body.user?.id, 'victim')
  t.equal((await getWith(app, [[SECURE, 'a.b.c'], [NAME, victim]])).body.user?.id, 'victim', 'if it is valid')
  t.equal((await getWith(app, [[HOST, 'a.b.c'], ...tossed, [NAME, victim]])).status, 401)
  t.equal(log.refusals().at(-1)!.reason, 'cookie_ambiguous')
  t.equal((await getWith(app, [[`${HOST}.1`, 'x'], [SECURE, 'a.b.c']])).status, 401)
  t.equal(log.refusals().at(-1)!.reason, 'cookie_malformed')
})

t.test('in an outage nobody can tell whether another cookie is valid: 503', async t => {
  const jwks = await startJwksServer([KEY.jwk])
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  const valid = createCookie(jwks.origin)
  const unknown = signJws(createSigningKey(), {}, { typ: TYP })
  t.equal((await getWith(app, [[NAME, valid]])).status, 200)
  await jwks.stop()
  t.equal((await getWith(app, [[NAME, 'a.b.c'], [NAME, valid]])).status, 200, 'if no other key is needed')
  for (const cookies of [
    [[NAME, unknown], [NAME, valid]], [[NAME, valid], [NAME, unknown]], [[NAME, 'a.b.c'], [NAME, unknown]],
    [[SECURE, unknown], [NAME, valid]]
  ] as Cookies[]) {
    for (const url of ['/me', '/maybe']) {
      t.match(await getWith(app, cookies, url), { status: 503, body: { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' } })
    }
  }
  t.equal((await getWith(app, [[SECURE, valid], [NAME, unknown]])).status, 200, 'unless its name counts for less')
})

t.test('several Cookie headers are one', async t => {
  const { app, of } = await createWorld(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const victim = `Cookie: ${NAME}=${of('victim')}`
  const attacker = `${NAME}=${of('attacker')}`
  for (const [first, status] of [['theme=dark', 200], [`${NAME}=x`, 200], [attacker, 401]] as const) {
    t.equal((await rawRequest(port, '/me', [`Cookie: ${first}`, victim])).status, status, first)
  }
})

t.test('the diagnostics channel says of several cookies whether all had been seen', async t => {
  const { app, of } = await createWorld(t)
  const messages: VerificationMessage[] = []
  const listener = (message: unknown) => { messages.push(message as VerificationMessage) }
  channel(CHANNELS.verification).subscribe(listener)
  t.teardown(() => { channel(CHANNELS.verification).unsubscribe(listener) })
  const one = of('u_1', 's')
  const other = of('u_1', 's', { exp: now() + 200 })
  await get(app, cookieHeader([[NAME, one], [NAME, 'x']]))
  await get(app, cookieHeader([[NAME, one], [NAME, 'x']]))
  await get(app, cookieHeader([[NAME, one], [NAME, other]]))
  await get(app, cookieHeader([[NAME, 'x'], [NAME, 'y']]))
  t.match(messages, [
    { credential: 'cookie', outcome: 'accepted', cached: false },
    { credential: 'cookie', outcome: 'accepted', cached: true },
    { credential: 'cookie', outcome: 'accepted', cached: false },
    { credential: 'cookie', outcome: 'refused', reason: 'token_malformed', cached: false }
  ])
})

t.test('an error that is no refusal ends the search, whatever status it has', async t => {
  const broken = Object.assign(new Error('of a callback'), { statusCode: 401 })
  const verifier = { verify: () => { throw broken }, assertWellFormed () {} }
  await t.rejects(verifyCandidates(verifier, [['a', 'b'], 'cookie_malformed', 'cookie_ambiguous']), broken)
})
