import crypto, { createHash, randomUUID } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { DpopProofInvalidError } from '../../../lib/contract/dpop-errors.js'
import type { DpopReplayStore, DpopReservation } from '../../../lib/contract/dpop-options.js'
import { ALGORITHMS, type Algorithm } from '../../../lib/index.js'
import { createProofCheck, type ProofCheck } from '../../../lib/schemes/dpop/proof.js'
import { thumbprintOf } from '../../../lib/schemes/dpop/proof-key.js'
import { createMemoryReplayStore, createReplayGuard } from '../../../lib/schemes/dpop/replay.js'
import { createTargetCheck } from '../../../lib/schemes/dpop/target-uri.js'
import { createSignatureChecks } from '../../../lib/tokens/signature-checks.js'
import { createClock, type Clock } from '../../fixtures/clock.js'
import { createDpopKey, type DpopKey } from '../../fixtures/dpop.js'
import { reasonOf, refusalOf } from '../../fixtures/refusals.js'
import { createSigningKey, encode, signJws } from '../../fixtures/signing.js'

// What a proof must be, without a server: the examples of the RFCs, times, URLs, keys and stores. All of the rest is
// in test/system/short/dpop.test.ts.

const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'
const URL_OF_RESOURCE = 'https://resource.example.org/protectedresource'
/** RFC 9449 §7.1. */
const RESOURCE_PROOF = 'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjN' +
  'oUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNy' +
  'diI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9y' +
  'Zy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzb' +
  'VFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA'
/** RFC 9449 §5. */
const TOKEN_PROOF = 'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklD' +
  'UkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6Il' +
  'AtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2' +
  'VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg'
/** RFC 9449 §6.1. */
const RFC_THUMBPRINT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I'
const ISSUED_AT = 1_562_262_618_000
const MAX_AGE = 300_000

const KEY = createDpopKey()

function requestFor (url: string, method = 'GET'): FastifyRequest {
  const [, protocol, host, originalUrl] = /^(.*?):\/\/(.*?)(\/.*)$/s.exec(url)!
  return { method, protocol, host, originalUrl } as FastifyRequest
}

const REQUEST = requestFor(URL_OF_RESOURCE)

interface World { readonly check: ProofCheck, readonly clock: Clock, readonly reserved: DpopReservation[] }

/** A check that accepts the proof of the RFC, and whose clock stands at its `iat`. */
function createWorld (store?: DpopReplayStore, timeout = 1000): World {
  const clock = createClock(ISSUED_AT)
  const reserved: DpopReservation[] = []
  const reserve = (reservation: DpopReservation) => { reserved.push(reservation) }
  const check = createProofCheck({
    checks: createSignatureChecks(),
    now: clock.now,
    maxProofAge: MAX_AGE,
    checkTarget: createTargetCheck([new URL(URL_OF_RESOURCE).origin]),
    reserve: store === undefined ? reserve : createReplayGuard(store, timeout)
  })
  return { check, clock, reserved }
}

const prove = (claims?: Record<string, unknown>, key = KEY) =>
  key.prove('GET', URL_OF_RESOURCE, TOKEN, { iat: ISSUED_AT / 1000, ...claims })
const proven = (request = REQUEST, boundTo = KEY.thumbprint) => ({ request, token: TOKEN, boundTo })

t.test('the examples of RFC 9449', async t => {
  const { check, reserved } = createWorld()
  check(RESOURCE_PROOF, proven(REQUEST, RFC_THUMBPRINT))
  const text = `${RFC_THUMBPRINT}\nGET\n${URL_OF_RESOURCE}\ne1j3V_bKic8-LAEB`
  t.strictSame(reserved, [{
    key: createHash('sha256').update(text).digest('base64url'),
    // 5 seconds more than it may be used: the clocks of instances differ.
    expiresAt: new Date(ISSUED_AT + MAX_AGE + 5000),
    now: new Date(ISSUED_AT)
  }], 'the key of the store is the one that Better Auth derives')

  const refused = (proof: string, request: FastifyRequest, boundTo = RFC_THUMBPRINT) =>
    reasonOf(() => check(proof, proven(request, boundTo)))
  t.equal(await refused(RESOURCE_PROOF, REQUEST, KEY.thumbprint), 'proof_key_mismatch')
  t.equal(await refused(RESOURCE_PROOF, requestFor(URL_OF_RESOURCE, 'POST')), 'proof_mismatch htm')
  t.equal(
    await refused(TOKEN_PROOF, requestFor('https://server.example.com/token', 'POST')), 'proof_claim_invalid ath',
    'a proof for the token endpoint has no ath'
  )
})

t.test('the thumbprints of RFC 7638 §3.1 and RFC 8037 §A.3', async t => {
  t.equal(thumbprintOf({
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3' +
      'oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH' +
      'zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU' +
      '8awapJzKnqDKgw',
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29'
  }), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  t.equal(
    thumbprintOf({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }),
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'
  )
  t.equal(
    thumbprintOf({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', y: 'x' }),
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 'whatever else it has'
  )
})

t.test('every asymmetric algorithm, by each of its names', async t => {
  const { check } = createWorld()
  // To make an RSA key takes half a second.
  const rsa = createSigningKey('RS256')
  for (const alg of ALGORITHMS) {
    const key = createDpopKey(alg, /^[RP]S/.test(alg) ? { ...rsa, alg } : createSigningKey(alg))
    await t.resolves(async () => check(prove({}, key), proven(REQUEST, key.thumbprint)), alg)
  }
  const key = createDpopKey('EdDSA')
  const proofOf = (alg: string) =>
    key.prove('GET', URL_OF_RESOURCE, TOKEN, { iat: ISSUED_AT / 1000 }, { alg })
  await t.resolves(async () => check(proofOf('Ed25519'), proven(REQUEST, key.thumbprint)), 'RFC 9864')
  t.equal(await reasonOf(() => check(proofOf('Ed448'), proven(REQUEST, key.thumbprint))), 'proof_header_invalid alg')
})

t.test('the form of a proof, its header, and its claims', async t => {
  const { check, reserved } = createWorld()
  const withHeader = (header: Record<string, unknown>) =>
    KEY.prove('GET', URL_OF_RESOURCE, TOKEN, { iat: ISSUED_AT / 1000 }, header)
  const [header, payload, signature] = prove().split('.') as [string, string, string]
  const own = { typ: 'dpop+jwt', jwk: KEY.jwk }
  const shortest = prove({ pad: '' }).length
  /** No segment has one character more than a multiple of 4, so header and payload share them. */
  const sized = (length: number) => {
    for (const x of ['', 'x', 'xx']) {
      const start = Math.floor((length - shortest) * 3 / 4) - 16
      for (let i = 0; i < 20; i++) {
        const claims = { iat: ISSUED_AT / 1000, pad: 'x'.repeat(start + i) }
        const proof = KEY.prove('GET', URL_OF_RESOURCE, TOKEN, claims, { x })
        if (proof.length === length) return proof
      }
    }
    throw new Error('no proof of this length')
  }
  const [largest, tooLarge] = [sized(16_384), sized(16_385)]
  const accepted = [
    prove(), largest, prove({ jti: 'x'.repeat(512) }), prove({ jti: '\ud83e\udd8a' }),
    withHeader({ jwk: { ...KEY.jwk, kid: 1 } })
  ]
  for (const proof of accepted) await check(proof, proven())
  t.equal(reserved.length, accepted.length)

  const refused: Array<[reason: string, proofs: string[]]> = [
    ['proof_malformed', [
      '', 'x', `${header}.${payload}`, `${prove()}.x`, `${prove()}.`, `${header}.${payload}.`,
      `.${payload}.${signature}`, `${header}..${signature}`, `${prove()}=`, `${header}.${payload}=.${signature}`,
      tooLarge,
      ...['{', '[]', 'null', '"x"', '1'].map(json => `${encode(json)}.${payload}.${signature}`),
      ...['x', '[]', 'null', '"x"', '1'].map(json => signJws(KEY.key, json, own))
    ]],
    ['proof_header_invalid typ', [undefined, null, 'JWT', 'DPOP+JWT', ['dpop+jwt']].map(typ => withHeader({ typ }))],
    ['proof_header_invalid crit', [['exp'], [], null].map(crit => withHeader({ crit }))],
    ['proof_header_invalid b64', [true, false, null].map(b64 => withHeader({ b64 }))],
    ['proof_header_invalid jwk', [
      undefined, null, 'x', [], [KEY.jwk], Object.assign([], KEY.jwk), {}
    ].map(jwk => withHeader({ jwk }))],
    ['proof_header_invalid alg', [undefined, null, 'none', 'HS256', 'ES384', 'P-256'].map(alg => withHeader({ alg }))],
    ['proof_signature_invalid', [
      `${header}.${payload}.${prove().split('.')[2]}`, `${header}.${encode({ jti: 'x' })}.${signature}`
    ]],
    ...['jti', 'htm', 'htu', 'ath'].map((claim): [string, string[]] => [
      `proof_claim_invalid ${claim}`,
      [undefined, null, '', 1, true, [], ['x'], {}].map(value => prove({ [claim]: value }))
    ]),
    ['proof_claim_invalid jti', ['x'.repeat(513), 'x\ud800'].map(jti => prove({ jti }))],
    ['proof_mismatch htm', ['POST', 'get'].map(htm => prove({ htm }))],
    ['proof_mismatch htu', ['https://evil.example/', URL_OF_RESOURCE.slice(0, -1)].map(htu => prove({ htu }))],
    ['proof_mismatch ath', [prove({ ath: TOKEN }), KEY.prove('GET', URL_OF_RESOURCE, 'x', { iat: ISSUED_AT / 1000 })]]
  ]
  for (const [reason, proofs] of refused) {
    for (const proof of proofs) t.equal(await reasonOf(() => check(proof, proven())), reason, proof.slice(0, 40))
  }
  t.equal(reserved.length, accepted.length, 'none of them is used up')
  const htm = await refusalOf(() => check(prove({ htm: 'POST' }), proven()))
  t.strictSame(htm.details, { claim: 'htm', expected: ['GET'], received: 'POST' })
  t.strictSame((await refusalOf(() => check(prove({ ath: 'x' }), proven()))).details, { claim: 'ath' })
})

t.test('the time of a proof, to the millisecond', async t => {
  const { check, clock } = createWorld()
  const at = (ms: number, claims?: Record<string, unknown>) => {
    clock.set(ISSUED_AT + ms)
    return refusalOf(() => check(prove(claims), proven())).then(
      ({ reason, details }) => `${reason} ${details.claim ?? details.seconds}`, () => 'accepted'
    )
  }
  t.equal(await at(-5001), 'proof_not_active 5')
  t.equal(await at(-5000), 'accepted')
  t.equal(await at(MAX_AGE - 1), 'accepted')
  t.equal(await at(MAX_AGE), 'proof_expired 0')
  t.equal(await at(MAX_AGE + 7000), 'proof_expired 7')
  t.equal(await at(0, { iat: ISSUED_AT / 1000 + 4.999 }), 'accepted', 'it need not be whole')
  t.equal(await at(0, { iat: ISSUED_AT / 1000 + 5.001 }), 'proof_not_active 5')
  // No client has to set them. If one does, they count (RFC 7519 §4.1).
  t.equal(await at(1000, { exp: ISSUED_AT / 1000 + 2 }), 'accepted')
  t.equal(await at(2000, { exp: ISSUED_AT / 1000 + 2 }), 'proof_expired 0')
  t.equal(await at(MAX_AGE, { exp: ISSUED_AT / 1000 + 9999 }), 'proof_expired 0', 'exp makes it no longer')
  t.equal(await at(0, { nbf: ISSUED_AT / 1000 + 5 }), 'accepted')
  t.equal(await at(0, { nbf: ISSUED_AT / 1000 + 9 }), 'proof_not_active 9')
  for (const claim of ['iat', 'exp', 'nbf']) {
    for (const value of [null, '1', true, [], {}]) {
      t.equal(await at(0, { [claim]: value }), `proof_claim_invalid ${claim}`, `${claim} ${JSON.stringify(value)}`)
    }
  }
  t.equal(await at(0, { iat: undefined }), 'proof_claim_invalid iat')
  t.match(await at(0, { iat: -1e300 }), /^proof_expired/)
  t.match(await at(0, { iat: 1e306 }), /^proof_not_active/)
})

t.test('the URL: every spelling that RFC 3986 calls equivalent, and no other URL', async t => {
  const check = createTargetCheck(['https://api.example.com', 'https://api.example.org:8443'])
  const judge = (htu: string, url: string) => {
    try {
      return check(htu, requestFor(url))
    } catch (error) {
      if (error instanceof DpopProofInvalidError) return undefined
      throw error
    }
  }
  const same: Array<[htu: string, url: string, key?: string]> = [
    ['https://api.example.com/a', 'https://api.example.com/a'],
    ['HTTPS://API.example.COM/a', 'https://api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com:443/a', 'https://api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com/a', 'https://API.EXAMPLE.COM:443/a', 'https://api.example.com/a'],
    ['https://api.example.com', 'https://api.example.com/', 'https://api.example.com/'],
    ['https://api.example.com?x=1', 'https://api.example.com/?y', 'https://api.example.com/'],
    ['https://api.example.com/a?x=%zz#\u00e9', 'https://api.example.com/a?y=2', 'https://api.example.com/a'],
    ['https://api.example.com/%7Ea/%c3', 'https://api.example.com/~a/%C3', 'https://api.example.com/~a/%C3'],
    ['https://api.example.com/b/../a/./', 'https://api.example.com/a/', 'https://api.example.com/a/'],
    ['https://api.example.com/../../a/b/..', 'https://api.example.com/a/', 'https://api.example.com/a/'],
    ['https://api.example.com/b/%2e%2E/a', 'https://api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com//a//b', 'https://api.example.com//a//b'],
    ['https://api.example.com/a;b=c,d:e@f!$&\'()*+|[]"{}', 'https://api.example.com/a;b=c,d:e@f!$&\'()*+|[]"{}'],
    // A proxy that ends TLS, and an API that does not know of it.
    ['https://api.example.com/a', 'http://127.0.0.1:3001/a'],
    ['https://api.example.com/a', 'http://evil.example/a'],
    ['https://api.example.com/a', 'undefined:///a'],
    ['https://api.example.com/a', 'https://[::1/a'],
    ['https://api.example.com/a', 'https://api.example.com:99999/a'],
    ['https://api.example.org:8443/a', 'http://10.0.0.1/a'],
    // The URL that Fastify sees, on a host that is meant or on this machine.
    ['http://api.example.com:8080/a', 'http://api.example.com:8080/a'],
    ['http://127.0.0.1:3001/a', 'http://127.0.0.1:3001/a'],
    ['http://[::1]:3001/a', 'http://[::1]:3001/a'],
    ['http://localhost/a', 'http://localhost:80/a'],
    ['https://api.example.org/a', 'https://api.example.org/a']
  ]
  for (const [htu, url, key = htu] of same) t.equal(judge(htu, url), key, `${JSON.stringify(htu)}, ${url}`)

  const other: Array<[htu: string, url: string]> = [
    ['http://api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com:8443/a', 'https://api.example.com/a'],
    ['https://api.example.com/a/', 'https://api.example.com/a'],
    ['https://api.example.com/A', 'https://api.example.com/a'],
    ['https://api.example.com/a%2Fb', 'https://api.example.com/a/b'],
    ['https://api.example.com/a%3Fb', 'https://api.example.com/a?b'],
    ['https://api.example.com//a', 'https://api.example.com/a'],
    ['https://api.example.com./a', 'https://api.example.com/a'],
    ['https://www.api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com.evil.example/a', 'https://api.example.com/a'],
    ['https://evil.example/a', 'https://api.example.com/a'],
    // A request to us with the name of somebody else, to whom the client made the proof.
    ['https://evil.example/a', 'https://evil.example/a'],
    ['https://evil.example/a', 'http://evil.example/a'],
    ['http://api.example.com.evil.example/a', 'http://api.example.com.evil.example/a'],
    ['http://10.0.0.7/a', 'http://10.0.0.7/a'],
    ['http://evil/a', 'http://evil/a'],
    ['http://localhost.evil.example/a', 'http://localhost.evil.example/a'],
    // Nothing that a parser makes a URL of.
    ['https://api.example.com\\a', 'https://api.example.com/a'],
    ['https:/api.example.com/a', 'https://api.example.com/a'],
    ['https:api.example.com/a', 'https://api.example.com/a'],
    ['//api.example.com/a', 'https://api.example.com/a'],
    ['/a', 'https://api.example.com/a'],
    ['a', 'https://api.example.com/a'],
    [' https://api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com/a ', 'https://api.example.com/a'],
    ['https://api.exam\tple.com/a', 'https://api.example.com/a'],
    ['https://api.example.com/a\n', 'https://api.example.com/a'],
    ['https://ada@api.example.com/a', 'https://api.example.com/a'],
    ['https://ada:x@api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com:99999/a', 'https://api.example.com/a'],
    ['https://api.example.com:/a', 'https://api.example.com/a'],
    ['https://%61pi.example.com/a', 'https://api.example.com/a'],
    ['https://\uff41pi.example.com/a', 'https://api.example.com/a'],
    ['https://1.2.3.400/a', 'https://api.example.com/a'],
    ['https://api.example.com/%', 'https://api.example.com/%'],
    ['https://api.example.com/%zz', 'https://api.example.com/%zz'],
    ['https://api.example.com/\u00e9', 'https://api.example.com/\u00e9'],
    ['https://api.example.com/a\\b', 'https://api.example.com/a\\b'],
    // Dot segments in a request: a router may see another route than the proof.
    ['https://api.example.com/a', 'https://api.example.com/b/../a'],
    ['https://api.example.com/b/../a', 'https://api.example.com/b/../a'],
    ['https://api.example.com/a', 'https://api.example.com/b/%2e%2e/a'],
    ['https://api.example.com/a/', 'https://api.example.com/a/.']
  ]
  for (const [htu, url] of other) t.equal(judge(htu, url), undefined, `${JSON.stringify(htu)}, ${url}`)

  for (const originalUrl of ['*', 'https://api.example.com/a', '', 'a']) {
    const request = { ...requestFor('https://x/'), originalUrl } as FastifyRequest
    const { details } = await refusalOf(() => check('https://api.example.com/a', request))
    t.strictSame([details.claim, details.expected], ['htu', []], `a request for ${originalUrl}`)
  }
})

t.test('the log shows both URLs, without a query or a password', async t => {
  const check = createTargetCheck(['https://api.example.com'])
  const request = requestFor('http://localhost:3001/a?token=secret')
  const { details } = await refusalOf(() => check('https://ada:secret@api.example.com/v1/a?x=secret#secret', request))
  t.strictSame(details, {
    claim: 'htu',
    expected: ['https://api.example.com/a', 'http://localhost:3001/a'],
    received: 'https://***@api.example.com/v1/a'
  })
  const atSign = await refusalOf(() => check('https://api.example.com//x@y', request))
  t.equal(atSign.details.received, 'https://api.example.com//x@y', 'not all before an @ is a password')
  const long = `/${'a'.repeat(9000)}`
  const toUs = requestFor(`https://api.example.com${long}`)
  const bounded = await refusalOf(() => check(`https://evil.example${long}`, toUs))
  t.ok(JSON.stringify(bounded.details).length < 1000)
  const { check: checkProof } = createWorld()
  const { details: { received } } = await refusalOf(() => checkProof(prove({ htm: 'x'.repeat(999) }), proven()))
  t.equal(received, 'x'.repeat(40))
})

t.test('proofs that come together are checked in the thread pool', async t => {
  const { check, reserved } = createWorld()
  const forged = prove().replace(/\.[^.]*$/, `.${prove().split('.')[2]}`)
  const outcomes = [prove(), prove(), forged, prove({ htm: 'POST' })].map(proof => {
    return { later: check(proof, proven()) }
  })
  t.equal(outcomes[0]!.later, undefined)
  t.ok(outcomes.slice(1).every(({ later }) => later instanceof Promise))
  // At once: each may be rejected before the others.
  const [second, ...reasons] = await Promise.all([
    outcomes[1]!.later, reasonOf(() => outcomes[2]!.later), reasonOf(() => outcomes[3]!.later)
  ])
  t.equal(second, undefined)
  t.strictSame(reasons, ['proof_signature_invalid', 'proof_mismatch htm'])
  t.equal(reserved.length, 2, 'only what is valid is used up')
})

t.test('the key of a client is imported once, but only if its signature was valid', async t => {
  const imported = t.capture(crypto, 'createPublicKey', crypto.createPublicKey)
  syncBuiltinESMExports()
  t.teardown(() => {
    imported.restore()
    syncBuiltinESMExports()
  })
  const { check } = createWorld()
  /** How many keys these proofs import. */
  const importsOf = async (...proofs: Array<[proof: string, key?: DpopKey]>) => {
    imported()
    for (const [proof, { thumbprint } = KEY] of proofs) await check(proof, proven(REQUEST, thumbprint))
    return imported().length
  }
  const forged = `${prove().split('.').slice(0, 2).join('.')}.${Buffer.alloc(64, 1).toString('base64url')}`
  for (let i = 0; i < 2; i++) {
    t.equal(await reasonOf(() => importsOf([forged])), 'proof_signature_invalid')
    t.equal(imported().length, 1, 'a forged proof')
  }
  t.equal(await importsOf([prove()], [prove()]), 1)
  t.equal(await reasonOf(() => importsOf([forged])), 'proof_signature_invalid')
  t.equal(imported().length, 0, 'the key is known')

  const proofOfLength = (length: number) => {
    const withKid = (kid: string) =>
      KEY.prove('GET', URL_OF_RESOURCE, TOKEN, { iat: ISSUED_AT / 1000 }, { jwk: { ...KEY.jwk, kid } })
    let kid = ''
    while (withKid(kid).indexOf('.') < length) kid += 'x'
    t.equal(withKid(kid).indexOf('.'), length)
    return withKid(kid)
  }
  const [longest, tooLong] = [proofOfLength(2048), proofOfLength(2050)]
  t.equal(await importsOf([longest], [longest]), 1, 'a header of 2048 characters')
  t.equal(await importsOf([tooLong], [tooLong]), 2, 'a longer one')

  const clients = Array.from({ length: 999 }, () => createDpopKey('EdDSA'))
  const proofOf = (client: DpopKey): [string, DpopKey] => [prove({}, client), client]
  const [first, last] = [clients[0]!, clients[998]!]
  t.equal(await importsOf(...clients.slice(0, 998).map(proofOf)), 998)
  t.equal(await importsOf([prove()], proofOf(first)), 0, 'it knows 1000 clients')
  t.equal(await importsOf(proofOf(last), proofOf(first), proofOf(last)), 2, 'and then begins anew')
})

t.test('the memory: at most one use until the proof expires, and a maximum size', async t => {
  const clock = createClock(1_700_000_010_000)
  const store = createMemoryReplayStore(3)
  const reserve = (key: string, ttl: number) =>
    store.reserve({ key, expiresAt: new Date(clock.now() + ttl), now: new Date(clock.now()) })
  t.equal(reserve('a', 2000), true)
  t.equal(reserve('a', 2000), false)
  t.equal(reserve('a', 90_000), false, 'for longer')
  t.equal(reserve('b', 29_999), true)
  t.equal(reserve('c', 90_000), true)
  t.throws(() => reserve('d', 2000), Error, 'full: it forgets nothing')
  t.equal(reserve('c', 90_000), false, 'a used proof is still known')
  clock.advance(29_999)
  t.equal(reserve('b', 1), false)
  t.throws(() => reserve('d', 2000), Error)
  clock.advance(1)
  t.equal(reserve('d', 2000), true, 'two have expired, and are forgotten within 30 seconds')
  clock.advance(-30_000)
  t.equal(reserve('c', 90_000), false, 'the clock went back')
  clock.advance(1e9)
  t.equal(reserve('c', 90_000), true)

  const { check } = createWorld(createMemoryReplayStore(1))
  const proof = prove()
  await check(proof, proven())
  t.match(await refusalOf(() => check(prove(), proven())), { reason: 'replay_store_full', statusCode: 503 })
  t.equal(await reasonOf(() => check(proof, proven())), 'proof_replayed')
})

t.test('only true accepts a proof, whatever a store does', async t => {
  const stores: Array<[reason: string | undefined, reserve: () => unknown]> = [
    [undefined, () => true],
    [undefined, async () => true],
    ['proof_replayed', () => false],
    ['proof_replayed', async () => false],
    ...[undefined, null, 1, 0, 'OK', 'true', {}, [], [true]].flatMap((value): typeof stores => [
      ['replay_unavailable', () => value], ['replay_unavailable', async () => value]
    ]),
    ['replay_unavailable', () => { throw new Error('no Redis') }],
    ['replay_unavailable', async () => { throw new Error('no Redis') }],
    ['replay_unavailable', () => new Promise(() => {})],
    ['replay_unavailable', () => ({ then () {} })]
  ]
  // The timers of the plugin keep no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  for (const [reason, reserve] of stores) {
    const { check } = createWorld({ reserve } as unknown as DpopReplayStore, 20)
    const refusal = await refusalOf(() => check(prove(), proven())).catch(() => undefined)
    t.equal(refusal?.reason, reason, String(reserve))
    if (reason === 'replay_unavailable') t.match(refusal, { statusCode: 503, retryAfter: 5000 })
  }
  const failing = createWorld({ reserve () { throw new Error('no Redis') } })
  t.match((await refusalOf(() => failing.check(prove(), proven()))).cause, { message: 'no Redis' })
  const store = { used: new Set<string>(), reserve ({ key }: DpopReservation) { return !!this.used.add(key) } }
  t.equal(createWorld(store).check(prove(), proven()), undefined, 'it is called as a method, and not waited for')
  t.equal(store.used.size, 1)
})

t.test('two spellings of a URL are one proof', async t => {
  const { check } = createWorld(createMemoryReplayStore())
  const jti = randomUUID()
  await check(prove({ jti }), proven())
  const other = prove({ jti, htu: 'HTTPS://resource.example.org:443/%70rotectedresource?x' })
  t.equal(await reasonOf(() => check(other, proven())), 'proof_replayed')
  await check(prove({ jti: `${jti}2` }), proven())
})

t.test('a weak key, and a key of an unknown kind', async t => {
  const { check } = createWorld()
  const rows: Array<[what: string, alg: Algorithm, jwk: Record<string, unknown>]> = [
    ['no members', 'ES256', { kty: 'EC', crv: 'P-256' }],
    ['another curve', 'ES256', { ...KEY.jwk, crv: 'secp256k1' }],
    ['a point that is not on the curve', 'ES256', { ...KEY.jwk, x: KEY.jwk.y }],
    ['small order', 'EdDSA', { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32).toString('base64url') }],
    ['X25519', 'EdDSA', { ...createSigningKey('EdDSA').jwk, alg: undefined, crv: 'X25519' }]
  ]
  for (const [what, alg, jwk] of rows) {
    const proof = KEY.prove('GET', URL_OF_RESOURCE, TOKEN, {}, { alg, jwk })
    t.equal(await reasonOf(() => check(proof, proven())), 'proof_header_invalid jwk', what)
  }
})
