import createError from '@fastify/error'
import t from 'tap'
import {
  AlreadyRegisteredError, ForbiddenError, InvalidOptionError, JwksUnavailableError, RequestInvalidError,
  TokenExpiredError, TokenInvalidError, TokenMissingError, isBetterAuthError
} from '../../lib/index.js'
import { responseHeaders } from '../../lib/http/error-response.js'

const MISMATCH = { claim: 'iss', expected: ['https://id.example.com'], received: 'https://evil.example' }

const CASES = [
  {
    error: new TokenMissingError(),
    own: TokenMissingError,
    answer: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_MISSING', message: 'Missing bearer token' },
    headers: { 'WWW-Authenticate': 'Bearer' },
    reason: 'token_missing'
  },
  {
    error: new RequestInvalidError(),
    own: RequestInvalidError,
    answer: { statusCode: 400, code: 'FST_BETTER_AUTH_REQUEST_INVALID', message: 'Malformed Authorization header' },
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_request"' },
    reason: 'authorization_malformed'
  },
  {
    error: new TokenExpiredError(),
    own: TokenExpiredError,
    answer: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_EXPIRED', message: 'Token expired' },
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    reason: 'token_expired'
  },
  {
    error: new TokenInvalidError('issuer_mismatch', MISMATCH),
    own: TokenInvalidError,
    answer: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_INVALID', message: 'Invalid authentication credentials' },
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    reason: 'issuer_mismatch',
    details: MISMATCH
  },
  {
    error: new ForbiddenError(),
    own: ForbiddenError,
    answer: { statusCode: 403, code: 'FST_BETTER_AUTH_FORBIDDEN', message: 'Insufficient permissions' },
    headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' },
    reason: 'forbidden'
  },
  {
    error: new JwksUnavailableError(2000),
    own: JwksUnavailableError,
    answer: { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', message: 'Auth service unreachable' },
    headers: { 'Retry-After': '2' },
    reason: 'jwks_unavailable'
  }
]

for (const { error, own, answer, headers, reason, details = {} } of CASES) {
  t.test(own.name, async t => {
    t.match(error, answer, 'has the status, code and message of the answers table')
    t.equal(error.name, 'FastifyError')
    t.strictSame(responseHeaders(error), headers, 'has the header of the answers table and no other')
    t.equal(error.reason, reason)
    t.strictSame(error.details, details)

    t.ok(error instanceof Error)
    t.type(error.stack, 'string')
    t.ok(isBetterAuthError(error))
    t.strictSame(
      CASES.filter(other => error instanceof other.own).map(other => other.own.name), [own.name],
      'is of its own class and of no other'
    )

    const shown = { ...error }
    for (const name of ['reason', 'details', 'headers']) t.notOk(name in shown, `${name} is not printed with the error`)
    t.notMatch(JSON.stringify(error), reason)
    t.notMatch(JSON.stringify(error), /evil|expected/)
  })
}

t.test('a token that is invalid without details has none', async t => {
  t.strictSame(new TokenInvalidError('kid_invalid').details, {})
})

t.test('Retry-After is in whole seconds, rounded up, and never less than one', async t => {
  for (const [milliseconds, seconds] of [
    [-5000, '1'], [0, '1'], [0.4, '1'], [1, '1'], [1000, '1'], [1001, '2'], [1999.5, '2'], [14_001, '15'],
    [15_000, '15']
  ] as const) {
    t.strictSame(
      responseHeaders(new JwksUnavailableError(milliseconds)), { 'Retry-After': seconds }, `${milliseconds} ms`
    )
  }
})

t.test('no other error counts as a refusal', async t => {
  const Foreign = createError('FST_JWT_NO_AUTHORIZATION_IN_HEADER', 'no', 401)
  const others = [
    new Error('boom'), new Foreign(), new InvalidOptionError('no'), new AlreadyRegisteredError('no'),
    Object.assign(new Error('boom'), { code: 'FST_BETTER_AUTH_TOKEN_INVALID', statusCode: 401 }),
    undefined, null, 'FST_BETTER_AUTH_TOKEN_INVALID', 401, {}
  ]
  for (const other of others) t.notOk(isBetterAuthError(other), String(other))
})

t.test('errors of the registration tell what is wrong', async t => {
  t.match(
    new InvalidOptionError('Option "100%s" is bad'),
    { statusCode: 500, code: 'FST_BETTER_AUTH_INVALID_OPTION', message: 'Option "100%s" is bad' }
  )
  t.match(new AlreadyRegisteredError('twice'), {
    statusCode: 500, code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: 'twice'
  })
})
