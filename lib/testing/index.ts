export { createTestIssuer, type TestIssuer } from './issuer.js'
export type { TestCookieOptions, TestIssuerOptions, TestTokenOptions } from './options.js'
export type { Fault } from './jwks-server.js'
