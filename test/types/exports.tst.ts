import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyPluginCallback } from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  ALGORITHMS, betterAuthPlugin as named, ForbiddenError, InvalidOptionError, isBetterAuthError, JwksUnavailableError,
  RequestInvalidError, TokenExpiredError, TokenInvalidError, TokenMissingError, type Algorithm, type BetterAuth,
  type BetterAuthError, type BetterAuthOptions, type Claims, type ClientPrincipal, type EndReason, type EndWatch,
  type ExchangeStatus, type FetchFailure, type KeyStatus, type Principal, type RefusalDetails, type RefusalReason,
  type User, type UserPrincipal, type VerifiedIdentity
} from '../../lib/index.js'

const app = Fastify()

describe('the plugin', () => {
  test('is the default export and a named export', () => {
    expect(betterAuthPlugin).type.toBe(named)
    expect(betterAuthPlugin).type
      .toBeAssignableTo<FastifyPluginAsync<BetterAuthOptions> | FastifyPluginCallback<BetterAuthOptions>>()
  })

  test('lists the algorithms', () => {
    expect<typeof ALGORITHMS[number]>().type.toBe<Algorithm>()
    expect(ALGORITHMS).type.toBeAssignableTo<readonly string[]>()
  })
})

describe('fastify.betterAuth', () => {
  test('is typed', () => {
    expect(app.betterAuth).type.toBe<BetterAuth>()
    expect<FastifyInstance['betterAuth']>().type.toBe<BetterAuth>()
    expect(app.betterAuth.jwksUrl).type.toBe<string | null>()
    expect(app.betterAuth.ready()).type.toBe<Promise<void>>()
  })

  test('verifies a token: of a user, or of anybody a guard lets in', () => {
    const given: unknown = 'token'
    expect(app.betterAuth.verify(given)).type.toBe<Promise<VerifiedIdentity<UserPrincipal>>>()
    expect(app.betterAuth.verify(given, { clients: ['a'] })).type.toBe<Promise<VerifiedIdentity>>()
    expect<VerifiedIdentity<UserPrincipal>['user']>().type.toBe<User>()
    expect<VerifiedIdentity<ClientPrincipal>['user']>().type.toBe<null>()
    expect<VerifiedIdentity['user']>().type.toBe<User | null>()
    expect<VerifiedIdentity['principal']>().type.toBe<Principal>()
    expect<VerifiedIdentity['claims']>().type.toBe<Claims>()
    expect(app.betterAuth.verify).type.not.toBeCallableWith('token', { check: () => true })
  })

  test('says when a principal ends', () => {
    const principal = {} as Principal
    expect(app.betterAuth.onEnd(principal, reason => { expect(reason).type.toBe<EndReason>() })).type.toBe<EndWatch>()
    expect<EndReason>().type
      .toBe<'token_expired' | 'key_removed' | 'jwks_unavailable' | 'session_revoked'>()
    expect<EndWatch>().type.toBeAssignableTo<Disposable>()
    expect(app.betterAuth.onEnd).type.not.toBeCallableWith(null, () => {})
  })

  test('reports the state of the keys', () => {
    const status = app.betterAuth.status()
    expect(status).type.toBeAssignableTo<KeyStatus>()
    expect(status.exchange).type.toBe<ExchangeStatus | undefined>()
    expect(status.url).type.toBe<string | null>()
    expect(status.keys).type.toBe<Array<{ kid: string, alg: string | null, confirmedAt: string }>>()
    expect(status.lastError).type.toBe<FetchFailure | null>()
    expect(status.nextTryAt).type.toBe<string | null>()
    expect<keyof KeyStatus>().type.toBe<'url' | 'keys' | 'lastError' | 'nextTryAt'>()
  })
})

describe('the errors', () => {
  test('are Errors with a code and a status', () => {
    for (const error of [
      new TokenMissingError(), new RequestInvalidError(), new TokenExpiredError(), new TokenInvalidError('kid_invalid'),
      new ForbiddenError(), new JwksUnavailableError(1)
    ]) {
      expect(error).type.toBeAssignableTo<Error>()
      expect(error.code).type.toBeAssignableTo<string>()
      expect(error.reason).type.toBe<RefusalReason>()
      expect(error.details).type.toBe<RefusalDetails>()
      expect(error.scopes).type.toBe<readonly string[]>()
      expect(error.retryAfter).type.toBe<number | undefined>()
      expect(error).type.not.toHaveProperty('headers')
    }
    expect(new TokenMissingError().challenge).type.toBe<'none'>()
    expect(new JwksUnavailableError(1).statusCode).type.toBe<503>()
    expect(new TokenInvalidError('kid_invalid').code).type.toBe<'FST_BETTER_AUTH_TOKEN_INVALID'>()
    expect(new InvalidOptionError('x').code).type.toBe<'FST_BETTER_AUTH_INVALID_OPTION'>()
    expect(TokenInvalidError).type.not.toBeConstructableWith('no such reason')
    expect(TokenInvalidError).type.not.toBeConstructableWith('banned')
    expect(JwksUnavailableError).type.not.toBeConstructableWith()
  })

  test('can be told apart from other errors', () => {
    const error = {} as unknown
    if (isBetterAuthError(error)) {
      expect(error).type.toBe<BetterAuthError>()
      expect(error.reason).type.toBe<RefusalReason>()
    }
    expect(isBetterAuthError).type.toBe<(error: unknown) => error is BetterAuthError>()
    expect<RefusalDetails['received']>().type.toBe<unknown>()
  })
})
