/** This API as a protected resource of OAuth (RFC 9728), and what its access tokens must say. */
export interface ResourceOptions {
  /**
   * The identifier of this API (RFC 8707 §2): an absolute http(s) URL without a query or a fragment, such as
   * `https://api.example.com`. Clients name it as `resource` when they ask for a token, and the Better Auth server has
   * to know it.
   */
  url: string
  /**
   * The `iss` of OAuth access tokens, where the Better Auth server sets `jwt: { issuer }`.
   *
   * Default: the origin of `publicUrl`, and the base path of `authUrl` (`/api/auth` if it has none).
   */
  issuer?: string | undefined
  /**
   * The scopes of this API, for its metadata. `openid` and `offline_access` are left out there: they are no scopes of a
   * resource.
   *
   * Default: `[]`; the metadata names none.
   */
  scopes?: readonly string[] | undefined
  /**
   * Scopes that include others: with `{ 'orders:write': ['orders:read'] }`, a token with `orders:write` may do what
   * `orders:read` allows. It holds for OAuth access tokens.
   *
   * Default: `{}`; a scope stands for itself alone.
   */
  scopeIncludes?: Readonly<Record<string, readonly string[]>> | undefined
  /**
   * The name of this API for people, in its metadata (`resource_name`).
   *
   * Default: unset.
   */
  name?: string | undefined
  /**
   * The URL of documentation for developers, in its metadata (`resource_documentation`).
   *
   * Default: unset.
   */
  documentation?: string | undefined
  /**
   * The issuer identifiers of the authorization servers that issue tokens for this API, in its metadata
   * (`authorization_servers`). The plugin accepts the tokens of `issuer` alone, whatever they are.
   *
   * Default: `[issuer]`.
   */
  authorizationServers?: readonly string[] | undefined
}
