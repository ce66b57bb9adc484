/**
 * Which opaque credentials of a Better Auth server are exchanged for a JWT, and for how long the result counts.
 * Durations are milliseconds.
 */
export interface ExchangeOptions {
  /**
   * Session tokens in `Authorization: Bearer …`: 32 characters, or the same with a signature. The Better Auth server
   * needs the plugin `bearer()`.
   *
   * Default: `true`.
   */
  sessionToken?: boolean | undefined
  /**
   * The session cookie `better-auth.session_token`. Its prefix, its `__Secure-` and its `trustedOrigins` are those of
   * the option `sessionCookie`; `name` is Better Auth's `advanced.cookies.session_token.name`. With
   * `sessionCookie.secret`, a cookie with a wrong signature is refused without a call.
   *
   * Default: `true`; the name is `<prefix>.session_token`.
   */
  sessionCookie?: boolean | ExchangedCookieOptions | undefined
  /**
   * API keys of the plugin `@better-auth/api-key` with `enableSessionForAPIKeys: true`.
   *
   * Default: `true`; the header is `x-api-key`, and `maxAge` is 15 minutes.
   */
  apiKey?: boolean | ExchangedApiKeyOptions | undefined
  /**
   * For how long a session counts after an exchange. Then it is exchanged anew: a session that was signed out, revoked
   * or banned ends at the latest then.
   *
   * Default: `60000` (1 minute).
   */
  maxAge?: number | undefined
  /**
   * For how long a known session counts after its last exchange while the auth server cannot be reached, or asks to
   * wait; but no longer than its JWT.
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
   * How many credentials that this instance does not know are exchanged in a minute; more get 503. Known ones do not
   * count.
   *
   * Default: `60`.
   */
  requestsPerMinute?: number | undefined
  /**
   * How many sessions are remembered, and as many refused credentials. The least recently used are dropped first.
   *
   * Default: `10000`.
   */
  max?: number | undefined
  /**
   * Whether an exchange carries `X-Forwarded-For` with `request.ip`. Better Auth's rate limiter then counts each client
   * by itself, and not all of them as one. Behind a proxy, set Fastify's `trustProxy` too.
   *
   * Default: `false`.
   */
  forwardedFor?: boolean | undefined
  /**
   * Where the instances of an API share what they exchange, so that a session costs one exchange for all of them. If
   * the store fails, each instance exchanges by itself.
   *
   * Default: unset; each instance exchanges by itself.
   */
  shared?: SharedExchangeOptions | undefined
}

/** What the instances of an API share. */
export interface SharedExchangeOptions {
  /** The store, such as Redis. It sees no credential and no token in the clear. */
  store: ExchangeStore
  /**
   * A secret of at least 32 bytes, the same for all instances and for nothing else. Keys and values derive from it and
   * from the credential. Results that were stored with another secret are not found.
   */
  secret: string
}

/**
 * A store with keys that expire, as Redis has them: strings of letters, digits and `_-:`. A method may return its
 * result or a promise of it, and throw or reject; what takes longer than a second counts as failed.
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
  /** The value of a key; `null` or `undefined` without one. */
  get (key: string): MaybePromise<string | null | undefined>
  /** @param ttl - when the key expires: a whole number of milliseconds from now. */
  set (key: string, value: string, ttl: number): unknown
  /**
   * The same, but only for a key that has no value. Of two calls at the same time, one returns `true`.
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
   * For how long a key counts after an exchange, but no longer than its JWT. Each exchange is one use of the key, of
   * which Better Auth allows 10 a day by default.
   *
   * Default: `900000` (15 minutes).
   */
  maxAge?: number | undefined
}
