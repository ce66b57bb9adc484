import { betterAuth } from 'better-auth'
import { admin, jwt } from 'better-auth/plugins'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  type Algorithm, type BetterAuthOptions, type JwksOptions, type TokenCacheOptions
} from '../../lib/index.js'

const app = Fastify()

declare function accept (options: BetterAuthOptions): void
declare function acceptJwks (options: JwksOptions): void

const text = '' as string
const maybeText = text as string | undefined

describe('the option auth', () => {
  test('is what betterAuth() returns, with any options', () => {
    expect(accept).type.toBeCallableWith({ auth: betterAuth({}) })
    expect(accept).type.toBeCallableWith({
      auth: betterAuth({
        baseURL: { allowedHosts: ['a'] },
        plugins: [jwt(), admin()],
        user: { additionalFields: { plan: { type: 'string' } } }
      }),
      mount: { openapi: true }
    })
    expect(accept).type.toBeCallableWith({ auth: undefined, mount: undefined })
    expect(accept).type.not.toBeCallableWith({ auth: {} })
    expect(accept).type.not.toBeCallableWith({ auth: betterAuth })
    expect(accept).type.not.toBeCallableWith({ auth: betterAuth({}), mount: { hide: true } })
  })
})

describe('the options', () => {
  test('are all optional', () => {
    expect(accept).type.toBeCallableWith({})
    expect(app.register).type.toBeCallableWith(betterAuthPlugin)
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, {})
  })

  test('may be undefined, even with exactOptionalPropertyTypes', () => {
    expect(accept).type.toBeCallableWith({ authUrl: maybeText, jwksPath: maybeText, secret: maybeText })
    expect(accept).type.toBeCallableWith({ issuer: maybeText, audience: maybeText })
    expect(accept).type.toBeCallableWith({
      algorithms: undefined, clockTolerance: undefined, jwks: undefined, tokenCache: undefined
    })
    expect(acceptJwks).type.toBeCallableWith({
      maxAge: undefined,
      staleWhileRevalidate: undefined,
      staleIfError: undefined,
      requestsPerMinute: undefined,
      timeout: undefined,
      headers: undefined
    })
    expect(accept).type.toBeCallableWith({ tokenCache: { max: undefined } })
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, { authUrl: maybeText })
  })

  test('accept valid values', () => {
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, {
      authUrl: 'https://id.example.com',
      jwksPath: '/jwks',
      issuer: 'a',
      audience: ['a', 'b'],
      algorithms: ['EdDSA', 'ES256'],
      secret: text,
      clockTolerance: 0,
      jwks: {
        maxAge: 1,
        staleWhileRevalidate: 1,
        staleIfError: 1,
        requestsPerMinute: 1,
        timeout: 1,
        headers: { 'x-gate': text }
      },
      tokenCache: { max: 1 }
    })
    expect(accept).type.toBeCallableWith({ exchange: true })
    expect(accept).type.toBeCallableWith({
      exchange: {
        sessionToken: false,
        sessionCookie: { name: text },
        apiKey: { header: 'x-api-key', maxAge: 1 },
        maxAge: 1,
        staleIfError: 1,
        timeout: 1,
        requestsPerMinute: 1,
        max: 1,
        forwardedFor: true
      }
    })
    expect(accept).type.toBeCallableWith({ issuer: false, audience: false, tokenCache: false })
    expect(accept).type.toBeCallableWith({
      issuer: ['a'] as const, audience: ['a'] as readonly string[], algorithms: ['EdDSA'] as const
    })
    expect(acceptJwks).type.toBeCallableWith({ headers: { a: 'b' } as const })
    expect(acceptJwks).type.toBeCallableWith({ headers: {} as Readonly<Record<string, string>> })
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, { authUrl: text, prefix: '/api', logLevel: 'warn' })
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, () => ({ authUrl: text }))
  })

  test('refuse unknown and misspelt names', () => {
    expect(accept).type.not.toBeCallableWith({ authURL: text })
    expect(accept).type.not.toBeCallableWith({ authUrl: text, jwksUri: text })
    expect(accept).type.not.toBeCallableWith({ jwks: { maxage: 1 } })
    expect(accept).type.not.toBeCallableWith({ tokenCache: { size: 1 } })
    expect(accept).type.not.toBeCallableWith({ exchange: { apiKey: 'x-api-key' } })
    expect(acceptJwks).type.not.toBeCallableWith({ ttl: 1 })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { authURL: text })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { authUrl: text, jwksUri: text })
  })

  test('refuse values of the wrong type', () => {
    expect(accept).type.not.toBeCallableWith({ authUrl: 1 })
    expect(accept).type.not.toBeCallableWith({ authUrl: null })
    expect(accept).type.not.toBeCallableWith({ authUrl: new URL('https://id.example.com') })
    expect(accept).type.not.toBeCallableWith({ jwksPath: false })
    expect(accept).type.not.toBeCallableWith({ issuer: true })
    expect(accept).type.not.toBeCallableWith({ issuer: [1] })
    expect(accept).type.not.toBeCallableWith({ audience: true })
    expect(accept).type.not.toBeCallableWith({ audience: null })
    expect(accept).type.not.toBeCallableWith({ algorithms: 'EdDSA' })
    expect(accept).type.not.toBeCallableWith({ algorithms: ['HS256'] })
    expect(accept).type.not.toBeCallableWith({ algorithms: ['none'] })
    expect(accept).type.not.toBeCallableWith({ algorithms: [text] })
    expect(accept).type.not.toBeCallableWith({ secret: Buffer.from('x') })
    expect(accept).type.not.toBeCallableWith({ clockTolerance: '5 s' })
    expect(accept).type.not.toBeCallableWith({ jwks: false })
    expect(accept).type.not.toBeCallableWith({ jwks: { timeout: '5 s' } })
    expect(acceptJwks).type.not.toBeCallableWith({ headers: text })
    expect(acceptJwks).type.not.toBeCallableWith({ headers: null })
    expect(acceptJwks).type.not.toBeCallableWith({ headers: new Map([['a', 'b']]) })
    expect(acceptJwks).type.not.toBeCallableWith({ headers: { 'x-gate': 1 } })
    expect(acceptJwks).type.not.toBeCallableWith({ headers: { 'x-gate': ['a', 'b'] } })
    expect(accept).type.not.toBeCallableWith({ tokenCache: true })
    expect(accept).type.not.toBeCallableWith({ tokenCache: 10 })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { authUrl: 1 })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { jwks: { timeout: '5 s' } })
  })

  test('refuse a header from an environment variable that may be unset', () => {
    expect(acceptJwks).type.not.toBeCallableWith({ headers: { 'x-gate': maybeText } })
  })

  test('list the algorithms', () => {
    expect<Algorithm>().type.toBe<
      'EdDSA' | 'ES256' | 'ES384' | 'ES512' | 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512'
    >()
  })

  test('have no member of type any', () => {
    expect<BetterAuthOptions['authUrl']>().type.toBe<string | undefined>()
    expect<BetterAuthOptions['jwksPath']>().type.toBe<string | undefined>()
    expect<BetterAuthOptions['issuer']>().type.toBe<
      string | readonly string[] | ((iss: string) => boolean) | false | undefined
    >()
    expect<BetterAuthOptions['audience']>().type.toBe<string | readonly string[] | false | undefined>()
    expect<BetterAuthOptions['algorithms']>().type.toBe<readonly Algorithm[] | undefined>()
    expect<BetterAuthOptions['secret']>().type.toBe<string | undefined>()
    expect<BetterAuthOptions['clockTolerance']>().type.toBe<number | undefined>()
    expect<BetterAuthOptions['tokenCache']>().type.toBe<TokenCacheOptions | false | undefined>()
    expect<TokenCacheOptions[keyof TokenCacheOptions]>().type.toBe<number | undefined>()
    expect<BetterAuthOptions['jwks']>().type.toBe<JwksOptions | undefined>()
    expect<JwksOptions[Exclude<keyof JwksOptions, 'headers'>]>().type.toBe<number | undefined>()
    expect<JwksOptions['headers']>().type.toBe<Readonly<Record<string, string>> | undefined>()
    expect<keyof JwksOptions>().type.toBe<
      'maxAge' | 'staleWhileRevalidate' | 'staleIfError' | 'requestsPerMinute' | 'timeout' | 'headers'
    >()
  })
})
