import { createClaims, signJws } from '../../fixtures/signing.js'
import { bearer, mismatch, now, show, token, type Families } from './cases.js'
import { keysOf, nameOf } from './world.js'

/** Correctly signed tokens whose claims do not hold. */
export const claims: Families = {
  'claims of the wrong type' (world) {
    const { origin } = world
    const id = ['', 0, 1, true, false, null, [], ['u_1'], {}, { id: 'u_1' }]
    const text = [0, 1, true, false, [], ['x'], {}, { x: 1 }]
    const deep = JSON.parse('['.repeat(50) + ']'.repeat(50)) as unknown
    const flag = [[], [true], {}, { x: true }, deep]
    const time = (value: number) => ['', 'soon', String(value), new Date(value * 1000).toISOString(), true, false, null,
      [], [value], {}, { value }]
    const values: Record<string, unknown[]> = {
      exp: time(now() + 900),
      nbf: time(now() - 60),
      iat: time(now() - 60),
      iss: [0, 1, true, false, null, [], [origin], {}, { origin }, deep],
      aud: [0, 1, true, false, null, {}, { 0: origin, length: 1 }, [1], [null], [origin, 1], [origin, null],
        [origin, {}], [[origin]], deep],
      sub: [...id, deep],
      id,
      email: [...text, deep],
      name: text,
      image: text,
      emailVerified: flag,
      email_verified: flag,
      jti: [0, 1, true, false, null, [], ['x'], {}]
    }
    const invalid = (name: string, claim: string, jws: string) => bearer(name, jws, { reason: 'claim_invalid', claim })
    const raw = (claim: string, json: string) =>
      signJws(world.keys.EdDSA, JSON.stringify(createClaims(origin, { [claim]: '#' })).replace('"#"', json))
    const withoutId = JSON.stringify(createClaims(origin, { sub: undefined, id: undefined }))
    return [
      ...Object.entries(values).flatMap(([claim, list]) => list.map(value =>
        invalid(`${claim} ${show(value)}`, claim, token(world, { [claim]: value })))),
      ...['exp', 'nbf', 'iat'].flatMap(claim => ['1e999', '-1e999'].map(json =>
        invalid(`${claim} ${json}`, claim, raw(claim, json)))),
      invalid('email_verified [true] in addition to a valid emailVerified', 'email_verified',
        token(world, { emailVerified: true, email_verified: [true] })),
      invalid('a claim of the wrong type in an expired token', 'jti', token(world, { jti: 1, exp: now() - 60 })),
      bearer('neither sub nor id', token(world, { sub: undefined, id: undefined }),
        { reason: 'claim_missing', claim: 'sub' }),
      bearer('sub and id inside __proto__',
        signJws(world.keys.EdDSA, withoutId.replace('{', '{"__proto__":{"sub":"u_1","id":"u_1"},')),
        { reason: 'claim_missing', claim: 'sub' })
    ]
  },

  'tokens that have expired or are not yet active' (world) {
    const notActive = (name: string, claim: string, value: number) =>
      bearer(`${claim} ${name}`, token(world, { [claim]: value }), { reason: 'token_not_active', claim })
    const withoutExp = JSON.stringify(createClaims(world.origin, { exp: undefined }))
    return [
      bearer('no exp', token(world, { exp: undefined }), { reason: 'claim_missing', claim: 'exp' }),
      bearer('exp inside __proto__',
        signJws(world.keys.EdDSA, withoutExp.replace('{', '{"__proto__":{"exp":9999999999},')),
        { reason: 'claim_missing', claim: 'exp' }),
      bearer('no claims', signJws(world.keys.EdDSA, {}), mismatch('iss', world.origin, null)),
      ...[6, 60, 900, 86_400, 1e9].map(ago =>
        bearer(`expired ${ago} s ago`, token(world, { exp: now() - ago }), 'token_expired')),
      ...[0, -0.5, -1, -1e18, -Number.MAX_VALUE, Number.MIN_VALUE].map(exp =>
        bearer(`exp ${exp}`, token(world, { exp }), 'token_expired')),
      ...keysOf(world).map(key => bearer(`expired, signed with ${nameOf(world, key)}`,
        signJws(key, createClaims(world.origin, { exp: now() - 60 })), 'token_expired')),
      ...['nbf', 'iat'].flatMap(claim => [
        ...[60, 900, 86_400, 1e12].map(ahead => notActive(`in ${ahead} s`, claim, now() + ahead)),
        notActive('in milliseconds', claim, Date.now()),
        notActive('as the largest number', claim, Number.MAX_VALUE)
      ]),
      bearer('expired and not yet active', token(world, { exp: now() - 60, nbf: now() + 60 }),
        { reason: 'token_not_active', claim: 'nbf' })
    ]
  },

  'issuers and audiences that resemble the trusted ones' (world) {
    const { origin } = world
    const { port } = new URL(origin)
    const similar = [
      `${origin}/`, `${origin}/api/auth`, origin.toUpperCase(), origin.replace('http', 'HTTP'),
      origin.replace('localhost', 'LocalHost'), origin.replace('http:', 'https:'), `${origin}.example.com`,
      `${origin}0`, origin.slice(0, -1), origin.slice(1), `x${origin}`, ` ${origin}`, `${origin} `, `${origin}\n`,
      `${origin}\0`, `${origin}#`, `${origin}?`, `${origin},${origin}`, `http://localhost.:${port}`,
      `http://127.0.0.1:${port}`, `http://[::1]:${port}`, `http://user@localhost:${port}`,
      `http://example.com#${origin}`, `localhost:${port}`, `http://l\u043ecalhost:${port}`,
      `http://loca\u0301lhost:${port}`, 'http://localhost', 'localhost', '', '*', 'null', 'undefined',
      'https://accounts.example.com', world.attackerOrigin
    ]
    const wrong = (claim: 'iss' | 'aud', value: unknown) =>
      bearer(`${claim} ${show(value)}`, token(world, { [claim]: value }), mismatch(claim, origin, value ?? null))
    return [
      ...[...similar, undefined].map(value => wrong('iss', value)),
      ...[...similar, undefined, [], [''], similar].map(value => wrong('aud', value)),
      bearer('the wrong issuer, and expired', token(world, { iss: 'x', exp: now() - 60 }),
        mismatch('iss', origin, 'x')),
      bearer('the wrong audience, and expired', token(world, { aud: 'x', exp: now() - 60 }),
        mismatch('aud', origin, 'x'))
    ]
  },

  'repeated names, of which the last one counts' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const header = (text: string) => signJws(key, createClaims(origin), text)
    const payload = (text: string) => signJws(key, JSON.stringify(createClaims(origin)).replace(/}$/, `,${text}}`))
    return [
      bearer('alg, then none', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":"none"}`), 'algorithm_not_allowed'),
      bearer('alg, then null', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":null}`), 'algorithm_not_allowed'),
      bearer('alg, then the algorithm of another key', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":"ES256"}`),
        'algorithm_mismatch'),
      bearer('alg, then none under an escaped name', header(`{"alg":"EdDSA","kid":"${key.kid}","\\u0061lg":"none"}`),
        'algorithm_not_allowed'),
      bearer('kid, then another', header(`{"alg":"EdDSA","kid":"${key.kid}","kid":"another"}`), 'unknown_key'),
      bearer('kid, then a number', header(`{"alg":"EdDSA","kid":"${key.kid}","kid":1}`), 'kid_invalid'),
      bearer('typ, then another', header(`{"alg":"EdDSA","kid":"${key.kid}","typ":"JWT","typ":"logout+jwt"}`),
        'typ_not_allowed'),
      bearer('exp, then a time in the past', payload('"exp":1'), 'token_expired'),
      bearer('exp, then null', payload('"exp":null'), { reason: 'claim_invalid', claim: 'exp' }),
      bearer('iss, then another', payload('"iss":"x"'), mismatch('iss', origin, 'x')),
      bearer('aud, then another', payload('"aud":"x"'), mismatch('aud', origin, 'x')),
      bearer('sub, then a number', payload('"sub":1'), { reason: 'claim_invalid', claim: 'sub' })
    ]
  }
}
