export type {} from './types.js'

export { betterAuthPlugin, betterAuthPlugin as default, AlreadyRegisteredError, type BetterAuth } from './plugin.js'
export { ALGORITHMS, type Algorithm, type BetterAuthOptions, type JwksOptions, type SessionCookieOptions } from './options.js'
export { InvalidOptionError } from './option-check.js'
export { UserSchema, type Claims, type Register, type User } from './user.js'
export {
  CsrfError,
  ForbiddenError,
  JwksUnavailableError,
  RequestInvalidError,
  RevocationUnavailableError,
  TokenExpiredError,
  TokenInvalidError,
  TokenMissingError,
  TokenRevokedError,
  isBetterAuthError,
  type BetterAuthError,
  type RefusalDetails,
  type RefusalReason
} from './errors.js'
export { CHANNELS, type JwksFetchMessage, type KeyChangeMessage, type VerificationMessage } from './diagnostics.js'
export { betterAuthCookieSecuritySchemes, betterAuthSecuritySchemes } from './openapi.js'
export type { Authenticate } from './authenticate.js'
export type { Guard } from './authorize.js'
export { getUser } from './identity.js'
export type { Session } from './session-cookie.js'
export type { KeyStatus } from './key-store.js'
export type { DoctorReport } from './doctor/report.js'
