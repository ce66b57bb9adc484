import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { BetterAuthOptions, RefusalReason } from '../../../lib/index.js'
import { resolveOptions, type ResolvedOptions } from '../../../lib/contract/resolve-options.js'
import { sessionCookieProfile } from '../../../lib/schemes/session-cookie/jwt.js'
import { createUserReader } from '../../../lib/tokens/user-reader.js'
import { createSignatureChecks } from '../../../lib/tokens/signature-checks.js'
import { createVerifier, type Verifier } from '../../../lib/tokens/verifier.js'
import { bearer, captureLog } from '../../fixtures/api.js'
import type { Clock } from '../../fixtures/clock.js'
import { startJwks } from '../../fixtures/jwks-server.js'
import { createTestStore } from '../../fixtures/key-store.js'
import { withReason } from '../../fixtures/refusals.js'
import {
  createContent, createCookie, createCookieClaims, get, getWith, isoIn, KEY, NAME, now, startCookieApi, TYP, type Fields
} from '../../fixtures/session-cookie.js'
import { createClaims, createSigningKey, signHmac, signJws } from '../../fixtures/signing.js'

const FOREIGN_KEY = createSigningKey('EdDSA', KEY.kid)
const SECRET = randomBytes(32).toString('hex')

t.test('the user of a cookie is the one it is bound to', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  const { status, body } = await getWith(app, [[NAME, createCookie(jwks.origin, {}, { sub: 'u_2' })]])
  t.equal(status, 200)
  t.equal(body.user!.id, 'u_1', 'a column called "sub" is nobody')
})

t.test('refuses a cookie of which one thing is wrong', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startCookieApi(t, { authUrl: jwks.origin, sessionCookie: { secret: SECRET } }, log)
  const { origin } = jwks
  t.equal((await getWith(app, [[NAME, createCookie(origin)]])).status, 200, 'with nothing wrong it is accepted')

  const claims = (overrides: Fields, user: Fields = {}, session: Fields = {}) =>
    createCookie(origin, overrides, user, session)
  const typ = (typ: unknown) => signJws(KEY, createCookieClaims(origin), { typ })
  const pem = KEY.publicKey.export({ format: 'pem', type: 'spki' })
  const { session, user } = createContent()

  const cases: Array<[name: string, cookie: string, reason: RefusalReason | 'expired', claim?: string]> = [
    ['no token at all', 'x', 'token_malformed'],
    ['typ JWT', typ('JWT'), 'typ_not_allowed'],
    ['typ at+jwt', typ('at+jwt'), 'typ_not_allowed'],
    ['typ logout+jwt', typ('logout+jwt'), 'typ_not_allowed'],
    ['no typ', typ(undefined), 'typ_not_allowed'],
    ['an empty typ', typ(''), 'typ_not_allowed'],
    ['typ null', typ(null), 'typ_not_allowed'],
    ['an array as typ', typ([TYP]), 'typ_not_allowed'],
    ['a near miss as typ', typ(`${TYP}x`), 'typ_not_allowed'],
    ['aud of access tokens', claims({ aud: origin }), 'audience_mismatch', 'aud'],
    ['no aud', claims({ aud: undefined }), 'audience_mismatch', 'aud'],
    ['aud null', claims({ aud: null }), 'audience_mismatch', 'aud'],
    ['aud with a slash', claims({ aud: 'better-auth:session-cache/' }), 'audience_mismatch', 'aud'],
    ['iss of another server', claims({ iss: 'https://evil.example.com' }), 'issuer_mismatch', 'iss'],
    ['iss with a slash', claims({ iss: `${origin}/` }), 'issuer_mismatch', 'iss'],
    ['no iss', claims({ iss: undefined }), 'issuer_mismatch', 'iss'],
    ['an array as iss', claims({ iss: [origin] }), 'claim_invalid', 'iss'],
    ['sub of another user', claims({ sub: 'u_2' }), 'session_invalid', 'sub'],
    ['no sub', claims({ sub: undefined }), 'session_invalid', 'sub'],
    ['an array as sub', claims({ sub: ['u_1'] }), 'session_invalid', 'sub'],
    ['sid of another session', claims({ sid: 'other' }), 'session_invalid', 'sid'],
    ['no sid', claims({ sid: undefined }), 'session_invalid', 'sid'],
    ['the id of the session as sid', claims({ sid: 's_1' }), 'session_invalid', 'sid'],
    ['the session of another user', claims({}, {}, { userId: 'u_2' }), 'session_invalid', 'session'],
    ['a session of nobody', claims({}, {}, { userId: undefined }), 'session_invalid', 'session'],
    ['a user who is not the session\'s', claims({}, { id: 'u_2' }), 'session_invalid', 'session'],
    [
      'a user and a sub who are not the session\'s', claims({ sub: 'u_2' }, { id: 'u_2' }), 'session_invalid', 'session'
    ],
    ['a number as user id, everywhere', claims({ sub: 1 }, { id: 1 }, { userId: 1 }), 'session_invalid', 'session'],
    ['an array as user id', claims({}, { id: ['u_1'] }), 'session_invalid', 'session'],
    [
      'no user id anywhere',
      claims({ sub: undefined }, { id: undefined }, { userId: undefined }),
      'session_invalid',
      'session'
    ],
    ['an empty user id everywhere', claims({ sub: '' }, { id: '' }, { userId: '' }), 'claim_invalid'],
    ['no session token', claims({}, {}, { token: undefined }), 'session_invalid', 'session'],
    ['no session token and no sid', claims({ sid: undefined }, {}, { token: undefined }), 'session_invalid', 'session'],
    ['an empty session token and sid', claims({ sid: '' }, {}, { token: '' }), 'session_invalid', 'session'],
    ['a number as session token and sid', claims({ sid: 1 }, {}, { token: 1 }), 'session_invalid', 'session'],
    ['a session that is over', claims({}, {}, { expiresAt: isoIn(-1) }), 'session_expired', 'session'],
    ['a session that ends at garbage', claims({}, {}, { expiresAt: 'tomorrow' }), 'session_expired', 'session'],
    ['a session that ends at nothing', claims({}, {}, { expiresAt: '' }), 'session_expired', 'session'],
    ['a session that ends never', claims({}, {}, { expiresAt: undefined }), 'session_invalid', 'session'],
    ['a session that ends at null', claims({}, {}, { expiresAt: null }), 'session_invalid', 'session'],
    [
      'a session that ends at a number',
      claims({}, {}, { expiresAt: Date.now() + 60_000 }),
      'session_invalid',
      'session'
    ],
    ['exp over', claims({ exp: now() - 60 }), 'expired'],
    ['no exp', claims({ exp: undefined }), 'claim_missing', 'exp'],
    ['a text as exp', claims({ exp: '9999999999' }), 'claim_invalid', 'exp'],
    ['nbf ahead', claims({ nbf: now() + 60 }), 'token_not_active'],
    ['iat ahead', claims({ iat: now() + 60 }), 'token_not_active'],
    ['no user', claims({ user: undefined }), 'session_invalid', 'user'],
    ['user null', claims({ user: null }), 'session_invalid', 'user'],
    ['an array as user', claims({ user: [user] }), 'session_invalid', 'user'],
    ['a text as user', claims({ user: JSON.stringify(user) }), 'session_invalid', 'user'],
    ['no session', claims({ session: undefined }), 'session_invalid', 'session'],
    ['session null', claims({ session: null }), 'session_invalid', 'session'],
    ['an array as session', claims({ session: [session] }), 'session_invalid', 'session'],
    ['a text as session', claims({ session: JSON.stringify(session) }), 'session_invalid', 'session'],
    [
      'session and user one level deeper',
      claims({ session: { session, user }, user: undefined }),
      'session_invalid',
      'user'
    ],
    ['a number as the user\'s name', claims({}, { name: 1 }), 'claim_invalid', 'name'],
    ['an array as emailVerified', claims({}, { emailVerified: [true] }), 'claim_invalid', 'emailVerified'],
    ['a word as banned', claims({}, { banned: 'yes' }), 'claim_invalid', 'banned'],
    ['bound to a key of the client', claims({ cnf: { jkt: 'x' } }), 'token_kind', 'cnf'],
    [
      'a foreign key under the right name',
      signJws(FOREIGN_KEY, createCookieClaims(origin), { typ: TYP }),
      'signature_invalid'
    ],
    [
      'a key that is not published',
      signJws(createSigningKey(), createCookieClaims(origin), { typ: TYP }),
      'unknown_key'
    ],
    ['HS256 with the public key', signHmac(pem, createContent()), 'signature_invalid'],
    [
      'HS256 with the public key, typ and kid',
      signHmac(pem, createCookieClaims(origin), { typ: TYP, kid: KEY.kid }),
      'kid_invalid'
    ],
    [
      'HS256 with the secret and the typ of signed ones',
      signHmac(SECRET, createCookieClaims(origin), { typ: TYP }),
      'typ_not_allowed'
    ],
    ['HS256 with the secret and typ JWT', signHmac(SECRET, createContent(), { typ: 'JWT' }), 'typ_not_allowed'],
    [
      'HS256 of something else that the server signs',
      signHmac(SECRET, { email: 'ada@example.com', exp: now() + 60 }),
      'session_invalid',
      'user'
    ],
    [
      'HS256 with the session of another user',
      signHmac(SECRET, createContent({}, { userId: 'u_2' })),
      'session_invalid',
      'session'
    ],
    [
      'HS256 with a session that is over',
      signHmac(SECRET, createContent({}, { expiresAt: isoIn(-1) })),
      'session_expired',
      'session'
    ],
    ['HS256 without an end', signHmac(SECRET, { ...createContent(), exp: undefined }), 'claim_missing', 'exp'],
    ['HS512 with the secret', signHmac(SECRET, createContent(), { alg: 'HS512' }, 'sha512'), 'algorithm_not_allowed'],
    [
      'alg none',
      `${signJws(KEY, createCookieClaims(origin), { typ: TYP, alg: 'none' }).replace(/[^.]*$/, '')}`,
      'algorithm_not_allowed'
    ],
    ['an access token', signJws(KEY, createClaims(origin)), 'typ_not_allowed'],
    ['an access token that says its type', signJws(KEY, createClaims(origin), { typ: 'at+jwt' }), 'typ_not_allowed'],
    [
      'an access token under the typ of cookies',
      signJws(KEY, createClaims(origin), { typ: TYP }),
      'session_invalid',
      'user'
    ]
  ]
  for (const [name, cookie, reason, claim] of cases) {
    const before = log.refusals().length
    const { status, body } = await getWith(app, [[NAME, cookie]])
    t.equal(status, 401, name)
    t.equal(body.code, reason === 'expired' ? 'FST_BETTER_AUTH_TOKEN_EXPIRED' : 'FST_BETTER_AUTH_TOKEN_INVALID', name)
    const [line] = log.refusals().slice(before)
    t.equal(line?.reason, reason === 'expired' ? 'token_expired' : reason, name)
    if (claim !== undefined) t.equal(line?.claim, claim, name)
    t.equal(
      (await getWith(app, [[NAME, cookie]], '/maybe')).status, 401, `${name}: a bad cookie is not anonymous`
    )
  }
  const received = log.refusals().filter(({ reason }) => reason === 'audience_mismatch').map(({ received }) => received)
  t.strictSame([...new Set(received)], [origin, null, 'better-auth:session-cache/'], 'the log shows the audience')
  const text = JSON.stringify(log.lines)
  for (const [, cookie] of cases) {
    if (cookie !== 'x') t.notOk(text.includes(cookie.split('.')[2] || cookie), 'no log line holds a cookie')
  }
  t.notOk(text.includes('session-token'), 'nor a session\'s token')
})

t.test('accepts other spellings of the same meaning', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin, sessionCookie: { secret: SECRET } })
  for (const typ of [TYP.toUpperCase(), `application/${TYP}`]) {
    t.equal((await getWith(app, [[NAME, signJws(KEY, createCookieClaims(jwks.origin), { typ })]])).status, 200, typ)
  }
  t.equal((await getWith(app, [[NAME, signHmac(SECRET, createContent())]])).status, 200, 'HS256')
})

t.test('the two kinds of token never stand in for each other', async t => {
  const jwks = await startJwks(t, KEY)
  const { origin } = jwks
  const access = signJws(KEY, createClaims(origin))
  const cookie = createCookie(origin)
  const hmacCookie = signHmac(SECRET, createContent())
  const hmacAccess = signHmac(SECRET, createClaims(origin))

  for (const tokenCache of [undefined, false] as const) {
    const app = await startCookieApi(t, {
      authUrl: origin,
      sessionCookie: { secret: SECRET },
      tokenCache,
      extractToken: ({ query }) => (query as { token?: string }).token
    })
    app.get('/jwt', async request => request.jwtVerify())
    for (const round of [1, 2]) {
      const what = `round ${round}, tokenCache ${tokenCache}`
      t.equal((await get(app, bearer(access))).status, 200, `${what}: an access token in the header`)
      t.equal((await getWith(app, [[NAME, cookie]])).status, 200, `${what}: a cookie in the cookie`)
      t.equal((await getWith(app, [[NAME, hmacCookie]])).status, 200, `${what}: a cookie of HS256 in the cookie`)
      for (const [name, token] of Object.entries({ cookie, hmacCookie, hmacAccess })) {
        t.equal((await get(app, bearer(token))).status, 401, `${what}: ${name} in the header`)
        t.equal((await get(app, bearer(token), '/jwt')).status, 401, `${what}: ${name} for jwtVerify()`)
        t.equal((await get(app, {}, `/me?token=${token}`)).status, 401, `${what}: ${name} by extractToken`)
      }
      for (const [name, token] of Object.entries({ access, hmacAccess })) {
        t.equal((await getWith(app, [[NAME, token]])).status, 401, `${what}: ${name} in the cookie`)
      }
    }
  }

  t.test('the secret of bearer tokens is another option, with the session cookie and without', async t => {
    const BEARER_SECRET = randomBytes(32).toString('hex')
    const app = await startCookieApi(t, { authUrl: origin, secret: BEARER_SECRET, sessionCookie: { secret: SECRET } })
    app.get('/jwt', async request => request.jwtVerify())
    const bearerToken = signHmac(BEARER_SECRET, createClaims(origin))
    for (const url of ['/me', '/jwt']) {
      t.equal((await get(app, bearer(bearerToken), url)).status, 200, `${url}: a bearer token of its own secret`)
      t.equal((await get(app, bearer(hmacAccess), url)).status, 401, `${url}: a bearer token of the cookie's secret`)
      t.equal((await get(app, bearer(hmacCookie), url)).status, 401, `${url}: a cookie as bearer token`)
    }
    t.equal((await getWith(app, [[NAME, hmacCookie]])).status, 200, 'a cookie of its own secret')
    const swapped = signHmac(BEARER_SECRET, createContent())
    t.equal((await getWith(app, [[NAME, swapped]])).status, 401, 'a cookie of the secret of bearer tokens')

    const bearerOnly = await startCookieApi(t, { authUrl: origin, secret: BEARER_SECRET })
    t.equal((await get(bearerOnly, bearer(bearerToken))).status, 200)
    t.equal((await getWith(bearerOnly, [[NAME, swapped]])).status, 401, 'the top-level secret is not for cookies')
    t.equal((await getWith(bearerOnly, [[NAME, cookie]])).status, 200, 'a cookie signed by the JWKS')
  })

  t.test('one secret for both: each kind only in its own place', async t => {
    const app = await startCookieApi(t, { authUrl: origin, secret: SECRET, sessionCookie: { secret: SECRET } })
    t.equal((await get(app, bearer(hmacAccess))).status, 200)
    t.equal((await getWith(app, [[NAME, hmacCookie]])).status, 200)
    t.equal((await get(app, bearer(hmacCookie))).status, 401)
    t.equal((await getWith(app, [[NAME, hmacAccess]])).status, 401)
  })

  t.test('and without the cookie the secret serves for bearer tokens', async t => {
    const app = await startCookieApi(t, { authUrl: origin, secret: SECRET, sessionCookie: false })
    t.equal((await get(app, bearer(hmacAccess))).status, 200)
    t.equal((await get(app, bearer(hmacCookie))).status, 401)
  })
})

t.test('a session that ends while its cookie is remembered', async t => {
  const ISSUER = 'https://id.example.com'

  async function setUp (
    options: BetterAuthOptions = {}, { auth }: Partial<ResolvedOptions> = {}
  ): Promise<{ verifier: Verifier, clock: Clock }> {
    const { store, clock } = createTestStore([KEY.jwk as Fields & { kid: string }])
    const resolved = { ...resolveOptions({ authUrl: ISSUER, sessionCookie: { secret: SECRET }, ...options }, {}), auth }
    const profile = sessionCookieProfile(resolved, { secret: SECRET, version: undefined }, createUserReader())
    const context = { keys: store, checks: createSignatureChecks(), now: clock.now }
    return { verifier: createVerifier(profile, resolved, context), clock }
  }
  const at = (time: number) => new Date(time).toISOString()
  const content = (clock: Clock, sessionMs: number, tokenMs = 300_000) => ({
    ...createCookieClaims(ISSUER, {}, {}, { expiresAt: at(clock.now() + sessionMs) }),
    iat: clock.now() / 1000,
    exp: (clock.now() + tokenMs) / 1000
  })
  const refused = async (verifier: Verifier, cookie: string) => verifier.verify(cookie)

  t.test('names the active organization', async t => {
    const { verifier, clock } = await setUp()
    const { session, ...claims } = content(clock, 60_000) as Fields
    for (const [activeOrganizationId, organization] of [['org_1', { id: 'org_1' }], [null, undefined]]) {
      const cookie = signJws(KEY, { ...claims, session: { ...session as Fields, activeOrganizationId } }, { typ: TYP })
      t.strictSame((await verifier.verify(cookie)).authorization.organization, organization)
    }
  })

  t.test('has the fields that the option `auth` adds to a session', async t => {
    const auth = { fields: { user: [], session: [{ name: 'device', type: 'string' }] } } as never
    const { verifier, clock } = await setUp({}, { auth })
    const { session, ...claims } = content(clock, 60_000) as Fields
    const verify = async (fields: Fields) => {
      return verifier.verify(signJws(KEY, { ...claims, session: { ...session as Fields, ...fields } }, { typ: TYP }))
    }
    t.match((await verify({ device: 'phone' })).session, { id: 's_1', device: 'phone' })
    t.match((await verify({})).session, { id: 's_1', device: null })
    await t.rejects(verify({ device: 1 }), withReason('session_invalid'))
  })

  for (const clockTolerance of [0, 5000]) {
    t.test(`ends to the millisecond, with a clock tolerance of ${clockTolerance}`, async t => {
      const { verifier, clock } = await setUp({ clockTolerance })
      const cookie = signJws(KEY, content(clock, 60_000), { typ: TYP })
      await verifier.verify(cookie)
      const second = await verifier.verify(cookie)
      clock.advance(59_999)
      t.equal(verifier.verify(cookie), second, 'cached until then')
      clock.advance(1)
      await t.rejects(refused(verifier, cookie), withReason('session_expired'))
      clock.advance(1)
      await t.rejects(refused(verifier, cookie), withReason('session_expired'))
    })
  }

  t.test('ends with HS256 as well', async t => {
    const { verifier, clock } = await setUp()
    const { iss, aud, sub, sid, ...unbound } = content(clock, 60_000) as Fields
    t.match({ iss, aud, sub, sid }, { iss: ISSUER, sub: 'u_1' })
    const cookie = signHmac(SECRET, unbound)
    t.equal(await verifier.verify(cookie), await verifier.verify(cookie))
    clock.advance(60_000)
    await t.rejects(refused(verifier, cookie), withReason('session_expired'))
  })

  t.test('does not outlive the token, whatever the session says', async t => {
    const { verifier, clock } = await setUp({ clockTolerance: 0 })
    const cookie = signJws(KEY, content(clock, 604_800_000, 60_000), { typ: TYP })
    await verifier.verify(cookie)
    const second = await verifier.verify(cookie)
    clock.advance(59_999)
    t.equal(verifier.verify(cookie), second)
    clock.advance(1)
    await t.rejects(refused(verifier, cookie), withReason('token_expired'))
  })
})

t.test('an error handler cannot add an issuer that is trusted', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startCookieApi(t, { authUrl: jwks.origin })
  app.setErrorHandler((error: { details: { expected: string[] } }, _request, reply) => {
    try {
      error.details.expected.push('https://evil.example')
    } catch {
      // It is frozen.
    }
    return reply.code(401).send({})
  })
  const claims = { ...createCookieClaims(jwks.origin), iss: 'https://evil.example' }
  const token = signJws(KEY, claims, { typ: TYP })
  for (const round of [1, 2]) t.equal((await getWith(app, [[NAME, token]])).status, 401, `round ${round}`)
})
