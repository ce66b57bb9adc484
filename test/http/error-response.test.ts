import t, { type Test } from 'tap'
import { ERRORS, type ErrorCode } from '../../lib/contract/error-codes.js'
import { BetterAuthError, ForbiddenError, TokenInvalidError } from '../../lib/contract/errors.js'
import { REASONS } from '../../lib/contract/reasons.js'
import { responseHeaders } from '../../lib/http/error-response.js'
import {
  bearer, captureLog, headersFor, startApi, TRANSPORTS, type ApiResponse, type LogCapture
} from '../fixtures/api.js'
import {
  FORBIDDEN, INVALID, isForbidden, isRefusal, isSuccess, MALFORMED, MISSING, UNAVAILABLE, USER
} from '../fixtures/expected.js'
import { deadOrigin, startJwks } from '../fixtures/jwks-server.js'
import { refusedRequests } from '../fixtures/refused-requests.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()
const FOREIGN_KEY = createSigningKey()

/** Whether a token, or its signature alone, is in what was logged. */
function isLeaked (log: LogCapture, authorization = ''): boolean {
  const text = JSON.stringify(log.lines)
  const parts = authorization.split(/[ .]/).filter(part => part.length > 40)
  return parts.some(part => text.includes(part))
}

t.test('each refusal has exactly its response and is logged once with its reason', async t => {
  const jwks = await startJwks(t, KEY)
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    for (const { name, authorization, refusal, reason, log: details = {} } of refusedRequests(
      jwks.origin, KEY, FOREIGN_KEY
    )) {
      t.test(`${name}, by ${transport}`, async t => {
        const log = captureLog()
        const app = await startApi(t, { authUrl: jwks.origin }, log)
        let handled = 0
        app.get('/hook', { onRequest: [app.authenticate] }, async () => { handled++ })
        app.get('/hand', async (request, reply) => {
          await app.authenticate(request, reply)
          handled++
        })
        for (const url of ['/hook', '/hand']) {
          log.lines.length = 0
          isRefusal(t, await call(app, { url, headers: headersFor(authorization) }), refusal)
          t.match(log.refusals(), [{ level: 30, reason, reqId: /^req-/, msg: 'request refused', ...details }])
          t.equal(log.refusals().length, 1)
          if (details.expected === undefined) {
            t.notOk(
              'expected' in log.refusals()[0]! || 'received' in log.refusals()[0]!
            )
          }
          t.notOk(isLeaked(log, authorization))
        }
        t.equal(handled, 0)
      })
    }
  }
})

t.test('expected and received are not logged for a token with a wrong signature', async t => {
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const app = await startApi(t, { authUrl: jwks.origin }, log)
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const claims = createClaims('https://evil.example.com')
  isRefusal(
    t,
    await TRANSPORTS.inject(app, { url: '/', headers: bearer(signJws(FOREIGN_KEY, claims, { kid: KEY.kid })) }),
    INVALID
  )
  t.notMatch(JSON.stringify(log.lines), /evil/)
})

t.test('two Authorization headers are malformed, even if both are good', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async () => 'handled')
  const { authorization } = bearer(signJws(KEY, createClaims(jwks.origin)))
  isRefusal(
    t, await TRANSPORTS.socket(app, { url: '/', headers: { Authorization: [authorization, authorization] } }), MALFORMED
  )
})

t.test('the scheme is compared without case, and space around the token does not matter', async t => {
  const jwks = await startJwks(t, KEY)
  const app = await startApi(t, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async request => request.user)
  const token = signJws(KEY, createClaims(jwks.origin))
  for (const call of Object.values(TRANSPORTS)) {
    for (const authorization of [`bearer ${token}`, `BEARER ${token}`, `Bearer   ${token}`, `Bearer  ${token} `]) {
      isSuccess(t, await call(app, { url: '/', headers: { authorization } }), USER)
    }
  }
})

t.test('503 while the keys cannot be fetched, logged as a warning', async t => {
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(transport, async t => {
      const log = captureLog()
      const authUrl = await deadOrigin()
      const app = await startApi(t, { authUrl }, log)
      app.get('/hook', { onRequest: [app.authenticate] }, async () => 'handled')
      app.get('/hand', async (request, reply) => { await app.authenticate(request, reply) })
      const { authorization } = bearer(signJws(KEY, createClaims(authUrl)))
      // The second comes during the pause after the first.
      for (const url of ['/hook', '/hook', '/hand']) {
        log.lines.length = 0
        isRefusal(t, await call(app, { url, headers: { authorization } }), UNAVAILABLE)
        t.match(log.refusals(), [{ level: 40, reason: 'jwks_unavailable' }])
        t.equal(log.refusals().length, 1)
        t.notOk(isLeaked(log, authorization))
      }
      isRefusal(t, await call(app, { url: '/hook' }), MISSING)
    })
  }
})

t.test('403 when a handler throws ForbiddenError', async t => {
  const jwks = await startJwks(t, KEY)
  const headers = bearer(signJws(KEY, createClaims(jwks.origin)))
  for (const [transport, call] of Object.entries(TRANSPORTS)) {
    t.test(transport, async t => {
      const log = captureLog()
      const app = await startApi(t, { authUrl: jwks.origin }, log)
      app.get('/', { onRequest: [app.authenticate] }, async () => { throw new ForbiddenError() })
      isRefusal(t, await call(app, { url: '/', headers }), FORBIDDEN)
      t.match(log.refusals(), [{ reason: 'forbidden' }], 'logged with its reason')
      t.equal(log.refusals().length, 1)
    })
  }
})

/** Calls an API whose handler throws this. */
async function callThrowing (t: Test, error: Error): Promise<{ response: ApiResponse, log: LogCapture }> {
  const log = captureLog()
  const app = await startApi(t, { authUrl: 'https://id.example.com' }, log)
  app.get('/', async () => { throw error })
  return { response: await TRANSPORTS.inject(app, { url: '/' }), log }
}

t.test('the log line of a refusal has its details, its cause, and the fix for its reason', async t => {
  const { log } = await callThrowing(t, new TokenInvalidError('claim_missing', { claim: 'exp' }))
  const [line] = log.refusals()
  t.match(line, { reason: 'claim_missing', claim: 'exp', hint: REASONS.claim_missing.fix })
  t.notOk('err' in line!)
  const failed = await callThrowing(t, new ForbiddenError('check_failed', [], new Error('no database')))
  t.match(failed.log.refusals(), [{ hint: REASONS.check_failed.fix, err: { message: 'no database' } }])
})

t.test('a reason word of the application is logged without a hint, and answered 403', async t => {
  const { response, log } = await callThrowing(t, new ForbiddenError('mine' as never))
  isRefusal(t, response, FORBIDDEN)
  t.match(log.refusals(), [{ level: 30, reason: 'mine', msg: 'request refused' }])
  t.notOk('hint' in log.refusals()[0]!)
})

t.test('the scopes that are needed are in the challenge', async t => {
  const { response } = await callThrowing(t, new ForbiddenError('scope_missing', ['read', 'write']))
  isForbidden(t, response, 'two scopes', 'read write')
})

t.test('an error of another installed copy gets its headers and its log line', async t => {
  const url: string = '../../lib/contract/errors.js?copy'
  const copy = await import(url) as typeof import('../../lib/contract/errors.js')
  const { response, log } = await callThrowing(t, new copy.TokenInvalidError('unknown_key'))
  isRefusal(t, response, INVALID)
  t.match(log.refusals(), [{ reason: 'unknown_key', hint: REASONS.unknown_key.fix }])
  t.equal(log.refusals().length, 1)
})

t.test('any other error gets neither', async t => {
  const error = Object.assign(new Error('mine'), { statusCode: 401, challenge: 'none' })
  const { response, log } = await callThrowing(t, error)
  t.equal(response.status, 401)
  t.notOk('www-authenticate' in response.headers)
  t.strictSame(log.refusals(), [])
})

t.test('an invalid scope is left out of the challenge', async t => {
  const challengeOf = (...scopes: string[]) => {
    return responseHeaders(new ForbiddenError('forbidden', scopes))['WWW-Authenticate']
  }
  t.equal(challengeOf('read', 'a" error="x', 'write'), 'Bearer error="insufficient_scope", scope="read write"')
  for (const scope of ['', ' ', 'a b', 'a\\b', 'a\r\nSet-Cookie: x=1', 'é', '\u0000']) {
    t.equal(challengeOf(scope), 'Bearer error="insufficient_scope"', JSON.stringify(scope))
  }
})

t.test('each code has the challenge of RFC 6750 §3.1', async t => {
  const challenges: Record<ErrorCode, string | undefined> = {
    FST_BETTER_AUTH_TOKEN_MISSING: 'Bearer',
    FST_BETTER_AUTH_REQUEST_INVALID: 'Bearer error="invalid_request"',
    FST_BETTER_AUTH_TOKEN_EXPIRED: 'Bearer error="invalid_token"',
    FST_BETTER_AUTH_TOKEN_INVALID: 'Bearer error="invalid_token"',
    FST_BETTER_AUTH_TOKEN_REVOKED: 'Bearer error="invalid_token"',
    FST_BETTER_AUTH_FORBIDDEN: 'Bearer error="insufficient_scope"',
    FST_BETTER_AUTH_CSRF: undefined,
    FST_BETTER_AUTH_REVOCATION_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_CHECK_UNAVAILABLE: undefined,
    FST_BETTER_AUTH_JWKS_UNAVAILABLE: undefined
  }
  class AnyError extends BetterAuthError {}
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const challenge = challenges[code]
    t.strictSame(responseHeaders(new AnyError(code, 'forbidden')), {
      ...challenge !== undefined && { 'WWW-Authenticate': challenge }
    }, code)
  }
})
