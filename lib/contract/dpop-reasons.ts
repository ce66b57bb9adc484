import type { ReasonRow } from './error-codes.js'

/** The reasons that concern DPoP (RFC 9449): the binding of a token to a key, and the proof of a request. */
export const DPOP_REASONS = {
  token_not_bound: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token is not bound to a key (`cnf.jkt`), but the request has the scheme `DPoP`, or `dpop.required` ' +
      'is `true`',
    cause: 'The client requested the token without a DPoP proof; or it sends the token of a user, which is never ' +
      'bound, with the scheme `DPoP`.',
    fix: 'the client: send a DPoP proof with the token request; for a token of the jwt() plugin, send ' +
      '`Authorization: Bearer <token>`'
  },
  proof_missing: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the request has the scheme `DPoP`, but no `DPoP` header',
    cause: 'The client sends no proof; or a proxy, or CORS, drops the header.',
    fix: 'the client: send a new proof in the header `DPoP` of each request'
  },
  proof_malformed: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the proof is not a JWT, or is longer than 16 kB, or the request has several `DPoP` headers',
    cause: 'The client sends something else in the header `DPoP`, or a proxy adds a second one.',
    fix: 'the client: send one proof, a compact JWT; the proxy: forward `DPoP` unchanged'
  },
  proof_header_invalid: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the header of the proof is invalid; `claim` names the parameter: `typ` is not `dpop+jwt`, `alg` is not ' +
      'an asymmetric algorithm or does not fit the key, `jwk` is not a public key, is weak or has private members, ' +
      'or `crit` or `b64` is set',
    cause: 'The client signs with HMAC, puts its private key into `jwk`, or uses RSA with fewer than 2048 bits.',
    fix: 'the client: sign with ES256 or EdDSA, and put only the public key into `jwk`'
  },
  proof_key_mismatch: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the token is bound to another key (`cnf.jkt`) than that of the proof',
    cause: 'The client made a new key but kept the token; or somebody stole the token, but not the key.',
    fix: 'the client: use the key with which it requested the token'
  },
  proof_signature_invalid: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the signature of the proof is invalid',
    cause: 'The proof was changed; or somebody has the token and the public key of the client, but not its private ' +
      'key.',
    fix: 'the client: sign with the private key that belongs to `jwk`; write ECDSA signatures in the format ' +
      'of JWS, and not as DER'
  },
  proof_claim_invalid: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'a claim of the proof is missing or has the wrong type; `claim` names it: `jti` (1 to 512 characters), ' +
      '`htm`, `htu`, `iat` or `ath`',
    cause: 'The client makes the same proof as for the token endpoint, which has no `ath`.',
    fix: 'the client: set the claims of RFC 9449 §4.2, including `ath`'
  },
  proof_mismatch: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the proof is for another request; `claim` names what differs: the method (`htm`), the URL (`htu`) or ' +
      'the token (`ath`); `expected` and `received` show both, except for tokens',
    cause: 'The client reaches this API at another origin than that of `resource.url`; or a proxy changes the path; ' +
      'or somebody uses the proof of another request.',
    fix: 'the option `resource.url`: set it to the URL that clients use; the option `dpop.origins`: add further ' +
      'origins; the proxy: forward the path unchanged'
  },
  proof_expired: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the proof is older than `dpop.maxProofAge`, or its `exp` has passed; `seconds` shows for how long',
    cause: 'The client uses a proof for too long, or its clock is wrong.',
    fix: 'the client: make a new proof for each request; synchronise the clocks'
  },
  proof_not_active: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the `iat` or `nbf` of the proof is more than 5 seconds in the future; `seconds` shows by how much',
    cause: 'The clock of the client, or of this API, is wrong.',
    fix: 'synchronise the clocks'
  },
  proof_replayed: {
    code: 'FST_BETTER_AUTH_DPOP_PROOF_INVALID',
    meaning: 'the proof has been used before',
    cause: 'The client, or a proxy, sends a request again with the same proof; or somebody replays it.',
    fix: 'the client: make a new proof, with a new `jti`, for each request, also for a retry'
  },
  replay_unavailable: {
    code: 'FST_BETTER_AUTH_DPOP_UNAVAILABLE',
    meaning: '`reserve()` of `dpop.replayStore` threw, returned neither `true` nor `false`, or did not settle ' +
      'within `callbackTimeout`; `err` shows which',
    cause: 'The store of used proofs cannot be reached.',
    fix: 'the store; the option `dpop.replayStore`: return `true` or `false` from `reserve()`'
  },
  replay_store_full: {
    code: 'FST_BETTER_AUTH_DPOP_UNAVAILABLE',
    meaning: 'the memory of this instance holds 500,000 proofs that may still be used',
    cause: 'More requests with DPoP came within `dpop.maxProofAge` than the memory can hold.',
    fix: 'the option `dpop.maxProofAge`: set a shorter time; the option `dpop.replayStore`: use a store of your own; ' +
      'or a rate limit for each client'
  }
} as const satisfies Record<string, ReasonRow>
