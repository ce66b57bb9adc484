import type { RefusalReason } from '../contract/errors.js'
import type { JwkFault } from '../keys/jwk.js'

/**
 * What `better-auth-fastify doctor --json` prints. Fields are added in minor versions; none is removed or gets another meaning
 * but in a major one. Nothing in it is the token, a segment of it, or the body of an answer.
 */
export interface DoctorReport {
  /** Whether no finding is an error; the exit status is then 0. */
  ok: boolean
  /** Origin and base path of the auth server, and where that was read. */
  authUrl: string
  authUrlFrom: 'argument' | 'BETTER_AUTH_URL' | 'default'
  /** What the plugin would accept: the options as it resolves them. `false` accepts any. */
  issuer: readonly string[] | false
  audience: readonly string[] | false
  algorithms: readonly string[]
  /** The addresses that were tried for the JWKS, in the plugin's order. */
  tried: DoctorAddress[]
  /** The JWKS, or what is too long to be looked at; `null` when neither was found. */
  jwks: DoctorJwks | null
  /** The keys of the JWKS, in its order. */
  keys: DoctorKey[]
  /** What there is to say of the token; `null` when none was given, or its key was not looked for (`too_long`). */
  token: DoctorToken | null
  /** What is wrong or unsafe, and what to do about it. */
  findings: DoctorFinding[]
}

/** An address that was tried. */
export interface DoctorAddress {
  url: string
  found: boolean
  /**
   * In the plugin's own words, such as `HTTP 404`; or the code of a failure, such as `ECONNREFUSED` or `timeout`; or
   * `longer than 1 MB`, with which the search ends.
   */
  answer: string
}

/** The JWKS as it was read for this report. */
export interface DoctorJwks {
  url: string
  /** The HTTP status; `null` when there was no answer. */
  status: number | null
  /** How long the answer took, its body included. */
  milliseconds: number
  /** How long a cache has kept the answer, by its `Age` (RFC 9111 §5.1); `null` without: it comes from no cache that says so. */
  ageSeconds: number | null
  /** `s-maxage`, else `max-age`, of its `Cache-Control` (RFC 9111 §5.2.2); `null` without. */
  maxAgeSeconds: number | null
  /** How far the server's clock is ahead of this one, by the `Date` of an answer that comes from no cache; `null` without. */
  clockAheadSeconds: number | null
  /** Why it could not be read: `too_long`: over 1 MB; `unreadable`: no JWKS, that once; or `null`. */
  fault: 'too_long' | 'unreadable' | null
}

/** Why no token of a key of the JWKS is accepted. */
export type DoctorKeyFault = JwkFault | 'kid_missing' | 'kid_duplicate' | 'kid_invalid' | 'algorithm_not_allowed'

/** A key of the JWKS; what is `null` is absent or no text. */
export interface DoctorKey {
  kid: string | null
  alg: string | null
  kty: string | null
  crv: string | null
  /** The algorithms that it may verify here. */
  algorithms: string[]
  /** `null` for a key that is used. */
  fault: DoctorKeyFault | null
}

/** Whether the plugin accepts a token, by its own verifier. */
export interface DoctorVerdict {
  accepted: boolean
  /** The word that the API would log; `null` for an accepted token. */
  reason: RefusalReason | null
}

/** A parameter of the header or a claim. */
export interface DoctorPart {
  name: string
  /** Its value where that is not personal, else its type. */
  says: string
  /** Why this alone would be refused; `null` if it would not. */
  reason: RefusalReason | null
}

/** A token, taken apart. What it says is only proven if its signature is right. */
export interface DoctorToken {
  /** What was taken off around it, such as `Bearer`. */
  notes: string[]
  /** How many segments it has: 3 for a signed JWT. */
  segments: number
  /** `unchecked`: it was refused before, or its key could not be had. */
  signature: 'right' | 'wrong' | 'unchecked'
  header: DoctorPart[]
  claims: DoctorPart[]
  verdict: DoctorVerdict
  /** The same for the token as Better Auth's session cookie, which the option `sessionCookie` accepts; `null` if it is none. */
  asCookie: DoctorVerdict | null
}

/** Something that is wrong (`error`: something is refused) or unsafe (`warning`). */
export interface DoctorFinding {
  level: 'error' | 'warning'
  about: 'auth server' | 'JWKS' | 'key' | 'token'
  text: string
  /** What to do, the option to set included. */
  fix: string
}
