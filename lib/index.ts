export type {} from './types.js'

export { betterAuthPlugin, betterAuthPlugin as default, AlreadyRegisteredError, type BetterAuth } from './plugin.js'
export { ALGORITHMS, InvalidOptionError, type Algorithm, type BetterAuthOptions, type JwksOptions } from './options.js'
export { UserSchema, type Claims, type User } from './user.js'
export {
  ForbiddenError,
  JwksUnavailableError,
  RequestInvalidError,
  TokenExpiredError,
  TokenInvalidError,
  TokenMissingError,
  isBetterAuthError,
  type BetterAuthError,
  type RefusalDetails,
  type RefusalReason
} from './errors.js'
export type { Authenticate } from './authenticate.js'
export type { KeyStatus } from './key-store.js'
