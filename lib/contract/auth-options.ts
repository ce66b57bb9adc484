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
  /** The server-side calls. Keys and sessions are read through them where they exist. */
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
