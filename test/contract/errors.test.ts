import createError from '@fastify/error'
import Fastify from 'fastify'
import t from 'tap'
import { ALGORITHMS } from '../../lib/contract/algorithms.js'
import { DpopProofInvalidError, DpopUnavailableError } from '../../lib/contract/dpop-errors.js'
import { ERRORS } from '../../lib/contract/error-codes.js'
import {
  CheckUnavailableError, CsrfError, ExchangeUnavailableError, ForbiddenError, isBetterAuthError, JwksUnavailableError,
  RequestInvalidError, RevocationUnavailableError, TokenExpiredError, TokenInvalidError, TokenMissingError,
  TokenRevokedError
} from '../../lib/contract/errors.js'
import { AlreadyRegisteredError, InvalidOptionError, UnprotectedRouteError } from '../../lib/contract/setup-errors.js'
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
  },
  {
    error: new TokenRevokedError(),
    own: TokenRevokedError,
    answer: { statusCode: 401, code: 'FST_BETTER_AUTH_TOKEN_REVOKED', message: 'Token revoked' },
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    reason: 'token_revoked'
  },
  {
    error: new CsrfError(),
    own: CsrfError,
    answer: { statusCode: 403, code: 'FST_BETTER_AUTH_CSRF', message: 'Cross-site request refused' },
    headers: {},
    reason: 'origin_not_trusted'
  },
  {
    error: new RevocationUnavailableError(new Error('evil')),
    own: RevocationUnavailableError,
    answer: {
      statusCode: 503, code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', message: 'Revocation check unavailable'
    },
    headers: { 'Retry-After': '5' },
    reason: 'revocation_unavailable'
  },
  {
    error: new CheckUnavailableError(new Error('evil')),
    own: CheckUnavailableError,
    answer: {
      statusCode: 503, code: 'FST_BETTER_AUTH_CHECK_UNAVAILABLE', message: 'Authorization check unavailable'
    },
    headers: { 'Retry-After': '5' },
    reason: 'check_unavailable'
  },
  {
    error: new ExchangeUnavailableError(3000),
    own: ExchangeUnavailableError,
    answer: { statusCode: 503, code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE', message: 'Auth service unreachable' },
    headers: { 'Retry-After': '3' },
    reason: 'exchange_unavailable'
  },
  {
    error: new DpopProofInvalidError('proof_replayed', { claim: 'jti' }),
    own: DpopProofInvalidError,
    answer: { statusCode: 401, code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID', message: 'Invalid DPoP proof' },
    used: 'DPoP' as const,
    headers: { 'WWW-Authenticate': ['Bearer', `DPoP error="invalid_dpop_proof", algs="${ALGORITHMS.join(' ')}"`] },
    reason: 'proof_replayed',
    details: { claim: 'jti' }
  },
  {
    error: new DpopUnavailableError('replay_unavailable', new Error('evil')),
    own: DpopUnavailableError,
    answer: { statusCode: 503, code: 'FST_BETTER_AUTH_DPOP_UNAVAILABLE', message: 'DPoP replay check unavailable' },
    headers: { 'Retry-After': '5' },
    reason: 'replay_unavailable'
  }
]

t.test('each code has a class', async t => {
  t.strictSame(CASES.map(({ error }) => error.code).sort(), Object.keys(ERRORS).sort())
})

for (const { error, own, answer, used, headers, reason, details = {} } of CASES) {
  t.test(own.name, async t => {
    t.match(error, answer, 'has the status, code and message of the answers table')
    t.equal(error.name, 'FastifyError')
    const found = responseHeaders(error, undefined, undefined, used)
    t.strictSame(found, headers, 'has the header of the answers table and no other')
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
    t.strictSame(Object.keys(shown).sort(), ['code', 'statusCode'], 'what is printed with the error')
    t.notMatch(JSON.stringify(error), reason)
    t.notMatch(JSON.stringify(error), /evil|expected/)
  })
}

t.test('a token that has expired, and a page that is not trusted, have the details that they are given', async t => {
  t.strictSame(new TokenExpiredError({ claim: 'exp' }).details, { claim: 'exp' })
  t.strictSame(new CsrfError({ received: 'https://evil.example' }).details, { received: 'https://evil.example' })
})

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

t.test('challenge, scopes, retryAfter and cause of each', async t => {
  const cause = new Error('the database is down')
  const none = { scopes: [], retryAfter: undefined }
  const scopes = ['read', 'write']
  for (const [error, challenge, parts] of [
    [new TokenMissingError(), 'none', none],
    [new RequestInvalidError(), 'invalid_request', none],
    [new TokenExpiredError(), 'invalid_token', none],
    [new TokenInvalidError('kid_invalid'), 'invalid_token', none],
    [new TokenRevokedError(), 'invalid_token', none],
    [new ForbiddenError(), 'insufficient_scope', none],
    [new ForbiddenError('scope_missing', scopes), 'insufficient_scope', { ...none, scopes }],
    [new ForbiddenError('check_failed', [], cause), 'insufficient_scope', { ...none, cause }],
    [new CsrfError(), null, none],
    [new CsrfError({}, cause), null, { ...none, cause }],
    [new RevocationUnavailableError(cause), null, { ...none, retryAfter: 5000, cause }],
    [new CheckUnavailableError(cause), null, { ...none, retryAfter: 5000, cause }],
    [new JwksUnavailableError(250), null, { ...none, retryAfter: 250 }]
  ] as const) {
    const { scopes, retryAfter } = error
    const shown = { scopes, retryAfter, ...'cause' in error && { cause: error.cause } }
    t.equal(error.challenge, challenge, error.code)
    t.strictSame(shown, parts, error.code)
  }
})

t.test('the name is that of Fastify\'s own errors, and may be changed', async t => {
  const error = new ForbiddenError()
  t.notOk(Object.hasOwn(error, 'name'), 'it is on the prototype')
  t.match(error.stack, /^FastifyError: Insufficient permissions\n/)
  t.doesNotThrow(() => { error.name = 'MyError' })
  t.equal(error.name, 'MyError')
  t.equal(new ForbiddenError().name, 'FastifyError', 'of that one error')
})

t.test('an error of another installed copy is a refusal, too', async t => {
  const url: string = '../../lib/contract/errors.js?copy'
  const copy = await import(url) as typeof import('../../lib/contract/errors.js')
  t.not(copy.ForbiddenError, ForbiddenError)
  const error = new copy.ForbiddenError('role_missing', ['read'])
  t.notOk(error instanceof ForbiddenError)
  t.ok(isBetterAuthError(error) && copy.isBetterAuthError(new ForbiddenError()))
  t.equal(Reflect.get(error, Symbol.for('better-auth-fastify.error')), true, 'by its brand')
  t.match(error, { code: 'FST_BETTER_AUTH_FORBIDDEN', statusCode: 403, reason: 'role_missing', scopes: ['read'] })
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
  t.match(new UnprotectedRouteError('GET /'), {
    statusCode: 500, code: 'FST_BETTER_AUTH_UNPROTECTED_ROUTE', message: 'GET /'
  })
})

t.test('what Fastify serialises inherits from an error, and has none of its parts', async t => {
  const error = new ForbiddenError('scope_missing', ['orders:read'])
  const copy = Object.create(error) as ForbiddenError
  t.match(copy, { statusCode: 403, code: 'FST_BETTER_AUTH_FORBIDDEN', message: 'Insufficient permissions' })
  t.equal(copy.reason, undefined)
  t.strictSame(copy.details, {})
  t.strictSame(copy.scopes, [])
  t.equal(copy.retryAfter, undefined)
  t.equal(copy.challenge, null)
})

t.test('a response schema that names a part of an error is no 500, and does not get it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const part = { type: 'object', additionalProperties: true }
  const properties = {
    statusCode: { type: 'number' }, reason: { type: 'string' }, details: part, scopes: { type: 'array' }, retryAfter: {}
  }
  app.get('/', { schema: { response: { '4xx': { type: 'object', properties } } } }, async () => {
    throw new TokenInvalidError('issuer_mismatch', MISMATCH)
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 401)
  t.notMatch(response.body, /issuer_mismatch|evil|expected/)
})

t.test('the scopes of an error are a copy that nobody can change', async t => {
  const scopes = ['orders:read']
  const error = new ForbiddenError('scope_missing', scopes)
  t.throws(() => { (error.scopes as string[]).splice(0) }, TypeError)
  scopes.push('orders:write')
  t.strictSame(error.scopes, ['orders:read'])
})

t.test('an error whose code was changed keeps its challenge', async t => {
  class NotOwner extends ForbiddenError { override readonly code = 'NOT_OWNER' as never }
  t.strictSame(responseHeaders(new NotOwner()), { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' })
})
