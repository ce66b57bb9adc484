import { constants, randomBytes, sign } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type Algorithm, type BetterAuthOptions, type RefusalReason } from '../lib/index.js'
import {
  createClaims, createSigningKey, encode, signBytes, signHmac, signJws, type SigningKey
} from './fixtures/signing.js'
import { JWKS_PATH, startJwksServer } from './fixtures/jwks-server.js'
import { rawRequest, type RawResponse } from './fixtures/raw-request.js'

/** What the tokens are made of: the same keys for every app. */
interface World {
  origin: string
  secret: string
  keys: Record<Algorithm, SigningKey>
  /** Published without `alg`: they serve every algorithm of their kind. */
  rsaWithoutAlg: SigningKey
  ecWithoutAlg: SigningKey
  /** A symmetric key that the auth server publishes by mistake. */
  oct: { kid: string, k: Buffer }
  /** Whose server must never be asked for anything. */
  attacker: SigningKey
  attackerOrigin: string
  /** A good token that each app gets to see first. */
  accepted: string
}

/** What the log says of a refusal, all of it. */
interface LogLine {
  reason: RefusalReason
  claim?: string
  expected?: readonly string[]
  received?: unknown
}

interface Case {
  name: string
  /** The header lines of the request. */
  lines: string[]
  /** Why it is refused, without and with the option `secret`; the answer follows from the reason. */
  log: LogLine
  logWithSecret: LogLine
}

interface App {
  port: number
  log: string[]
}

const PUBLISHED: Algorithm[] = ['EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'PS256']
const INVALID = [401, 'FST_BETTER_AUTH_TOKEN_INVALID', 'Unauthorized', 'Invalid authentication credentials',
  'Bearer error="invalid_token"'] as const
const ANSWERS: Partial<Record<RefusalReason, readonly [number, string, string, string, string]>> = {
  token_missing: [401, 'FST_BETTER_AUTH_TOKEN_MISSING', 'Unauthorized', 'Missing bearer token', 'Bearer'],
  authorization_malformed: [400, 'FST_BETTER_AUTH_REQUEST_INVALID', 'Bad Request', 'Malformed Authorization header',
    'Bearer error="invalid_request"'],
  token_expired: [401, 'FST_BETTER_AUTH_TOKEN_EXPIRED', 'Unauthorized', 'Token expired', 'Bearer error="invalid_token"']
}

// The order n of each curve, and the number of bytes of r and of s (SEC 2).
const CURVES: Array<[Algorithm, string, number]> = [
  ['ES256', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 32],
  ['ES384', 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973', 48],
  ['ES512', `01${'f'.repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`, 66]
]
// The order of the Ed25519 group (RFC 8032 §5.1).
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

const now = () => Math.floor(Date.now() / 1000)
const keysOf = (world: World) => [...PUBLISHED.map(alg => world.keys[alg]), world.rsaWithoutAlg, world.ecWithoutAlg]

function nameOf (world: World, key: SigningKey): string {
  if (key === world.rsaWithoutAlg) return 'RSA without alg'
  return key === world.ecWithoutAlg ? 'P-256 without alg' : key.alg
}

/** A token that is right in every respect but for what is laid over its claims and its header. */
function token (world: World, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
  return signJws(world.keys.EdDSA, createClaims(world.origin, claims), header)
}

/** A right signature for segments that are not. */
function signInput (key: SigningKey, input: string): string {
  return `${input}.${encode(signBytes(key, Buffer.from(input, 'latin1')))}`
}

function withSignature (jws: string, change: (signature: Buffer) => Buffer): string {
  const end = jws.lastIndexOf('.') + 1
  return jws.slice(0, end) + encode(change(Buffer.from(jws.slice(end), 'base64url')))
}

function bearer (name: string, jws: string, log: RefusalReason | LogLine, logWithSecret = log): Case {
  return request(name, [`Authorization: Bearer ${jws}`], log, logWithSecret)
}

function request (name: string, lines: string[], log: RefusalReason | LogLine, logWithSecret = log): Case {
  const line = (of: RefusalReason | LogLine) => typeof of === 'string' ? { reason: of } : of
  return { name, lines, log: line(log), logWithSecret: line(logWithSecret) }
}

function mismatch (claim: 'iss' | 'aud', origin: string, received: unknown): LogLine {
  return { reason: claim === 'iss' ? 'issuer_mismatch' : 'audience_mismatch', claim, expected: [origin], received }
}

/** Shows a value in the name of a case. */
function show (value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

const FAMILIES: Record<string, (world: World) => Case[]> = {
  'the algorithm "none", and names that are no algorithm' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const payload = encode(createClaims(origin))
    const spellings: unknown[] = [
      'none', 'None', 'NONE', 'nOnE', 'nonE', ' none', 'none ', 'none\0', 'n\u043ene', 'null', '', 'eddsa', 'EDDSA', 'EdDSA ',
      'ed25519', 'es256', 'Rs256', 'RS256\0', 'ES256K',
      'RS1', 'RSA', 'dir', 'A256KW', 'RSA-OAEP', 'ECDH-ES', 'PBES2-HS256+A128KW', '__proto__', 'constructor', 'toString',
      'hasOwnProperty', 'size',
      undefined, null, true, false, 0, 1, [], ['EdDSA'], ['none'], {}, { toString: 'EdDSA' }
    ]
    return [
      ...spellings.flatMap(alg => {
        const input = `${encode({ alg, kid: key.kid })}.${payload}`
        return [
          bearer(`alg ${show(alg)}, empty signature`, `${input}.`, 'algorithm_not_allowed'),
          bearer(`alg ${show(alg)}, right signature`, signInput(key, input), 'algorithm_not_allowed')
        ]
      }),
      bearer('alg none, some signature', `${encode({ alg: 'none', kid: key.kid })}.${payload}.AAAA`, 'algorithm_not_allowed'),
      bearer('alg none and no kid', `${encode({ alg: 'none' })}.${payload}.`, 'algorithm_not_allowed'),
      bearer('alg none, typ JWT', `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`, 'algorithm_not_allowed'),
      bearer('alg none and two segments', `${encode({ alg: 'none', kid: key.kid })}.${payload}`, 'token_malformed'),
      bearer('alg below __proto__', signJws(key, createClaims(origin), `{"__proto__":{"alg":"EdDSA","kid":"${key.kid}"}}`),
        'algorithm_not_allowed')
    ]
  },

  'HMAC with a public key as the secret' (world) {
    const payload = createClaims(world.origin)
    return keysOf(world).flatMap(key => Object.entries(publicForms(key)).flatMap(([form, secret]) => {
      const name = `the ${nameOf(world, key)} key as ${form}`
      const other = form === 'SPKI PEM' || form === 'SPKI DER' ? ['384', '512'] : []
      return [
        bearer(`HS256 with ${name}, no kid`, signHmac(secret, payload), 'algorithm_not_allowed', 'signature_invalid'),
        bearer(`HS256 with ${name}, its kid`, signHmac(secret, payload, { kid: key.kid }), 'algorithm_not_allowed',
          'kid_invalid'),
        ...other.map(bits => bearer(`HS${bits} with ${name}`, signHmac(secret, payload, { alg: `HS${bits}` }, `sha${bits}`),
          'algorithm_not_allowed'))
      ]
    }))
  },

  'HMAC with any other secret' (world) {
    const { secret, oct, keys: { EdDSA: key } } = world
    const payload = createClaims(world.origin)
    const hs256 = (name: string, material: string | Buffer, reason: RefusalReason, header = {}) =>
      bearer(name, signHmac(material, payload, header), 'algorithm_not_allowed', reason)
    const right = signHmac(secret, payload)
    return [
      hs256('an empty secret', '', 'signature_invalid'),
      hs256('a secret that people use', 'secret', 'signature_invalid'),
      hs256('the secret with another last character', `${secret.slice(0, -1)}_`, 'signature_invalid'),
      hs256('the secret with a newline', `${secret}\n`, 'signature_invalid'),
      hs256('the secret without its last character', secret.slice(0, -1), 'signature_invalid'),
      hs256('the secret read as base64', Buffer.from(secret, 'base64'), 'signature_invalid'),
      hs256('the issuer as secret', world.origin, 'signature_invalid'),
      hs256('the kid as secret', key.kid, 'signature_invalid'),
      hs256('the published symmetric key', oct.k, 'signature_invalid'),
      hs256('the published symmetric key, named', oct.k, 'kid_invalid', { kid: oct.kid }),
      hs256('the published symmetric key as text', oct.k.toString('base64url'), 'signature_invalid'),
      hs256('the secret, with the kid of a key', secret, 'kid_invalid', { kid: key.kid }),
      hs256('the secret, with an unknown kid', secret, 'kid_invalid', { kid: 'secret' }),
      hs256('the secret, with an empty kid', secret, 'kid_invalid', { kid: '' }),
      hs256('the secret, with kid null', secret, 'kid_invalid', { kid: null }),
      hs256('the secret, with crit', secret, 'critical_header', { crit: ['exp'] }),
      hs256('the secret, with typ logout+jwt', secret, 'typ_not_allowed', { typ: 'logout+jwt' }),
      hs256('the secret, with alg hs256', secret, 'algorithm_not_allowed', { alg: 'hs256' }),
      hs256('the secret, with alg HS384', secret, 'algorithm_not_allowed', { alg: 'HS384' }),
      ...['384', '512'].map(bits => bearer(`the secret, by HS${bits}`,
        signHmac(secret, payload, { alg: `HS${bits}` }, `sha${bits}`), 'algorithm_not_allowed')),
      bearer('the secret, with alg EdDSA and a kid', signHmac(secret, payload, { alg: 'EdDSA', kid: key.kid }),
        'signature_invalid'),
      bearer('the secret, its signature cut', withSignature(right, bytes => bytes.subarray(0, 31)), 'algorithm_not_allowed',
        'signature_invalid'),
      bearer('the secret, its signature cut to one byte', withSignature(right, bytes => bytes.subarray(0, 1)),
        'algorithm_not_allowed', 'signature_invalid'),
      bearer('the secret, its signature extended', withSignature(right, bytes => Buffer.concat([bytes, Buffer.alloc(1)])),
        'algorithm_not_allowed', 'signature_invalid'),
      bearer('the secret, no signature', right.slice(0, right.lastIndexOf('.') + 1), 'algorithm_not_allowed', 'token_malformed'),
      bearer('the secret, expired', signHmac(secret, createClaims(world.origin, { exp: now() - 60 })), 'algorithm_not_allowed',
        'token_expired'),
      bearer('the secret, without exp', signHmac(secret, createClaims(world.origin, { exp: undefined })), 'algorithm_not_allowed',
        { reason: 'claim_missing', claim: 'exp' }),
      bearer('the secret, bound to a DPoP key', signHmac(secret, createClaims(world.origin, { cnf: { jkt: 'x' } })),
        'algorithm_not_allowed', { reason: 'token_kind', claim: 'cnf' }),
      bearer('HS256 signed by a private key', signJws(key, payload, { alg: 'HS256', kid: undefined }), 'algorithm_not_allowed',
        'signature_invalid')
    ]
  },

  'an algorithm that is not the key’s' (world) {
    const payload = createClaims(world.origin)
    const { keys, rsaWithoutAlg, ecWithoutAlg, attacker, oct } = world
    const all = keysOf(world)
    const accepts = (key: SigningKey, alg: Algorithm) => key === rsaWithoutAlg ? /^[RP]S/.test(alg) : key.alg === alg
    return [
      ...all.flatMap(signer => all.filter(named => named !== signer).map(named =>
        bearer(`signed by ${nameOf(world, signer)}, names the kid of ${nameOf(world, named)}`,
          signJws(signer, payload, { kid: named.kid }), accepts(named, signer.alg) ? 'signature_invalid' : 'algorithm_mismatch'))),
      ...all.map((named, i) => [all[(i + 1) % all.length]!, named] as const).map(([signer, named]) =>
        bearer(`signed by ${nameOf(world, signer)}, names kid and alg of ${nameOf(world, named)}`,
          signJws(signer, payload, { kid: named.kid, alg: named.alg }), 'signature_invalid')),
      ...(['RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(alg =>
        bearer(`the RS256 key used for ${alg}`, signJws({ ...keys.RS256, alg }, payload), 'algorithm_mismatch')),
      ...(['PS384', 'PS512', 'RS256', 'RS384', 'RS512'] as const).map(alg =>
        bearer(`the PS256 key used for ${alg}`, signJws({ ...keys.PS256, alg }, payload), 'algorithm_mismatch')),
      ...(['ES384', 'ES512'] as const).flatMap(alg => [keys.ES256, ecWithoutAlg].map(key =>
        bearer(`the ${nameOf(world, key)} key used for ${alg}`, signJws({ ...key, alg }, payload), 'algorithm_mismatch'))),
      bearer('RSA without alg, header RS256, signed as PS256',
        signJws({ ...rsaWithoutAlg, alg: 'PS256' }, payload, { alg: 'RS256' }), 'signature_invalid'),
      bearer('RSA without alg, header PS256, signed as RS256',
        signJws({ ...rsaWithoutAlg, alg: 'RS256' }, payload, { alg: 'PS256' }), 'signature_invalid'),
      bearer('RSA without alg, header RS512, signed as RS256',
        signJws({ ...rsaWithoutAlg, alg: 'RS256' }, payload, { alg: 'RS512' }), 'signature_invalid'),
      bearer('the kid of the published symmetric key', token(world, {}, { kid: oct.kid }), 'unusable_key'),
      bearer('signed by a key that is not published', signJws(attacker, payload), 'unknown_key'),
      bearer('signed by a key that is not published, under the kid of one that is',
        signJws(attacker, payload, { kid: keys.EdDSA.kid }), 'signature_invalid')
    ]
  },

  'a kid that is no kid' (world) {
    const { kid } = world.keys.EdDSA
    return [
      ...[undefined, null, true, false, 0, 1, -1, 1.5, [], [kid], {}, { kid }, '', 'k'.repeat(513), 'k'.repeat(10_000), '\ud800',
        `${kid}\udc00`, '\ud800\ud800']
        .map(value => bearer(`kid ${show(value)}`, token(world, {}, { kid: value }), 'kid_invalid')),
      bearer('a number for every algorithm', signJws(world.keys.RS256, createClaims(world.origin), { kid: 0 }), 'kid_invalid')
    ]
  },

  'a kid that names no key' (world) {
    const { kid } = world.keys.EdDSA
    return [
      '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'undefined', 'null', '0', '*', '../../../../dev/null',
      '/etc/passwd', 'file:///dev/null', '%2e%2e%2f', '%',
      `${world.attackerOrigin}${JWKS_PATH}`, `//${new URL(world.attackerOrigin).host}/`, `?kid=${kid}`, `#${kid}`, "' OR '1'='1",
      '; cat /dev/null', '{{7*7}}', '\0', `${kid}\0`, `${kid}\n`,
      '\r\nSet-Cookie: a=b', ` ${kid}`, `${kid} `, kid.toUpperCase(), kid.slice(1), kid + kid, `${kid}\u200b`, '\u{1f511}',
      'k'.repeat(512)
    ].map(value => bearer(`kid ${show(value)}`, token(world, {}, { kid: value }), 'unknown_key'))
  },

  'a key that the token brings along' (world) {
    const { attacker, attackerOrigin, keys: { EdDSA: key } } = world
    const spki = attacker.publicKey.export({ type: 'spki', format: 'der' })
    const jwks = attackerOrigin + JWKS_PATH
    const injections: Array<Record<string, unknown>> = [
      { jku: jwks }, { jwk: attacker.jwk }, { jwk: { ...attacker.jwk, kid: key.kid } }, { x5u: `${attackerOrigin}/cert.pem` },
      { x5c: [spki.toString('base64')] }, { jku: [jwks] },
      { jku: `${world.origin}@${new URL(attackerOrigin).host}${JWKS_PATH}` }, { iss: attackerOrigin },
      { 'x5t#S256': 'x', x5t: 'x' },
      { jku: jwks, jwk: attacker.jwk, x5u: `${attackerOrigin}/cert.pem`, x5c: [spki.toString('base64')], url: jwks }
    ]
    return [
      ...injections.flatMap(header => [
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, kid of a trusted key`,
          signJws(attacker, createClaims(world.origin), { ...header, kid: key.kid }), 'signature_invalid'),
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, the attacker’s kid`,
          signJws(attacker, createClaims(world.origin), header), 'unknown_key'),
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, no kid`,
          signJws(attacker, createClaims(world.origin), { ...header, kid: undefined }), 'kid_invalid')
      ]),
      bearer('a token of an issuer of the attacker’s own', signJws(attacker, createClaims(attackerOrigin)), 'unknown_key'),
      bearer('a token of an issuer of the attacker’s own, for this audience',
        signJws(attacker, createClaims(attackerOrigin, { aud: world.origin })), 'unknown_key'),
      bearer('the attacker’s issuer under a trusted kid', signJws(attacker, createClaims(attackerOrigin), { kid: key.kid }),
        'signature_invalid')
    ]
  },

  'critical headers' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const values = [[], ['exp'], ['alg'], ['kid'], ['b64'], [''], [1], [null], ['https://example.com/ext'], 'exp', '', null, true,
      false, 0, 1, {}]
    return [
      ...values.map(crit => bearer(`crit ${show(crit)}`, token(world, {},
        { crit, exp: now() + 60, 'https://example.com/ext': 1 }), 'critical_header')),
      ...[false, true, null, 0].flatMap(b64 => [
        bearer(`b64 ${show(b64)}, in crit`, token(world, {}, { b64, crit: ['b64'] }), 'critical_header'),
        bearer(`b64 ${show(b64)}, not in crit`, token(world, {}, { b64 }), 'critical_header')
      ]),
      bearer('a payload that is not encoded',
        signInput(key, `${encode({ alg: key.alg, kid: key.kid, b64: false, crit: ['b64'] })}.{"sub":"u_1"}`), 'critical_header'),
      bearer('crit given twice, the last time empty', signJws(key, createClaims(origin),
        `{"alg":"EdDSA","kid":"${key.kid}","crit":["x"],"crit":[]}`), 'critical_header')
    ]
  },

  'a typ of another kind' (world) {
    return [
      'better-auth.session-cache+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'id+jwt', 'id_token+jwt', 'kb+jwt', 'sd-jwt',
      'oauth-authz-req+jwt', 'token-introspection+jwt', 'JWS', 'JWE', 'JOSE', 'JOSE+JSON',
      'application/logout+jwt', 'application/application/jwt', 'application/', 'text/jwt', 'at-jwt', 'at jwt', 'at+jwt;v=1',
      'JWT ', ' JWT', 'JWT\0', 'JWTX', '',
      null, true, false, 0, 1, [], ['JWT'], {}, { typ: 'JWT' }
    ].map(typ => bearer(`typ ${show(typ)}`, token(world, {}, { typ }), 'typ_not_allowed'))
  },

  'other tokens that the same keys sign' (world) {
    const { origin, keys: { EdDSA: key } } = world
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const session = { user: { id: 'u_1' }, session: { id: 's_1' }, sid: 's_1', aud: 'better-auth:session-cache' }
    const kind = (name: string, claim: string, claims: Record<string, unknown>, header = {}) =>
      bearer(name, token(world, claims, header), { reason: 'token_kind', claim })
    return [
      bearer('a session cookie', token(world, session, { typ: 'better-auth.session-cache+jwt' }), 'typ_not_allowed'),
      kind('a session cookie without its typ', 'aud', session),
      kind('a session cookie that says at+jwt', 'aud', session, { typ: 'at+jwt' }),
      kind('a session cookie for this audience as well', 'aud', { ...session, aud: [origin, 'better-auth:session-cache'] }),
      ...['nonce', 'at_hash', 'c_hash', 's_hash', 'auth_time', 'acr'].map(claim =>
        kind(`an ID token with ${claim}`, claim, { [claim]: 'x' })),
      kind('an ID token with a nonce that is null', 'nonce', { nonce: null }, { typ: 'JWT' }),
      bearer('a logout token', token(world, { events }, { typ: 'logout+jwt' }), 'typ_not_allowed'),
      kind('a logout token without its typ', 'events', { events }),
      kind('a logout token that says at+jwt', 'events', { events }, { typ: 'at+jwt' }),
      ...[{ jkt: 'x' }, { 'x5t#S256': 'x' }, { jwk: {} }, {}, [], null, '', false, 0].map(cnf =>
        kind(`bound to a key: cnf ${show(cnf)}`, 'cnf', { cnf }, { typ: 'at+jwt' })),
      kind('bound to a key, no typ', 'cnf', { cnf: { jkt: 'x' } }),
      bearer('encrypted', [encode({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: key.kid }), 'a2V5', 'aXY', 'dGV4dA', 'dGFn'].join('.'),
        'token_encrypted'),
      bearer('encrypted directly: no key', [encode({ alg: 'dir', enc: 'A256GCM' }), '', 'aXY', 'dGV4dA', 'dGFn'].join('.'),
        'token_encrypted'),
      bearer('three segments with enc', token(world, {}, { enc: 'A256GCM' }), 'token_encrypted'),
      bearer('signed, with a token as its payload', signJws(key, token(world), { cty: 'JWT' }), 'token_malformed'),
      bearer('compressed', signJws(key, deflateRawSync(JSON.stringify(createClaims(origin))), { zip: 'DEF' }), 'token_malformed')
    ]
  },

  'signatures that cannot be' (world) {
    const { keys, origin } = world
    const payload = createClaims(origin)
    const made = (name: string, key: SigningKey, signature: Buffer) =>
      bearer(name, withSignature(signJws(key, payload), () => signature), 'signature_invalid')
    const input = (key: SigningKey) => Buffer.from(`${encode({ alg: key.alg, kid: key.kid })}.${encode(payload)}`)
    const number = (value: bigint, bytes: number) => Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex')
    const modulus = Buffer.from(keys.RS256.jwk.n!, 'base64url')
    return [
      ...CURVES.flatMap(([alg, order, width]) => {
        const key = keys[alg]
        const n = BigInt(`0x${order}`)
        const pair = (r: bigint, s: bigint) => Buffer.concat([number(r, width), number(s, width)])
        return [
          made(`${alg} with r = s = 0`, key, pair(0n, 0n)),
          made(`${alg} with r = s = n`, key, pair(n, n)),
          made(`${alg} with r = 0, s = 1`, key, pair(0n, 1n)),
          made(`${alg} with r = 1, s = 0`, key, pair(1n, 0n)),
          made(`${alg} with r = s = 1`, key, pair(1n, 1n)),
          made(`${alg} with r = n, s = 1`, key, pair(n, 1n)),
          made(`${alg} with r = s = n - 1`, key, pair(n - 1n, n - 1n)),
          made(`${alg} of ones`, key, Buffer.alloc(width * 2, 0xff)),
          made(`${alg} in DER`, key, sign(`sha${alg.slice(2)}`, input(key), { key: key.privateKey, dsaEncoding: 'der' })),
          made(`${alg} in DER with r = s = 0`, key, Buffer.from('3006020100020100', 'hex')),
          made(`${alg} one byte short`, key, signBytes(key, input(key)).subarray(0, -1)),
          made(`${alg} one byte long`, key, Buffer.concat([signBytes(key, input(key)), Buffer.alloc(1)])),
          made(`${alg} with wider r and s`, key, widen(signBytes(key, input(key)), 1)),
          made(`${alg} with r alone`, key, signBytes(key, input(key)).subarray(0, width))
        ]
      }),
      made('EdDSA of zeros', keys.EdDSA, Buffer.alloc(64)),
      made('EdDSA of ones', keys.EdDSA, Buffer.alloc(64, 0xff)),
      made('EdDSA with the neutral point and S = 0', keys.EdDSA, Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])),
      made('EdDSA with S + L', keys.EdDSA, addOrder(signBytes(keys.EdDSA, input(keys.EdDSA)))),
      made('EdDSA over the payload alone', keys.EdDSA, signBytes(keys.EdDSA, Buffer.from(encode(payload)))),
      ...[keys.RS256, keys.PS256].flatMap(key => [
        made(`${key.alg} of zeros`, key, Buffer.alloc(256)),
        made(`${key.alg} of ones`, key, Buffer.alloc(256, 0xff)),
        made(`${key.alg} of 1`, key, number(1n, 256)),
        made(`${key.alg} with a zero before it`, key, Buffer.concat([Buffer.alloc(1), signBytes(key, input(key))]))
      ]),
      made('RS256 of n', keys.RS256, modulus),
      made('RS256 of n - 1', keys.RS256, number(BigInt(`0x${modulus.toString('hex')}`) - 1n, 256)),
      made('RS256 over SHA-1', keys.RS256, sign('sha1', input(keys.RS256), keys.RS256.privateKey)),
      made('PS256 without salt', keys.PS256, sign('sha256', input(keys.PS256),
        { key: keys.PS256.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 })),
      made('PS256 with the longest salt', keys.PS256, sign('sha256', input(keys.PS256), {
        key: keys.PS256.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN
      }))
    ]
  },

  'a signature cut, extended, absent or of something else' (world) {
    return (['EdDSA', 'ES256', 'RS256', 'PS256'] as const).map(alg => world.keys[alg]).flatMap(key => {
      const jws = signJws(key, createClaims(world.origin))
      const [header, payload, signature] = jws.split('.') as [string, string, string]
      const made = (name: string, changed: string, reason: RefusalReason) => bearer(`${key.alg}: ${name}`, changed, reason)
      return [
        made('cut by a byte', withSignature(jws, bytes => bytes.subarray(0, -1)), 'signature_invalid'),
        made('cut to a half', withSignature(jws, bytes => bytes.subarray(0, bytes.length / 2)), 'signature_invalid'),
        made('cut to one byte', withSignature(jws, bytes => bytes.subarray(0, 1)), 'signature_invalid'),
        made('extended by a byte', withSignature(jws, bytes => Buffer.concat([bytes, Buffer.from([1])])), 'signature_invalid'),
        made('twice', withSignature(jws, bytes => Buffer.concat([bytes, bytes])), 'signature_invalid'),
        made('its first bit flipped', withSignature(jws, bytes => { bytes[0]! ^= 0x80; return bytes }), 'signature_invalid'),
        made('its last bit flipped', withSignature(jws, bytes => { bytes[bytes.length - 1]! ^= 1; return bytes }),
          'signature_invalid'),
        made('backwards', withSignature(jws, bytes => bytes.reverse()), 'signature_invalid'),
        made('absent', `${header}.${payload}.`, 'token_malformed'),
        made('absent, with its dot', `${header}.${payload}`, 'token_malformed'),
        made('of another payload', `${header}.${encode(createClaims(world.origin, { sub: 'admin' }))}.${signature}`,
          'signature_invalid'),
        made('of another header', `${encode({ alg: key.alg, kid: key.kid, typ: 'JWT' })}.${payload}.${signature}`,
          'signature_invalid'),
        made('of header and payload without the dot', withSignature(jws, () => signBytes(key, Buffer.from(header + payload))),
          'signature_invalid'),
        made('the payload’s', `${header}.${payload}.${payload}`, 'signature_invalid')
      ]
    })
  },

  'other spellings of base64url' (world) {
    const key = world.keys.EdDSA
    const jws = tokenWith(world, signature => /[-_]/.test(signature))
    const [header, payload, signature] = jws.split('.') as [string, string, string]
    const headerText = JSON.stringify({ alg: key.alg, kid: key.kid })
    const payloadText = JSON.stringify(createClaims(world.origin))
    const malformed = (name: string, changed: string) => bearer(name, changed, 'token_malformed')
    const special = encode(createClaims(world.origin, { name: '\u00bf\u00ff?~\u00fe>>>' }))
    return [
      malformed('signature with padding', `${jws}==`),
      malformed('signature with one =', `${jws}=`),
      malformed('signature with + and /', `${header}.${payload}.${standard(signature)}`),
      malformed('signature with + and / and padding', `${header}.${payload}.${standard(signature)}==`),
      malformed('signature with bits to spare', `${header}.${payload}.${spareBits(signature)}`),
      malformed('signature with a lone character at its end', `${jws}AAA`),
      malformed('signature without its last character', jws.slice(0, -1)),
      ...['!', '~', '*', '%', ',', ';', ':', '|', '"', "'", '\\', '\u00e9', '\u00ff', '=', '%2E', '$', '@', '#']
        .map(foreign => malformed(`signature with ${show(foreign)} in it`,
          `${header}.${payload}.${signature.slice(0, 40)}${foreign}${signature.slice(40)}`)),
      malformed('signature ends with a foreign character', `${jws}!`),
      malformed('signature starts with a foreign character', `${header}.${payload}.!${signature}`),
      malformed('signature in hex', `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('hex')}f`),
      malformed('signed payload with padding', signInput(key, `${header}.${encode(spaced(payloadText, 2))}=`)),
      malformed('signed payload with + and /', signInput(key, `${header}.${standard(special)}`)),
      malformed('signed payload with bits to spare', signInput(key, `${header}.${spareBits(encode(spaced(payloadText, 1)))}`)),
      malformed('signed payload with a foreign character', signInput(key, `${header}.${payload}!`)),
      malformed('signed payload that starts with a foreign character', signInput(key, `${header}.\u00e9${payload}`)),
      malformed('signed payload with a lone character at its end', signInput(key, `${header}.${encode(spaced(payloadText, 0))}A`)),
      malformed('signed header with padding', signInput(key, `${encode(spaced(headerText, 2))}=.${payload}`)),
      malformed('signed header with bits to spare', signInput(key, `${spareBits(encode(spaced(headerText, 1)))}.${payload}`)),
      malformed('signed header with a foreign character', signInput(key, `${header}!.${payload}`)),
      malformed('all three with padding', jws.split('.').map(segment => `${segment}=`).join('.'))
    ]
  },

  'segments' (world) {
    const jws = token(world)
    const [header, payload, signature] = jws.split('.') as [string, string, string]
    const malformed: Record<string, string> = {
      'one segment': header,
      'one character': 'x',
      'one dot': '.',
      'two dots': '..',
      'three dots': '...',
      'five dots': '.....',
      'ten thousand dots': '.'.repeat(10_000),
      'two segments': `${header}.${payload}`,
      'two segments and a dot before them': `.${header}.${payload}`,
      'four segments': `${jws}.${signature}`,
      'four segments, the last empty': `${jws}.`,
      'four segments, the first empty': `.${jws}`,
      'six segments': `${jws}.${jws}`,
      'seven segments': `${jws}.${jws}.${signature}`,
      'an empty header': `.${payload}.${signature}`,
      'an empty payload': `${header}..${signature}`,
      'an empty payload, signed': signInput(world.keys.EdDSA, `${header}.`),
      'an empty header, signed': signInput(world.keys.EdDSA, `.${payload}`),
      'the word null': 'null',
      'the word undefined': 'undefined',
      'an opaque token': 'k'.repeat(32),
      'a UUID': '00000000-0000-4000-8000-000000000000',
      'a token in quotes': `"${jws}"`,
      'a token in brackets': `<${jws}>`,
      'a token with a comma': `${jws},`,
      'a token as a parameter': `token="${jws}"`,
      'a PASETO': 'v4.public.eyJzdWIiOiJ1XzEifQ',
      'a data URL': `data:application/jwt,${jws}`
    }
    return [
      ...Object.entries(malformed).map(([name, text]) => bearer(name, text, 'token_malformed')),
      request('a no-break space behind the token', [`Authorization: Bearer ${jws}\u00a0`], 'token_malformed'),
      request('a no-break space behind the token, bearer in lower case', [`Authorization: bearer ${jws}\u00a0`],
        'token_malformed'),
      bearer('payload before header', `${payload}.${header}.${signature}`, 'algorithm_not_allowed'),
      bearer('four dots', '....', 'token_encrypted'),
      bearer('five segments that start with a token', `${jws}.${payload}.${signature}`, 'token_encrypted'),
      bearer('five segments, the last empty', `${jws}..`, 'token_encrypted'),
      bearer('two tokens with a comma', `${jws},${jws}`, 'token_encrypted')
    ]
  },

  'a header that is no JSON object' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const right = JSON.stringify({ alg: key.alg, kid: key.kid })
    const headers: Record<string, unknown> = {
      'a text': '"EdDSA"',
      'a number': '1',
      null: 'null',
      true: 'true',
      'an array': '[]',
      'an array with the header': `[${right}]`,
      'no JSON': 'EdDSA',
      'a cut object': right.slice(0, -1),
      'two objects': right + right,
      'something behind it': `${right}x`,
      'a comma too many': right.replace('}', ',}'),
      'a comment': `/**/${right}`,
      'single quotes': right.replaceAll('"', "'"),
      'a byte order mark': `\ufeff${right}`,
      'a NUL behind it': `${right}\0`,
      'invalid UTF-8': Buffer.from(right.replace('}', ',"x":"\u00ff"}'), 'latin1'),
      'overlong UTF-8': Buffer.concat([Buffer.from(right.slice(0, -1)), Buffer.from(',"x":"\xc0\xaf"}', 'latin1')]),
      'a surrogate in UTF-8': Buffer.from(right.replace('}', ',"x":"\xed\xa0\x80"}'), 'latin1'),
      'UTF-16': Buffer.from(right, 'utf16le'),
      'random bytes': Buffer.alloc(64, 0x80),
      'arrays 8,000 deep': '['.repeat(4000) + ']'.repeat(4000),
      'arrays never closed': '['.repeat(8000),
      'one space': ' '
    }
    return Object.entries(headers).map(([name, header]) => bearer(name, signJws(key, createClaims(origin), header),
      'token_malformed'))
  },

  'a payload that is no JSON object' (world) {
    const right = JSON.stringify(createClaims(world.origin))
    const payloads: Record<string, unknown> = {
      'a text': '"u_1"',
      'a number': '1',
      null: 'null',
      true: 'true',
      'an array': '[]',
      'an array with the claims': `[${right}]`,
      'no JSON': 'sub=u_1',
      'a cut object': right.slice(0, -1),
      'two objects': right + right,
      'something behind it': `${right}x`,
      'a comma too many': right.replace('}', ',}'),
      'a byte order mark': `\ufeff${right}`,
      'a NUL behind it': `${right}\0`,
      'invalid UTF-8': Buffer.from(right.replace('Ada', '\u00ff'), 'latin1'),
      'overlong UTF-8': Buffer.from(right.replace('Ada', '\xc0\xaf'), 'latin1'),
      'a surrogate in UTF-8': Buffer.from(right.replace('Ada', '\xed\xa0\x80'), 'latin1'),
      'UTF-16': Buffer.from(right, 'utf16le'),
      NaN: right.replace(/"exp":\d+/, '"exp":NaN'),
      'a form': 'sub=u_1&exp=9999999999',
      'arrays 8,000 deep': '['.repeat(4000) + ']'.repeat(4000),
      'arrays never closed': '['.repeat(8000),
      'one space': ' '
    }
    return Object.entries(payloads).map(([name, payload]) => bearer(name, signJws(world.keys.ES256, payload), 'token_malformed'))
  },

  'claims of the wrong type' (world) {
    const { origin } = world
    const id = ['', 0, 1, true, false, null, [], ['u_1'], {}, { id: 'u_1' }]
    const text = [0, 1, true, false, [], ['x'], {}, { x: 1 }]
    const flag = ['true', 'false', '', 0, 1, [], [true], {}]
    const time = (value: number) => ['', 'soon', String(value), new Date(value * 1000).toISOString(), true, false, null, [],
      [value], {}, { value }]
    const deep = JSON.parse('['.repeat(50) + ']'.repeat(50)) as unknown
    const values: Record<string, unknown[]> = {
      exp: time(now() + 900),
      nbf: time(now() - 60),
      iat: time(now() - 60),
      iss: [0, 1, true, false, null, [], [origin], {}, { origin }, deep],
      aud: [0, 1, true, false, null, {}, { 0: origin, length: 1 }, [1], [null], [origin, 1], [origin, null], [origin, {}],
        [[origin]], deep],
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
      invalid('email_verified "true" beside a right emailVerified', 'email_verified',
        token(world, { emailVerified: true, email_verified: 'true' })),
      invalid('a claim of the wrong type in a token that has expired as well', 'jti', token(world, { jti: 1, exp: now() - 60 })),
      bearer('neither sub nor id', token(world, { sub: undefined, id: undefined }), { reason: 'claim_missing', claim: 'sub' }),
      bearer('sub and id below __proto__',
        signJws(world.keys.EdDSA, withoutId.replace('{', '{"__proto__":{"sub":"u_1","id":"u_1"},')),
        { reason: 'claim_missing', claim: 'sub' })
    ]
  },

  'past and future' (world) {
    const notActive = (name: string, claim: string, value: number) =>
      bearer(`${claim} ${name}`, token(world, { [claim]: value }), { reason: 'token_not_active', claim })
    const withoutExp = JSON.stringify(createClaims(world.origin, { exp: undefined }))
    return [
      bearer('no exp', token(world, { exp: undefined }), { reason: 'claim_missing', claim: 'exp' }),
      bearer('exp below __proto__', signJws(world.keys.EdDSA, withoutExp.replace('{', '{"__proto__":{"exp":9999999999},')),
        { reason: 'claim_missing', claim: 'exp' }),
      bearer('no claims', signJws(world.keys.EdDSA, {}), mismatch('iss', world.origin, null)),
      ...[6, 60, 900, 86_400, 1e9].map(ago =>
        bearer(`expired ${ago} s ago`, token(world, { exp: now() - ago }), 'token_expired')),
      ...[0, -0.5, -1, -1e18, -Number.MAX_VALUE, Number.MIN_VALUE].map(exp =>
        bearer(`exp ${exp}`, token(world, { exp }), 'token_expired')),
      ...keysOf(world).map(key => bearer(`expired, by ${nameOf(world, key)}`,
        signJws(key, createClaims(world.origin, { exp: now() - 60 })), 'token_expired')),
      ...['nbf', 'iat'].flatMap(claim => [
        ...[60, 900, 86_400, 1e12].map(ahead => notActive(`in ${ahead} s`, claim, now() + ahead)),
        notActive('in milliseconds', claim, Date.now()),
        notActive('at the end of numbers', claim, Number.MAX_VALUE)
      ]),
      bearer('expired and not yet active', token(world, { exp: now() - 60, nbf: now() + 60 }),
        { reason: 'token_not_active', claim: 'nbf' })
    ]
  },

  'issuers and audiences that look alike' (world) {
    const { origin } = world
    const { port } = new URL(origin)
    const alike = [
      `${origin}/`, `${origin}/api/auth`, origin.toUpperCase(), origin.replace('http', 'HTTP'),
      origin.replace('localhost', 'LocalHost'), origin.replace('http:', 'https:'), `${origin}.example.com`,
      `${origin}0`, origin.slice(0, -1), origin.slice(1), `x${origin}`, ` ${origin}`, `${origin} `, `${origin}\n`, `${origin}\0`,
      `${origin}#`, `${origin}?`, `${origin},${origin}`, `http://localhost.:${port}`,
      `http://127.0.0.1:${port}`, `http://[::1]:${port}`, `http://user@localhost:${port}`, `http://example.com#${origin}`,
      `localhost:${port}`, `http://l\u043ecalhost:${port}`, `http://loca\u0301lhost:${port}`,
      'http://localhost', 'localhost', '', '*', 'null', 'undefined', 'https://accounts.example.com', world.attackerOrigin
    ]
    const alien = (claim: 'iss' | 'aud', value: unknown) =>
      bearer(`${claim} ${show(value)}`, token(world, { [claim]: value }), mismatch(claim, origin, value ?? null))
    return [
      ...[...alike, undefined].map(value => alien('iss', value)),
      ...[...alike, undefined, [], [''], alike].map(value => alien('aud', value)),
      bearer('the wrong issuer, and expired', token(world, { iss: 'x', exp: now() - 60 }), mismatch('iss', origin, 'x')),
      bearer('the wrong audience, and expired', token(world, { aud: 'x', exp: now() - 60 }), mismatch('aud', origin, 'x'))
    ]
  },

  'a name that comes twice: the last one counts' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const header = (text: string) => signJws(key, createClaims(origin), text)
    const payload = (text: string) => signJws(key, JSON.stringify(createClaims(origin)).replace(/}$/, `,${text}}`))
    return [
      bearer('alg, then none', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":"none"}`), 'algorithm_not_allowed'),
      bearer('alg, then null', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":null}`), 'algorithm_not_allowed'),
      bearer('alg, then one of another key', header(`{"alg":"EdDSA","kid":"${key.kid}","alg":"ES256"}`), 'algorithm_mismatch'),
      bearer('alg, escaped the second time', header(`{"alg":"EdDSA","kid":"${key.kid}","\\u0061lg":"none"}`),
        'algorithm_not_allowed'),
      bearer('kid, then another', header(`{"alg":"EdDSA","kid":"${key.kid}","kid":"another"}`), 'unknown_key'),
      bearer('kid, then a number', header(`{"alg":"EdDSA","kid":"${key.kid}","kid":1}`), 'kid_invalid'),
      bearer('typ, then another', header(`{"alg":"EdDSA","kid":"${key.kid}","typ":"JWT","typ":"logout+jwt"}`), 'typ_not_allowed'),
      bearer('exp, then one in the past', payload('"exp":1'), 'token_expired'),
      bearer('exp, then null', payload('"exp":null'), { reason: 'claim_invalid', claim: 'exp' }),
      bearer('iss, then another', payload('"iss":"x"'), mismatch('iss', origin, 'x')),
      bearer('aud, then another', payload('"aud":"x"'), mismatch('aud', origin, 'x')),
      bearer('sub, then a number', payload('"sub":1'), { reason: 'claim_invalid', claim: 'sub' })
    ]
  },

  'tokens that are too long' (world) {
    const { keys: { EdDSA: key }, origin, attacker } = world
    const long = 'x'.repeat(75_000)
    const tooLong = (name: string, jws: string) => bearer(name, jws, 'token_too_long')
    return [
      tooLong('100 kB, one segment', 'a'.repeat(100_000)),
      tooLong('100 kB of dots', '.'.repeat(100_000)),
      tooLong('100 kB, right in every other respect', token(world, { long })),
      tooLong('100 kB, a header of arrays never closed', signJws(key, createClaims(origin), '['.repeat(75_000))),
      tooLong('100 kB, a payload of arrays never closed', signJws(key, '['.repeat(75_000))),
      tooLong('100 kB of kid', token(world, {}, { kid: long })),
      tooLong('100 kB of signature', withSignature(token(world), bytes => Buffer.concat([bytes, Buffer.alloc(75_000)]))),
      tooLong('100 kB, forged', signJws(attacker, createClaims(origin, { long }), { kid: key.kid })),
      tooLong('100 kB, alg none', signJws(attacker, createClaims(origin, { long }), { alg: 'none' })),
      tooLong('hardly longer than 16 kB, right in every other respect', longToken(world, length => length > 16_384)),
      bearer('16 kB of one segment', 'a'.repeat(16_384), 'token_malformed')
    ]
  },

  'what looks like a token just accepted' ({ accepted, origin, keys: { EdDSA: key } }) {
    const [header, payload, signature] = accepted.split('.') as [string, string, string]
    const otherPayload = encode(createClaims(origin, { sub: 'admin' }))
    return [
      bearer('another payload, the same signature', `${header}.${otherPayload}.${signature}`, 'signature_invalid'),
      bearer('another header, the same signature', `${encode({ alg: key.alg, kid: key.kid, typ: 'JWT' })}.${payload}.${signature}`,
        'signature_invalid'),
      bearer('the same signature but for its first bit', withSignature(accepted, bytes => { bytes[0]! ^= 0x80; return bytes }),
        'signature_invalid'),
      bearer('the same signature but for its last byte', withSignature(accepted, bytes => { bytes[63]! ^= 1; return bytes }),
        'signature_invalid'),
      bearer('the same end of the signature alone', withSignature(accepted, bytes => bytes.subarray(32)), 'signature_invalid'),
      bearer('the same header, a payload that is no object', `${header}.${encode('1')}.${signature}`, 'signature_invalid'),
      bearer('the same signature for alg none', `${encode({ alg: 'none', kid: key.kid })}.${payload}.${signature}`,
        'algorithm_not_allowed'),
      bearer('with a padded header', `${header}=.${payload}.${signature}`, 'token_malformed'),
      bearer('with a padded payload', `${header}.${payload}=.${signature}`, 'token_malformed'),
      bearer('with a foreign character before it', `!${accepted}`, 'token_malformed'),
      bearer('with a dot before it', `.${accepted}`, 'token_malformed'),
      bearer('the end of its signature', signature.slice(-32), 'token_malformed')
    ]
  },

  'no bearer token' (world) {
    const jws = token(world)
    const values: string[] = [
      '', '   ', '\t', jws, `Basic ${Buffer.from('ada:secret').toString('base64')}`, `Basic ${jws}`, `Basic x, Bearer ${jws}`,
      'Basic', `DPoP ${jws}`, `Token ${jws}`, `JWT ${jws}`, `Digest username="ada", response="${jws}"`,
      `Negotiate ${jws}`, `ApiKey ${jws}`, `Bearer: ${jws}`, `Bearer=${jws}`, `Bearer${jws}`, `Bearer,${jws}`, `"Bearer ${jws}"`,
      `'Bearer' ${jws}`, `Bearer/1 ${jws}`, `Bearers ${jws}`, `Beare ${jws}`, `B earer ${jws}`,
      `Bearer;${jws}`, `, Bearer ${jws}`, `Authorization: Bearer ${jws}`, `access_token=${jws}`, `B\u00e9arer ${jws}`,
      `\u00a0Bearer ${jws}`, `Bearer\u00a0${jws}`, 'null', 'undefined', '[object Object]', '{"bearer":1}'
    ]
    return [
      request('no header', [], 'token_missing'),
      ...values.map(value => request(`Authorization: ${show(value.replaceAll(jws, '<token>'))}`, [`Authorization: ${value}`],
        'token_missing')),
      ...['Proxy-Authorization', 'X-Authorization', 'Authorization2', 'X-Forwarded-Authorization', 'X-Access-Token'].map(name =>
        request(`a token in ${name}`, [`${name}: Bearer ${jws}`], 'token_missing')),
      request('a token in a cookie', [`Cookie: Authorization=Bearer ${jws}; access_token=${jws}; better-auth.session_token=${jws}`],
        'token_missing')
    ]
  },

  'a malformed Authorization header' (world) {
    const jws = token(world)
    const values: string[] = [
      'Bearer', 'bearer', 'BEARER', 'Bearer ', 'Bearer    ', 'Bearer\t', `Bearer ${jws} ${jws}`, `Bearer ${jws} x`,
      `Bearer x ${jws}`, `Bearer Bearer ${jws}`, `Bearer Basic ${jws}`, `Bearer ${jws}, Bearer ${jws}`,
      `Bearer ${jws}, Basic eDp5`, `Bearer ${jws} ,`, `Bearer , ${jws}`, `Bearer token = ${jws}`, `Bearer " ${jws} "`,
      `Bearer realm="x", token="${jws}"`, `Bearer : ${jws}`, `Bearer ${jws.replaceAll('.', ' . ')}`,
      `Bearer ${jws.replaceAll('.', ' ')}`, `Bearer ${jws}\tx`, `Bearer\t${jws}`, `Bearer \t ${jws}`, `Bearer \t${jws}`,
      'Bearer [object Object]'
    ]
    const two: string[][] = [
      [`Authorization: Bearer ${jws}`, `Authorization: Bearer ${jws}`],
      [`Authorization: Bearer ${jws}`, `authorization: Bearer ${token(world, { sub: 'u_2' })}`],
      [`Authorization: Bearer ${jws}`, 'Authorization:'],
      ['Authorization:', `Authorization: Bearer ${jws}`], [`Authorization: Bearer ${jws}`, 'AUTHORIZATION: Basic eDp5'],
      ['Authorization: Basic eDp5', `Authorization: Bearer ${jws}`], ['Authorization:', 'Authorization:'],
      [`Authorization: Bearer ${jws}`, 'X-Between: x', 'authorization: x', 'aUTHORIZATION: y']
    ]
    return [
      ...values.map(value => request(`Authorization: ${show(value.replaceAll(jws, '<token>'))}`, [`Authorization: ${value}`],
        'authorization_malformed')),
      ...two.map(lines => request(lines.map(line => line.replaceAll(jws, '<token>').slice(0, 40)).join(' | '), lines,
        'authorization_malformed'))
    ]
  }
}

/** Every form in which a public key is seen in the wild, each of which somebody has used as an HMAC secret. */
function publicForms ({ publicKey, jwk }: SigningKey): Record<string, string | Buffer> {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const forms: Record<string, string | Buffer> = {
    'SPKI PEM': pem,
    'SPKI PEM without its last newline': pem.trimEnd(),
    'SPKI PEM with CRLF': pem.replaceAll('\n', '\r\n'),
    'SPKI DER': publicKey.export({ type: 'spki', format: 'der' }),
    'JWK text': JSON.stringify(jwk),
    'its bytes': Buffer.from(jwk.x ?? jwk.n!, 'base64url'),
    'its text': jwk.x ?? jwk.n!
  }
  if (jwk.kty === 'RSA') {
    forms['PKCS #1 PEM'] = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    forms['PKCS #1 DER'] = publicKey.export({ type: 'pkcs1', format: 'der' })
  }
  return forms
}

function widen (signature: Buffer, by: number): Buffer {
  const half = signature.length / 2
  return Buffer.concat([Buffer.alloc(by), signature.subarray(0, half), Buffer.alloc(by), signature.subarray(half)])
}

/** The other S of an Ed25519 signature, which a verifier must refuse (RFC 8032 §5.1.7). */
function addOrder (signature: Buffer): Buffer {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + ED25519_ORDER
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()])
}

function tokenWith (world: World, test: (signature: string) => boolean): string {
  for (let n = 0; ; n++) {
    const jws = token(world, { n })
    if (test(jws.slice(jws.lastIndexOf('.') + 1))) return jws
  }
}

const standard = (text: string) => text.replaceAll('-', '+').replaceAll('_', '/')

/** The shortest right token whose length passes the test. */
function longToken (world: World, test: (length: number) => boolean): string {
  for (let n = 11_800; ; n++) {
    const jws = token(world, { long: 'x'.repeat(n) })
    if (test(jws.length)) return jws
  }
}

/** The same JSON with as many bytes beyond a multiple of three: with 1 base64 pads it by `==`, with 2 by `=`. */
function spaced (json: string, remainder: number): string {
  return json + ' '.repeat((3 + remainder - json.length % 3) % 3)
}

/** The same bytes with the unused bits of the last character set. */
function spareBits (segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const changed = segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.at(-1)!) + 1]!
  const isSame = Buffer.from(changed, 'base64url').equals(Buffer.from(segment, 'base64url'))
  if (!isSame) throw new Error('this segment has no bits to spare')
  return changed
}

type Control = [name: string, lines: string[], id: string]

/** What is right and gives 200: without these the refusals above would prove nothing. */
function controls (world: World): Control[] {
  const { keys: { EdDSA: key }, origin, rsaWithoutAlg, attacker, attackerOrigin } = world
  const right = (name: string, jws: string, id = 'u_1'): Control => [name, [`Authorization: Bearer ${jws}`], id]
  const header = (parameters: Record<string, unknown>) => right(`header ${show(parameters)}`, token(world, {}, parameters))
  const claims = (laidOver: Record<string, unknown>, id?: string) => right(`claims ${show(laidOver)}`, token(world, laidOver), id)
  const jws = token(world)
  return [
    right('the token that others will look like', world.accepted),
    right('16 kB', longToken(world, length => length > 16_380)),
    ...keysOf(world).map(one => right(nameOf(world, one), signJws(one, createClaims(origin)))),
    ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(alg => right(`RSA without alg, used for ${alg}`,
      signJws({ ...rsaWithoutAlg, alg }, createClaims(origin)))),
    ...['JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/jwt', 'application/at+jwt'].map(typ => header({ typ })),
    header({ jku: attackerOrigin + JWKS_PATH, jwk: attacker.jwk, x5u: `${attackerOrigin}/cert.pem`, x5c: ['x'] }),
    header({ extension: [1] }),
    claims({ email: null, name: null, image: null, emailVerified: null, email_verified: null }),
    claims({ sub: undefined, id: 'u_2' }, 'u_2'),
    claims({ id: undefined, sub: 'u_3' }, 'u_3'),
    claims({ id: 'row', sub: 'u_4' }, 'u_4'),
    claims({ aud: [origin] }),
    claims({ aud: ['https://other.example.com', origin] }),
    claims({ iat: undefined, nbf: now() - 60, jti: 'x' }),
    claims({ exp: now() - 1 }),
    right('a name that comes twice', signJws(key, JSON.stringify(createClaims(origin)).replace(/}$/, ',"sub":"u_5"}')), 'u_5'),
    right('spaces behind the JSON',
      signJws(key, spaced(JSON.stringify(createClaims(origin)), 1), spaced(JSON.stringify({ alg: 'EdDSA', kid: key.kid }), 1))),
    right('a signature with - or _ in it', tokenWith(world, signature => /[-_]/.test(signature))),
    ['bearer in lower case', [`Authorization: bearer ${jws}`], 'u_1'],
    ['BEARER in upper case', [`authorization: BEARER ${jws}`], 'u_1'],
    ['two spaces', [`Authorization: Bearer  ${jws}`], 'u_1'],
    ['spaces around', [`Authorization:   Bearer ${jws}  `], 'u_1'],
    ['no space behind the colon', [`Authorization:Bearer ${jws}`], 'u_1']
  ]
}

async function startApp (t: Test, options: BetterAuthOptions, http = { maxHeaderSize: 256 * 1024 }): Promise<App> {
  const log: string[] = []
  const app = Fastify({
    // At `trace` Fastify itself logs the bytes of requests that Node.js refuses.
    logger: { level: 'debug', stream: { write (line: string) { log.push(line) } } },
    requestIdHeader: 'x-case',
    http
  })
  t.teardown(() => app.close())
  // Every unknown kid of the tables is looked for: what is tested here is not the budget.
  await app.register(betterAuthPlugin, { ...options, jwks: { requestsPerMinute: 1e9 } })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user)
  app.get('/jwt', { onRequest: [async request => { await request.jwtVerify() }] }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { port: (app.server.address() as AddressInfo).port, log }
}

let caseCount = 0

async function send (app: App, path: string, lines: readonly string[]): Promise<RawResponse & { logged: LogLine[] }> {
  const id = `case-${++caseCount}`
  const logLength = app.log.length
  const response = await rawRequest(app.port, path, [...lines, `X-Case: ${id}`])
  const logged = app.log.slice(logLength)
    .filter(line => line.includes(`"reqId":"${id}"`) && line.includes('"reason"'))
    .map(line => {
      const { reason, claim, expected, received } = JSON.parse(line) as LogLine
      return JSON.parse(JSON.stringify({ reason, claim, expected, received })) as LogLine
    })
  return { ...response, logged }
}

function expected ({ reason }: LogLine): { status: number, body: unknown, challenge: string } {
  const [statusCode, code, error, message, challenge] = ANSWERS[reason] ?? INVALID
  return { status: statusCode, body: { statusCode, code, error, message }, challenge }
}

function got ({ status, body, headers }: RawResponse): { status: number, body: unknown, challenge: string | undefined } {
  return { status, body: JSON.parse(body) as unknown, challenge: headers['www-authenticate'] }
}

/** The tokens in header lines, and their signatures: what no answer and no log line may hold. */
function confidential (lines: readonly string[]): string[] {
  return lines
    .flatMap(line => line.split(/[ \t,;="<>]+/))
    .filter(word => word.includes('.'))
    .flatMap(word => [word, word.slice(word.lastIndexOf('.') + 1)])
    .filter(text => text.length >= 32 && /^[\w.=-]+$/.test(text))
}

async function expectControls (t: Test, app: App, world: World): Promise<void> {
  for (const path of ['/me', '/jwt']) {
    for (const [name, lines, id] of controls(world)) {
      const { status, body, logged } = await send(app, path, lines)
      t.strictSame([status, (JSON.parse(body) as { id: string }).id, logged], [200, id, []], `${path}: ${name}`)
    }
  }
}

t.setTimeout(120_000)

t.test('hostile tokens', async t => {
  const attackerServer = await startJwksServer()
  const server = await startJwksServer()
  t.teardown(() => Promise.all([attackerServer.stop(), server.stop()]))
  let attackerHits = 0
  attackerServer.respond = (_request, response) => {
    attackerHits++
    response.end(JSON.stringify({ keys: [world.attacker.jwk] }))
  }

  const world: World = {
    origin: server.origin,
    secret: randomBytes(32).toString('base64url'),
    keys: Object.fromEntries(PUBLISHED.map(alg => [alg, createSigningKey(alg)])) as World['keys'],
    rsaWithoutAlg: createSigningKey('RS256'),
    ecWithoutAlg: createSigningKey('ES256'),
    oct: { kid: 'oct', k: randomBytes(32) },
    attacker: createSigningKey(),
    attackerOrigin: attackerServer.origin,
    accepted: ''
  }
  world.accepted = token(world)
  server.keys = [
    ...PUBLISHED.map(alg => world.keys[alg].jwk),
    ...[world.rsaWithoutAlg, world.ecWithoutAlg].map(({ jwk }) => ({ ...jwk, alg: undefined })),
    { kty: 'oct', kid: world.oct.kid, alg: 'HS256', k: world.oct.k.toString('base64url') }
  ]

  // A connection that is kept alive can end just when it is used again: that is not what is tested here.
  server.respond = ({ url }, response) => {
    response.writeHead(url === JWKS_PATH ? 200 : 404, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ keys: server.keys }))
  }

  for (const secret of [undefined, world.secret]) {
    t.test(`${secret === undefined ? 'without' : 'with'} the option "secret"`, async t => {
      const app = await startApp(t, { authUrl: server.origin, secret })
      const seen: string[] = []
      const sharedSecret = [`Authorization: Bearer ${signHmac(world.secret, createClaims(world.origin))}`]
      await t.test('accepts what is right', async t => {
        await expectControls(t, app, world)
        const { status } = await send(app, '/me', sharedSecret)
        t.equal(status, secret === undefined ? 401 : 200, 'HS256 by the secret')
      })

      for (const [family, cases] of Object.entries(FAMILIES)) {
        await t.test(`refuses ${family}`, async t => {
          for (const { name, lines, log, logWithSecret } of cases(world)) {
            const reason = secret === undefined ? log : logWithSecret
            seen.push(...confidential(lines))
            const answer = await send(app, '/me', lines)
            const jwtVerify = await send(app, '/jwt', lines)
            t.strictSame(
              { ...got(answer), logged: answer.logged, jwtVerify: got(jwtVerify) },
              { ...expected(reason), logged: [reason], jwtVerify: expected(reason) },
              name
            )
            const leaks = confidential(lines).filter(text => answer.text.includes(text) || jwtVerify.text.includes(text))
            if (leaks.length > 0) t.fail(`${name}: the answer holds the token or its signature`)
          }
        })
      }

      t.test('and then', async t => {
        await expectControls(t, app, world)
        t.equal(attackerHits, 0, 'nobody asked the attacker’s server')
        const log = app.log.join('')
        t.ok(seen.length > 1000)
        t.strictSame(seen.filter(text => log.includes(text)), [], 'no log line holds a token or a signature')
        t.strictSame(app.log.filter(line => /"level":[56]0/.test(line) && line.includes('"reqId"')), [],
          'no request was an error')
        t.strictSame([world.secret, server.origin].map(text => log.includes(text)), [false, true],
          'the log knows the issuer and not the secret')
      })
    })
  }

  t.test('refuses the other kinds of token, and claims of the wrong type, when issuer and audience are not checked', async t => {
    const app = await startApp(t, { authUrl: server.origin, issuer: false, audience: false })
    for (const family of ['other tokens that the same keys sign', 'claims of the wrong type']) {
      for (const { name, lines, log } of FAMILIES[family]!(world)) {
        const answer = await send(app, '/me', lines)
        t.strictSame({ ...got(answer), logged: answer.logged }, { ...expected(log), logged: [log] }, name)
      }
    }
    const { status } = await send(app, '/me', [`Authorization: Bearer ${token(world, { iss: 'x', aud: undefined })}`])
    t.equal(status, 200)
  })
})

t.test('what Node.js refuses before the plugin sees it', async t => {
  const server = await startJwksServer()
  t.teardown(() => server.stop())
  const key = createSigningKey()
  server.keys = [key.jwk]
  const app = await startApp(t, { authUrl: server.origin }, { maxHeaderSize: 16 * 1024 })
  const jws = signJws(key, createClaims(server.origin))
  const long = signJws(key, createClaims(server.origin, { long: 'x'.repeat(75_000) }))
  const cases: Array<[name: string, status: number, lines: string[]]> = [
    ['a token of 100 kB', 431, [`Authorization: Bearer ${'a'.repeat(100_000)}`]],
    ['a right token of 100 kB', 431, [`Authorization: Bearer ${long}`]],
    ['a NUL behind the token', 400, [`Authorization: Bearer ${jws}\0`]],
    ['a NUL before the token', 400, [`Authorization: Bearer \0${jws}`]],
    ['a carriage return in the header', 400, [`Authorization: Bearer ${jws}\rX-Other: x`]],
    ['a vertical tab', 400, [`Authorization: Bearer\v${jws}`]],
    ['a space before the colon', 400, [`Authorization : Bearer ${jws}`]],
    ['a folded header', 400, ['Authorization: Bearer', ` ${jws}`]],
    ['no colon', 400, [`Authorization Bearer ${jws}`]]
  ]
  for (const [name, status, lines] of cases) {
    const answer = await rawRequest(app.port, '/me', lines)
    t.equal(answer.status, status, name)
    t.notOk(answer.text.includes(jws), 'the answer does not hold the token')
  }
  t.equal((await rawRequest(app.port, '/me', [`Authorization: Bearer ${jws}`])).status, 200, 'and then a good token gets 200')
  t.notOk(app.log.join('').includes(jws), 'no log line holds the token')
})
