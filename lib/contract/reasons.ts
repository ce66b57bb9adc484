import type { ErrorCode, ReasonRow } from './error-codes.js'
import { CREDENTIAL_REASONS } from './credential-reasons.js'
import { DPOP_REASONS } from './dpop-reasons.js'
import { TOKEN_REASONS } from './token-reasons.js'

/**
 * Every reason for a refusal, by its reason word. The log, the doctor and `docs/reference/errors.md` use this table.
 * The words are stable; the texts are not.
 */
export const REASONS = {
  // The request.
  token_missing: {
    code: 'FST_BETTER_AUTH_TOKEN_MISSING',
    meaning: 'the request has no credential: no `Authorization` header, or one with a scheme other than `Bearer`; ' +
      '`extractToken` and `sessionCookie`, if set, found nothing either',
    cause: 'The client does not send its token; or it sends `Authorization: DPoP`, and the option `dpop` is not ' +
      'set.',
    fix: 'the client: send `Authorization: Bearer <token>`'
  },
  authorization_malformed: {
    code: 'FST_BETTER_AUTH_REQUEST_INVALID',
    meaning: 'the `Authorization` header is not `Bearer <token>` (with the option `dpop` also `DPoP <token>`), or ' +
      'was sent twice',
    cause: 'The client writes `Bearer undefined undefined`, or a proxy adds a second header.',
    fix: 'the client: send one token, without spaces in it; the proxy: forward `Authorization` unchanged'
  },

  ...TOKEN_REASONS,

  ...DPOP_REASONS,

  // The user, and what a guard requires.
  forbidden: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the application threw `ForbiddenError`',
    cause: 'A rule of your own refused the request.',
    fix: 'nothing, if the rule is right'
  },
  banned: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the user is banned: `banned` is `true`, and `banExpires` has not passed',
    cause: 'An administrator banned the user at the auth server.',
    fix: 'the auth server: lift the ban; then the client fetches a new token'
  },
  principal_not_allowed: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the route does not accept this kind of principal: a user, an OAuth client that acts for a user, or an ' +
      'OAuth client alone',
    cause: 'An OAuth client calls a route with `authenticate`, or with a guard that has neither `delegated` nor ' +
      '`clients`; or a user calls one with `users: false`.',
    fix: 'nothing, if the route is not for them; else its guard: `authorize({ delegated, clients })`'
  },
  role_missing: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the user has none of the `roles` of `authorize`',
    cause: 'A custom `definePayload` leaves out `role`, or the user got the role after the token was issued.',
    fix: '`definePayload`: set `role`; the client: fetch a new token'
  },
  roles_from_failed: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: '`rolesFrom` threw, or returned something other than a string or an array of strings; `err` shows which',
    cause: 'It reads a claim that not every token has, or it is `async`.',
    fix: 'the option `rolesFrom`: return `undefined` where there are no roles'
  },
  permission_missing: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'no single role of the user has all `permissions` of `authorize`',
    cause: 'The user has another role, or a role that the option `roles` does not have, such as a dynamic one.',
    fix: 'the auth server: give the user the role; then the client fetches a new token; or the option `roles`: add ' +
      'the role'
  },
  role_failed: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the `authorize` of a role object threw, or returned something other than `{ success: true }` or ' +
      '`{ success: false }`; `err` shows which',
    cause: '`newRole()` did not make the role object, and its `authorize` is `async`, for example.',
    fix: 'the option `roles`: set it to objects that `createAccessControl().newRole()` made'
  },
  organization_missing: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the guard requires an active organization, and the token or the session cookie names none',
    cause: 'The user has not chosen an organization, an OAuth client calls the route, or `definePayload` does not ' +
      'put the organization into the token.',
    fix: 'the client: call `organization.setActive()`, then fetch a new token; `definePayload`: set the claim `o`; ' +
      'or the option `organizationFrom`'
  },
  organization_mismatch: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the `organization` function of the guard did not return the id of the active organization; `err` shows ' +
      'what it threw, or that it returned no string',
    cause: 'The request is about another organization, or names it by its slug.',
    fix: 'the client: call `organization.setActive()`, then fetch a new token; the guard: return the id'
  },
  organization_from_failed: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: '`organizationFrom` threw, or returned neither `{ id, slug?, role? }` nor nothing; `err` shows which',
    cause: 'It reads a claim that not every token has, or it is `async`.',
    fix: 'the option `organizationFrom`: return `undefined` where there is no organization'
  },
  scope_missing: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the token lacks one of the `scopes` of `authorize`',
    cause: 'A custom `definePayload` leaves out `scope`, or the scope was added after the token was issued.',
    fix: 'the signer: set `scope`; the client: fetch a new token'
  },
  check_failed: {
    code: 'FST_BETTER_AUTH_FORBIDDEN',
    meaning: 'the `check` of `authorize` did not return `true`; `err` shows what it threw',
    cause: 'The `check` threw, or returned something truthy that is not `true`.',
    fix: 'the `check` of the guard'
  },

  ...CREDENTIAL_REASONS,

  // The callbacks of the application.
  extract_token_failed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: '`extractToken` threw, or returned something other than a string or `undefined`',
    cause: 'It throws if a request lacks what it reads, or it is `async`.',
    fix: 'the option `extractToken`: return `undefined` where there is no token'
  },
  token_revoked: {
    code: 'FST_BETTER_AUTH_TOKEN_REVOKED',
    meaning: '`isRevoked` returned `true`',
    cause: 'Your application revoked the token.',
    fix: 'the client: sign in again'
  },
  revocation_unavailable: {
    code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE',
    meaning: '`isRevoked` threw, returned neither `true` nor `false`, or did not settle within `callbackTimeout`; or ' +
      'the function `sessionCookie.version` threw, returned no string, or did not settle; or ' +
      '`fastify.betterAuth.revoke()` could not write to the store of `exchange.shared`; `err` shows which',
    cause: 'The list of revoked tokens, the version of session cookies, or the shared store cannot be reached.',
    fix: 'the store; the option `isRevoked`: return `true` or `false`; the option `sessionCookie.version`: return a ' +
      'string'
  },
  check_unavailable: {
    code: 'FST_BETTER_AUTH_CHECK_UNAVAILABLE',
    meaning: 'the `check` of `authorize` did not settle within `callbackTimeout`',
    cause: 'What the `check` waits for does not respond.',
    fix: 'the `check` of the guard: make it fail fast; the option `callbackTimeout`'
  },

  // The keys.
  jwks_unavailable: {
    code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE',
    meaning: 'the key of the token is unknown or was confirmed too long ago, and the JWKS cannot be fetched now',
    cause: 'The auth server is down or returns 429, or this API cannot reach it, or its keys are at another URL. An ' +
      'earlier line about the JWKS says which.',
    fix: 'the network between this API and the auth server; the options `authUrl` and `jwksPath`'
  }
} as const satisfies Record<string, ReasonRow>

/**
 * Why a request was refused: one stable word, for logs, metrics and alerts. It is `reason` in the line on
 * `request.log`, and `error.reason` on every error. It is never part of a response, so that a client learns nothing
 * from it.
 */
export type RefusalReason = keyof typeof REASONS

/** The reasons for which a request gets the error with this code. */
export type ReasonOf<Code extends ErrorCode> = {
  [Reason in RefusalReason]: typeof REASONS[Reason]['code'] extends Code ? Reason : never
}[RefusalReason]
