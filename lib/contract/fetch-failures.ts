/** What a failed fetch looks like from outside, and what to do about it. */
interface FailureRow {
  /** A sentence. */
  readonly meaning: string
  /** A sentence without its end. */
  readonly fix: string
}

/**
 * Every way in which a fetch from the auth server fails, by its stable word. The words do not depend on the version of
 * Node.js; the codes of Node.js do, and stand beside them in the log as `systemCode`.
 */
export const FETCH_FAILURES = {
  timeout: {
    meaning: 'The response was not complete in time.',
    fix: 'the network or the auth server; or the option `jwks.timeout` or `exchange.timeout`: set a longer time'
  },
  connection_refused: {
    meaning: 'Nothing listens at that host and port.',
    fix: 'start the auth server, or set the option `authUrl` to where it listens'
  },
  connection_reset: {
    meaning: 'The connection ended before the response was complete.',
    fix: 'the auth server, or the proxy in front of it: its log says why'
  },
  dns: {
    meaning: 'The name of the host could not be resolved.',
    fix: 'the option `authUrl`: look for a misspelling; or the DNS server'
  },
  unreachable: {
    meaning: 'No route leads to the host.',
    fix: 'the network between this API and the auth server'
  },
  tls: {
    meaning: 'The certificate is not trusted, or the server does not speak TLS.',
    fix: 'the certificate; for your own CA, set `NODE_EXTRA_CA_CERTS`; the option `authUrl`: `https` or `http`'
  },
  protocol: {
    meaning: 'The response is not HTTP, or its headers are too long.',
    fix: 'the program that listens there; the option `authUrl`'
  },
  network: {
    meaning: 'Any other network error, such as a proxy that refuses the connection.',
    fix: 'the network between this API and the auth server, as `systemCode` says'
  },
  rate_limited: {
    meaning: 'The response was HTTP 429.',
    fix: 'the auth server: exempt the path from its rate limit, in Better Auth with `rateLimit: { customRules: { ' +
      "'/jwks': false, '/token': false } }`"
  },
  http_4xx: {
    meaning: 'The response was another HTTP status from 400 to 499.',
    fix: 'the options `authUrl` and `jwksPath`; the auth server: add its plugin `jwt()`'
  },
  http_5xx: {
    meaning: 'The response was an HTTP status of 500 or more.',
    fix: 'the auth server: its log says why'
  },
  too_large: {
    meaning: 'The response was longer than 1 MB.',
    fix: 'the program that responds there; the option `jwksPath`'
  },
  encoded: {
    meaning: 'The response had a `Content-Encoding`.',
    fix: 'the proxy or CDN: turn compression off for this path'
  },
  no_jwks: {
    meaning: 'Any other response: a redirect, no JSON, JSON without an array `keys`, or JSON that is nested more ' +
      'than 16 levels deep.',
    fix: 'the options `authUrl` and `jwksPath`, as the line in the log says'
  },
  no_token: {
    meaning: 'Any other response to an exchange: a redirect, or no JSON with a `token`.',
    fix: 'the option `authUrl`; the proxy in front of the auth server'
  },
  unexpected: {
    meaning: 'An error in the plugin itself.',
    fix: 'please report it'
  }
} as const satisfies Record<string, FailureRow>

/** Why a fetch from the auth server failed: one stable word, for logs, metrics and alerts. */
export type FetchFailure = keyof typeof FETCH_FAILURES
