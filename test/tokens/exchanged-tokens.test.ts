import { createHash } from 'node:crypto'
import t from 'tap'
import { TokenInvalidError } from '../../lib/contract/errors.js'
import { createExchangeWorld, credentialOf, down, type ExchangeWorld } from '../fixtures/exchanged-tokens.js'
import { DOWN, k2, settle } from '../fixtures/key-store.js'
import { refusalOf } from '../fixtures/refusals.js'
import { signHmac } from '../fixtures/signing.js'

const TOKEN = credentialOf('secret-session-token')
const KEY = credentialOf('secret.api.key', 'api-key')
const COOKIE = credentialOf('secret-session-token.c2lnbmF0dXJl', 'session-cookie')
const MINUTE = 60_000

/** Whom a credential stands for, or why it is refused; `later` if a request has to wait for it. */
async function ask ({ sessions }: ExchangeWorld, credential = TOKEN): Promise<string> {
  const trace = { cached: false }
  try {
    const found = sessions.verify(credential, trace)
    const isLater = found instanceof Promise
    const { user } = await found
    return `${user!.id}${isLater ? ' later' : ''}${trace.cached ? ' cached' : ''}`
  } catch (error) {
    return (await refusalOf(() => { throw error })).reason
  }
}

t.test('a credential is exchanged once, and then costs nothing', async t => {
  const world = await createExchangeWorld()
  t.equal(await ask(world), 'u_1 later')
  t.equal(await ask(world), 'u_1 cached')
  const { text: token, request } = TOKEN
  const address = request!.ip
  const header = { name: 'x-credential', value: token }
  const call = { header, address, isKnown: false, token, maxAge: 60_000, after: -Infinity }
  t.strictSame(world.client.calls, [call])
  t.equal(world.sessions.verify(TOKEN), world.sessions.verify(TOKEN), 'without a trace too')
})

t.test('it is named as it was presented', async t => {
  const { sessions } = await createExchangeWorld()
  for (const credential of [TOKEN, COOKIE, KEY]) {
    const { via, user, token } = await sessions.verify(credential)
    t.strictSame([via, user!.id, token.split('.').length], [credential.via, 'u_1', 3])
  }
})

t.test('the same text as another kind of credential is another', async t => {
  const world = await createExchangeWorld()
  for (const via of ['session-token', 'session-cookie', 'api-key'] as const) {
    t.equal(await ask(world, credentialOf('one-text', via)), 'u_1 later', via)
  }
  t.equal(world.client.calls.length, 3)
})

t.test('a session is exchanged in the background from 0.8 of maxAge on, and after maxAge while all wait', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  await ask(world)
  clock.advance(47_999)
  t.equal(await ask(world), 'u_1 cached')
  t.equal(client.calls.length, 1)

  clock.advance(1)
  client.held = []
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_2') })
  t.equal(await ask(world), 'u_1 cached', 'nobody waits for it')
  t.match(client.calls[1], { isKnown: true })
  clock.advance(11_999)
  t.equal(await ask(world), 'u_1 cached')
  t.equal(client.calls.length, 2, 'there is one at a time')

  clock.advance(1)
  const waiting = ask(world)
  t.equal(client.calls.length, 2, 'also for those who wait')
  client.held[0]!()
  t.equal(await waiting, 'u_2 later')
  client.held = undefined
  clock.advance(47_999 - 12_000)
  t.equal(await ask(world), 'u_2 cached', 'its age counts from the begin of the exchange')
  t.equal(client.calls.length, 2)
  clock.advance(1)
  await ask(world)
  t.equal(client.calls.length, 3)
})

t.test('the background waits for the end of a pause', async t => {
  const world = await createExchangeWorld()
  await ask(world)
  world.client.pausing = true
  world.clock.advance(50_000)
  t.equal(await ask(world), 'u_1 cached')
  t.equal(world.client.calls.length, 1)
})

t.test('a failure in the background concerns nobody', async t => {
  const world = await createExchangeWorld()
  await ask(world)
  world.client.respond = down
  world.clock.advance(50_000)
  t.equal(await ask(world), 'u_1 cached')
  await settle()
  t.equal(await ask(world), 'u_1 cached')
})

t.test('a session that has ended is refused at the latest after maxAge', async t => {
  for (const age of [48_000, 60_000]) {
    const world = await createExchangeWorld()
    await ask(world)
    world.client.respond = () => ({ kind: 'refused' })
    world.clock.advance(age)
    t.equal(await ask(world), age === 48_000 ? 'u_1 cached' : 'credential_refused')
    await settle()
    t.equal(await ask(world), 'credential_refused')
  }
})

t.test('a hundred requests share one exchange', async t => {
  const world = await createExchangeWorld()
  const hundred = () => Promise.all(Array.from({ length: 100 }, () => ask(world)))
  t.strictSame(new Set(await hundred()), new Set(['u_1 later']))
  t.equal(world.client.calls.length, 1)
  world.clock.advance(MINUTE)
  t.strictSame(new Set(await hundred()), new Set(['u_1 later']))
  t.equal(world.client.calls.length, 2)
  world.client.respond = () => ({ kind: 'refused' })
  world.clock.advance(MINUTE)
  t.strictSame(new Set(await hundred()), new Set(['credential_refused']))
  t.equal(world.client.calls.length, 3)
})

t.test('an API key has a maxAge of its own', async t => {
  const world = await createExchangeWorld({ apiKey: { maxAge: 300_000 } })
  for (const credential of [KEY, TOKEN]) await ask(world, credential)
  world.clock.advance(239_999)
  t.equal(await ask(world, KEY), 'u_1 cached')
  t.equal(world.client.calls.length, 2)
  t.equal(await ask(world, TOKEN), 'u_1 later')
  world.clock.advance(60_000)
  t.equal(await ask(world, KEY), 'u_1 cached')
  t.equal(world.client.calls.length, 3, 'nothing is exchanged in the background: each exchange is a use of the key')
  world.clock.advance(1)
  t.equal(await ask(world, KEY), 'u_1 later')
  t.equal(world.client.calls.length, 4)

  world.clock.advance(300_000)
  Object.assign(world.client, { respond: down, failing: true })
  t.equal(await ask(world, KEY), 'u_1 cached')
  t.equal(world.client.calls.length, 5, 'but while nobody waits for the end of an outage, it is')
})

t.test('with a maxAge of 0, each request has an exchange of its own', async t => {
  const world = await createExchangeWorld({ maxAge: 0, staleIfError: 300_000 })
  world.client.held = []
  const first = ask(world)
  const second = ask(world)
  t.equal(world.client.calls.length, 2)
  world.client.respond = () => ({ kind: 'refused' })
  const third = ask(world)
  for (const end of [2, 1, 0]) {
    world.client.held[end]!()
    await settle()
  }
  t.strictSame(await Promise.all([first, second, third]), ['u_1 later', 'u_1 later', 'credential_refused'])
  world.client.held = undefined
  t.equal(await ask(world), 'credential_refused')
  t.equal(world.client.calls.length, 3)
  world.clock.advance(MINUTE)
  world.client.respond = down
  t.equal(await ask(world), 'exchange_unavailable', 'those that ended after the refusal do not bring the session back')
})

t.test('a credential without a request, and one that is too long', async t => {
  const world = await createExchangeWorld()
  t.equal(await ask(world, { ...TOKEN, request: undefined }), 'u_1 later')
  t.match(world.client.calls, [{ address: undefined }])
  t.equal(world.sessions.size, 1)
  t.equal(await ask(world, credentialOf('x'.repeat(512))), 'u_1 later')
  t.equal(world.sessions.size, 2)
  t.equal(await ask(world, credentialOf('x'.repeat(513))), 'credential_malformed')
  t.equal(world.client.calls.length, 2)
})

t.test('a JWT that the shared secret signs depends on no key', async t => {
  const secret = 's'.repeat(32)
  const world = await createExchangeWorld({}, { secret })
  const claims = JSON.parse(Buffer.from(world.jwtOf('u_1').split('.')[1]!, 'base64url').toString())
  world.client.respond = () => ({ kind: 'token', token: signHmac(secret, claims) })
  t.strictSame([await ask(world), await ask(world)], ['u_1 later', 'u_1 cached'])
})

t.test('a clock that was set back to before the nbf of a JWT ends it', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  client.held = []
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', { nbf: clock.now() / 1000 + 10 }) })
  const asked = ask(world)
  clock.advance(6000)
  client.held[0]!()
  t.equal(await asked, 'u_1 later')
  client.held = undefined
  clock.advance(-1000)
  t.equal(await ask(world), 'u_1 cached')
  clock.advance(-1)
  t.equal(await ask(world), 'token_not_active')
})

t.test('a JWT that expires before maxAge is exchanged in time', async t => {
  const world = await createExchangeWorld({ maxAge: 3_600_000 })
  const { client, clock } = world
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', { exp: clock.now() / 1000 + 100 }) })
  await ask(world)
  clock.advance(104_999)
  t.equal(await ask(world), 'u_1 cached', 'it counts until its exp, with the tolerance')
  clock.advance(1)
  t.equal(await ask(world), 'u_1 later')
  t.equal(client.calls.length, 2)
})

t.test('a JWT whose key has left the JWKS does not count', async t => {
  const world = await createExchangeWorld({ maxAge: 3_600_000 })
  await ask(world)
  world.keys.source.keys = [k2.jwk]
  world.clock.advance(600_001)
  await world.keys.store.ready()
  world.client.respond = () => ({ kind: 'token', token: world.jwtOf('u_2', {}, k2) })
  t.equal(await ask(world), 'u_2 later')
})

t.test('during an outage, known sessions go on until staleIfError, and unknown ones do not begin', async t => {
  const world = await createExchangeWorld({ staleIfError: 300_000 })
  const { client, clock } = world
  await ask(world)
  client.respond = down
  clock.advance(MINUTE)
  t.equal(await ask(world), 'u_1 later', 'the first finds out')
  Object.assign(client, { failing: true, pausing: true })
  t.equal(await ask(world), 'u_1 cached', 'the others do not wait')
  t.equal(client.calls.length, 2)
  t.equal(await ask(world, COOKIE), 'exchange_unavailable')

  client.pausing = false
  t.equal(await ask(world), 'u_1 cached', 'nor for the attempt after the pause')
  t.equal(client.calls.length, 4)
  await settle()

  clock.advance(239_999)
  t.equal(await ask(world), 'u_1 cached')
  await settle()
  clock.advance(1)
  t.equal(await ask(world), 'exchange_unavailable')
  t.equal(await ask(world), 'exchange_unavailable')

  Object.assign(client, { failing: false, respond: () => ({ kind: 'token', token: world.jwtOf('u_1') }) })
  t.equal(await ask(world), 'u_1 later', 'and it is known again afterwards')
})

t.test('during an outage, no session outlives its JWT, and its end is no verdict', async t => {
  const world = await createExchangeWorld({ staleIfError: 86_400_000 })
  const { client, clock } = world
  await ask(world)
  client.respond = down
  clock.advance(904_999)
  t.equal(await ask(world), 'u_1 later')
  client.failing = true
  t.equal(await ask(world), 'u_1 cached')
  await settle()
  clock.advance(1)
  t.equal(await ask(world), 'exchange_unavailable', '503: a 401 would sign the user out')
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1') })
  t.equal(await ask(world), 'u_1 later')
})

t.test('staleIfError: 0 ends known sessions with maxAge', async t => {
  const world = await createExchangeWorld({ staleIfError: 0 })
  await ask(world)
  Object.assign(world.client, { respond: down, failing: true })
  world.clock.advance(59_999)
  t.equal(await ask(world), 'u_1 cached')
  await settle()
  world.clock.advance(1)
  t.equal(await ask(world), 'exchange_unavailable')
})

t.test('a clock that was set back makes no session live longer', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  await ask(world)
  clock.advance(-1)
  t.equal(await ask(world), 'u_1 later')
  t.equal(client.calls.length, 2)
  clock.advance(-1)
  Object.assign(client, { respond: down, failing: true })
  t.equal(await ask(world), 'exchange_unavailable')
})

t.test('a refused credential is remembered for a minute, which repetition does not extend', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  client.respond = () => ({ kind: 'refused' })
  for (const wait of [0, 30_000, 29_999]) {
    clock.advance(wait)
    t.equal(await ask(world), 'credential_refused')
  }
  t.equal(client.calls.length, 1)
  t.not(await refusalOf(() => world.sessions.verify(TOKEN)), await refusalOf(() => world.sessions.verify(TOKEN)))
  clock.advance(1)
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1') })
  t.equal(await ask(world), 'u_1 later')
  t.equal(client.calls.length, 2)
})

t.test('a session that was known is asked for again after 5 seconds, and then after a minute', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  await ask(world)
  clock.advance(MINUTE)
  client.respond = () => ({ kind: 'refused' })
  for (const [wait, calls] of [[0, 2], [4999, 2], [1, 3], [59_999, 3], [1, 4]] as const) {
    clock.advance(wait)
    t.equal(await ask(world), 'credential_refused')
    t.equal(client.calls.length, calls)
  }
  t.match(client.calls.at(-1), { isKnown: true })
  clock.advance(MINUTE)
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1') })
  t.equal(await ask(world), 'u_1 later', 'the database of the auth server is back')
})

t.test('a refusal is never overruled by what was known', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  await ask(world)
  clock.advance(50_000)
  client.respond = () => ({ kind: 'refused' })
  t.equal(await ask(world), 'u_1 cached', 'it is refused in the background')
  await settle()
  client.failing = true
  client.respond = down
  t.equal(await ask(world), 'credential_refused')
  clock.advance(5000)
  t.equal(await ask(world), 'exchange_unavailable')
})

t.test('a JWT that the verifier refuses is refused as a JWT would be, and remembered', async t => {
  const world = await createExchangeWorld()
  world.client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', { aud: 'https://other.example' }) })
  for (let i = 0; i < 3; i++) {
    const error = await refusalOf(() => world.sessions.verify(TOKEN))
    t.ok(error instanceof TokenInvalidError)
    t.match(error, { reason: 'audience_mismatch', details: { claim: 'aud', received: 'https://other.example' } })
  }
  t.equal(world.client.calls.length, 1)
  world.client.respond = () => ({ kind: 'token', token: 'a.b.c' })
  t.equal(await ask(world, COOKIE), 'token_malformed')
})

t.test('a key that is not known yet is no verdict', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', {}, k2) })
  t.equal(await ask(world), 'unknown_key')
  t.equal(await ask(world), 'unknown_key')
  t.equal(client.calls.length, 2, 'it is not remembered')

  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1') })
  t.equal(await ask(world), 'u_1 later')
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', {}, k2) })
  clock.advance(MINUTE)
  t.equal(await ask(world), 'u_1 later', 'a known session keeps working')
})

t.test('keys that cannot be fetched are an outage', async t => {
  const world = await createExchangeWorld()
  const { client, clock, keys } = world
  await ask(world)
  keys.source.fault = DOWN
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', {}, k2) })
  t.equal(await ask(world, COOKIE), 'jwks_unavailable')
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', {}, k2), isShared: true })
  t.equal(await ask(world, KEY), 'jwks_unavailable')
  t.equal(client.calls.length, 3, 'a newer JWT than that of another instance would be no better')
  clock.advance(MINUTE)
  t.equal(await ask(world), 'u_1 later')
})

t.test('a JWT that has expired on arrival is refused, and not remembered', async t => {
  const world = await createExchangeWorld()
  const iat = Math.floor(world.clock.now() / 1000) - 100
  world.client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1', { iat, exp: iat + 50 }) })
  t.equal(await ask(world), 'token_expired')
  t.equal(await ask(world), 'token_expired')
  t.equal(world.client.calls.length, 2)
})

t.test('a JWT that another instance got, and that is invalid by now, is no verdict: a newer one decides', async t => {
  const world = await createExchangeWorld()
  const { client, clock } = world
  const began = clock.now()
  const iat = began / 1000 - 100
  let shared = world.jwtOf('u_1', { iat, exp: iat + 50 })
  client.respond = ({ after }) => after < clock.now()
    ? { kind: 'token', token: shared, isShared: true }
    : { kind: 'token', token: world.jwtOf('u_2') }
  t.equal(await ask(world), 'u_2 later')
  t.match(client.calls, [{ after: -Infinity, isKnown: false }, { after: began, isKnown: false }])

  clock.advance(MINUTE)
  t.equal(await ask(world), 'u_2 later')
  t.match(client.calls.slice(2), [{ after: began, isKnown: true }, { after: began + MINUTE, isKnown: true }])

  shared = world.jwtOf('u_1', {}, k2)
  t.equal(await ask(world, COOKIE), 'u_2 later', 'nor is a key that is unknown here')
  t.equal(client.calls.length, 6)
})

t.test('an API key that has reached its limit: a known one keeps working, an unknown one waits', async t => {
  const world = await createExchangeWorld({ apiKey: { maxAge: 60_000 } })
  const { client, clock } = world
  client.respond = () => ({ kind: 'limited', retryAfter: 86_400_000 })
  for (const wait of [0, 59_999]) {
    clock.advance(wait)
    t.match(await refusalOf(() => world.sessions.verify(KEY)), {
      reason: 'api_key_limited', statusCode: 503, retryAfter: 86_400_000
    })
  }
  t.equal(client.calls.length, 1, 'it is asked once a minute')
  clock.advance(1)
  client.respond = () => ({ kind: 'limited', retryAfter: 5000 })
  t.equal(await ask(world, KEY), 'api_key_limited')
  clock.advance(5000)
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_1') })
  t.equal(await ask(world, KEY), 'u_1 later', 'or earlier, if that is enough')

  client.respond = () => ({ kind: 'limited', retryAfter: 86_400_000 })
  clock.advance(60_000)
  const before = client.calls.length
  t.equal(await ask(world, KEY), 'u_1 later')
  t.equal(await ask(world, KEY), 'u_1 later')
  t.equal(client.calls.length, before + 1)
})

t.test('the least recently used sessions are forgotten first', async t => {
  const world = await createExchangeWorld({ max: 2 })
  const [a, b, c] = ['a', 'b', 'c'].map(value => credentialOf(value)) as [typeof TOKEN, typeof TOKEN, typeof TOKEN]
  for (const one of [a, b, a, c]) await ask(world, one)
  t.equal(await ask(world, a), 'u_1 cached')
  t.equal(await ask(world, b), 'u_1 later')
  t.match(world.client.calls.at(-1), { isKnown: false })
})

t.test('forget() drops the sessions that are meant', async t => {
  const world = await createExchangeWorld()
  const { sessions, client } = world
  client.respond = ({ header }) => ({ kind: 'token', token: world.jwtOf(`user of ${header.value}`) })
  for (const credential of [TOKEN, COOKIE, KEY]) await ask(world, credential)
  const seen: string[] = []
  sessions.forget(({ via, tokenDigest }) => {
    seen.push(tokenDigest!)
    return via === 'api-key'
  })
  const digest = sessions.digest('secret-session-token')
  t.strictSame(seen.sort(), [digest, digest, sessions.digest('secret.api.key')].sort(), 'a signature is no part of it')
  t.match([await ask(world, TOKEN), await ask(world, COOKIE)], [/ cached$/, / cached$/])
  t.match(await ask(world, KEY), / later$/)
  t.match(client.calls.at(-1), { isKnown: true }, 'a session that was forgotten needs no budget')
  sessions.forget(() => true)
  client.respond = down
  client.failing = true
  t.equal(await ask(world, TOKEN), 'exchange_unavailable', 'and does not count in an outage')
})

t.test('an exchange that had begun before forget() leaves nothing behind, and nobody joins it', async t => {
  const world = await createExchangeWorld()
  const { sessions, client } = world
  client.held = []
  const before = ask(world)
  sessions.forget(() => true)
  client.respond = () => ({ kind: 'token', token: world.jwtOf('u_2') })
  const after = ask(world)
  t.equal(client.calls.length, 2)
  client.held[0]!()
  t.equal(await before, 'u_1 later')
  const third = ask(world)
  t.equal(client.calls.length, 2, 'the later exchange is still the one that others join')
  client.held[1]!()
  t.strictSame([await after, await third], ['u_2 later', 'u_2 later'])
  t.equal(await ask(world), 'u_2 cached')

  client.held = []
  world.clock.advance(50_000)
  t.equal(await ask(world), 'u_2 cached')
  sessions.forget(() => true)
  client.held[0]!()
  client.held = undefined
  await settle()
  client.respond = () => ({ kind: 'refused' })
  t.equal(await ask(world), 'credential_refused', 'one in the background is no exception')
})

t.test('a digest is keyed: nobody else can compute it', async t => {
  const [one, other] = [(await createExchangeWorld()).sessions, (await createExchangeWorld()).sessions]
  t.equal(one.digest('x'), one.digest('x'))
  t.not(one.digest('x'), one.digest('y'))
  t.not(one.digest('x'), other.digest('x'))
  t.not(one.digest('x'), createHash('sha256').update('x').digest('base64'))
})

t.test('the log names the first kind that is refused, once, and what may be missing; never the credential', async t => {
  const world = await createExchangeWorld()
  const { client, lines } = world
  client.respond = () => ({ kind: 'refused' })
  for (let i = 0; i < 3; i++) {
    for (const { via, text } of [TOKEN, COOKIE, KEY]) await ask(world, credentialOf(`${text}${i}`, via))
  }
  const start = (via: string) => `the auth server has refused the first ${via}: if it refuses all, it needs `
  t.strictSame(lines, [
    ['session-token', 'the plugin bearer()'],
    ['session-cookie', 'the same `advanced.cookies` and the same secret for all its instances'],
    ['api-key', 'apiKey({ enableSessionForAPIKeys: true })']
  ].map(([credential, needs]) => ({ level: 'warn', msg: start(credential!) + needs, fields: { credential } })))
  t.notMatch(JSON.stringify(lines), 'secret-')
})

t.test('the log says nothing of a kind that the auth server has accepted', async t => {
  const world = await createExchangeWorld()
  await ask(world)
  world.client.respond = () => ({ kind: 'refused' })
  t.equal(await ask(world, credentialOf('another')), 'credential_refused')
  t.strictSame(world.lines, [])
})

t.test('what is kept holds no credential', async t => {
  const world = await createExchangeWorld()
  const held: string[] = []
  for (const credential of [TOKEN, COOKIE, KEY]) await ask(world, credential)
  world.sessions.forget(session => { held.push(JSON.stringify(session)); return false })
  t.equal(held.length, 3)
  for (const text of held) t.notMatch(text, /secret[-.]/)
})
