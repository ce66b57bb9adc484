import { readdirSync, readFileSync } from 'node:fs'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { ALGORITHMS, type BetterAuthOptions, type RefusalReason } from '../../lib/index.js'
import * as entry from '../../lib/testing/index.js'
import { createTestIssuer, type Fault, type TestIssuer, type TestIssuerOptions } from '../../lib/testing/index.js'
import { bearer, captureLog, TRANSPORTS, type LogCapture } from '../fixtures/api.js'
import { createClock, startClockedApi } from '../fixtures/clock.js'
import { segment, startIssuer, USER } from '../fixtures/test-issuer.js'
import { soon, until } from '../fixtures/waiting.js'

const EVERY_ALGORITHM = [...ALGORITHMS, 'HS256'] as const
const HOUR = 3600
/** No key is trusted without a fetch, and an unknown `kid` always leads to one. */
const ALWAYS_LOOK = { maxAge: 0, staleWhileRevalidate: 0, staleIfError: 0, requestsPerMinute: 1_000_000 }
const LONGEST_PAUSE = 15_000

type Fields = Record<string, unknown>

const get: typeof fetch = (...args) => soon(fetch(...args))

interface Answer { status: number, user: Fields, claims: Fields, session: Fields | null, reason: unknown }

/** Calls an API with these options over a socket. */
async function startApi (
  t: Test, options: BetterAuthOptions
): Promise<(headers: Record<string, string>) => Promise<Answer>> {
  const log = captureLog()
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, options)
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user, claims, session }) => ({ user, claims, session }))
  return async headers => {
    const before = log.refusals().length
    const { status, body } = await TRANSPORTS.socket(app, { url: '/me', headers })
    return { status, ...JSON.parse(body), reason: log.refusals()[before]?.reason }
  }
}

const NAMED: Array<['expired' | 'notYetValid' | 'wrongAudience' | 'forged', RefusalReason]> = [
  ['expired', 'token_expired'],
  ['notYetValid', 'token_not_active'],
  ['wrongAudience', 'audience_mismatch'],
  ['forged', 'signature_invalid']
]

for (const algorithm of EVERY_ALGORITHM) {
  t.test(`${algorithm}: the plugin accepts its tokens and cookies, and refuses wrong ones with the reason`, async t => {
    const issuer = await startIssuer(t, { algorithm })
    const { authUrl, secret } = issuer
    const call = await startApi(t, { authUrl, secret })

    t.match(await call(bearer(issuer.token())), {
      status: 200, user: USER, claims: { iss: authUrl, aud: authUrl, sub: 'user_1' }, session: null
    })
    t.match(segment(issuer.token(), 0), { alg: algorithm, kid: issuer.kid })
    for (const [name, reason] of NAMED) {
      t.match(await call(bearer(issuer[name]())), { status: 401, reason }, name)
      const claims = { role: 'admin', iat: 0, nbf: 0, exp: 1e10, aud: authUrl }
      t.match(await call(bearer(issuer[name](claims))), { status: 401, reason }, `${name}, whatever else it says`)
      t.equal(segment(issuer[name](claims), 1).role, 'admin')
    }

    const callWithCookie = await startApi(t, { authUrl, secret, sessionCookie: { secret } })
    const answer = await callWithCookie({ cookie: issuer.sessionCookie() })
    t.match(answer, { status: 200, user: USER, session: { userId: 'user_1' } })
  })
}

t.test('an expired token has lived for an hour, an hour ago; the one of the future begins in an hour', async t => {
  const issuer = await startIssuer(t)
  const hours = (token: string, ...claims: string[]): number[] => {
    const payload = segment(token, 1)
    return claims.map(claim => Math.round((Number(payload[claim]) - Date.now() / 1000) / 3600))
  }
  t.strictSame(hours(issuer.expired(), 'iat', 'exp'), [-2, -1])
  t.strictSame(hours(issuer.notYetValid(), 'nbf', 'exp'), [1, 2])
})

t.test('a token', async t => {
  const issuer = await startIssuer(t)
  const call = await startApi(t, { authUrl: issuer.authUrl })
  const claimsOf = async (...args: Parameters<TestIssuer['token']>) =>
    (await call(bearer(issuer.token(...args)))).claims

  t.test('has the claims that are laid over it, and not those that are taken away', async t => {
    const claims = await claimsOf({ role: 'admin', email: 'grace@example.com', name: null, createdAt: undefined })
    t.match(claims, { role: 'admin', email: 'grace@example.com', name: null, emailVerified: true })
    t.notOk('createdAt' in claims)
    t.ok('updatedAt' in claims)
    t.match(await call(bearer(issuer.token({ exp: undefined }))), { status: 401, reason: 'claim_missing' })
    t.match(await call(bearer(issuer.token({ iss: undefined }))), { status: 401, reason: 'issuer_mismatch' })
  })

  t.test('is of one user, by whichever name it is given', async t => {
    for (const claims of [{ id: 'u_2' }, { sub: 'u_2' }]) t.match(await claimsOf(claims), { id: 'u_2', sub: 'u_2' })
    t.match(await claimsOf({ id: 'row', sub: 'u_2' }), { id: 'row', sub: 'u_2' })
    t.strictSame(Object.keys(await claimsOf({ id: undefined, sub: 'u_2' })).includes('id'), false)
  })

  t.test('is valid for 15 minutes from its iat, or for as long as the option says', async t => {
    const { iat, exp } = await claimsOf()
    t.ok(Math.abs(iat as number - Date.now() / 1000) < 10)
    t.equal(exp, iat as number + 900)
    const hourAgo = iat as number - HOUR
    t.match(await claimsOf({ iat: hourAgo }, { expiresIn: 2 * HOUR }), { iat: hourAgo, exp: hourAgo + 2 * HOUR })
    t.match(await call(bearer(issuer.token({ iat: hourAgo }))), { status: 401, reason: 'token_expired' })
    t.match(await call(bearer(issuer.token({}, { expiresIn: -60 }))), { status: 401, reason: 'token_expired' })
    t.match(segment(issuer.token({ iat: undefined }), 1), { exp: Number })
    t.notOk('iat' in segment(issuer.token({ iat: undefined }), 1))
  })

  t.test('has the header that is laid over its own', async t => {
    t.equal((await call(bearer(issuer.token({}, { header: { typ: 'JWT' } })))).status, 200)
    for (const [header, reason] of [
      [{ kid: 'unknown' }, 'unknown_key'],
      [{ kid: undefined }, 'kid_invalid'],
      [{ typ: 'logout+jwt' }, 'typ_not_allowed'],
      [{ typ: 'at+jwt' }, 'oauth_token_not_accepted'],
      [{ alg: 'ES256' }, 'algorithm_mismatch'],
      [{ alg: 'none' }, 'algorithm_not_allowed']
    ] as const) {
      t.match(await call(bearer(issuer.token({}, { header }))), { status: 401, reason }, JSON.stringify(header))
    }
  })
})

t.test('a token of an OAuth client', async t => {
  const issuer = await startIssuer(t, { algorithm: 'HS256' })
  const { authUrl, secret } = issuer
  const grant = { clientId: 'app_1', scopes: ['orders:read'], resource: 'https://api.example.com' }

  t.test('is accepted where a guard lets it in, with the claims that are laid over it', async t => {
    const log = captureLog()
    const app = await startGuardedApi(t, { authUrl, secret, resource: grant.resource }, log)
    const call = async (token: string) => (await app.inject({ url: '/', headers: bearer(token) })).json()
    t.match(await call(issuer.accessToken({ ...grant, user: 'grace' })), {
      kind: 'delegated', clientId: 'app_1', scopes: ['orders:read'], user: { id: 'grace', email: null }
    })
    t.match(await call(issuer.accessToken({ ...grant, claims: { email: 'ada@example.com', sid: 'session_1' } })), {
      kind: 'delegated', user: { id: 'user_1', email: 'ada@example.com' }, sessionId: 'session_1'
    })
    t.match(await call(issuer.clientToken(grant)), { kind: 'client', clientId: 'app_1', sessionId: null })
    for (const [options, reason] of [
      [{ expiresIn: -60 }, 'token_expired'],
      [{ scopes: [] }, 'scope_missing'],
      [{ resource: 'https://other.example.com' }, 'audience_mismatch'],
      [{ claims: { iss: authUrl } }, 'issuer_mismatch'],
      [{ claims: { banned: true } }, 'banned'],
      [{ header: { typ: 'logout+jwt' } }, 'typ_not_allowed']
    ] as const) {
      for (const create of [issuer.accessToken, issuer.clientToken]) {
        await call(create({ ...grant, ...options }))
        t.equal(log.refusals().at(-1)!.reason, reason, reason)
      }
    }
  })

  t.test('has the header of its type, and what is laid over it', async t => {
    for (const create of [issuer.accessToken, issuer.clientToken]) {
      t.strictSame(segment(create(grant), 0), { alg: 'HS256', typ: 'at+jwt' })
      t.strictSame(segment(create({ ...grant, header: { typ: undefined, x: 1 } }), 0), { alg: 'HS256', x: 1 })
    }
  })

  t.test('is signed with the key that is named, and has the issuer that is set', async t => {
    const iss = 'https://id.example.com'
    const issuer = await startIssuer(t, { issuer: iss })
    const { kid } = issuer
    await issuer.rotate()
    for (const create of [issuer.accessToken, issuer.clientToken]) {
      t.equal(segment(create(grant), 0).kid, issuer.kid)
      t.equal(segment(create({ ...grant, kid }), 0).kid, kid)
      t.match(segment(create({ ...grant, scopes: ['openid'] }), 1), {
        iss, aud: [grant.resource, `${issuer.authUrl}/api/auth/oauth2/userinfo`]
      })
      t.throws(() => create({ ...grant, kid: 'no key' }), { message: 'This issuer has no key \'no key\'' })
      t.throws(() => create({} as typeof grant), { name: 'TypeError', message: /^Option "clientId" must be / })
    }
  })
})

/** An API that lets every kind of token in, and says whom it saw. */
async function startGuardedApi (t: Test, options: BetterAuthOptions, log: LogCapture): Promise<FastifyInstance> {
  const app = Fastify({ logger: log.logger })
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, options)
  const guard = app.authorize({ delegated: ['orders:read'], clients: ['orders:read'] })
  app.get('/', { onRequest: [guard] }, async request => request.principal)
  return app
}

t.test('issuer and audience', async t => {
  const [iss, aud] = ['https://id.example.com', 'https://api.example.com']
  const issuer = await startIssuer(t, { issuer: iss, audience: aud })
  const sessionCookie = { secure: false }
  const call = await startApi(t, { authUrl: issuer.authUrl, issuer: iss, audience: aud, sessionCookie })
  t.match(await call(bearer(issuer.token())), { status: 200, claims: { iss, aud } })
  t.match(await call(bearer(issuer.wrongAudience())), { status: 401, reason: 'audience_mismatch' })
  t.match(await call({ cookie: issuer.sessionCookie() }), {
    status: 200, claims: { iss: issuer.authUrl }
  }, 'which a cookie has not')
})

t.test('a secret of the test\'s own', async t => {
  const secret = 'a shared secret of 32 bytes or more'
  const issuer = await startIssuer(t, { algorithm: 'HS256', secret })
  t.equal(issuer.secret, secret)
  t.match(await (await startApi(t, { authUrl: issuer.authUrl, secret }))(bearer(issuer.token())), {
    status: 200, user: USER
  })
  const [one, two] = [await startIssuer(t, { algorithm: 'HS256' }), await startIssuer(t, { algorithm: 'HS256' })]
  t.not(one.secret, two.secret)
  t.equal((await startIssuer(t)).secret, undefined)
})

t.test('a session cookie', async t => {
  const issuer = await startIssuer(t)
  const { authUrl } = issuer
  const call = await startApi(t, { authUrl, sessionCookie: true })

  t.match(await call({ cookie: issuer.sessionCookie({ id: 'u_2', name: 'Grace' }) }), {
    status: 200,
    user: { id: 'u_2', name: 'Grace', email: USER.email },
    session: { userId: 'u_2' },
    claims: { sub: 'u_2' }
  })
  t.match(await call({
    cookie: issuer.sessionCookie({}, { session: { token: 'secret', activeOrganizationId: 'o_1' } })
  }), {
    status: 200,
    session: { token: 'secret', activeOrganizationId: 'o_1' },
    claims: { sid: 'secret' }
  })
  t.match(await call({ cookie: issuer.sessionCookie({}, { session: { expiresAt: '2020-01-01T00:00:00.000Z' } }) }), {
    status: 401, reason: 'session_expired'
  })
  t.match(await call({ cookie: issuer.sessionCookie({}, { expiresIn: -60 }) }), {
    status: 401, reason: 'token_expired'
  })
  t.match(await call({ cookie: issuer.sessionCookie({}, { session: { userId: 'u_3' } }) }), {
    status: 401, reason: 'session_invalid'
  })
  t.match(await call({ cookie: issuer.sessionCookie({}, { name: 'shop.session_data' }) }), {
    status: 401, reason: 'token_missing'
  })
  const shop = await startApi(t, { authUrl, sessionCookie: { prefix: 'shop' } })
  t.equal((await shop({ cookie: issuer.sessionCookie({}, { name: 'shop.session_data' }) })).status, 200)

  const [one, two] = await Promise.all(
    [1, 2].map(async () => (await call({ cookie: issuer.sessionCookie() })).session!)
  )
  t.not(one!.token, two!.token, 'each is another session')
  t.match(await call(bearer(issuer.sessionCookie().split('=')[1]!)), {
    status: 401, reason: 'typ_not_allowed'
  }, 'it is no bearer token')
})

t.test('rotate() costs one more request, and the old key keeps working', async t => {
  const issuer = await startIssuer(t)
  const call = await startApi(t, { authUrl: issuer.authUrl })
  const oldKid = issuer.kid
  const old = issuer.token()
  t.equal((await call(bearer(old))).status, 200)
  const { requests } = issuer

  const kid = await issuer.rotate()
  t.equal(issuer.kid, kid)
  t.not(kid, oldKid)
  t.equal(segment(issuer.token(), 0).kid, kid)
  t.equal((await call(bearer(issuer.token()))).status, 200)
  t.equal(issuer.requests, requests + 1)
  t.equal((await call(bearer(old))).status, 200)
  t.equal((await call(bearer(issuer.token({ id: 'u_2' }, { kid: oldKid })))).user.id, 'u_2')
  t.equal(issuer.requests, requests + 1)
})

t.test('revoke() ends a key', async t => {
  const issuer = await startIssuer(t)
  const call = await startApi(t, { authUrl: issuer.authUrl, jwks: ALWAYS_LOOK })
  const oldKid = issuer.kid!
  await issuer.rotate()
  const old = () => call(bearer(issuer.token({}, { kid: oldKid })))
  const current = () => call(bearer(issuer.token()))
  t.equal((await old()).status, 200)
  t.equal((await current()).status, 200)

  issuer.revoke(oldKid)
  t.match(await old(), { status: 401, reason: 'unknown_key' })
  t.equal((await current()).status, 200)

  issuer.revoke()
  t.match(await current(), {
    status: 401, reason: 'unknown_key'
  }, 'the current one, and the last: the JWKS is not empty')
  const { keys } = await (await get(`${issuer.authUrl}/api/auth/jwks`)).json() as { keys: unknown[] }
  t.equal(keys.length, 1)

  await issuer.rotate()
  t.equal((await current()).status, 200)
})

t.test('a forged token names a published key and is not signed with it, also after a rotation', async t => {
  for (const algorithm of ['EdDSA', 'ES512', 'RS256'] as const) {
    const issuer = await startIssuer(t, { algorithm })
    const call = await startApi(t, { authUrl: issuer.authUrl, jwks: ALWAYS_LOOK })
    const first = issuer.kid!
    const kidOfForged = () => segment(issuer.forged(), 0).kid
    for (const [name, change] of Object.entries({
      'none revoked': () => {},
      'a new one': () => issuer.rotate(),
      'the current one revoked': () => { issuer.revoke() },
      'all revoked': () => { issuer.revoke(first) },
      'another new one': () => issuer.rotate()
    })) {
      await change()
      const isCurrent = kidOfForged() === issuer.kid
      t.equal(
        isCurrent,
        !name.endsWith('revoked') || name === 'none revoked',
        `${algorithm}, ${name}: the current one if it is published`
      )
      t.match(await call(bearer(issuer.forged())), {
        status: 401, reason: 'signature_invalid'
      }, `${algorithm}, ${name}`)
    }
    const { keys } = await (await get(`${issuer.authUrl}/api/auth/jwks`)).json() as { keys: unknown[] }
    t.match(keys, [{ alg: algorithm }, { alg: algorithm, kid: issuer.kid }])
  }
})

/** Every kind of fault, and the status of an API that has no key. */
const FAULTS: Record<Fault, { status: number, lastError: RegExp | null }> = {
  down: { status: 503, lastError: /^connection_reset$/ },
  hang: { status: 503, lastError: /^timeout$/ },
  slow: { status: 200, lastError: null },
  error: { status: 503, lastError: /^http_5xx$/ },
  html: { status: 503, lastError: /^no_jwks$/ },
  empty: { status: 503, lastError: /^no_jwks$/ },
  redirect: { status: 503, lastError: /^no_jwks$/ },
  malformed: { status: 503, lastError: /^no_jwks$/ }
}

for (const [kind, { status, lastError }] of Object.entries(FAULTS) as Array<[Fault, typeof FAULTS[Fault]]>) {
  t.test(`fail('${kind}') leads to ${status}, and recover() to 200`, async t => {
    const issuer = await startIssuer(t)
    const clock = createClock(Date.now())
    issuer.fail(kind)
    // Without a search for the URL, which would wait for each response.
    const options = {
      authUrl: issuer.authUrl, jwksPath: '/api/auth/jwks', jwks: { timeout: kind === 'hang' ? 1000 : 10_000 }
    }
    const api = await startClockedApi(t, options, clock)
    clock.advance(LONGEST_PAUSE)
    const { requests } = issuer
    t.equal((await api.call(issuer.token())).status, status)
    t.match(api.app.betterAuth.status().lastError, lastError)
    // A slow response arrived when the API started to listen: its keys are known.
    t.equal(issuer.requests - requests, status === 200 ? 0 : 1)

    issuer.recover()
    clock.advance(LONGEST_PAUSE)
    t.equal((await api.call(issuer.token({ id: 'u_2' }))).status, 200)
    t.equal(api.app.betterAuth.status().lastError, null)
  })
}

t.test('a slow response comes after a second, for a client that waits so long', async t => {
  const issuer = await startIssuer(t)
  issuer.fail('slow')
  const url = `${issuer.authUrl}/api/auth/jwks`
  await t.rejects(get(url, { signal: AbortSignal.timeout(100) }))
  const startedAt = performance.now()
  t.match(await (await get(url)).json(), { keys: [{ kid: issuer.kid }] })
  t.ok(performance.now() - startedAt > 900)
})

t.test('a client that follows the redirect gets the keys, and only then', async t => {
  const issuer = await startIssuer(t)
  const url = `${issuer.authUrl}/api/auth/jwks`
  t.equal((await get(url, { redirect: 'manual' })).status, 200)
  issuer.fail('redirect')
  const answer = await get(url)
  t.equal(answer.redirected, true)
  t.match(await answer.json(), { keys: [{ kid: issuer.kid }] })
  issuer.fail('error')
  t.equal((await get(answer.url)).status, 500)
  issuer.recover()
  t.equal((await get(answer.url)).status, 404)
})

t.test('requests counts what asks for the JWKS', async t => {
  const issuer = await startIssuer(t)
  t.equal(issuer.requests, 0)
  await get(`${issuer.authUrl}/.well-known/jwks.json`)
  t.equal(issuer.requests, 0)
  await get(`${issuer.authUrl}/api/auth/jwks`)
  t.equal(issuer.requests, 1)
})

t.test('several are strangers to each other', async t => {
  const [one, two] = await Promise.all([startIssuer(t), startIssuer(t)])
  t.not(one.authUrl, two.authUrl)
  const call = await startApi(t, { authUrl: one.authUrl, issuer: false, audience: false })
  t.equal((await call(bearer(one.token()))).status, 200)
  t.match(await call(bearer(two.token())), { status: 401, reason: 'unknown_key' })
  t.match(await call(bearer(two.token({}, { header: { kid: one.kid } }))), { status: 401, reason: 'signature_invalid' })
})

t.test('close() ends connections that hang, and may be called twice', async t => {
  const issuer = await createTestIssuer()
  const { authUrl } = issuer
  issuer.fail('hang')
  const ended = t.rejects(get(`${authUrl}/api/auth/jwks`))
  await until(() => issuer.requests > 0)
  await issuer.close()
  await ended
  await t.rejects(get(authUrl))
  await t.resolves(issuer.close())
})

t.test('await using closes it', async t => {
  let authUrl: string
  {
    await using issuer = await createTestIssuer()
    authUrl = issuer.authUrl
    t.equal((await get(`${authUrl}/api/auth/jwks`)).status, 200)
  }
  await t.rejects(get(authUrl))
})

t.test('says what is wrong with its options', async t => {
  const secret = 's'.repeat(32)
  for (const [options, message] of [
    [{ algoritm: 'ES256' }, 'Unknown option "algoritm". Known options: algorithm, issuer, audience, secret'],
    [
      { algorithm: 'ES255' },
      'Option "algorithm" must be one of EdDSA, ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, ' +
        'HS256, got \'ES255\''
    ],
    [{ algorithm: 'toString' }, /^Option "algorithm" must be one of .*, got 'toString'$/],
    [{ algorithm: null }, /^Option "algorithm" must be one of .*, got null$/],
    [{ issuer: '' }, 'Option "issuer" must be a non-empty string, got \'\''],
    [{ audience: ['a'] }, 'Option "audience" must be a non-empty string, got [ \'a\' ]'],
    [{ secret }, 'Option "secret" is for the algorithm HS256, not for EdDSA'],
    [{ algorithm: 'HS256', secret: 's'.repeat(31) }, 'Option "secret" must be a string of at least 32 bytes'],
    [{ algorithm: 'HS256', secret: 5 }, 'Option "secret" must be a string of at least 32 bytes']
  ] as Array<[TestIssuerOptions, string]>) {
    await t.rejects(createTestIssuer(options), { name: 'TypeError', message })
  }

  const issuer = await startIssuer(t)
  const hmac = await startIssuer(t, { algorithm: 'HS256', secret })
  const misspelt = { expiresin: 5 } as object
  t.throws(() => issuer.token({}, misspelt), {
    name: 'TypeError', message: 'Unknown option "expiresin". Known options: expiresIn, header, kid'
  })
  t.throws(() => issuer.sessionCookie({}, misspelt), {
    message: 'Unknown option "expiresin". Known options: expiresIn, name, session'
  })
  t.throws(() => issuer.fail('dwon' as Fault), {
    name: 'TypeError',
    message: 'Unknown fault \'dwon\'. Known faults: down, hang, slow, error, html, empty, redirect, malformed'
  })
  for (const run of [() => issuer.revoke('no key'), () => issuer.token({}, { kid: 'no key' })]) {
    t.throws(run, { name: 'TypeError', message: 'This issuer has no key \'no key\'' })
  }
  const lifetime = /^Option "expiresIn" must be a finite number of seconds, got /
  for (const expiresIn of ['15m', NaN, Infinity, null] as unknown as number[]) {
    t.throws(() => issuer.token({}, { expiresIn }), { name: 'TypeError', message: lifetime }, `token, ${expiresIn}`)
    t.throws(() => issuer.sessionCookie({}, { expiresIn }), {
      name: 'TypeError', message: lifetime
    }, `cookie, ${expiresIn}`)
  }
  for (const name of ['', 5, null] as string[]) {
    t.throws(() => issuer.sessionCookie({}, { name }), {
      name: 'TypeError', message: /^Option "name" must be a non-empty string, got /
    })
  }
  for (const wrong of [null, 'user_2', ['user_2'], 5] as never[]) {
    await t.rejects(createTestIssuer(wrong), { name: 'TypeError', message: '"options" must be an object' })
    for (const [parameter, run] of [
      ['claims', () => issuer.token(wrong)],
      ...NAMED.map(([name]) => ['claims', () => issuer[name](wrong)] as const),
      ['options', () => issuer.token({}, wrong)],
      ['header', () => issuer.token({}, { header: wrong })],
      ['user', () => issuer.sessionCookie(wrong)],
      ['options', () => issuer.sessionCookie({}, wrong)],
      ['session', () => issuer.sessionCookie({}, { session: wrong })]
    ] as const) {
      t.throws(run, {
        name: 'TypeError', message: `"${parameter}" must be an object`
      }, `${run} of ${JSON.stringify(wrong)}`)
    }
  }
  await t.rejects(hmac.rotate(), { message: 'rotate() needs keys in a JWKS, but HS256 uses a secret' })
  t.throws(() => hmac.revoke(), { message: 'revoke() needs keys in a JWKS, but HS256 uses a secret' })
  t.equal(hmac.kid, undefined)
  t.equal((await get(`${hmac.authUrl}/api/auth/jwks`)).status, 404, 'and no JWKS')
})

t.test('exports one function, and shares no code with the verifier that it tests', async t => {
  t.strictSame(Object.keys(entry), ['createTestIssuer'])
  const folder = new URL('../../lib/testing/', import.meta.url)
  const imports = readdirSync(folder).flatMap(
    file => [...readFileSync(new URL(file, folder), 'utf8').matchAll(/^(import|export)( type)? [^']*? from '(.+)'$/gm)]
  )
  t.ok(imports.length > 10)
  for (const [line, , isType, from] of imports) if (isType === undefined) t.match(from, /^(node:|\.\/)/, line)
})
