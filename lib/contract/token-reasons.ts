import type { ReasonRow } from './error-codes.js'

/** The reasons that concern the token itself, in the order of its verification. */
export const TOKEN_REASONS = {
  // The form of the token, and its header.
  token_too_long: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token is longer than 16 kB',
    cause: 'A custom `definePayload` puts too much into the token.',
    fix: 'put less into the token: `definePayload`'
  },
  token_malformed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token is not a JWT: its segments, base64url or JSON are malformed',
    cause: 'The client sends an opaque token: the session token of a sign-in, an API key, or the access token of an ' +
      'OAuth client that named no `resource`. Or the browser lost a part of the session cookie.',
    fix: 'the client: fetch a JWT at `GET /api/auth/token`, with the session cookie, with the session token (plugin ' +
      '`bearer()`) or with the API key (`enableSessionForAPIKeys`); an OAuth client: name the `resource`; for the ' +
      'cookie, the client: call `getSession()` at the auth server'
  },
  token_encrypted: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token is an encrypted JWT (JWE)',
    cause: 'The client sends a token that only its issuer can read.',
    fix: 'the client: fetch a JWT at `GET /api/auth/token`'
  },
  typ_not_allowed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `typ` in the header names another kind of token, such as a session cookie or a logout token',
    cause: 'The client sends the session cookie or a logout token as a bearer token.',
    fix: 'the client: fetch a JWT at `GET /api/auth/token`'
  },
  algorithm_not_allowed: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `alg` in the header is not in `algorithms`, or is HS256 without a secret for it, or is `none`',
    cause: 'The option `algorithms` lacks the algorithm of the auth server (Better Auth\'s default is EdDSA), or the ' +
      'token is signed with HS256.',
    fix: 'the option `algorithms`; for HS256 `secret` (bearer tokens) or `sessionCookie.secret` (cookies)'
  },
  critical_header: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the header has a critical extension (`crit`, `b64`)',
    cause: 'A custom signer uses an extension of JWS that this plugin does not implement.',
    fix: 'the signer: leave it out'
  },
  kid_invalid: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `kid` in the header is missing, not a string, empty, or too long',
    cause: 'An HS256 token has a `kid`, or a custom signer leaves the `kid` out.',
    fix: 'the signer: name its key in `kid`; HS256 tokens have no `kid`'
  },

  // The key and the signature.
  unknown_key: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the JWKS has no key with this `kid`; `kids` shows those that it has, `jwksUrl` where it is',
    cause: '`authUrl` is another Better Auth server than the one that signed the token, such as staging; or the keys ' +
      'of the auth server were deleted; or the key is a few seconds old, and other tokens had an unknown `kid` just ' +
      'before.',
    fix: 'the option `authUrl`: set it to the server that signed the token; if its keys were deleted, the client: ' +
      'fetch a new token'
  },
  unusable_key: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the key with this `kid` is weak, private, malformed, of an unknown kind, or not for signatures',
    cause: 'The key is RSA with fewer than 2048 bits, or is for encryption. The log says what is wrong with it.',
    fix: 'the auth server: replace the key, see `jwt({ jwks: { keyPairConfig } })`'
  },
  algorithm_mismatch: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the key with this `kid` is not for the `alg` of the token',
    cause: 'Another server uses the same `kid` for another key.',
    fix: 'the option `authUrl`: set it to the server that signed the token'
  },
  signature_invalid: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the signature is wrong, or another secret encrypted the session cookie',
    cause: 'HS256, and cookies of the strategies `compact` and `jwe`: the two secrets differ. Otherwise the token ' +
      'was changed, or another server uses the same `kid`.',
    fix: 'the option `authUrl`: set it to the server that signed the token; for HS256 `secret` (bearer tokens) or ' +
      '`sessionCookie.secret` (cookies)'
  },

  // The claims.
  claim_missing: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token has no `exp`, or no user id (`sub` or `id`); `claim` names it',
    cause: 'A custom `definePayload` or signer leaves the claim out.',
    fix: 'the signer, or `definePayload`: set the claim'
  },
  claim_invalid: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'a claim has the wrong type, or does not match `userSchema`; `claim` names it',
    cause: 'A custom `definePayload` puts another type into `email`, `name`, `image` or `emailVerified`.',
    fix: 'the signer, or `definePayload`: give the claim the right type'
  },
  subject_ambiguous: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `sub` and the `id` of the token differ, and session cookies, which are accepted too, have only the ' +
      '`id`',
    cause: 'The Better Auth server sets `jwt: { getSubject }`.',
    fix: 'the option `userId`: set it to `\'id\'`'
  },
  token_expired: {
    code: 'FST_BETTER_AUTH_TOKEN_EXPIRED',
    meaning: 'the token has expired, and nothing else is wrong with it; `seconds` shows for how long',
    cause: 'The client keeps a token for too long. Better Auth\'s tokens live for 15 minutes.',
    fix: 'the client: fetch a new token on 401'
  },
  token_not_active: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `nbf` or `iat` of the token is in the future; `seconds` shows by how much',
    cause: 'The clocks of the two servers differ.',
    fix: 'synchronise the clocks; the option `clockTolerance` covers a few seconds'
  },
  issuer_mismatch: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `iss` of the token is not in `issuer`, or the function `issuer` did not return `true`; `expected` ' +
      'and `received` show both, and `difference` in what alone they differ',
    cause: 'The API reaches the auth server at another URL (`http://auth:3000`) than users do. Tokens contain the ' +
      'public URL.',
    fix: 'the option `issuer`: set it to `received`, if that is your own auth server'
  },
  audience_mismatch: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the `aud` of the token matches nothing in `audience`; `expected` and `received` show both, and ' +
      '`difference` in what alone they differ',
    cause: 'See `issuer_mismatch`; or Better Auth sets its own `jwt: { audience }`.',
    fix: 'the option `audience`: set it to `received`, if that names this API'
  },
  oauth_token_not_accepted: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the token is an access token of an OAuth client (`typ: at+jwt`, or a claim `client_id` or `azp`), and ' +
      'the option `resource` is not set',
    cause: 'A third-party app, an agent or a machine calls the API with a token of the OAuth provider.',
    fix: 'set the option `resource`, and let these clients in by `authorize({ delegated, clients })`; or the client: ' +
      'fetch a JWT at `GET /api/auth/token`'
  },
  token_kind: {
    code: 'FST_BETTER_AUTH_TOKEN_INVALID',
    meaning: 'the claims show another kind of token: ID token, logout token, session cookie, or DPoP-bound token',
    cause: 'The client sends that token as a bearer token.',
    fix: 'the client: fetch a JWT at `GET /api/auth/token`; for a DPoP-bound token (`claim` is `cnf`) set the option ' +
      '`dpop`, and the client sends `Authorization: DPoP <token>` with a proof'
  }
} as const satisfies Record<string, ReasonRow>
