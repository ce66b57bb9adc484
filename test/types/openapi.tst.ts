import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { describe, expect, test } from 'tstyche'
import { betterAuthCookieSecuritySchemes, betterAuthSecuritySchemes } from '../../lib/index.js'

declare function accept (options: FastifyDynamicSwaggerOptions): void

describe('the security schemes', () => {
  test('fit the options of @fastify/swagger', () => {
    expect(accept).type.toBeCallableWith({ openapi: { components: { securitySchemes: betterAuthSecuritySchemes } } })
    expect(accept).type.toBeCallableWith({
      openapi: { openapi: '3.1.0', components: { securitySchemes: betterAuthCookieSecuritySchemes } }
    })
    expect(accept).type.toBeCallableWith({
      openapi: {
        components: {
          securitySchemes: {
            ...betterAuthCookieSecuritySchemes,
            betterAuthCookie: { type: 'apiKey', in: 'cookie', name: '__Secure-acme.session_data' },
            partner: { type: 'http', scheme: 'basic' }
          }
        }
      }
    })
  })

  test('have names', () => {
    expect<keyof typeof betterAuthSecuritySchemes>().type.toBe<'betterAuth'>()
    expect<keyof typeof betterAuthCookieSecuritySchemes>().type.toBe<'betterAuth' | 'betterAuthCookie'>()
  })
})
