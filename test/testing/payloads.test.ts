import t from 'tap'
import {
  bindCookiePayload, createCookiePayload, createTokenPayload, now
} from '../../lib/testing/payloads.js'
import { CLOCK, NOW } from '../fixtures/claims.js'
import { withClock } from '../fixtures/clock.js'
import { USER } from '../fixtures/test-issuer.js'

const ISSUER = 'https://id.example.com'
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

t.test('a cookie holds a user and a new session of a week, and is valid for 5 minutes', async t => {
  const payload = await atNow(() => createCookiePayload({ id: 'u_2', name: 'Grace' }))
  t.match(payload, {
    user: { ...USER, id: 'u_2', name: 'Grace' },
    session: { userId: 'u_2', expiresAt: new Date((NOW + WEEK) * 1000).toISOString() },
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
