import type { FastifyRequest } from 'fastify'
import type { Session } from './identity.js'

/** The user in a session cookie: the columns that Better Auth returns, as JSON has them. */
export interface SessionCookieUser {
  readonly id: string
  readonly [column: string]: unknown
}

/** How Better Auth's session cookie is found and verified, and which pages may send it. */
export interface SessionCookieOptions {
  /**
   * Better Auth's `advanced.cookiePrefix`.
   *
   * Default: `better-auth`.
   */
  prefix?: string | undefined
  /**
   * The full name of the cookie: Better Auth's `advanced.cookies.session_data.name`. With `__Secure-` or `__Host-` in
   * front, as the browser shows it, no other name is read.
   *
   * Default: `<prefix>.session_data`.
   */
  name?: string | undefined
  /**
   * Whether the name has to start with `__Secure-` or `__Host-`, as Better Auth writes it for an https `baseURL` or
   * with `advanced.useSecureCookies`. `false` also accepts the name without a prefix, which any page of the domain can
   * set.
   *
   * Default: whether `publicUrl` is https; if it is unset, `issuer`; if that is no URL, `authUrl`.
   */
  secure?: boolean | undefined
  /**
   * The secret of the Better Auth server, 32 bytes or more, for cookies that are not signed with a key of the JWKS:
   * those of the strategies `compact` and `jwe`, and of `jwt` without `jwt({ sessionCookieCache: true })`. This secret
   * verifies cookies only. Prefer the keys of the JWKS: anyone who has this secret can sign in as any user.
   *
   * Default: unset; only cookies signed with a key of the JWKS are accepted.
   */
  secret?: string | undefined
  /**
   * Better Auth's `session.cookieCache.version`: cookies of any other version are refused. A function gets the session
   * and the user in the cookie, with dates as ISO 8601 strings, on every request; `callbackTimeout` limits how long it
   * may take. If it fails, the response is 503.
   *
   * Default: unset; cookies of any version are accepted.
   */
  version?: string | ((session: Session, user: SessionCookieUser) => string | Promise<string>) | undefined
  /**
   * Origins of the pages that may send unsafe requests with the cookie, in addition to the API's own origin:
   * `https://app.example.com`, a pattern (`https://*.example.com`, where `*` is one label, or `https://**.example.com`,
   * where `**` is one or more), or the origin of an app (`capacitor://localhost`). Or a function, which trusts an
   * origin only by returning `true`. It gets `undefined` for a request without `Origin`, and is not called for `null`.
   * See `docs/guides/session-cookies.md`.
   *
   * Default: `[]`.
   */
  trustedOrigins?: readonly string[] | ((origin: string | undefined, request: FastifyRequest) => boolean) | undefined
}
