export type {} from './augmentation.js'

export { betterAuthPlugin, betterAuthPlugin as default } from './plugin.js'
export type { BetterAuth } from './instance.js'
export {
  ALGORITHMS, type Algorithm, type AuthInstance, type BetterAuthOptions, type DpopOptions, type DpopReplayStore,
  type DpopReservation, type ExchangedApiKeyOptions, type ExchangedCookieOptions, type ExchangeOptions,
  type ExchangeStore, type JwksOptions, type MountOptions, type ResourceOptions, type RoleOptions,
  type SessionCookieOptions, type SessionCookieUser, type SharedExchangeOptions, type TokenCacheOptions
} from './contract/options.js'
export { UserSchema, type Claims, type Register, type Session, type User } from './contract/identity.js'
export type {
  ClientPrincipal, CredentialKind, DelegatedPrincipal, Organization, Principal, UserPrincipal
} from './contract/principal.js'
export type { AccessRole, Actions, Permissions } from './contract/permissions.js'
export {
  CheckUnavailableError,
  CsrfError,
  ExchangeUnavailableError,
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
  type RefusalDetails
} from './contract/errors.js'
export { DpopProofInvalidError, DpopUnavailableError } from './contract/dpop-errors.js'
export { AlreadyRegisteredError, InvalidOptionError, UnprotectedRouteError } from './contract/setup-errors.js'
export type { FetchFailure } from './contract/fetch-failures.js'
export type { RefusalReason } from './contract/reasons.js'
export {
  CHANNELS, type JwksFetchMessage, type KeyChangeMessage, type VerificationMessage
} from './contract/channels.js'
export {
  betterAuthCookieSecuritySchemes, betterAuthDpopSecuritySchemes, betterAuthExchangeSecuritySchemes,
  betterAuthOAuthSecurityScheme, betterAuthSecuritySchemes
} from './openapi/security-schemes.js'
export type { Authenticate } from './http/hook.js'
export type { Guard } from './guards/clauses.js'
export type { EndReason, EndWatch } from './connections/ends.js'
export type { TokenGuard, VerifiedIdentity, Verify } from './connections/verify.js'
export type { ExchangeStatus } from './schemes/exchange-status.js'
export type { EndedSession } from './schemes/revoke.js'
export type { RouteProtection } from './routes/watch-routes.js'
export { getUser } from './http/request-decorators.js'
export type { KeyStatus } from './keys/key-store.js'
export type { DoctorReport } from './doctor/report.js'
