import t from 'tap'
import {
  bindCookiePayload, createClientPayload, createCookiePayload, createDelegatedPayload, createTokenPayload, now
} from '../../lib/testing/payloads.js'
import { CLOCK, NOW } from '../fixtures/claims.js'
import { withClock } from '../fixtures/clock.js'
import { USER } from '../fixtures/test-issuer.js'

const ISSUER = 'https://id.example.com'
const RESOURCE = 'https://api.example.com'
/** The default lifetime of a session in Better Auth, in seconds. */
const WEEK = 7 * 24 * 3600

/** Runs something at the time of all tests. */
const atNow = <T>(run: () => T): Promise<T> => withClock({ now: () => CLOCK + 999 }, async () => run())
const token = (claims: Record<string, unknown> = {}, expiresIn?: number) =>
  atNow(() => createTokenPayload(ISSUER, 'https://api.example.com', claims, expiresIn))

t.test('now() is in whole seconds', async t => {
  t.equal(await atNow(now), NOW)
})

t.test('a token holds the row of the user, issuer, audience and 15 minutes', async t => {
  t.strictSame(await token(), {
    iat: NOW,
    ...USER,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    sub: 'user_1',
    exp: NOW + 900,
    iss: ISSUER,
    aud: 'https://api.example.com'
  })
})

t.test('id or sub alone sets both; both stay as they are', async t => {
  for (const claims of [{ id: 'u_2' }, { sub: 'u_2' }]) t.match(await token(claims), { id: 'u_2', sub: 'u_2' })
  t.match(await token({ id: 'row', sub: 'u_2' }), { id: 'row', sub: 'u_2' })
})

t.test('exp follows iat and the lifetime, unless it is given', async t => {
  t.match(await token({ iat: 100 }), { iat: 100, exp: 1000 })
  t.match(await token({}, -60), { iat: NOW, exp: NOW - 60 })
  t.match(await token({ exp: 5 }, -60), { exp: 5 })
  t.match(await token({ iat: 'x' }), { iat: 'x', exp: NOW + 900 })
})

/** The claims of a token of an OAuth client, its `jti` aside. */
async function oauthClaims (
  create: typeof createDelegatedPayload, options: Partial<Parameters<typeof createDelegatedPayload>[2]> = {}
): Promise<Record<string, unknown>> {
  const grant = { clientId: 'app_1', scopes: ['orders:read', 'orders:write'], resource: RESOURCE, ...options }
  const { jti, ...claims } = await atNow(() => create(ISSUER, `${ISSUER}/oauth2/userinfo`, grant))
  t.match(jti, /^[\w-]{20,}$/)
  return claims
}

t.test('a token of a machine has its client as the subject, and is valid for an hour', async t => {
  t.strictSame(await oauthClaims(createClientPayload), {
    sub: 'app_1',
    aud: RESOURCE,
    client_id: 'app_1',
    azp: 'app_1',
    scope: 'orders:read orders:write',
    iss: ISSUER,
    iat: NOW,
    exp: NOW + 3600
  })
})

t.test('a token of an app has the user as the subject, and the session of the user', async t => {
  const { sid, ...claims } = await oauthClaims(createDelegatedPayload)
  t.match(sid, /^[\w-]{20,}$/)
  t.strictSame(claims, { ...await oauthClaims(createClientPayload), sub: 'user_1' })
  t.match(await oauthClaims(createDelegatedPayload, { user: 'grace' }), { sub: 'grace', azp: 'app_1' })
})

t.test('the audience is one resource, or several, and with the scope openid userinfo as well', async t => {
  for (const create of [createClientPayload, createDelegatedPayload]) {
    const audienceOf = async (options: Parameters<typeof oauthClaims>[1]) => (await oauthClaims(create, options)).aud
    t.equal(await audienceOf({ resource: [RESOURCE] }), RESOURCE)
    t.strictSame(await audienceOf({ resource: [RESOURCE, ISSUER] }), [RESOURCE, ISSUER])
    t.strictSame(await audienceOf({ scopes: ['openid'] }), [RESOURCE, `${ISSUER}/oauth2/userinfo`])
  }
})

t.test('claims of a token of an OAuth client override the others, and undefined removes one', async t => {
  for (const create of [createClientPayload, createDelegatedPayload]) {
    const claims = await oauthClaims(create, { claims: { sub: undefined, banned: true, iat: 100 }, expiresIn: -60 })
    t.match(claims, { sub: undefined, banned: true, iat: 100, exp: 40 })
    t.match(await oauthClaims(create, { claims: { iat: 'x', exp: 5 } }), { iat: 'x', exp: 5 })
  }
})

t.test('a cookie holds a user and a new session of a week, and is valid for 5 minutes', async t => {
  const payload = await atNow(() => createCookiePayload({ id: 'u_2', name: 'Grace' }))
  t.match(payload, {
    user: { ...USER, id: 'u_2', name: 'Grace' },
    session: {
      userId: 'u_2',
      createdAt: new Date(NOW * 1000).toISOString(),
      updatedAt: new Date(NOW * 1000).toISOString(),
      expiresAt: new Date((NOW + WEEK) * 1000).toISOString()
    },
    updatedAt: CLOCK,
    iat: NOW,
    exp: NOW + 300
  })
  t.not(payload.session.token, (await atNow(() => createCookiePayload({}))).session.token)
  const changed = await atNow(() => createCookiePayload({}, { userId: 'u_3', tags: [] }, -60))
  t.match(changed, { user: USER, session: { userId: 'u_3', tags: [] }, exp: NOW - 60 })
})

t.test('where a key of the JWKS signs, the cookie has claims that bind it', async t => {
  const payload = createCookiePayload({ id: 'u_2' }, { token: 'session-token' })
  t.strictSame(bindCookiePayload(ISSUER, payload), {
    ...payload, sid: 'session-token', iss: ISSUER, aud: 'better-auth:session-cache', sub: 'u_2'
  })
})
