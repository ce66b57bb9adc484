export type {} from './augmentation.js'

export { betterAuthPlugin, betterAuthPlugin as default, AlreadyRegisteredError, type BetterAuth } from './plugin.js'
export { ALGORITHMS, type Algorithm, type BetterAuthOptions, type JwksOptions, type SessionCookieOptions } from './contract/resolve-options.js'
export { InvalidOptionError } from './contract/check-options.js'
export { UserSchema, type Claims, type Register, type User } from './tokens/user-reader.js'
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
} from './contract/errors.js'
export { CHANNELS, type JwksFetchMessage, type KeyChangeMessage, type VerificationMessage } from './contract/channels.js'
export { betterAuthCookieSecuritySchemes, betterAuthSecuritySchemes } from './openapi/route-schema.js'
export type { Authenticate } from './http/authenticate.js'
export type { Guard } from './guards/guard.js'
export { getUser } from './http/request-decorators.js'
export type { Session } from './schemes/session-cookie/jwt.js'
export type { KeyStatus } from './keys/key-store.js'
export type { DoctorReport } from './doctor/report.js'
