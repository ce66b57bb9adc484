import { createPublicKey, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import type { Algorithm } from '../../../lib/index.js'
import { createClaims, createSigningKey, encode, signBytes, signHmac, type SigningKey } from '../../fixtures/signing.js'

/** Whose keys sign: those that the auth server publishes, one under a published `kid`, and one of an unknown `kid`. */
export const TRUSTED = (['EdDSA', 'ES256', 'RS256', 'ES512'] as Algorithm[]).map(alg => createSigningKey(alg))
const IMPOSTORS = [...TRUSTED.map(({ alg, kid }) => createSigningKey(alg, kid)), createSigningKey('EdDSA', 'unknown')]

/** JSON, with the values at which parsers and comparisons go wrong. */
const anyJson = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  fc.constantFrom<unknown>(null, true, '', 0, -1, 1e308, 2 ** 53, [], {}, [null], '__proto__', '\u0000', 'ü')
)

const anyName = fc.oneof(
  fc.constantFrom('sub', 'id', 'iss', 'aud', 'exp', 'nbf', 'iat', 'email', 'name', 'role', 'banned', 'banExpires',
    'azp', 'scope', 'client_id', 'cnf', 'act', 'sid', '__proto__', 'constructor', 'toString'),
  fc.string({ maxLength: 12 })
)

/** Seconds relative to now: not too near to a limit, because the clock runs during the test. */
const anyTime = fc.oneof(
  fc.constantFrom(30, -30),
  fc.tuple(fc.integer({ min: 30, max: 4000 }), fc.constantFrom(1, -1, 100, -100, 1.5, -1.5))
    .map(([seconds, factor]) => seconds * factor)
)

const anyClaims = (issuer: string): fc.Arbitrary<Record<string, unknown>> => fc.record({
  times: fc.oneof(
    fc.dictionary(fc.constantFrom('exp', 'nbf', 'iat'), anyTime, { maxKeys: 2 }),
    fc.constantFrom<Record<string, number>>({}, { exp: -30 }, { nbf: 30 }, { iat: 30 })
  ),
  others: fc.array(fc.tuple(anyName, anyJson), { maxLength: 3 }),
  removed: fc.array(fc.constantFrom('sub', 'id', 'iss', 'aud', 'exp', 'iat', 'email'), { maxLength: 2 }),
  // Rare by chance, and each of them changes who comes in.
  telling: fc.constantFrom({}, {}, {}, { banned: true }, { banned: 1 }, { id: 'another' }, { sub: 'another' }),
  audience: fc.option(fc.constantFrom<unknown>([issuer], [issuer, 'x'], ['x'], issuer + '/', issuer.toUpperCase()))
}).map(({ times, others, removed, audience, telling }) => {
  const now = Math.floor(Date.now() / 1000)
  const claims: Record<string, unknown> = createClaims(issuer, telling)
  for (const name in times) claims[name] = now + times[name]!
  if (audience !== null) claims.aud = audience
  for (const [name, value] of others) {
    Object.defineProperty(claims, name, { value, enumerable: true, configurable: true, writable: true })
  }
  for (const name of removed) delete claims[name]
  return claims
})

const anyHeader: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  fc.constantFrom<Record<string, unknown>>(
    { typ: 'JWT' }, { typ: 'at+jwt' }, { typ: 'application/jwt' }, { typ: 'logout+jwt' }, { typ: 1 }, { typ: '' },
    { alg: 'none' }, { alg: 'HS256' }, { alg: 'ES256' }, { alg: 'EdDSA' }, { alg: 'Ed25519' }, { alg: undefined },
    { crit: ['exp'] }, { crit: [] }, { b64: false, crit: ['b64'] }, { b64: false }, { zip: 'DEF' },
    { kid: undefined }, { kid: '' }, { kid: 'x'.repeat(5000) }, { kid: ['a'] }, { jku: 'http://localhost:1/jwks' }
  ),
  fc.dictionary(fc.string({ maxLength: 8 }), anyJson, { maxKeys: 2 })
)

/** What someone does to a token on its way; most tokens stay as they are. */
type Change = (token: string) => string
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Change>(token => token) },
  fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.constantFrom(...'Aa0-_.=+ ~%"\\,é'))
    .map(([place, character]): Change => token => {
      const at = Math.floor(place * token.length)
      return token.slice(0, at) + character + token.slice(at + 1)
    }),
  fc.double({ min: 0, max: 1, noNaN: true })
    .map((part): Change => token => token.slice(0, Math.ceil(part * token.length))),
  fc.constantFrom<Change>(
    token => token + '=',
    token => token + '.',
    token => '.' + token,
    token => `${token}.${token}`,
    token => token.slice(0, token.lastIndexOf('.') + 1),
    token => token.replaceAll('-', '+').replaceAll('_', '/'),
    // The last character of a segment has unused bits.
    token => token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1)
  )
)

/** A JWT with anything in it, signed by a published key, an impostor, nobody, or with a published key as a secret. */
export const anyToken = (issuer: string): fc.Arbitrary<string> => fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      claims: anyClaims(issuer),
      header: anyHeader,
      key: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...TRUSTED) }, fc.constantFrom(...IMPOSTORS)),
      change: anyChange
    }).map(({ claims, header, key, change }) => change(sign(key, claims, header)))
  },
  fc.constantFrom(...TRUSTED).map(({ kid, publicKey }) => {
    return signHmac(toPem(publicKey), createClaims(issuer), { kid, typ: 'JWT' })
  }),
  { weight: 3, arbitrary: fc.constantFrom(...TRUSTED).map(key => sign(key, createClaims(issuer), {})) },
  fc.string({ maxLength: 60 }),
  fc.array(fc.string({ maxLength: 20 }).map(text => encode(text)), { maxLength: 5 }).map(parts => parts.join('.'))
)

/**
 * A valid token, and one with parts of it that another key has signed: whoever has seen the first may send the second
 * after it.
 */
export const splicedTokens = (issuer: string): fc.Arbitrary<{ genuine: string, spliced: string }> => fc.record({
  key: fc.integer({ min: 0, max: TRUSTED.length - 1 }),
  header: fc.boolean(),
  payload: fc.boolean(),
  signature: fc.constantFrom<(genuine: string, forged: string) => string>(
    genuine => genuine,
  (_genuine, forged) => forged,
  (genuine, forged) => genuine.slice(0, 32) + forged.slice(32),
  (genuine, forged) => forged.slice(0, -32) + genuine.slice(-32)
  )
}).map(({ key, header, payload, signature }) => {
  const genuine = sign(TRUSTED[key]!, createClaims(issuer), {})
  const forged = sign(IMPOSTORS[key]!, createClaims(issuer, { sub: 'u_admin', id: 'u_admin' }), { typ: 'JWT' })
  const [mine, theirs] = [genuine.split('.'), forged.split('.')]
  const parts = [header ? mine[0] : theirs[0], payload ? mine[1] : theirs[1], signature(mine[2]!, theirs[2]!)]
  return { genuine, spliced: parts.join('.') }
})

function sign (key: SigningKey, claims: object, header: object): string {
  const input = `${encode({ alg: key.alg, kid: key.kid, ...header })}.${encode(claims)}`
  return `${input}.${encode(signBytes(key, Buffer.from(input)))}`
}

function toPem (key: KeyObject): string {
  return createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'pem' }) as string
}

/** A token of an ordinary user, with more claims than Better Auth gives, none of which the plugin reads. */
export const validToken = (issuer: string): fc.Arbitrary<{ token: string, extra: Record<string, unknown> }> =>
  fc.record({
    key: fc.constantFrom(...TRUSTED),
    extra: fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }).map(name => `x_${name}`), anyJson, { maxKeys: 4 })
  }).map(({ key, extra }) => ({ token: sign(key, createClaims(issuer, extra), {}), extra }))
