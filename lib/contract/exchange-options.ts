/**
 * Which opaque credentials of a Better Auth server the plugin exchanges for a JWT, and for how long it uses the result.
 * Durations are in milliseconds.
 */
export interface ExchangeOptions {
  /**
   * Session tokens in `Authorization: Bearer …`: 32 characters, with or without a signature. The Better Auth server
   * needs the plugin `bearer()`.
   *
   * Default: `true`; with the option `auth`, whether it has that plugin.
   */
  sessionToken?: boolean | undefined
  /**
   * The session cookie `better-auth.session_token`. The `prefix`, `secure` and `trustedOrigins` of the option
   * `sessionCookie` also apply to it; `name` is Better Auth's `advanced.cookies.session_token.name`. With
   * `sessionCookie.secret`, a cookie with a wrong signature is refused without a call.
   *
   * Default: `true`; the name is `<prefix>.session_token`.
   */
  sessionCookie?: boolean | ExchangedCookieOptions | undefined
  /**
   * API keys of the plugin `@better-auth/api-key` with `enableSessionForAPIKeys: true`.
   *
   * Default: `true`; with the option `auth`, whether it has that plugin. The header is `x-api-key`, and `maxAge` is 15
   * minutes.
   */
  apiKey?: boolean | ExchangedApiKeyOptions | undefined
  /**
   * For how long the plugin accepts a session after an exchange. Then it exchanges the session again: a session that
   * was signed out, revoked or banned stops working then at the latest. With `0`, each request makes an exchange of its
   * own.
   *
   * Default: `60000` (1 minute); `0` with the option `auth`.
   */
  maxAge?: number | undefined
  /**
   * For how long after its last exchange a known session keeps working while the auth server cannot be reached, or asks
   * the plugin to wait. It never works longer than its JWT.
   *
   * Default: `900000` (15 minutes).
   */
  staleIfError?: number | undefined
  /**
   * How long an exchange may take.
   *
   * Default: `5000` (5 seconds).
   */
  timeout?: number | undefined
  /**
   * How many credentials that this instance does not know are exchanged in a minute. Further ones get 503. Known
   * credentials do not count. While there are clients at other IP addresses, those at one address get at most half.
   *
   * Default: `60`; `6000` with the option `auth`.
   */
  requestsPerMinute?: number | undefined
  /**
   * How many sessions the plugin remembers, and how many refused credentials. It drops the least recently used first.
   *
   * Default: `10000`.
   */
  max?: number | undefined
  /**
   * Whether an exchange carries `X-Forwarded-For` with `request.ip`. Better Auth's rate limiter then counts each client
   * separately, and the plugin pauses only the client that reaches the limit. Behind a proxy, set Fastify's
   * `trustProxy` too.
   *
   * Default: `false`.
   */
  forwardedFor?: boolean | undefined
  /**
   * Where the instances of an API share the results of exchanges, so that a session costs one exchange for all of them.
   * If the store fails, each instance exchanges on its own.
   *
   * Default: unset; each instance exchanges on its own.
   */
  shared?: SharedExchangeOptions | undefined
}

/** How the instances of an API share the results of exchanges. */
export interface SharedExchangeOptions {
  /** The store, such as Redis. It sees no credential and no token in plain text. */
  store: ExchangeStore
  /**
   * A secret of at least 32 bytes. All instances have the same one, and nothing else uses it. The keys and the
   * encryption of the store derive from it and from the credential. Results that were stored with another secret are
   * not found.
   */
  secret: string
}

/**
 * A store whose keys expire, such as Redis. Keys and values are strings of letters, digits and `_-:`. A method may
 * return its result or a promise of it, and may throw or reject. A call that takes longer than a second counts as
 * failed.
 *
 * @example
 * const store: ExchangeStore = {
 *   get: key => redis.get(key),
 *   set: (key, value, ttl) => redis.set(key, value, { expiration: { type: 'PX', value: ttl } }),
 *   add: async (key, value, ttl) =>
 *     await redis.set(key, value, { condition: 'NX', expiration: { type: 'PX', value: ttl } }) === 'OK',
 *   delete: key => redis.del(key)
 * }
 */
export interface ExchangeStore {
  /** @returns the value of a key, or `null` or `undefined` if it has none. */
  get (key: string): MaybePromise<string | null | undefined>
  /**
   * Sets the value of a key.
   *
   * @param ttl - in how many milliseconds the key expires: a whole number.
   */
  set (key: string, value: string, ttl: number): unknown
  /**
   * Like `set()`, but only for a key that has no value. Of two calls at the same time, only one returns `true`.
   *
   * @returns whether the value was set.
   */
  add (key: string, value: string, ttl: number): MaybePromise<boolean>
  delete (key: string): unknown
}

type MaybePromise<T> = T | Promise<T>

/** The session cookie that is exchanged. */
export interface ExchangedCookieOptions {
  /**
   * The full name of the cookie: Better Auth's `advanced.cookies.session_token.name`.
   *
   * Default: `<prefix>.session_token`.
   */
  name?: string | undefined
}

/** API keys that are exchanged. */
export interface ExchangedApiKeyOptions {
  /**
   * The header with the key: the first of Better Auth's `apiKeyHeaders`.
   *
   * Default: `x-api-key`.
   */
  header?: string | undefined
  /**
   * For how long the plugin accepts a key after an exchange, but no longer than its JWT. Each exchange is one use of
   * the key, and Better Auth allows 10 uses a day by default.
   *
   * Default: `900000` (15 minutes).
   */
  maxAge?: number | undefined
}
