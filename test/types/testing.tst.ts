import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, { type Algorithm, type BetterAuthOptions } from '../../lib/index.js'
import {
  createTestIssuer, type Fault, type TestAccessTokenOptions, type TestClientTokenOptions, type TestCookieOptions,
  type TestIssuer, type TestIssuerOptions, type TestTokenOptions
} from '../../lib/testing/index.js'
import Fastify from 'fastify'

const issuer = await createTestIssuer()

describe('the test issuer', () => {
  test('takes options, all of them optional', () => {
    expect(createTestIssuer).type.toBeCallableWith()
    expect(createTestIssuer).type.toBeCallableWith({})
    expect<TestIssuerOptions['algorithm']>().type.toBe<Algorithm | 'HS256' | undefined>()
    expect(createTestIssuer).type.toBeCallableWith({ algorithm: 'HS256', secret: 'text' })
    expect(createTestIssuer).type.toBeCallableWith({
      algorithm: undefined, issuer: undefined, audience: undefined, secret: undefined
    })
    expect(createTestIssuer).type.not.toBeCallableWith({ algorithm: 'HS512' })
    expect(createTestIssuer).type.not.toBeCallableWith({ algoritm: 'ES256' })
    expect(createTestIssuer).type.not.toBeCallableWith({ audience: ['a'] })
  })

  test('has the options to register the plugin with', () => {
    expect<{ authUrl: string, secret: string | undefined }>().type.toBeAssignableTo<BetterAuthOptions>()
    expect(Fastify().register).type.toBeCallableWith(betterAuthPlugin, {
      authUrl: issuer.authUrl, secret: issuer.secret
    })
    expect(issuer.authUrl).type.toBe<string>()
    expect(issuer.secret).type.toBe<string | undefined>()
    expect(issuer.kid).type.toBe<string | undefined>()
    expect(issuer.requests).type.toBe<number>()
  })

  test('returns tokens and cookies synchronously, with any claims', () => {
    expect(issuer.token()).type.toBe<string>()
    expect(issuer.token({ role: 'admin', sub: 5, email: undefined })).type.toBe<string>()
    expect(issuer.token).type.toBeCallableWith({}, {
      expiresIn: 60, header: { typ: 'at+jwt', kid: undefined }, kid: issuer.kid
    })
    expect(issuer.token).type.not.toBeCallableWith({}, { expiresIn: '15m' })
    expect(issuer.token).type.not.toBeCallableWith({}, { expires: 60 })
    for (const name of ['expired', 'notYetValid', 'wrongAudience', 'forged'] as const) {
      expect(issuer[name]()).type.toBe<string>()
      expect(issuer[name]({ role: 'admin' })).type.toBe<string>()
    }
    expect(issuer.sessionCookie()).type.toBe<string>()
    expect(issuer.sessionCookie).type.toBeCallableWith({ role: 'admin' }, {
      name: 'shop.session_data', session: { token: 'text' }, expiresIn: 60
    })
    expect(issuer.sessionCookie).type.not.toBeCallableWith({}, { prefix: 'shop' })
  })

  test('returns tokens of OAuth clients, which need their client, scopes and resource', () => {
    const grant = { clientId: 'app_1', scopes: ['orders:read'] as const, resource: 'https://api.example.com' }
    expect(issuer.accessToken({ ...grant, user: 'grace' })).type.toBe<string>()
    expect(issuer.clientToken({ ...grant, resource: [grant.resource] as const })).type.toBe<string>()
    expect(issuer.clientToken).type.toBeCallableWith({
      ...grant, claims: { banned: true }, expiresIn: 60, header: { typ: undefined }, kid: issuer.kid
    })
    expect(issuer.clientToken).type.not.toBeCallableWith({ ...grant, user: 'grace' })
    for (const method of [issuer.accessToken, issuer.clientToken]) {
      expect(method).type.not.toBeCallableWith()
      expect(method).type.not.toBeCallableWith({ clientId: 'app_1', scopes: [] })
      expect(method).type.not.toBeCallableWith({ ...grant, scopes: 'orders:read' })
      expect(method).type.not.toBeCallableWith({ ...grant, scope: 'orders:read' })
    }
    expect<TestAccessTokenOptions>().type.toBeAssignableTo<TestClientTokenOptions>()
    expect<TestClientTokenOptions['claims']>().type.toBe<Record<string, unknown> | undefined>()
  })

  test('changes its keys, fails and recovers', () => {
    expect(issuer.rotate()).type.toBe<Promise<string>>()
    expect(issuer.revoke()).type.toBe<void>()
    expect(issuer.revoke).type.toBeCallableWith('kid')
    expect<Fault>().type.toBe<'down' | 'hang' | 'slow' | 'error' | 'html' | 'empty' | 'redirect' | 'malformed'>()
    expect(issuer.fail).type.toBeCallableWith('down')
    expect(issuer.fail).type.not.toBeCallableWith('dwon')
    expect(issuer.fail).type.not.toBeCallableWith()
    expect(issuer.recover()).type.toBe<void>()
    expect(issuer.close()).type.toBe<Promise<void>>()
    expect<TestIssuer>().type.toBeAssignableTo<AsyncDisposable>()
  })

  test('has no parameter of type any', () => {
    expect<Parameters<TestIssuer['token']>[0]>().type.toBe<Record<string, unknown> | undefined>()
    expect<TestTokenOptions['header']>().type.toBe<Record<string, unknown> | undefined>()
    expect<TestCookieOptions['session']>().type.toBe<Record<string, unknown> | undefined>()
  })
})
