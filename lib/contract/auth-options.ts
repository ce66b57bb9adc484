/**
 * A Better Auth instance, as `betterAuth()` returns it. The plugin calls it, and never imports Better Auth.
 */
export interface AuthInstance {
  /** Responds to the requests below the base path. */
  readonly handler: (request: Request) => Promise<Response>
  /**
   * The options of `betterAuth()`: the plugin reads `baseURL`, `basePath`, `plugins`, `advanced`, `user` and `session`.
   */
  readonly options: object
  /** Better Auth's server-side API. If it exists, the plugin reads keys and sessions through it. */
  readonly api?: object | undefined
}

/** How the routes of Better Auth are mounted. */
export interface MountOptions {
  /**
   * Whether the OpenAPI document shows the routes: as one path with a wildcard, because only Better Auth knows what is
   * below it.
   *
   * Default: `false`.
   */
  openapi?: boolean | undefined
}
