/**
 * What a log line contains in addition to the reason: claim names and configured values, never a token or a signature.
 */
export interface RefusalDetails {
  /** The claim or header parameter that was refused. */
  claim?: string
  /** What this API accepts. */
  expected?: readonly string[]
  /** What the token contains instead; set only for a token whose signature is valid. */
  received?: unknown
  /** In what alone `received` differs from what is expected, such as `a slash at its end`. */
  difference?: string
  /** For how many seconds the token has expired, or until it becomes active. */
  seconds?: number
  /** The URL of the JWKS that lacks the key. */
  jwksUrl?: string | null
  /** The `kid`s that it has, at most 10 of them. */
  kids?: readonly string[]
  /** The `Origin` header of a request with a cookie, or `null` without one. It is shortened, as is `site`. */
  origin?: string | null
  /** Its `Sec-Fetch-Site` header, or `null` without one. */
  site?: string | null
}
