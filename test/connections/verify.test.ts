import diagnostics from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import {
  CHANNELS, type BetterAuthOptions, type Claims, type TokenGuard, type VerificationMessage
} from '../../lib/index.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { USER, startIssuer } from '../fixtures/test-issuer.js'
import { createClock, useClock } from '../fixtures/clock.js'

const RESOURCE = 'https://api.example.com'

async function start (t: Test, options: BetterAuthOptions = {}) {
  const issuer = await startIssuer(t)
  const log = captureLog()
  const app = await startApi(t, { authUrl: issuer.authUrl, ...options }, log)
  app.get('/me', { onRequest: [app.authenticate] }, async request => {
    const { user, claims, principal } = request
    return { user, claims, principal }
  })
  await app.ready()
  /** The reason word for which a token is refused, or null. */
  const reasonOf = (token: unknown, guard?: TokenGuard): Promise<string | null> => {
    return app.betterAuth.verify(token, guard).then(() => null, error => error.reason ?? error.code)
  }
  return { app, issuer, log, verify: app.betterAuth.verify, reasonOf }
}

t.test('a token has the same result as a request with it', async t => {
  const { app, issuer, verify } = await start(t)
  for (const token of [issuer.token({ role: 'admin' }), issuer.token({ jti: 'again' })]) {
    const verified = await verify(token)
    const { headers, ...request } = (await app.inject({ url: '/me', headers: bearer(token) })).json()
    t.strictSame({ ...verified }, request)
    t.match(verified, { user: USER, principal: { kind: 'user', via: 'bearer' }, claims: { iss: issuer.authUrl } })
    t.equal(verified.principal.user, verified.user)
  }
})

t.test('changes by one caller are not visible to another', async t => {
  const { issuer, verify } = await start(t)
  const token = issuer.token({ nested: { list: [1] } })
  for (let i = 0; i < 3; i++) {
    const { user, claims, principal } = await verify(token)
    t.equal(user.name, 'Ada Lovelace')
    t.strictSame(claims.nested, { list: [1] })
    user.name = 'Mallory'
    claims.sub = 'mallory'
    ;(claims.nested as { list: number[] }).list.push(2)
    t.ok(Object.isFrozen(principal))
  }
})

t.test('whatever `authenticate` refuses, it refuses for the same reason', async t => {
  const { app, issuer, log, reasonOf } = await start(t)
  const [header, payload] = issuer.token().split('.')
  const other = await startIssuer(t)
  const tokens = {
    token_expired: issuer.expired(),
    token_not_active: issuer.notYetValid(),
    audience_mismatch: issuer.wrongAudience(),
    issuer_mismatch: issuer.token({ iss: 'https://evil.example.com' }),
    signature_invalid: issuer.forged(),
    unknown_key: other.token(),
    banned: issuer.token({ banned: true }),
    oauth_token_not_accepted: issuer.accessToken({ clientId: 'c', scopes: ['a'], resource: RESOURCE }),
    token_kind: issuer.token({ cnf: { jkt: 'a' } }),
    algorithm_not_allowed: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
    token_malformed: `${header}.${payload}`,
    token_too_long: `${header}.${payload}.${'A'.repeat(16_384)}`
  }
  for (const [reason, token] of Object.entries(tokens)) {
    t.equal(await reasonOf(token), reason)
    log.lines.length = 0
    t.not((await app.inject({ url: '/me', headers: bearer(token) })).statusCode, 200)
    t.equal(log.refusals()[0]?.reason, reason, 'as of a request')
  }
})

t.test('it accepts a token, and not a header', async t => {
  const { issuer, verify, reasonOf } = await start(t)
  const token = issuer.token()
  for (const none of [undefined, null, '']) {
    t.equal(await reasonOf(none), 'token_missing', String(none))
    await t.rejects(verify(none), { code: 'FST_BETTER_AUTH_TOKEN_MISSING', statusCode: 401 })
  }
  for (const wrong of [
    `Bearer ${token}`, ` ${token}`, `${token} `, [token], { token }, 5, true, Symbol('token'),
    () => token, Buffer.from(token)
  ]) {
    t.equal(await reasonOf(wrong), 'token_malformed', typeof wrong)
  }
})

t.test('isRevoked is asked each time, without a request, and its failure is a 503', async t => {
  const calls: unknown[] = []
  let verdict: unknown = false
  const { issuer, verify, reasonOf } = await start(t, {
    isRevoked (claims: Claims, request) {
      calls.push([claims.jti, request])
      if (verdict instanceof Error) throw verdict
      return verdict as boolean
    }
  })
  const token = issuer.token({ jti: 'j' })
  await verify(token)
  await verify(token)
  t.strictSame(calls, [['j', undefined], ['j', undefined]])
  verdict = Promise.resolve(true)
  await t.rejects(verify(token), { code: 'FST_BETTER_AUTH_TOKEN_REVOKED' })
  verdict = new Error('down')
  await t.rejects(verify(token), { code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', statusCode: 503 })
  verdict = undefined
  t.equal(await reasonOf(token), 'revocation_unavailable')
})

t.test('permissions are judged by the role objects, as on a route', async t => {
  const role = (...has: string[]) => ({
    authorize: ({ job = [] }: { job?: readonly string[] }) => ({ success: job.every(action => has.includes(action)) })
  })
  const roles = { operator: role('run', 'stop'), viewer: role() }
  const { issuer, reasonOf } = await start(t, { roles } as BetterAuthOptions)
  const guard: TokenGuard = { permissions: { job: ['run'] } }
  t.equal(await reasonOf(issuer.token({ role: 'operator' }), guard), null)
  t.equal(await reasonOf(issuer.token({ role: 'viewer' }), guard), 'permission_missing')
  t.equal(await reasonOf(issuer.token(), guard), 'permission_missing')
})

t.test('while the auth server is down, an unknown key is a 503', async t => {
  const { issuer, verify } = await start(t)
  issuer.fail('down')
  await t.rejects(verify(issuer.token()), { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', statusCode: 503 })
})

t.test('OAuth clients', async t => {
  const { issuer, verify, reasonOf } = await start(t, { resource: RESOURCE })
  const given = { clientId: 'client_1', scopes: ['jobs:run'], resource: RESOURCE }
  const user = issuer.token({ role: 'admin' })
  const [delegated, machine] = [issuer.accessToken(given), issuer.clientToken(given)]

  t.test('are not users: without a guard, they are refused', async t => {
    t.equal(await reasonOf(user), null)
    t.equal(await reasonOf(delegated), 'principal_not_allowed')
    t.equal(await reasonOf(machine), 'principal_not_allowed')
    t.equal(await reasonOf(machine, { roles: ['admin'] }), 'principal_not_allowed')
  })

  t.test('pass a guard that names their scopes', async t => {
    const guards: Array<[TokenGuard, Array<string | null>]> = [
      [{ clients: ['jobs:run'] }, [null, 'principal_not_allowed', null]],
      [{ clients: ['jobs:run'], users: false }, ['principal_not_allowed', 'principal_not_allowed', null]],
      [{ delegated: ['jobs:run'] }, [null, null, 'principal_not_allowed']],
      [{ delegated: ['jobs:stop'], clients: ['jobs:stop'] }, [null, 'scope_missing', 'scope_missing']],
      [{ roles: ['admin'] }, [null, 'principal_not_allowed', 'principal_not_allowed']],
      [{ roles: ['support'] }, ['role_missing', 'principal_not_allowed', 'principal_not_allowed']],
      [{ scopes: ['jobs:run'], clients: ['jobs:run'] }, ['scope_missing', 'principal_not_allowed', null]]
    ]
    for (const [guard, expected] of guards) {
      const reasons = await Promise.all([user, delegated, machine].map(token => reasonOf(token, guard)))
      t.strictSame(reasons, expected, JSON.stringify(guard))
    }
    const { principal, user: nobody } = await verify(machine, { clients: ['jobs:run'] })
    t.match(principal, { kind: 'client', clientId: 'client_1', scopes: ['jobs:run'] })
    t.equal(nobody, null)
  })

  t.test('a guard that needs a request, or is invalid, is an InvalidOptionError', async t => {
    for (const guard of [
      { check: () => true }, { roles: ['admin'], check: undefined }, { unknown: true }, {}, { roles: [] },
      { users: false }, { roles: undefined }, null, 'admin', 5, []
    ]) {
      const refusal = { code: 'FST_BETTER_AUTH_INVALID_OPTION' }
      await t.rejects(verify(user, guard as TokenGuard), refusal, JSON.stringify(guard))
    }
    await t.rejects(verify(user, { check: () => true } as TokenGuard), {
      message: 'verify() does not accept "check", only conditions that need no request: ' +
        'roles, permissions, scopes, delegated, clients, users'
    })
  })
})

t.test('with `exchange`, a session token is exchanged once, and revoke() ends it', async t => {
  const { app, issuer, verify, reasonOf } = await start(t, { exchange: { forwardedFor: true } })
  const session = issuer.session({ id: 'u_7' })
  for (let i = 0; i < 2; i++) {
    t.match(await verify(session.token), { user: { id: 'u_7' }, principal: { via: 'session-token' } })
  }
  t.equal(issuer.exchanges, 1)
  t.equal(await reasonOf('short'), 'credential_malformed')
  t.equal(await reasonOf('x'.repeat(20_000)), 'credential_malformed')
  t.equal(await reasonOf('x'.repeat(32)), 'credential_refused')
  session.signOut()
  await app.betterAuth.revoke({ userId: 'u_7' })
  t.equal(await reasonOf(session.token), 'credential_refused')
})

t.test('without `exchange`, a session token is refused', async t => {
  const { issuer, reasonOf } = await start(t)
  t.equal(await reasonOf(issuer.session().token), 'token_malformed')
  t.equal(issuer.exchanges, 0)
})

t.test('subscribers of the channel see it as they see a request', async t => {
  const { app, issuer, verify, reasonOf } = await start(t)
  const messages: unknown[] = []
  const listener = (message: unknown) => { messages.push(message) }
  diagnostics.subscribe(CHANNELS.verification, listener)
  t.teardown(() => { diagnostics.unsubscribe(CHANNELS.verification, listener) })
  const token = issuer.token()
  await verify(token)
  await verify(token)
  await verify(token)
  await reasonOf(issuer.expired())
  await reasonOf('')
  await reasonOf(5)
  await reasonOf(token, { roles: ['admin'] })
  const accepted: VerificationMessage = {
    authUrl: issuer.authUrl, credential: 'bearer', outcome: 'accepted', reason: null, cached: false
  }
  t.strictSame(messages, [
    accepted,
    { ...accepted, cached: true },
    { ...accepted, cached: true },
    { ...accepted, outcome: 'refused', reason: 'token_expired' },
    { ...accepted, credential: null, outcome: 'refused', reason: 'token_missing' },
    { ...accepted, outcome: 'refused', reason: 'token_malformed' },
    { ...accepted, cached: true }
  ], 'as with authorize(), its conditions come after')
  t.equal(app.betterAuth.status().keys.length, 1)
})

t.test('onEnd() of what it returned: real timers, real keys', async t => {
  const { app, issuer, verify } = await start(t, { jwks: { maxAge: 0, staleWhileRevalidate: 0 } })
  const ended: Array<Promise<string>> = []
  const watch = async (token: string) => {
    const { principal } = await verify(token)
    ended.push(new Promise(resolve => { app.betterAuth.onEnd(principal, resolve) }))
  }
  // Times are whole seconds: with -4, it would sometimes have none left.
  await watch(issuer.token({}, { expiresIn: -3 }))
  t.equal(await ended[0], 'token_expired', 'when the clock tolerance is over')
  await watch(issuer.token({ id: 'u_1' }))
  await watch(issuer.token({ id: 'u_2' }))
  await app.betterAuth.revoke({ userId: 'u_2' })
  t.equal(await ended[2], 'session_revoked')
  issuer.revoke()
  const seen = app.betterAuth.verify(issuer.token()).catch(() => performance.now())
  t.equal(await ended[1], 'key_removed')
  t.ok(performance.now() - Number(await seen) < 1000, 'within a second of the fetch')
})

t.test('the clock of the application decides', async t => {
  const clock = createClock(Date.now())
  const { issuer, verify, reasonOf } = await start(t)
  const token = issuer.token()
  const { principal } = await verify(token)
  useClock(t, clock)
  clock.set(principal.expiresAt + 4999)
  t.equal(await reasonOf(token), null)
  clock.advance(1)
  t.equal(await reasonOf(token), 'token_expired')
})
