import { describe, expect, test } from 'tstyche'
import type { OptionSchema } from '../../lib/contract/check-options.js'
import type {
  JWKS_OPTIONS, OPTIONS, SESSION_COOKIE_OPTIONS, TOKEN_CACHE_OPTIONS
} from '../../lib/contract/option-schemas.js'
import type {
  BetterAuthOptions, JwksOptions, SessionCookieOptions, TokenCacheOptions
} from '../../lib/contract/options.js'

/** The options that the schemas accept, as an interface. */
type Accepted<Schemas> = {
  -readonly [Name in keyof Schemas]?: (Schemas[Name] extends OptionSchema<infer T> ? T : never) | undefined
}

describe('the interfaces of the options', () => {
  test('allow exactly what the schemas accept', () => {
    expect<BetterAuthOptions>().type.toBeAssignableTo<Accepted<typeof OPTIONS>>()
    expect<Accepted<typeof OPTIONS>>().type.toBeAssignableTo<BetterAuthOptions>()
    expect<JwksOptions>().type.toBeAssignableTo<Accepted<typeof JWKS_OPTIONS>>()
    expect<Accepted<typeof JWKS_OPTIONS>>().type.toBeAssignableTo<JwksOptions>()
    expect<SessionCookieOptions>().type.toBeAssignableTo<Accepted<typeof SESSION_COOKIE_OPTIONS>>()
    expect<Accepted<typeof SESSION_COOKIE_OPTIONS>>().type.toBeAssignableTo<SessionCookieOptions>()
    expect<TokenCacheOptions>().type.toBeAssignableTo<Accepted<typeof TOKEN_CACHE_OPTIONS>>()
    expect<Accepted<typeof TOKEN_CACHE_OPTIONS>>().type.toBeAssignableTo<TokenCacheOptions>()
  })
})
