import { isLoopback } from '../contract/hosts.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { DoctorFinding, DoctorJwks, DoctorKey, DoctorKeyFault, DoctorSearchResult } from './report.js'
import { duration, printable } from './terminal.js'

/**
 * A cache that keeps the JWKS for longer than this, in seconds, causes a warning: new keys are refused until it
 * expires.
 */
const LONG = 60
const NOT_FOUND = 'HTTP 404'
const CREDENTIAL = 'something in front of the auth server wants a credential: set its header in the option ' +
  'jwks.headers (--header)'
const NOTHING = 'nothing, if no token is signed with it'

/** Why a key is not used. Harmless while another key is usable, except for a published private key. */
const KEY_FAULTS: Record<DoctorKeyFault, Pick<DoctorFinding, 'text' | 'fix'>> = {
  private: {
    text: 'its private (or symmetric) members are published: anyone who has read them can sign tokens as anyone',
    fix: 'take the key out of the JWKS now, delete it, and let the auth server make a new one'
  },
  use: {
    text: 'its "use" is not "sig": it is not for signatures, and is not used',
    fix: NOTHING
  },
  key_ops: {
    text: 'its "key_ops" lack "verify": it is not for signatures, and is not used',
    fix: NOTHING
  },
  kty: {
    text: 'its "kty" and "crv" name an unknown kind of key',
    fix: `${NOTHING}; else sign with Ed25519, Ed448, P-256, P-384, P-521 or RSA: jwt({ jwks: { keyPairConfig } })`
  },
  alg: {
    text: 'its "alg" is unknown, or not for this kind of key',
    fix: `${NOTHING}; else jwt({ jwks: { keyPairConfig: { alg } } }) at the auth server`
  },
  weak: {
    text: 'it is weak: RSA under 2048 bits, a bad RSA exponent, or a point of small order',
    fix: 'replace it: jwt({ jwks: { keyPairConfig } }) at the auth server'
  },
  malformed: {
    text: 'it is not a JWK, or its members are missing or malformed',
    fix: 'check whatever stores or proxies the JWKS'
  },
  kid_missing: {
    text: 'it has no "kid": no token can name it',
    fix: `${NOTHING}; else give it a "kid" at the auth server`
  },
  kid_duplicate: {
    text: 'a key before it has the same "kid" and algorithm: only the first is used',
    fix: 'nothing, if both are the same; else give each key a "kid" of its own'
  },
  kid_invalid: {
    text: 'its "kid" is empty, too long or not well-formed: tokens that name it are refused',
    fix: 'give it another "kid" at the auth server'
  },
  algorithm_not_allowed: {
    text: 'the option algorithms includes none of its algorithms',
    fix: `${NOTHING}; else add its algorithm to the option algorithms`
  }
}

/** The first that a response starts with. */
const FIXES: ReadonlyArray<readonly [start: string, fix: string]> = [
  ['timeout', 'the server hangs, or a firewall drops the packets; the option jwks.timeout sets the time'],
  ['connection_refused', 'nothing listens there: start the auth server, or set authUrl to where it listens'],
  ['dns', 'there is no host with that name: look for a misspelling in authUrl'],
  ['tls', 'its certificate is not trusted: set NODE_EXTRA_CA_CERTS to a file with your own CA; or it does not ' +
    'speak TLS: set authUrl to its http URL'],
  ['protocol', 'something other than a web server listens there: check the host and the port of authUrl'],
  ['connection_reset', 'the server, or a proxy in front of it, ends the connection: its log says why'],
  ['longer than 1 MB', 'no JWKS is that long: check what responds there, or set jwksPath to where the keys are'],
  ['a compressed response', 'the plugin reads only uncompressed responses, and asks for one: turn compression off ' +
    'for that path'],
  ['a JWKS that may be of', 'fix the URL that fails; or, if these are the keys of your auth server, set jwksPath'],
  ['HTTP 401', CREDENTIAL],
  ['HTTP 403', CREDENTIAL],
  ['HTTP 429', 'it limits requests: try again in a minute; to exempt the keys, set rateLimit: { customRules: { ' +
    "'/jwks': false } } in Better Auth"],
  ['JSON ', 'it is not the JWKS of Better Auth: check authUrl and jwksPath, and any proxy in between'],
  ['HTTP 2', 'a page, such as HTML: authUrl may be the web app; set it to the Better Auth server, with its base path'],
  ['HTTP 3', 'a redirect, which is never followed: set authUrl to the URL it leads to'],
  ['HTTP 404', 'add the plugin jwt() to the Better Auth server; add its basePath, if any, to authUrl; or set ' +
    'jwksPath'],
  ['HTTP ', 'the server, or a proxy in front of it, does not serve its keys: its log says why'],
  ['', 'check the network between this machine and the auth server']
]

/** Warns about http to another machine. */
export function aboutAuthUrl ({ authUrl }: ResolvedOptions): DoctorFinding[] {
  const { protocol, hostname } = new URL(authUrl)
  if (protocol === 'https:' || isLoopback(hostname)) return []
  return [{
    level: 'warning',
    about: 'auth server',
    text: 'it is reached over http: anyone on the network path can put their own key into the JWKS, and sign as anyone',
    fix: 'set authUrl to its https URL, or keep it within a network that you trust'
  }]
}

export function aboutSearch (tried: readonly DoctorSearchResult[]): DoctorFinding[] {
  if (tried.some(({ found }) => found)) return []
  const responses = [...new Set(tried.map(({ response }) => response))]
  // The plugin tries URLs that need not exist, so a response other than 404 says more.
  const others = responses.filter(response => response !== NOT_FOUND)
  return (others.length > 0 ? others : responses).map(response => ({
    level: 'error',
    about: 'auth server',
    text: response.startsWith('a JWKS')
      ? 'a JWKS at the root of the origin is not used while a URL before it fails: it may be of somebody else'
      : `no JWKS was found: ${response}`,
    fix: fixFor(response)
  }))
}

/** What to change about a URL, by what it returned. */
export function fixFor (response: string): string {
  return FIXES.find(([start]) => response.startsWith(start))![1]
}

export function aboutJwks (jwks: DoctorJwks, { clockTolerance }: ResolvedOptions): DoctorFinding[] {
  const { ageSeconds, maxAgeSeconds, clockAheadSeconds } = jwks
  const findings: DoctorFinding[] = []
  const kept = Math.max(ageSeconds ?? 0, maxAgeSeconds ?? 0)
  if (kept > LONG) {
    findings.push({
      level: 'warning',
      about: 'JWKS',
      text: `a cache keeps it for ${duration(kept)} or more: a new key is refused, a removed one trusted until then`,
      fix: 'let caches keep it for a few seconds (max-age=5)'
    })
  }
  const apart = Math.abs(clockAheadSeconds ?? 0)
  // The `Date` header has whole seconds.
  if (apart > clockTolerance / 1000 + 1) {
    const side = clockAheadSeconds === apart ? 'ahead of' : 'behind'
    findings.push({
      level: 'warning',
      about: 'auth server',
      text: `by the date of its response, its clock is ${duration(apart)} ${side} this one`,
      fix: 'synchronise the clocks; or a cache keeps responses without an Age header'
    })
  }
  return findings
}

/** @param entries - how many entries the JWKS has. */
export function aboutKeys (keys: readonly DoctorKey[], entries: number): DoctorFinding[] {
  const findings: DoctorFinding[] = keys.flatMap(({ kid, fault }) => {
    if (fault === null) return []
    const { text, fix } = KEY_FAULTS[fault]
    const name = kid === null ? 'a key without kid' : `"${printable(kid)}"`
    return [{ level: fault === 'private' ? 'error' : 'warning', about: 'key', text: `${name}: ${text}`, fix }]
  })
  if (entries > keys.length) {
    const text = `it has ${entries} entries: the plugin looks only at the first ${keys.length}`
    findings.push({ level: 'warning', about: 'JWKS', text, fix: 'remove old keys at the auth server' })
  }
  if (keys.every(({ fault }) => fault !== null)) {
    const isEmpty = keys.length === 0
    const text = isEmpty ? 'it has no keys' : 'none of its keys is usable'
    const fix = isEmpty
      ? 'request a token, which makes Better Auth create a key; if that does not help, check its table of keys'
      : 'see the findings about each; or jwt({ jwks: { keyPairConfig } }) at the auth server'
    findings.push({ level: 'error', about: 'JWKS', text, fix })
  }
  return findings
}
