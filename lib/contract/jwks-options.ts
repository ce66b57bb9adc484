/** How keys are fetched, and how long they are trusted. Durations are milliseconds. */
export interface JwksOptions {
  /**
   * For how long after a fetch began its keys are used without another fetch and without a wait.
   *
   * Default: `600000` (10 minutes).
   */
  maxAge?: number | undefined
  /**
   * For how much longer they are still used at once, while one refresh runs in the background.
   *
   * Default: `60000` (1 minute).
   */
  staleWhileRevalidate?: number | undefined
  /**
   * For how long after the last successful fetch began its keys are trusted while the JWKS cannot be fetched.
   *
   * Default: `3600000` (1 hour).
   */
  staleIfError?: number | undefined
  /**
   * How many fetches per minute tokens with an unknown `kid` may cause, evenly spaced. In a flood of such tokens, a new
   * key is accepted after one such interval and one fetch at the latest.
   *
   * Default: `20` (every 3 seconds).
   */
  requestsPerMinute?: number | undefined
  /**
   * How long one fetch may take, including its body and the search for its URL.
   *
   * Default: `5000` (5 seconds).
   */
  timeout?: number | undefined
  /**
   * Headers of each fetch, for a gateway or a deployment protection in front of the auth server, such as
   * `{ 'x-vercel-protection-bypass': secret }`. Their values are never logged.
   *
   * Default: `{}`; `User-Agent` is `better-auth-fastify/<version>`.
   */
  headers?: Readonly<Record<string, string>> | undefined
}
