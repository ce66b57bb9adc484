import type { RefusalReason } from '../contract/reasons.js'
import type { JwkFault } from '../keys/jwk.js'

/**
 * What `better-auth-fastify doctor --json` prints. Minor versions may add fields. Only major versions remove a field or
 * change its meaning. It never holds the token, a segment of it, or the body of a response; of metadata, its issuer.
 *
 * @example
 * const report = JSON.parse(stdout) as DoctorReport
 * for (const { text, fix } of report.findings) console.log(text, fix)
 */
export interface DoctorReport {
  /** Whether no finding is an error. The exit status is then 0. */
  ok: boolean
  /** Origin and base path of the auth server. */
  authUrl: string
  /** Where `authUrl` comes from. */
  authUrlFrom: 'argument' | 'BETTER_AUTH_URL' | 'default'
  /** What the plugin would accept, after it resolved the options. `false` accepts any. */
  issuer: readonly string[] | false
  audience: readonly string[] | false
  algorithms: readonly string[]
  /** The option `resource`; `null` without it. */
  resource: DoctorResource | null
  /** The URLs that were tried for the JWKS, in the plugin's order. */
  tried: DoctorSearchResult[]
  /** The JWKS; `null` if none was found. */
  jwks: DoctorJwks | null
  /** The keys of the JWKS, in its order: those that the plugin looks at. */
  keys: DoctorKey[]
  /** The OAuth provider of the auth server, and its `GET /token`; `null` if no JWKS was found. */
  provider: DoctorProvider | null
  /** The token; `null` if none was given. */
  token: DoctorToken | null
  /** What is wrong or unsafe, and what to change. */
  findings: DoctorFinding[]
}

/** This API, as OAuth clients name it. */
export interface DoctorResource {
  url: string
  /** The `iss` that OAuth access tokens must have. */
  issuer: string
}

/** Where users and OAuth clients get tokens. */
export interface DoctorProvider {
  /** The URLs that were tried for the metadata of the OAuth provider (RFC 8414), in the doctor's order. */
  tried: DoctorSearchResult[]
  /** The URL of the metadata; `null` if there is none. */
  url: string | null
  /** The issuer that the metadata names; `null` without metadata. */
  issuer: string | null
  /** The `iss` that the plugin expects of OAuth access tokens, with or without the option `resource`. */
  expectedIssuer: string
  /** Where users get their tokens. */
  tokenUrl: string
  /** What that URL returned to a request without a session: `HTTP 401` is right. */
  tokenResponse: string
  /** Whether the auth server has disabled it. */
  tokenIsDisabled: boolean
}

/** A URL that was tried. */
export interface DoctorSearchResult {
  url: string
  found: boolean
  /** In the plugin's own words, such as `HTTP 404`; or a failure, such as `connection_refused`. */
  response: string
}

/** The JWKS as the plugin read it. */
export interface DoctorJwks {
  url: string
  /** The HTTP status; `null` without a response. */
  status: number | null
  /** How long the response took, including its body. */
  milliseconds: number
  /** How long a cache has kept the response, by its `Age` (RFC 9111 §5.1); `null` without that header. */
  ageSeconds: number | null
  /** `s-maxage`, else `max-age`, of its `Cache-Control` (RFC 9111 §5.2.2); `null` without either. */
  maxAgeSeconds: number | null
  /**
   * How far the server's clock is ahead of this one, by the `Date` of a response that no cache kept; `null` without
   * one.
   */
  clockAheadSeconds: number | null
}

/** Why the plugin accepts no token that this key signed. */
export type DoctorKeyFault = JwkFault | 'kid_duplicate' | 'algorithm_not_allowed'

/** A key of the JWKS. A member is `null` if it is absent or not a string. */
export interface DoctorKey {
  kid: string | null
  alg: string | null
  kty: string | null
  crv: string | null
  /** The algorithms that it verifies here. */
  algorithms: string[]
  /** `null` for a key that is used. */
  fault: DoctorKeyFault | null
}

/** Whether the plugin accepts a token, by its own verifier. */
export interface DoctorVerdict {
  accepted: boolean
  /** The reason word that the API would log; `null` for an accepted token. */
  reason: RefusalReason | null
}

/** A header parameter or a claim. */
export interface DoctorPart {
  name: string
  /** Its value as text, or only its type where the value may be personal. */
  value: string
  /** Why this alone would be refused; `null` if it would not. */
  reason: RefusalReason | null
}

/**
 * What a token is. `delegated`: for an OAuth client that acts for a user. `client`: for an OAuth client that acts for
 * itself. `dpop`: bound to a key of its client. `cookie`: the session cookie.
 */
export type DoctorTokenKind =
  | 'user' | 'delegated' | 'client' | 'userinfo' | 'dpop' | 'id' | 'logout' | 'cookie' | 'encrypted' | 'opaque'

/** The issuer and audience that a token of some kind must have. `false` accepts any, an empty array accepts none. */
export interface DoctorNeeds {
  issuer: readonly string[] | false
  audience: readonly string[] | false
  /** The options that say so. */
  options: readonly [issuer: string, audience: string]
}

/** What the auth server returned for an opaque credential at `GET /token`, as the option `exchange` asks it. */
export interface DoctorExchange {
  /** As what it was sent. */
  as: 'session-token' | 'session-cookie' | 'api-key'
  /** `token`: a JWT. `refused`: no session. `limited`: the API key has reached its own limit. Else why it failed. */
  response: string
  /** Whether the plugin accepts the JWT; `null` without one. */
  verdict: DoctorVerdict | null
}

/** A decoded token. Nothing in it is proven unless its signature is right. */
export interface DoctorToken {
  /** What was removed around it, such as `Bearer`. */
  notes: string[]
  /** How many segments it has: 3 for a signed JWT. */
  segments: number
  /** By its unverified header and claims; `null` if they fit no kind. */
  kind: DoctorTokenKind | null
  /** What its kind needs; `null` if no API accepts a bearer token of its kind. */
  needs: DoctorNeeds | null
  /** `unchecked`: the token was refused before that, or its key could not be fetched. */
  signature: 'right' | 'wrong' | 'unchecked'
  header: DoctorPart[]
  claims: DoctorPart[]
  verdict: DoctorVerdict
  /** What the auth server returned for it, in each way that was tried; empty unless it is opaque. */
  exchanges: DoctorExchange[]
  /** The verdict with the option `sessionCookie`, if the token is Better Auth's session cookie; else `null`. */
  asCookie: DoctorVerdict | null
}

/** A finding. `error`: something is refused; `warning`: something is unsafe or unusual. */
export interface DoctorFinding {
  level: 'error' | 'warning'
  about: 'auth server' | 'JWKS' | 'key' | 'token'
  text: string
  /** What to change, including the option to set. */
  fix: string
}
