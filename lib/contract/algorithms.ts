/** The algorithms that a key of the JWKS may be used for (RFC 7518 §3.1, RFC 8037 §3.1). Never HMAC, never `none`. */
export const ALGORITHMS = [
  'EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'
] as const

/** A JWS algorithm that a key of the JWKS may be used for. */
export type Algorithm = typeof ALGORITHMS[number]
