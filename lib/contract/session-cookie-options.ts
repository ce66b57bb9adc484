import type { FastifyRequest } from 'fastify'

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
   * The secret of the Better Auth server, 32 bytes or more, for cookies signed with HS256, as Better Auth signs them
   * without `jwt({ sessionCookieCache: true })`. This secret verifies cookies only. Prefer the keys of the JWKS: anyone
   * who has this secret can sign in as any user.
   *
   * Default: unset; only cookies signed with a key of the JWKS are accepted.
   */
  secret?: string | undefined
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
