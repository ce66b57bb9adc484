import { createHmac, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { ALGORITHMS, JwksUnavailableError, TokenInvalidError, type Algorithm, type User } from '../../lib/index.js'
import { importJwk, type VerificationKey } from '../../lib/keys/jwk.js'
import type { KeyStore } from '../../lib/keys/key-store.js'
import type { BetterAuthOptions } from '../../lib/contract/options.js'
import { claimsOf, decodeClaims } from '../../lib/tokens/verified-token.js'
import type { SignatureChecks } from '../../lib/tokens/signature-checks.js'
import type { Verifier } from '../../lib/tokens/verifier.js'
import { createClockedVerifier, STRATEGIES } from '../fixtures/cookie-strategies.js'
import {
  createClaims, createSigningKey, createSigningKeys, encode, signHmac, signJws, type SigningKey
} from '../fixtures/signing.js'
import { reasonOf, refusalOf, withReason } from '../fixtures/refusals.js'
import { createBearerVerifier } from '../fixtures/verifier.js'
import { responseHeaders } from '../../lib/http/error-response.js'

const ISSUER = 'https://id.example.com'
const KEYS = new Map(ALGORITHMS.map(alg => [alg, createSigningKey(alg)]))
const KEY = KEYS.get('EdDSA')!
const SECRET = randomBytes(32).toString('hex')

const importKey = ({ jwk }: SigningKey) => importJwk(jwk)

/** A key store that knows these keys, at once or as a promise, and counts who asks. */
class Keys implements KeyStore {
  readonly asked: string[] = []
  readonly algorithms: Algorithm[] = []
  readonly found: Map<string, VerificationKey>
  later = false
  /** What it fails with; by default it does not know the key. */
  error = () => new TokenInvalidError('unknown_key') as Error

  constructor (keys: VerificationKey[]) {
    this.found = new Map(keys.map(key => [key.kid, key]))
  }

  get (kid: string, alg: Algorithm): VerificationKey | Promise<VerificationKey> {
    this.asked.push(kid)
    this.algorithms.push(alg)
    const key = this.found.get(kid)
    if (this.later) return key === undefined ? Promise.reject(this.error()) : Promise.resolve(key)
    if (key === undefined) throw this.error()
    return key
  }

  isTrusted (key: VerificationKey): boolean { return this.found.get(key.kid) === key }
  async ready (): Promise<void> {}
  status (): never { throw new Error('nobody asks here') }
}

interface Setup { verifier: Verifier, keys: Keys, clock: { now: number } }

function setUp (options: BetterAuthOptions = {}, keys = new Keys([...KEYS.values()].map(importKey))): Setup {
  const clock = { now: Date.now() }
  return { keys, clock, verifier: createBearerVerifier({ authUrl: ISSUER, ...options }, keys, () => clock.now) }
}

const tokenOf = (
  key: SigningKey, claims = {}, header: Record<string, unknown> = {}
) => signJws(key, createClaims(ISSUER, claims), header)

t.test('verifies a token of each algorithm at once where the key is at hand, else as a promise', async t => {
  const { verifier, keys } = setUp({ tokenCache: false })
  for (const [alg, key] of KEYS) {
    const token = tokenOf(key)
    keys.later = false
    const verified = verifier.verify(token)
    t.notOk(verified instanceof Promise, `${alg} at once`)
    keys.later = true
    const promised = verifier.verify(token)
    t.ok(promised instanceof Promise, `${alg} as a promise`)
    t.strictSame(await promised, verified, 'with the same result')
    t.match(await promised, {
      token,
      key: { kid: key.kid, pem: importKey(key).pem },
      user: { id: 'u_1', email: 'ada@example.com', name: 'Ada', emailVerified: true, image: null },
      hasOnlyPrimitives: true
    })
  }
})

t.test('asks for the key by the kid and the algorithm of the token', async t => {
  const { verifier, keys } = setUp()
  for (const [alg, key] of KEYS) {
    await verifier.verify(tokenOf(key))
    t.equal(keys.asked.at(-1), key.kid)
    t.equal(keys.algorithms.at(-1), alg)
  }
})

t.test('the claims are those of the token', async t => {
  const claims = createClaims(ISSUER, { role: 'admin', nested: { list: [1, '\u00e9'] } })
  t.strictSame(decodeClaims(signJws(KEY, claims)), claims)
  t.not(decodeClaims(signJws(KEY, claims)).nested, decodeClaims(signJws(KEY, claims)).nested)
})

t.test('says for how long a token is good, the clock tolerance included', async t => {
  const iat = Math.floor(Date.now() / 1000) - 100
  const lifetimes: Array<[claims: Record<string, unknown>, notBefore: number, expiresAt: number]> = [
    [{ iat }, iat * 1000 - 5000, (iat + 900) * 1000 + 5000],
    [{ iat, nbf: iat + 50 }, (iat + 50) * 1000 - 5000, (iat + 900) * 1000 + 5000],
    [{ iat, nbf: iat - 50 }, iat * 1000 - 5000, (iat + 900) * 1000 + 5000],
    [{ iat: undefined, nbf: iat }, iat * 1000 - 5000, (iat + 900) * 1000 + 5000],
    [{ iat: undefined }, -Infinity, (iat + 900) * 1000 + 5000]
  ]
  for (const [claims, notBefore, expiresAt] of lifetimes) {
    t.match(
      await setUp().verifier.verify(tokenOf(KEY, { exp: iat + 900, ...claims })), { notBefore, expiresAt },
      JSON.stringify(claims)
    )
  }
})

t.test('a key verifies what its JWK allows, and nothing else', async t => {
  for (const [own, key] of KEYS) {
    const { alg, ...jwk } = key.jwk
    const allowed = importJwk(jwk).algorithms
    for (const header of ALGORITHMS) {
      const token = tokenOf(key, {}, { alg: header })
      const expected = header === own ? 'nothing' : 'algorithm_mismatch'
      t.equal(await outcome(setUp().verifier, token), expected, `JWK with alg ${own}, header ${header}`)

      const withoutAlg = setUp({}, new Keys([importJwk(jwk)]))
      const signed = allowed.includes(header)
        ? signJws({ ...key, alg: header as Algorithm }, createClaims(ISSUER))
        : token
      t.equal(
        await outcome(withoutAlg.verifier, signed), allowed.includes(header) ? 'nothing' : 'algorithm_mismatch',
        `JWK of ${own} without alg, header ${header}`
      )
    }
  }
})

/** The reason why a token is refused, or `nothing`. */
async function outcome (verifier: Verifier, token: string): Promise<string> {
  let accepted = false
  const reason = await reasonOf(async () => {
    await verifier.verify(token)
    accepted = true
  }).catch((error: unknown) => {
    if (!accepted) throw error
    return 'nothing'
  })
  return reason
}

t.test('the option algorithms narrows what is accepted, before anything is fetched', async t => {
  const { verifier, keys } = setUp({ algorithms: ['ES256', 'RS256'] })
  for (const [alg, key] of KEYS) {
    t.equal(
      await outcome(verifier, tokenOf(key)), ['ES256', 'RS256'].includes(alg) ? 'nothing' : 'algorithm_not_allowed', alg
    )
  }
  t.equal(keys.asked.length, 2)
})

t.test('refuses a signature by another key', async t => {
  const others = createSigningKeys()
  for (const [alg, key] of KEYS) {
    const { privateKey } = others.get(alg)!
    t.equal(await outcome(setUp().verifier, tokenOf({ ...key, privateKey })), 'signature_invalid', alg)
  }
  const { keys, verifier } = setUp()
  keys.later = true
  t.equal(
    await outcome(
      verifier, tokenOf({ ...KEY, privateKey: generateKeyPairSync('ed25519').privateKey })
    ), 'signature_invalid',
    'as a rejection too'
  )
})

t.test('hands on what the key store says', async t => {
  for (const later of [false, true]) {
    const { keys, verifier } = setUp({}, new Keys([]))
    keys.later = later
    t.equal(await outcome(verifier, tokenOf(KEY)), 'unknown_key')
    keys.error = () => new JwksUnavailableError(7000)
    const refusal = await refusalOf(() => verifier.verify(tokenOf(KEY)))
    t.match(refusal, { statusCode: 503 })
    t.match(responseHeaders(refusal), { 'Retry-After': '7' })
  }
})

t.test('a token without a right kid is refused before the key store is asked', async t => {
  const { keys, verifier } = setUp()
  for (const kid of [undefined, '', null, 1, [KEY.kid], 'k'.repeat(513)]) {
    t.equal(
      await outcome(verifier, tokenOf(KEY, {}, { kid })), 'kid_invalid'
    )
  }
  t.strictSame(keys.asked, [])
})

t.test('HS256', async t => {
  const { keys, verifier } = setUp({ secret: SECRET })
  const verified = verifier.verify(signHmac(SECRET, createClaims(ISSUER)))
  t.match(verified, { key: undefined, user: { id: 'u_1' } }, 'is verified by the secret')
  t.equal(await outcome(verifier, tokenOf(KEY)), 'nothing', 'beside the algorithms of the JWKS')
  t.equal(
    await outcome(verifier, signHmac(randomBytes(32), createClaims(ISSUER))), 'signature_invalid',
    'is refused by another secret'
  )
  t.equal(
    await outcome(verifier, signHmac(SECRET, createClaims(ISSUER), { kid: KEY.kid })), 'kid_invalid',
    'is refused with the name of a key'
  )
  t.equal(
    await outcome(verifier, signHmac(SECRET, createClaims(ISSUER, { exp: 1 }))),
    'token_expired',
    'has to have right claims'
  )
  t.strictSame(keys.asked, [KEY.kid])

  const both = setUp({ secret: SECRET, algorithms: ['ES256'] })
  t.equal(
    await outcome(both.verifier, signHmac(SECRET, createClaims(ISSUER))),
    'nothing',
    'is not ruled out by the option algorithms'
  )
  const without = setUp()
  t.equal(
    await outcome(without.verifier, signHmac(SECRET, createClaims(ISSUER))), 'algorithm_not_allowed',
    'is refused without the option secret'
  )
})

t.test('no key of the JWKS serves as an HMAC secret', async t => {
  for (const options of [{}, { secret: SECRET }]) {
    for (const key of KEYS.values()) {
      const forms: Record<string, string | Buffer> = {
        PEM: importKey(key).pem,
        DER: key.publicKey.export({ type: 'spki', format: 'der' }),
        JWK: JSON.stringify(key.jwk)
      }
      for (const [form, material] of Object.entries(forms)) {
        for (const kid of [key.kid, undefined]) {
          const refused = options.secret === undefined
            ? 'algorithm_not_allowed'
            : kid === undefined ? 'signature_invalid' : 'kid_invalid'
          t.equal(
            await outcome(setUp(options).verifier, signHmac(material, createClaims(ISSUER), { kid })), refused,
            `${key.alg} as ${form}`
          )
        }
      }
    }
  }
})

t.test('the payload is an object, and its claims are checked by the clock that was handed in', async t => {
  for (const payload of ['x', '[]', 'null', '1', '"x"']) {
    t.equal(
      await outcome(setUp().verifier, signJws(KEY, payload)), 'token_malformed', payload
    )
  }
  t.equal(await outcome(setUp({ issuer: 'a' }).verifier, tokenOf(KEY)), 'issuer_mismatch iss')
  t.equal(await outcome(setUp({ audience: 'a' }).verifier, tokenOf(KEY)), 'audience_mismatch aud')

  const { clock, verifier } = setUp({ tokenCache: false, clockTolerance: 1000 })
  const exp = Math.floor(clock.now / 1000) + 60
  const token = tokenOf(KEY, { exp })
  clock.now = exp * 1000 + 999
  t.equal(await outcome(verifier, token), 'nothing')
  clock.now++
  t.equal(await outcome(verifier, token), 'token_expired')
})

t.test('the header\'s typ decides which claims are those of an ID token', async t => {
  t.equal(await outcome(setUp().verifier, tokenOf(KEY, { auth_time: 1 }, { typ: 'JWT' })), 'token_kind auth_time')
  const { verifier } = setUp({ resource: 'https://api.example.com' })
  const claims = { iss: `${ISSUER}/api/auth`, aud: 'https://api.example.com', client_id: 'client_1', auth_time: 1 }
  t.equal(await outcome(verifier, tokenOf(KEY, claims, { typ: 'application/at+jwt' })), 'nothing')
})

t.test('what is wrong is said in the order signature, claims, user', async t => {
  const bad = { iss: 'https://evil.example', email: 1, exp: 1 }
  const { privateKey } = createSigningKey()
  t.equal(
    await outcome(setUp().verifier, tokenOf({ ...KEY, privateKey }, bad)), 'signature_invalid',
    'nothing is said of the claims of a token that anybody may have made'
  )
  t.equal(await outcome(setUp().verifier, tokenOf(KEY, bad)), 'issuer_mismatch iss')
  t.equal(await outcome(setUp().verifier, tokenOf(KEY, { email: 1 })), 'claim_invalid email')
})

t.test('a token is expired only if it would be accepted had it not expired', async t => {
  const users: Array<[claims: Record<string, unknown>, reason: string]> = [
    [{ email: 1 }, 'claim_invalid email'],
    [{ sub: '' }, 'claim_invalid sub'],
    [{ sub: undefined, id: undefined }, 'claim_missing sub'],
    [{ emailVerified: [] }, 'claim_invalid emailVerified']
  ]
  for (const [claims, reason] of users) {
    t.equal(
      await outcome(setUp().verifier, tokenOf(KEY, { exp: 1, iat: 0, ...claims })), reason, JSON.stringify(claims)
    )
  }
  t.equal(await outcome(setUp().verifier, tokenOf(KEY, { exp: 1, iat: 0 })), 'token_expired')
})

t.test('tokens of more than 16 kB are refused before anything else', async t => {
  const { keys, verifier } = setUp()
  const signed = tokenOf(KEY, { pad: '' }).length
  const long = (length: number) => {
    // Each three bytes of the payload are four characters of the token.
    for (let pad = Math.floor((length - signed) * 3 / 4) - 2; ; pad++) {
      const token = tokenOf(KEY, { pad: 'x'.repeat(pad) })
      if (token.length >= length) return token
    }
  }
  const [largest, tooLarge] = [long(16_383), long(16_385)]
  t.ok(largest.length <= 16_384 && tooLarge.length <= 16_388, 'the two lengths are next to the limit')
  t.equal(await outcome(verifier, largest), 'nothing')
  t.equal(await outcome(verifier, tooLarge), 'token_too_long')
  t.equal(await outcome(verifier, 'x'.repeat(16_384)), 'token_malformed')
  t.equal(await outcome(verifier, 'x'.repeat(16_385)), 'token_too_long')
  t.equal(await reasonOf(() => { verifier.assertWellFormed('x'.repeat(16_385)) }), 'token_too_long')
  t.equal(await reasonOf(() => { verifier.assertWellFormed('x'.repeat(16_384)) }), 'token_malformed')
  t.strictSame(keys.asked, [KEY.kid])
})

t.test('assertWellFormed() refuses what cannot be verified, without a look at key or signature', async t => {
  const { keys, verifier } = setUp()
  t.doesNotThrow(() => { verifier.assertWellFormed(tokenOf(KEY)) })
  t.doesNotThrow(() => { verifier.assertWellFormed(tokenOf(KEY).replace(/[^.]+$/, 'AA')) })
  t.equal(await reasonOf(() => { verifier.assertWellFormed('x') }), 'token_malformed')
  t.equal(await reasonOf(() => { verifier.assertWellFormed(signJws(KEY, '[]')) }), 'token_malformed')
  t.equal(
    await reasonOf(() => { verifier.assertWellFormed(tokenOf(KEY, {}, { alg: 'none' })) }), 'algorithm_not_allowed'
  )
  t.strictSame(keys.asked, [])
})

t.test('a header that was accepted once excuses nothing', async t => {
  const { verifier } = setUp({ tokenCache: false })
  const token = tokenOf(KEY)
  const header = token.split('.')[0]!
  t.equal(await outcome(verifier, token), 'nothing')
  t.equal(
    await outcome(verifier, `${header}.${encode(createClaims(ISSUER, { sub: 'eve' }))}.${token.split('.')[2]}`),
    'signature_invalid'
  )
  t.equal(await outcome(verifier, `${header}.${encode(createClaims(ISSUER))}.`), 'token_malformed')
  t.equal(await outcome(verifier, signJws(KEY, 'x')), 'token_malformed')
  t.equal(await outcome(verifier, tokenOf(KEY, { exp: 1 })), 'token_expired')
})

t.test('keeps working with more headers than it remembers', async t => {
  const { verifier } = setUp({ tokenCache: false })
  const tokens = Array.from({ length: 250 }, (_, i) => tokenOf(KEY, {}, { x: i }))
  for (const token of [...tokens, ...tokens]) {
    if (await outcome(verifier, token) !== 'nothing') t.fail('refused')
  }
  t.pass('500 times')
})

t.test('a token is verified once while its key stays the same', async t => {
  const { keys, verifier, clock } = setUp()
  const token = tokenOf(KEY)
  await verifier.verify(token)
  const first = await verifier.verify(token)
  t.equal(await verifier.verify(token), first)
  keys.found.delete(KEY.kid)
  t.equal(await outcome(verifier, token), 'unknown_key', 'its key is gone')
  keys.found.set(KEY.kid, importKey(createSigningKey('EdDSA', KEY.kid)))
  t.equal(await outcome(verifier, token), 'signature_invalid', 'its key is another')
  keys.found.set(KEY.kid, importKey(KEY))
  t.not(await verifier.verify(token), first, 'its key came again')
  clock.now = first.expiresAt
  t.equal(await outcome(verifier, token), 'token_expired')
})

t.test('without a token cache it is verified each time', async t => {
  const { verifier } = setUp({ tokenCache: false })
  const token = tokenOf(KEY)
  const [first, second] = [await verifier.verify(token), await verifier.verify(token)]
  t.not(first, second)
  t.strictSame(first, second)
})

t.test('an HMAC over another digest is not HS256', async t => {
  const input = `${encode({ alg: 'HS256' })}.${encode(createClaims(ISSUER))}`
  const signature = createHmac('sha512', SECRET).update(input).digest('base64url')
  t.equal(await outcome(setUp({ secret: SECRET }).verifier, `${input}.${signature}`), 'signature_invalid')
})

t.test('a payload that is nested too deeply is refused, even with a right signature', async t => {
  const { verifier } = setUp()
  const nested = (levels: number) =>
    `{"sub":"u_1","iss":"${ISSUER}","aud":"${ISSUER}","exp":9999999999,"x":${'['.repeat(levels)}${']'.repeat(levels)}}`
  t.ok(await verifier.verify(signJws(KEY, nested(99))))
  for (const levels of [100, 5000]) {
    t.equal(await reasonOf(() => verifier.verify(signJws(KEY, nested(levels)))), 'token_malformed', String(levels))
  }
})

t.test('the newer names of EdDSA are each for one curve', async t => {
  const { verifier } = setUp({ tokenCache: false })
  for (let uses = 0; uses < 2; uses++) {
    t.equal(await outcome(verifier, tokenOf(KEY, {}, { alg: 'Ed25519' })), 'nothing')
    t.equal(await outcome(verifier, tokenOf(KEY, {}, { alg: 'Ed448' })), 'algorithm_mismatch')
  }
})

t.test('a trace says whether the signature was checked again', async t => {
  const { verifier } = setUp()
  const token = tokenOf(KEY)
  for (const cached of [false, true, true]) {
    const trace = { cached: false }
    await verifier.verify(token, trace)
    t.equal(trace.cached, cached)
  }
})

t.test('a token that is no JWS is opened by its form, and then kept as one that the secret signs', async t => {
  const { verifier, content } = createClockedVerifier({ rolesFrom: ({ user }) => (user as User).id })
  for (const [strategy, mint] of Object.entries(STRATEGIES)) {
    const token = mint(content)
    const verified = await verifier.verify(token)
    t.match(verified, { token, via: 'cookie', key: undefined, user: { id: 'u_1' }, authorization: { roles: ['u_1'] } })
    t.match(claimsOf(verified), content, 'its form reads its claims')
    t.equal(await verifier.verify(token), verified, `${strategy}: from the first use on`)
  }
  t.throws(() => verifier.verify(STRATEGIES.jwe(content).slice(0, -2)), withReason('token_malformed'))
  const without = createClockedVerifier({ tokenCache: false })
  for (const mint of Object.values(STRATEGIES)) {
    const token = mint(without.content)
    t.not(await without.verifier.verify(token), await without.verifier.verify(token))
  }

  for (const mint of [STRATEGIES.compact, STRATEGIES.jwt]) {
    for (const [length, isKept] of [[4096, true], [4097, false]] as const) {
      let token = ''
      for (let pad = 2000; token.length < length; pad++) token = mint({ ...content, pad: 'x'.repeat(pad) })
      t.ok(token.length - length < 2)
      const first = await verifier.verify(token)
      t.equal(await verifier.verify(token) === first, isKept, `${length} characters`)
    }
  }
})

t.test('tokens that are verified at the same time', async t => {
  /** Checks that end when the test says so. */
  function holdChecks () {
    const held: Array<(isSigned: boolean) => void> = []
    const check = (): Promise<boolean> => new Promise(resolve => { held.push(resolve) })
    return { checks: { check } satisfies SignatureChecks, held }
  }
  function setUpHeld (options: BetterAuthOptions = {}) {
    const keys = new Keys([...KEYS.values()].map(importKey))
    const clock = { now: Date.now() }
    const { checks, held } = holdChecks()
    const verifier = createBearerVerifier({ authUrl: ISSUER, ...options }, keys, () => clock.now, checks)
    return { keys, clock, held, verifier, verify: async (token: string) => verifier.verify(token) }
  }
  const turn = () => new Promise(resolve => { setImmediate(resolve) })

  for (const tokenCache of [undefined, false] as const) {
    t.test(`a new token in a thousand requests is checked once, with tokenCache ${tokenCache}`, async t => {
      const { verifier, keys, held } = setUpHeld({ tokenCache })
      for (const later of [false, true]) {
        keys.later = later
        const token = tokenOf(KEY, { jti: randomUUID() })
        const other = tokenOf(KEY, { jti: randomUUID() })
        const all = Array.from({ length: 1000 }, () => verifier.verify(token))
        const another = verifier.verify(other)
        await turn()
        t.equal(held.length, 2, 'one check for each token')
        for (const end of held.splice(0)) end(true)
        const verified = await Promise.all(all)
        t.equal(new Set(verified).size, 1)
        t.equal(verified[0]!.token, token)
        t.equal((await another).token, other)
      }
    })
  }

  t.test('a forged token in a thousand requests is checked once, and again the next time', async t => {
    const { verify, held } = setUpHeld()
    const token = tokenOf(KEY)
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 1000 }, () => verify(token))
      t.equal(held.length, 1)
      held.pop()!(false)
      const outcomes = await Promise.allSettled(all)
      t.ok(outcomes.every(({ status }) => status === 'rejected'))
      await t.rejects(all[999]!, withReason('signature_invalid'))
    }
    const accepted = verify(token)
    held.pop()!(true)
    t.equal((await accepted).token, token, 'a refusal is not remembered')
  })

  t.test('the signature of a token that is refused for its claims is checked once', async t => {
    const refused = [
      [{ exp: 1, iat: 0 }, 'token_expired'],
      [{ aud: 'https://other.example' }, 'audience_mismatch aud']
    ] as const
    for (const [claims, reason] of refused) {
      const { verifier, verify, keys, held } = setUpHeld()
      const token = tokenOf(KEY, claims)
      const pending = verify(token)
      held.pop()!(true)
      t.equal(await reasonOf(() => pending), reason)
      const trace = { cached: false }
      t.equal(await reasonOf(() => verifier.verify(token, trace)), reason, 'again')
      t.ok(trace.cached)
      t.equal(held.length, 0)
      const [header, payload, signature] = token.split('.') as [string, string, string]
      const others = [
        `${header}.${encode({ ...createClaims(ISSUER, claims), jti: 1 })}.${signature}`,
        `${header}.${payload}.${encode(Buffer.alloc(64))}`
      ]
      for (const other of others) {
        const another = verify(other)
        held.pop()!(false)
        t.equal(await reasonOf(() => another), 'signature_invalid', 'every other token is checked')
      }
      keys.found.set(KEY.kid, importKey(createSigningKey('EdDSA', KEY.kid)))
      const withNewKey = verify(token)
      held.pop()!(false)
      t.equal(await reasonOf(() => withNewKey), 'signature_invalid', 'by another key too')
      keys.found.delete(KEY.kid)
      t.equal(await reasonOf(() => verify(token)), 'unknown_key')
    }
  })

  t.test('it is checked each time without a token cache, and if the token is long', async t => {
    for (const [options, claims] of [[{ tokenCache: false }, {}], [{}, { pad: 'x'.repeat(4096) }]] as const) {
      const { verify, held } = setUpHeld(options)
      const token = tokenOf(KEY, { exp: 1, iat: 0, ...claims })
      for (let uses = 0; uses < 3; uses++) {
        const pending = verify(token)
        t.equal(held.length, 1)
        held.pop()!(true)
        t.equal(await reasonOf(() => pending), 'token_expired')
      }
    }
  })

  t.test('a key that leaves the JWKS ends the check too', async t => {
    const { verify, keys, held } = setUpHeld()
    const pending = verify(tokenOf(KEY))
    keys.found.delete(KEY.kid)
    held.pop()!(true)
    await t.rejects(pending, withReason('unknown_key'))
  })

  t.test('and so does the end of trust in it, while the auth server cannot be reached', async t => {
    const { verify, keys, held } = setUpHeld()
    const pending = verify(tokenOf(KEY))
    keys.found.delete(KEY.kid)
    keys.error = () => new JwksUnavailableError(7000)
    held.pop()!(true)
    await t.rejects(pending, { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
  })

  t.test('if another key takes its kid, the token is checked with that one', async t => {
    const { verify, keys, held } = setUpHeld()
    const [key, replacement] = [KEYS.get('EdDSA')!, createSigningKey('ES256', KEY.kid)]
    const pending = verify(tokenOf(key))
    keys.found.set(KEY.kid, importKey(replacement))
    held.pop()!(true)
    await t.rejects(pending, withReason('algorithm_mismatch'))

    const second = importKey(createSigningKey('EdDSA', KEY.kid))
    keys.found.set(KEY.kid, importKey(key))
    const checkedTwice = verify(tokenOf(key, { jti: 'other' }))
    keys.found.set(KEY.kid, second)
    held.pop()!(true)
    await turn()
    t.equal(held.length, 1, 'a second check')
    held.pop()!(true)
    t.equal((await checkedTwice).key, second)
  })

  t.test('a key that has to be confirmed is confirmed, and no second check is made', async t => {
    const { verify, keys, held } = setUpHeld()
    const pending = verify(tokenOf(KEY))
    keys.isTrusted = () => false
    keys.later = true
    held.pop()!(true)
    t.equal((await pending).key, keys.found.get(KEY.kid))
    t.equal(held.length, 0)
  })

  t.test('a token that expires during its check is refused', async t => {
    const { verify, clock, held } = setUpHeld({ clockTolerance: 0 })
    const pending = verify(tokenOf(KEY, { exp: Math.floor(clock.now / 1000) + 60 }))
    clock.now += 61_000
    held.pop()!(true)
    await t.rejects(pending, { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
  })
})
