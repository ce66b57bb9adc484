import { createHmac } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { createExchangedCookie } from '../../../lib/schemes/session-cookie/exchanged-cookie.js'
import type { FoundCredential } from '../../../lib/schemes/scheme.js'
import { createExchangeWorld, down, type ExchangeWorld } from '../../fixtures/exchanged-tokens.js'
import { refusalOf } from '../../fixtures/refusals.js'

const NAME = 'better-auth.session_token'
const SECURE = `__Secure-${NAME}`
const HOST = `__Host-${NAME}`
const SECRET = 'a secret of the auth server, long enough'

/** A signed session token, as a browser has it. */
function signed (token: string, secret = SECRET): string {
  return `${token}.${encodeURIComponent(createHmac('sha256', secret).update(token).digest('base64'))}`
}
const ADA = signed('session-token-of-ada')
const BOB = signed('session-token-of-bob')
const FORGED = signed('session-token-of-ada', 'another secret')
const UNKNOWN = signed('session-token-unknown')

interface World extends ExchangeWorld { readonly find: (request: FastifyRequest) => FoundCredential | undefined }

/** An auth server that knows the sessions of Ada and Bob. */
async function createWorld (secret?: string): Promise<World> {
  const world = await createExchangeWorld()
  world.client.respond = ({ header }) => {
    const id = /session-token-of-(\w+)/.exec(header.value)?.[1]
    const isKnown = id !== undefined && [ADA, BOB].some(value => header.value.endsWith(`=${value}`))
    return isKnown ? { kind: 'token', token: world.jwtOf(id) } : { kind: 'refused' }
  }
  return { ...world, find: createExchangedCookie(world.sessions, [HOST, SECURE, NAME], secret) }
}

const requestWith = (cookie: string | undefined) =>
  ({ headers: { cookie }, ip: '203.0.113.7' }) as unknown as FastifyRequest

/** Whose session the cookies are, or why they are refused. */
async function ask ({ find }: World, ...cookies: Array<[name: string, value: string]>): Promise<string> {
  const found = find(requestWith(cookies.map(pair => pair.join('=')).join('; ')))
  if (found === undefined) return 'none'
  try {
    return (await found.verify()).user!.id
  } catch (error) {
    return (await refusalOf(() => { throw error })).reason
  }
}

t.test('the cookie alone is sent, under the name that it had, in one spelling', async t => {
  for (const secret of [undefined, SECRET]) {
    for (const name of [HOST, SECURE, NAME]) {
      for (const value of [ADA, decodeURIComponent(ADA)]) {
        const world = await createWorld(secret)
        t.equal(await ask(world, ['theme', 'dark'], [name, value], ['better-auth.session_data', 'x']), 'ada')
        const header = { name: 'cookie', value: `${name}=${ADA}` }
        const token = ADA.split('.')[0]
        t.strictSame(world.client.calls, [
          { header, address: '203.0.113.7', isKnown: false, token, maxAge: 60_000, after: -Infinity }
        ])
      }
    }
  }
})

t.test('without the cookie nothing is found', async t => {
  const { find } = await createWorld()
  for (const cookie of [
    undefined, '', 'theme=dark', `x${NAME}=${ADA}`, `${NAME}x=${ADA}`, `${NAME}=`, `theme="${NAME}=${ADA}"`,
    `better-auth.session_data=${ADA}`, NAME
  ]) t.equal(find(requestWith(cookie)), undefined, String(cookie))
})

t.test('a session that is known costs no promise', async t => {
  const world = await createWorld()
  t.equal(await ask(world, [NAME, ADA]), 'ada')
  const trace = { cached: false }
  t.match(world.find(requestWith(`${NAME}=${ADA}`))!.verify(trace), { user: { id: 'ada' } })
  t.equal(trace.cached, true)
})

t.test('several cookies of one name, and several names', async t => {
  const values = (name: string, count: number): Array<[string, string]> =>
    Array.from({ length: count }, (_, i) => [name, signed(`session-token-number-${i}`)])
  const rows: Array<[name: string, cookies: Array<[string, string]>, outcome: string, calls: number]> = [
    ['a forged one before a valid one', [[NAME, FORGED], [NAME, ADA]], 'ada', 2],
    ['a forged one behind it', [[NAME, ADA], [NAME, FORGED]], 'ada', 2],
    ['garbage before it', [[NAME, 'x'], [NAME, '%'], [NAME, ADA]], 'ada', 1],
    ['one that is signed out before it', [[NAME, UNKNOWN], [NAME, ADA]], 'ada', 2],
    ['two valid ones', [[NAME, ADA], [NAME, BOB]], 'cookie_ambiguous', 2],
    ['from whichever side', [[NAME, BOB], [NAME, ADA]], 'cookie_ambiguous', 2],
    ['two valid ones and a forged one', [[NAME, BOB], [NAME, FORGED], [NAME, ADA]], 'cookie_ambiguous', 3],
    ['one session in two spellings', [[NAME, ADA], [NAME, decodeURIComponent(ADA)]], 'ada', 1],
    ['the same nine times', Array.from({ length: 9 }, () => [NAME, ADA]), 'ada', 1],
    ['__Secure- before the plain name', [[NAME, BOB], [SECURE, ADA]], 'ada', 1],
    ['__Host- before __Secure-', [[SECURE, BOB], [HOST, ADA]], 'ada', 1],
    ['a safer name with garbage only', [[SECURE, 'x'], [NAME, ADA]], 'ada', 1],
    ['a safer name that is refused', [[SECURE, UNKNOWN], [NAME, ADA]], 'ada', 2],
    ['a safer name with two sessions', [[SECURE, ADA], [SECURE, BOB], [NAME, ADA]], 'cookie_ambiguous', 2],
    ['too many of one name', [...values(NAME, 5), [NAME, ADA]], 'cookie_ambiguous', 0],
    ['too many of a less safe name', [[SECURE, ADA], ...values(NAME, 6)], 'ada', 1],
    ['too many of a safer name', [...values(SECURE, 6), [NAME, ADA]], 'cookie_ambiguous', 0],
    ['a part of a cookie under a less safe name', [[SECURE, ADA], [`${NAME}.1`, 'x']], 'ada', 1],
    ['a part of a cookie under a safer name', [[`${SECURE}.1`, 'x'], [NAME, ADA]], 'ada', 1],
    ['a part of a cookie under the same name', [[NAME, ADA], [`${NAME}.1`, 'x']], 'ada', 1],
    ['a part of a cookie, which Better Auth never writes', [[`${NAME}.0`, ADA]], 'none', 0],
    ['a part of a cookie, and one that is refused', [[`${SECURE}.1`, 'x'], [NAME, UNKNOWN]], 'credential_refused', 1],
    ['parts that look like another session', [[NAME, ADA], [`${NAME}.0`, BOB], [`${NAME}.0`, UNKNOWN]], 'ada', 1],
    ['garbage alone', [[NAME, 'x'], [SECURE, 'a.b.c']], 'credential_malformed', 0],
    ['a token without a signature', [[NAME, 'session-token-of-ada']], 'credential_malformed', 0],
    ['two that are refused', [[NAME, UNKNOWN], [NAME, FORGED]], 'credential_refused', 2]
  ]
  for (const [name, cookies, outcome, calls] of rows) {
    const world = await createWorld()
    t.equal(await ask(world, ...cookies), outcome, name)
    t.equal(world.client.calls.length, calls, `${name}: the calls`)
  }
})

t.test('with the secret, a cookie with a wrong signature costs no call', async t => {
  for (const [cookies, outcome, calls] of [
    [[[NAME, FORGED]], 'credential_malformed', 0],
    [[[NAME, FORGED], [NAME, signed('session-token-of-bob', 'x')]], 'credential_malformed', 0],
    [[[NAME, FORGED], [NAME, ADA]], 'ada', 1],
    [[[SECURE, FORGED], [NAME, ADA]], 'ada', 1],
    [[[NAME, UNKNOWN]], 'credential_refused', 1]
  ] as Array<[Array<[string, string]>, string, number]>) {
    const world = await createWorld(SECRET)
    t.equal(await ask(world, ...cookies), outcome)
    t.equal(world.client.calls.length, calls)
  }
})

t.test('where one cannot be judged, there may be two', async t => {
  const world = await createWorld()
  const { respond } = world.client
  world.client.respond = exchanging => exchanging.header.value.endsWith(FORGED) ? down() : respond(exchanging)
  t.equal(await ask(world, [NAME, FORGED], [NAME, ADA]), 'exchange_unavailable')
  t.equal(await ask(world, [NAME, ADA], [NAME, FORGED]), 'exchange_unavailable')
  t.equal(await ask(world, [NAME, ADA]), 'ada')
})

t.test('an error that is no refusal is thrown as it is', async t => {
  const world = await createWorld()
  world.client.respond = () => new Error('a bug')
  await t.rejects(ask(world, [NAME, ADA], [NAME, BOB]), { message: 'a bug' })
})

t.test('it says whether the accepted cookie was known', async t => {
  const world = await createWorld()
  const verify = async (...values: string[]) => {
    const trace = { cached: false }
    await world.find(requestWith(values.map(value => `${NAME}=${value}`).join(';')))!.verify(trace)
    return trace.cached
  }
  t.equal(await verify(ADA), false)
  t.equal(await verify(ADA), true)
  t.equal(await verify(FORGED, ADA), true)
  t.equal(await verify(FORGED, BOB), false)
})

t.test('an error that is no refusal ends the search, whatever status it has', async t => {
  const broken = Object.assign(new Error('of a callback'), { statusCode: 401 })
  const { sessions } = await createWorld()
  const find = createExchangedCookie({ ...sessions, verify () { throw broken } }, [HOST, SECURE, NAME], undefined)
  const cookie = `${NAME}=${ADA}; ${NAME}=${BOB}; ${SECURE}=x; ${SECURE}=y`
  await t.rejects(async () => find(requestWith(cookie))!.verify(), broken)
})
