import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, { type BetterAuthOptions, type User } from '../../../lib/index.js'

const app = Fastify()

declare function accept (options: BetterAuthOptions): void

const maybeText = '' as string | undefined

describe('without exactOptionalPropertyTypes', () => {
  test('valid options are accepted', () => {
    expect(accept).type.toBeCallableWith({ authUrl: maybeText, issuer: false, jwks: { timeout: 1 }, tokenCache: false })
    expect(app.register).type.toBeCallableWith(betterAuthPlugin, { authUrl: maybeText })
  })

  test('unknown and invalid options are refused', () => {
    expect(accept).type.not.toBeCallableWith({ authUrl: maybeText, jwksUri: '' })
    expect(accept).type.not.toBeCallableWith({ authUrl: null })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { authURL: '' })
    expect(app.register).type.not.toBeCallableWith(betterAuthPlugin, { clockTolerance: '5 s' })
  })

  test('request.user is a User, and authenticate is a hook', () => {
    app.get<{ Params: { id: string } }>('/:id', { onRequest: [app.authenticate] }, async request => {
      expect(request.user).type.toBe<User>()
      expect(request.claims.role).type.toBe<unknown>()
    })
  })
})
