import Fastify from 'fastify'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import betterAuthPlugin from '../../lib/index.js'
import { JwksUnavailableError, TokenInvalidError } from '../../lib/contract/errors.js'
import { importJwk, type VerificationKey } from '../../lib/keys/jwk.js'
import type { KeyStore } from '../../lib/keys/key-store.js'
import type { BetterAuthOptions } from '../../lib/contract/options.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { createTokenCache } from '../../lib/tokens/token-cache.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import type { Verifier } from '../../lib/tokens/verifier.js'
import { createClaims, createSigningKey, signHmac, signJws } from '../fixtures/signing.js'
import { startJwksServer } from '../fixtures/jwks-server.js'
import { withReason } from '../fixtures/refusals.js'
import { createBearerVerifier } from '../fixtures/verifier.js'

const ISSUER = 'http://localhost:3000'
const signer = createSigningKey()
const key = importJwk(signer.jwk)

/** A key store that returns what a test sets, and counts. It trusts the keys in `trusted`. */
function fakeKeys () {
  const state = { get: (): ReturnType<KeyStore['get']> => key, trusted: [key], asked: 0, checked: 0 }
  const keys: KeyStore = {
    get () {
      state.asked++
      return state.get()
    },
    isTrusted (one) {
      state.checked++
      return state.trusted.includes(one)
    },
    ready: async () => {},
    status: () => ({ url: null, keys: [], lastError: null, nextTryAt: null })
  }
  return { keys, state }
}

function setUp (options: BetterAuthOptions = {}) {
  const { keys, state } = fakeKeys()
  // Ahead of the clock by which the tokens of a test are made: none of them is from the future.
  const clock = { now: Date.now() + 60_000 }
  const verifier = createBearerVerifier({ authUrl: ISSUER, clockTolerance: 0, ...options }, keys, () => clock.now)
  return { verifier, state, clock }
}

/** Verifies a token twice: it is cached from its second use on. */
async function cacheToken (verifier: Verifier, token: string): Promise<VerifiedToken> {
  await verifier.verify(token)
  return await verifier.verify(token)
}

t.test('a token is cached from its second use on, and never when the cache is off', async t => {
  const token = signJws(signer, createClaims(ISSUER))
  const { verifier } = setUp()
  const first = await verifier.verify(token)
  const second = await verifier.verify(token)
  t.not(first, second)
  t.strictSame(first, second)
  t.equal(verifier.verify(token), second, 'the same object came back')
  const uncached = setUp({ tokenCache: false }).verifier
  t.not(await uncached.verify(token), await uncached.verify(token))
})

t.test('an entry serves only within exp and nbf', async t => {
  const { verifier, clock } = setUp()
  const at = Math.floor(clock.now / 1000)
  clock.now = at * 1000
  const token = signJws(signer, createClaims(ISSUER, { iat: at - 20, nbf: at - 10, exp: at + 10 }))
  await cacheToken(verifier, token)

  clock.now = (at + 10) * 1000 - 1
  t.ok(await verifier.verify(token))
  clock.now = (at + 10) * 1000
  await t.rejects(async () => verifier.verify(token), { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
  clock.now = (at - 10) * 1000
  t.ok(await verifier.verify(token))
  clock.now = (at - 10) * 1000 - 1
  await t.rejects(async () => verifier.verify(token), withReason('token_not_active'))
})

t.test('an entry serves no longer than its iat and nbf allow when the clock is set back', async t => {
  const { verifier, clock } = setUp()
  const iat = Math.floor(clock.now / 1000)
  const token = signJws(signer, createClaims(ISSUER, { iat }))
  await cacheToken(verifier, token)
  clock.now = iat * 1000 - 1
  await t.rejects(async () => verifier.verify(token), withReason('token_not_active'))
})

t.test('the key store is asked on every hit, so that hits keep the refresh of the key going', async t => {
  const { verifier, state } = setUp()
  const token = signJws(signer, createClaims(ISSUER))
  await verifier.verify(token)
  t.match(state, { asked: 1, checked: 0 })
  await verifier.verify(token)
  t.match(state, { asked: 2, checked: 0 }, 'the second use')
  for (let hits = 1; hits <= 3; hits++) {
    await verifier.verify(token)
    t.match(state, { asked: 2, checked: hits })
  }
})

t.test('a token outside its lifetime does not keep the refresh of the key going', async t => {
  const { verifier, state, clock } = setUp()
  const token = signJws(signer, createClaims(ISSUER))
  await cacheToken(verifier, token)
  clock.now += 900_001
  // A check in the thread pool would ask the key store as well.
  await turn()
  await t.rejects(async () => verifier.verify(token), { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
  t.equal(state.checked, 0)
})

t.test('a cached token is verified again, by the key of now, when its key may not be used without a wait', async t => {
  const { verifier, state } = setUp()
  const token = signJws(signer, createClaims(ISSUER))
  const first = await cacheToken(verifier, token)
  state.trusted = []
  state.get = async () => key
  const again = verifier.verify(token)
  t.ok(again instanceof Promise)
  t.not(await again, first)
  state.trusted = [key]
  t.equal(verifier.verify(token), await again)
})

for (const uses of [1, 2]) {
  t.test(`a token is refused as soon as its key is, after ${uses} uses`, async t => {
    const { verifier, state } = setUp()
    const token = signJws(signer, createClaims(ISSUER))
    for (let i = 0; i < uses; i++) await verifier.verify(token)

    state.trusted = []
    state.get = () => { throw new TokenInvalidError('unknown_key') }
    await t.rejects(async () => verifier.verify(token), withReason('unknown_key'))
    state.get = () => { throw new JwksUnavailableError(1000) }
    await t.rejects(async () => verifier.verify(token), { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
    const rejecting = async (): Promise<VerificationKey> => { throw new TokenInvalidError('unknown_key') }
    state.get = rejecting
    await t.rejects(Promise.resolve(verifier.verify(token)), withReason('unknown_key'))
  })

  t.test(`a token is refused when other key material comes under the same kid, after ${uses} uses`, async t => {
    const { verifier, state } = setUp()
    const token = signJws(signer, createClaims(ISSUER))
    for (let i = 0; i < uses; i++) await verifier.verify(token)
    const other = importJwk(createSigningKey('EdDSA', signer.kid).jwk)
    state.trusted = [other]
    state.get = () => other
    await t.rejects(async () => verifier.verify(token), withReason('signature_invalid'))
    state.get = async () => other
    await t.rejects(Promise.resolve(verifier.verify(token)), withReason('signature_invalid'))
  })
}

t.test('refused tokens are not cached', async t => {
  const { verifier, clock } = setUp()
  const nbf = Math.floor(clock.now / 1000) + 60
  const token = signJws(signer, createClaims(ISSUER, { nbf }))
  await t.rejects(async () => verifier.verify(token), withReason('token_not_active'))
  clock.now = nbf * 1000
  t.ok(await verifier.verify(token))
})

t.test('a token that shares its end with a cached one is another token', async t => {
  const { verifier } = setUp()
  const [header, payload, signature] = signJws(signer, createClaims(ISSUER)).split('.') as [string, string, string]
  await verifier.verify(`${header}.${payload}.${signature}`)
  await assertRefused()
  await verifier.verify(`${header}.${payload}.${signature}`)
  await assertRefused()

  async function assertRefused (): Promise<void> {
    const forged = Buffer.from(JSON.stringify(createClaims(ISSUER, { sub: 'admin' }))).toString('base64url')
    await t.rejects(async () => verifier.verify(`${header}.${forged}.${signature}`), withReason('signature_invalid'))
    await t.rejects(
      async () => verifier.verify(`x${header}.${payload}.${signature}`), { code: 'FST_BETTER_AUTH_TOKEN_INVALID' }
    )
    await t.rejects(async () => verifier.verify(signature.slice(-32)), { code: 'FST_BETTER_AUTH_TOKEN_INVALID' })
  }
})

t.test('two tokens that end alike do not disturb each other', t => {
  const cache = createTokenCache({ max: 10, maxBytes: 2 ** 20 }, fakeKeys().keys, () => 0)
  const end = 'x'.repeat(40)
  const entry = (token: string): VerifiedToken => ({
    token,
    via: 'bearer',
    options: resolveOptions({}),
    principal: { kind: 'user' },
    user: { id: token, email: null, name: null, emailVerified: false, image: null },
    hasOnlyPrimitives: true,
    session: null,
    authorization: { roles: [], scopes: [], bannedUntil: undefined },
    key,
    notBefore: -1,
    expiresAt: 1
  })
  cache.set(entry(`a.${end}`))
  t.equal(cache.get(`b.${end}`), undefined)
  cache.set(entry(`b.${end}`))
  t.equal(cache.get(`a.${end}`), undefined)
  t.equal(cache.get(`b.${end}`)?.user!.id, `b.${end}`)
  t.end()
})

t.test('the least recently used token goes first', async t => {
  const { verifier } = setUp({ tokenCache: { max: 2 } })
  const [a, b, c] = ['a', 'b', 'c'].map(
    sub => signJws(signer, createClaims(ISSUER, { sub }))
  ) as [string, string, string]
  const first = await cacheToken(verifier, a)
  const second = await cacheToken(verifier, b)
  await verifier.verify(a)
  await cacheToken(verifier, c)
  t.equal(await verifier.verify(a), first)
  t.not(await verifier.verify(b), second)
})

t.test('HS256 tokens are cached as well', async t => {
  const secret = 'a shared secret that is long enough to be used'
  const { verifier, state, clock } = setUp({ secret })
  const token = signHmac(secret, createClaims(ISSUER))
  t.equal(await verifier.verify(token), await verifier.verify(token))
  t.match(state, { asked: 0, checked: 0 })
  clock.now += 900_001
  await t.rejects(async () => verifier.verify(token), { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
})

t.test('a token of more than 16 kB is refused before it is looked at', async t => {
  const { verifier, state } = setUp()
  const pad = (length: number) => signJws(signer, createClaims(ISSUER, { pad: 'x'.repeat(length) }))
  const long = pad(13_000)
  t.ok(long.length > 16_384)
  await t.rejects(async () => verifier.verify(long), withReason('token_too_long'))
  t.throws(() => { verifier.assertWellFormed(long) }, withReason('token_too_long'))
  t.equal(state.asked, 0)
  const short = pad(11_000)
  t.ok(short.length < 16_384)
  t.ok(await verifier.verify(short))
})

t.test('a header is parsed once, and a hundred different ones are remembered', async t => {
  const { verifier } = setUp({ tokenCache: false })
  const parsed = t.capture(JSON, 'parse', JSON.parse)
  /** Whether the header of a new token is known. */
  const isKnown = async (x: number) => {
    const token = signJws(signer, createClaims(ISSUER), { x })
    parsed()
    t.ok(await verifier.verify(token))
    const { length } = parsed()
    t.ok(length === 1 || length === 2, 'the payload, and perhaps the header')
    return length === 1
  }
  for (let x = 0; x < 100; x++) t.equal(await isKnown(x), false)
  for (const x of [0, 99, 1]) t.equal(await isKnown(x), true)
  t.equal(await isKnown(100), false)
  t.strictSame([await isKnown(0), await isKnown(100), await isKnown(0)], [false, true, true], 'then it begins anew')
})

for (const tokenCache of [{ max: 10 }, false] as const) {
  const cache = tokenCache === false ? 'without' : 'with'
  t.test(`no other request sees what a handler writes, ${cache} the cache`, async t => {
    const jwks = await startJwksServer([signer.jwk])
    t.teardown(() => jwks.stop())
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(betterAuthPlugin, { authUrl: jwks.origin, tokenCache })
    app.get('/spoil', { onRequest: [app.authenticate] }, async request => {
      request.user.name = 'Mallory'
      Object.assign(request.user, { role: 'admin' })
      ;(request.claims.roles as { list: string[] }).list.push('admin')
      request.claims.sub = 'mallory'
      return [request.user, request.claims]
    })
    app.get('/read', { onRequest: [app.authenticate] }, async request => [request.user, request.claims])
    const claims = createClaims(jwks.origin, { roles: { list: ['user'] } })
    const headers = { authorization: `Bearer ${signJws(signer, claims)}` }
    const clean = (await app.inject({ url: '/read', headers })).json()
    t.same(clean[1], claims)
    t.match(
      (await app.inject({ url: '/spoil', headers })).json(),
      [{ name: 'Mallory', role: 'admin' }, { sub: 'mallory', roles: { list: ['user', 'admin'] } }]
    )
    t.strictSame((await app.inject({ url: '/read', headers })).json(), clean)
    t.notMatch(clean[0], { role: 'admin' })
  })
}

t.test('request.claims is one object for all who ask in a request, and may be set', async t => {
  const jwks = await startJwksServer([signer.jwk])
  t.teardown(() => jwks.stop())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, { authUrl: jwks.origin })
  app.get('/', { onRequest: [app.authenticate] }, async request => {
    const first = request.claims
    const isOne = request.claims === first
    request.claims = { exp: 1 }
    return { isOne, claims: request.claims }
  })
  app.get('/open', async request => ({ claims: request.claims, user: request.user }))
  const headers = { authorization: `Bearer ${signJws(signer, createClaims(jwks.origin))}` }
  t.same((await app.inject({ url: '/', headers })).json(), { isOne: true, claims: { exp: 1 } })
  t.same((await app.inject({ url: '/open', headers })).json(), { claims: null, user: null })
})

const signFor = (sub: string, claims: object = {}) => signJws(signer, createClaims(ISSUER, { sub, ...claims }))

t.test('its memory is bounded: a few users cannot fill it with long tokens', async t => {
  const token = signFor('a')
  // Room for the token itself, and for the first of the others.
  const { verifier } = setUp({ tokenCache: { maxBytes: 2 * (1024 + 3 * token.length) + 100 } })
  const first = await cacheToken(verifier, token)
  t.equal(await verifier.verify(token), first)
  for (const sub of ['b', 'c', 'd']) await cacheToken(verifier, signFor(sub))
  t.not(await verifier.verify(token), first)
})

t.test('a token over 4 kB is verified each time', async t => {
  const { verifier } = setUp()
  for (const [length, isKept] of [[1500, true], [6000, false]] as const) {
    const token = signFor('a', { pad: 'x'.repeat(length) })
    t.equal(token.length > 4096, !isKept)
    const first = await cacheToken(verifier, token)
    const trace = { cached: false }
    t.equal(await verifier.verify(token, trace) === first, isKept, `${token.length} characters`)
    t.equal(trace.cached, isKept)
  }
})

t.test('expired tokens go without being asked for', async t => {
  const keys = fakeKeys().keys
  const clock = { now: 0 }
  const cache = createTokenCache({ max: 100, maxBytes: 2 ** 20 }, keys, () => clock.now)
  const registry = { dropped: 0 }
  const entry = (token: string, expiresAt: number) => ({
    token, key, notBefore: -1, get expiresAt () { registry.dropped++; return expiresAt }
  }) as unknown as VerifiedToken
  for (let i = 0; i < 10; i++) cache.set(entry(`old-${i}`.padStart(40, 'x'), 1000))
  registry.dropped = 0
  clock.now = 1000
  for (let i = 0; i < 10; i++) cache.set(entry(`new-${i}`.padStart(40, 'x'), 9000))
  const looked = registry.dropped
  clock.now = 0
  t.equal(cache.get('old-0'.padStart(40, 'x')), undefined, 'the clock was set back, and it is gone all the same')
  t.equal(cache.get('old-9'.padStart(40, 'x')), undefined)
  t.ok(cache.get('new-0'.padStart(40, 'x')))
  t.ok(looked <= 20, `each new token looks at two others: ${looked}`)
})
