import type { ReasonRow } from './error-codes.js'

/** The reasons that concern credentials other than bearer JWTs: session cookies, and credentials to exchange. */
export const CREDENTIAL_REASONS = {
  // The session cookie.
  cookie_malformed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the session cookie is split into chunks, and some of them are missing, or there are more than 100',
    cause: 'The browser lost a part of the cookie.',
    fix: 'the client: call `getSession()` at the auth server'
  },
  cookie_ambiguous: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the request has valid session cookies of several sessions, or more than 4 session cookies with one name',
    cause: 'Another host of the domain sets a cookie of this name, or `crossSubDomainCookies` was switched on or ' +
      'off, and the browser kept the old cookie.',
    fix: 'the browser: delete the cookies of the domain; the other hosts of the domain: find out whether one of them ' +
      'sets the cookie'
  },
  cookie_strategy: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the session cookie has the strategy `compact` or `jwe`: only the secret of the auth server can verify ' +
      'it, and `sessionCookie.secret` is not set',
    cause: 'Better Auth\'s `session.cookieCache.strategy` is unset. The default is `compact`, or `jwe` without a ' +
      'database.',
    fix: 'the auth server: `session: { cookieCache: { enabled: true, strategy: \'jwt\' } }` with ' +
      '`jwt({ sessionCookieCache: true })`; or the option `sessionCookie.secret`'
  },
  cookie_version: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the version of the session cookie differs from the option `sessionCookie.version`; `expected` and ' +
      '`received` show both',
    cause: 'The version was raised, and the browser kept an older cookie; or Better Auth\'s ' +
      '`session.cookieCache.version` has another value.',
    fix: 'the client: call `getSession()` at the auth server; the option `sessionCookie.version`: set it to the ' +
      'value of `session.cookieCache.version`'
  },
  session_invalid: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the user, the session, `sub` and `sid` of the session cookie do not belong together, or a part of it ' +
      'has the wrong type; `claim` names one such part',
    cause: 'The cookie is not the session cookie of Better Auth, or is incomplete.',
    fix: 'the client: call `getSession()` at the auth server'
  },
  session_expired: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the session in the cookie has ended',
    cause: 'The browser kept an old cookie.',
    fix: 'the client: call `getSession()` at the auth server'
  },
  origin_not_trusted: {
    code: 'FST_BETTER_AUTH_CSRF',
    meaning: 'a page outside `sessionCookie.trustedOrigins` sent an unsafe request with the cookie',
    cause: 'The page has another origin, which `origin` shows; or a proxy terminates TLS, and Fastify sees the ' +
      'request as `http`; or the client is not a browser, and sends no `Origin`; or `trustedOrigins` is a function ' +
      'that throws or is `async`.',
    fix: 'the option `sessionCookie.trustedOrigins`; behind a proxy Fastify\'s `trustProxy`; a client that is ' +
      'not a browser: send a bearer token'
  },

  // The exchange of opaque credentials.
  credential_malformed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the opaque credential does not have the form of a session token, a session cookie or an API key, or ' +
      'the request has several headers with an API key',
    cause: 'The client sends something else, or only a part of the credential.',
    fix: 'the client: send the whole credential as the auth server returned it, or send a JWT'
  },
  credential_refused: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the auth server has no session for this session token, session cookie or API key',
    cause: 'The session was signed out or revoked, or it has expired. If all are refused, the auth server lacks the ' +
      'plugin `bearer()`, or `apiKey({ enableSessionForAPIKeys: true })`; or the token is the opaque access token ' +
      'of an OAuth client that named no `resource`.',
    fix: 'the client: sign in again; the auth server: for session tokens `bearer()`, for API keys ' +
      '`apiKey({ enableSessionForAPIKeys: true })`'
  },
  exchange_unavailable: {
    code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE',
    meaning: 'this instance does not know the credential, or exchanged it too long ago, and the auth server cannot ' +
      'exchange it now',
    cause: 'The auth server is down, returns 429, or has no `/token`. An earlier log line about the exchange says ' +
      'which.',
    fix: 'the network between this API and the auth server; the rate limit for `/token`: the option ' +
      '`exchange.forwardedFor`, or at the auth server `rateLimit: { customRules: { \'/token\': false } }`'
  },
  exchange_budget: {
    code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE',
    meaning: 'more unknown credentials came in a minute than `exchange.requestsPerMinute` allows',
    cause: 'Someone sends random credentials, or many people came at once.',
    fix: 'put a rate limit in front of this API; or raise the option `exchange.requestsPerMinute`, and with it the ' +
      'rate limit of the auth server'
  },
  api_key_limited: {
    code: 'FST_BETTER_AUTH_EXCHANGE_UNAVAILABLE',
    meaning: 'the API key has reached its own limit at the auth server',
    cause: 'By default, Better Auth allows 10 uses of a key a day, and each exchange is one use.',
    fix: 'the auth server: `apiKey({ rateLimit: { maxRequests } })`, or `rateLimitMax` of the key'
  }
} as const satisfies Record<string, ReasonRow>
