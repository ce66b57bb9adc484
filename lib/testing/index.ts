export { createTestIssuer } from './issuer.js'
export type { TestIssuer } from './test-issuer.js'
export type {
  TestAccessTokenOptions, TestClientTokenOptions, TestCookieOptions, TestIssuerOptions, TestTokenOptions
} from './options.js'
export type { TestApiKey, TestSession } from './sessions.js'
export type { Fault } from './jwks-server.js'
