import type { DoctorFinding, DoctorKeyFault } from './report.js'

const NOTHING = 'nothing, if no token is signed with it'

/** What is wrong with a key, for a person. Beside a usable key it refuses nobody; only a published private key lets others in. */
export const KEY_ADVICE: Record<DoctorKeyFault, Pick<DoctorFinding, 'text' | 'fix'>> = {
  private: {
    text: 'its private (or symmetric) members are published: whoever read them can sign tokens as anyone',
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
    text: 'its "kty" and "crv" are no kind of key that is known here',
    fix: `${NOTHING}; else sign with Ed25519, Ed448, P-256, P-384, P-521 or RSA: jwt({ jwks: { keyPairConfig } })`
  },
  alg: {
    text: 'its "alg" is unknown or not one for such a key',
    fix: `${NOTHING}; else jwt({ jwks: { keyPairConfig: { alg } } }) at the auth server`
  },
  weak: {
    text: 'it is weak: RSA under 2048 bits, a bad RSA exponent, or a point of small order',
    fix: 'replace it: jwt({ jwks: { keyPairConfig } }) at the auth server'
  },
  malformed: {
    text: 'its members are missing or make no key',
    fix: 'look at whatever stores or forwards the JWKS'
  },
  kid_missing: {
    text: 'it has no "kid": no token can name it',
    fix: `${NOTHING}; else give it a "kid" at the auth server`
  },
  kid_duplicate: {
    text: 'another key before it has the same "kid": only the first is looked at',
    fix: 'nothing, if both are the same; else give each key a "kid" of its own'
  },
  kid_invalid: {
    text: 'its "kid" is empty, too long or not well-formed: tokens that name it are refused',
    fix: 'give it another "kid" at the auth server'
  },
  algorithm_not_allowed: {
    text: 'no algorithm that it is for is in the option algorithms',
    fix: `${NOTHING}; else add its algorithm to the option algorithms`
  }
}

/** What to do about an address that is no JWKS, by what it answered. */
const ADDRESS_ADVICE: ReadonlyArray<readonly [answer: RegExp, fix: string]> = [
  [/^timeout$/, 'the server hangs, or a firewall drops the packets; the time is the option jwks.timeout'],
  [/^ECONNREFUSED$/, 'nothing listens there: start the auth server, or set authUrl to where it listens'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'there is no host of that name: look for a misspelling in authUrl'],
  [/CERT|SSL|TLS|SIGNATURE/, 'its certificate is not trusted: NODE_EXTRA_CA_CERTS names a file with a CA of your own'],
  [/^longer than 1 MB$/, 'no JWKS is that long: look at what answers there, or set jwksPath to where the keys are'],
  [/^JSON without keys$/, 'add the plugin jwt() to the Better Auth server; if it is there, see to its table of keys'],
  [/^a malformed JWKS$/, 'its "keys" is no array, or has a null, which hides what is behind it: see what stores or forwards it'],
  [/ without JSON$/, 'a page, HTML say: authUrl may be the web app; set it to the Better Auth server, with its base path'],
  [/^HTTP 3/, 'a redirect, which is never followed: set authUrl to the address that it leads to'],
  [/^HTTP 404$/, 'add the plugin jwt() to the Better Auth server; add its basePath to authUrl if it has one; or set jwksPath'],
  [/^HTTP /, 'the server, or a proxy before it, does not serve its keys: its log says why'],
  [/^/, 'see to the network between this machine and the auth server']
]

export function addressAdvice (answer: string): string {
  return ADDRESS_ADVICE.find(([pattern]) => pattern.test(answer))![1]
}
